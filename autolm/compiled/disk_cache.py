"""Compile loops with numba, and cache the machine code on disk.

Compiling takes a second per loop. The logger `autolm.compiled`, whose messages the command shows,
reports that it starts, and warns once if nothing can be cached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

BEGINS = "compiling loops, once: this takes up to half a minute"
LOG = logging.getLogger(__name__.rpartition(".")[0])


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function that numba compiles at its first call, or loads from the cache.

    On a full or read-only disk, each process compiles it again.
    """
    from numba import njit
    from numba.core.caching import FunctionCache

    on_disk: Any = FunctionCache

    class DiskCache(on_disk):
        def load_overload(self, *key: Any) -> Any:
            try:
                overload = super().load_overload(*key)
            except OSError:  # the process may not read the file
                overload = None
            if overload is None:
                _log(logging.INFO, BEGINS)
            return overload

        def save_overload(self, *key: Any) -> None:
            try:
                super().save_overload(*key)
            except OSError as error:
                _warn(error.strerror)

    loop = njit(**options)(function)
    try:
        loop._cache = DiskCache(function)
    except RuntimeError:  # numba found no folder for its cache
        _log(logging.INFO, BEGINS)
        _warn("there is no folder that can be written; NUMBA_CACHE_DIR names another")
    return loop


def _warn(reason: str | None) -> None:
    _log(logging.WARNING, f"compiled loops cannot be cached: {reason}")


@cache  # log each message once
def _log(level: int, message: str) -> None:
    LOG.log(level, message)
