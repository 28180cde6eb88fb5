"""Switch off NumPy's floating point warnings; `blame_nonfinite` finds the origin of nan and inf.

`np.errstate` takes as long as a small operation. A module or a backward pass therefore enters it
once for all its operations, and each operation only checks whether it is active.
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
    """Switch the warnings off for a `with` block; a nested block changes nothing."""

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
            finally:  # also if Ctrl-C interrupts __exit__
                _is_quiet.reset(self._token)


def quietly(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an iterator, with warnings off only while it computes them."""
    while True:
        with quiet():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
