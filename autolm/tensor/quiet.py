"""Let nan and inf travel without NumPy's warnings: blame finds where they began.

NumPy's own `errstate` takes as long as a small operation. So whoever runs many, a module or a
backward pass, enters it once, and each of the many finds that all is quiet already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")
_is_quiet: ContextVar[bool] = ContextVar("autolm_is_quiet", default=False)
is_quiet = _is_quiet.get


class quiet:
    """Turn the warnings off for a `with` block, unless it is within another."""

    __slots__ = ("_state", "_token")

    def __enter__(self) -> None:
        self._state: Any = None
        if not _is_quiet.get():
            self._token = _is_quiet.set(True)
            self._state = np.errstate(all="ignore")
            self._state.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._state is not None:
            try:
                self._state.__exit__(kind, error, traceback)
            finally:  # also if Ctrl-C comes in between
                _is_quiet.reset(self._token)


def quietly(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what an iterator does, quiet while it works and not in between."""
    while True:
        with quiet():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
