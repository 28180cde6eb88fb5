"""Loops compiled by numba, with the machine code cached on disk.

Compiling takes a second per loop. The log `autolm.compiled`, which the command shows, says when it
begins, and warns once if nothing can be cached.
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

    On a full or read-only disk it is compiled in each process.
    """
    from numba import njit
    from numba.core.caching import FunctionCache

    on_disk: Any = FunctionCache

    class DiskCache(on_disk):
        def load_overload(self, *what: Any) -> Any:
            try:
                overload = super().load_overload(*what)
            except OSError:  # a file that may not be read
                overload = None
            if overload is None:
                _say(logging.INFO, BEGINS)
            return overload

        def save_overload(self, *what: Any) -> None:
            try:
                super().save_overload(*what)
            except OSError as error:
                _warn(error.strerror)

    loop = njit(**options)(function)
    try:
        loop._cache = DiskCache(function)
    except RuntimeError:  # as numba found none
        _say(logging.INFO, BEGINS)
        _warn("there is no folder that can be written; NUMBA_CACHE_DIR names another")
    return loop


def _warn(why: str | None) -> None:
    _say(logging.WARNING, f"compiled loops cannot be cached: {why}")


@cache  # each is said once
def _say(level: int, message: str) -> None:
    LOG.log(level, message)
