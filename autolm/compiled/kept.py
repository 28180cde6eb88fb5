"""Machine code that numba makes of a loop, kept on disk for the next time, where that can be.

To compile takes seconds, and of a recorded step half a minute. So the log `autolm.compiled` says
when it begins, which the command shows; and it warns, once, where nothing can be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

BEGINS = "compiling loops, once: it takes up to half a minute"
LOG = logging.getLogger(__name__.rpartition(".")[0])


def kept(function: Callable[..., Any], **options: Any) -> Any:
    """Let numba compile a function at its first call, or load what it made of it before.

    A full disk, or one that is read-only, costs the time to compile and nothing else.
    """
    from numba import njit
    from numba.core.caching import FunctionCache

    on_disk: Any = FunctionCache

    class Kept(on_disk):
        def load_overload(self, *what: Any) -> Any:
            try:
                found = super().load_overload(*what)
            except OSError:  # a file that may not be read
                found = None
            if found is None:
                _say(logging.INFO, BEGINS)
            return found

        def save_overload(self, *what: Any) -> None:
            try:
                super().save_overload(*what)
            except OSError as error:
                _warn(error.strerror)

    compiled = njit(**options)(function)
    try:
        compiled._cache = Kept(function)
    except RuntimeError:  # as numba found none
        _say(logging.INFO, BEGINS)
        _warn("there is no folder that can be written; NUMBA_CACHE_DIR names another")
    return compiled


def _warn(why: str | None) -> None:
    _say(logging.WARNING, f"compiled loops cannot be kept for the next time: {why}")


@cache  # each is said once
def _say(level: int, message: str) -> None:
    LOG.log(level, message)
