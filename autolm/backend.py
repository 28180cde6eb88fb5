"""Whether the fused primitives run as NumPy calls, or as loops that numba compiles.

The compiled loops (extra `fast`) do the same mathematics in fewer passes over memory, and agree
with NumPy's to rounding. They must be asked for, so that the same program rounds the same way
whether numba is installed or not, and since to load it takes longer than a short program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Native(NamedTuple):
    """What is compiled: the twins of primitives, by primitive, and what the engine itself uses."""

    forwards: Mapping[Any, Any]
    fingerprint: Callable[[NDArray[Any]], int]
    loops: Any


_native: ContextVar[Native | None] = ContextVar("autolm_native", default=None)
current_native = _native.get


@contextmanager
def native(enabled: bool = True) -> Iterator[None]:
    """Run fused primitives and optimizers as machine code, in a `with` block or a function.

    Parameters
    ----------
    enabled
        False returns to NumPy, within a block that is native.

    Raises
    ------
    ModuleNotFoundError
        If numba is not installed.

    Examples
    --------
    >>> from autolm import Tensor, native, ops
    >>> x, gain, bias = Tensor([[1.0, 3.0]]), Tensor([1.0, 1.0]), Tensor([0.0, 0.0])
    >>> with native():  # doctest: +SKIP
    ...     y = ops.layer_norm(x, gain, bias)
    """
    token = _native.set(_load() if enabled else None)
    try:
        yield
    finally:
        _native.reset(token)


@cache
def _load() -> Native:
    from autolm.ops.compiled import FORWARDS, fingerprint
    from autolm.ops.loops import native_loops

    try:
        return Native(FORWARDS, fingerprint, native_loops())
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("native() needs numba: pip install 'autolm[fast]'") from error
