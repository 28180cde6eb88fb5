"""How the fused primitives run just now: as NumPy calls, or as loops that numba compiles.

The compiled loops (extra `fast`) do the same mathematics in fewer passes over memory, and agree
with NumPy's to rounding. They must be asked for, with `native()` of `compiled/fused.py`, so that
the same program rounds the same way whether numba is installed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))  # what loops are compiled for


class Native(NamedTuple):
    """What is compiled: the twins of primitives, by primitive, and what others use of the loops."""

    forwards: Mapping[Any, Any]
    fingerprint: Callable[[NDArray[Any]], int]
    loops: Any


backend: ContextVar[Native | None] = ContextVar("autolm_backend", default=None)  # None: NumPy
current_native = backend.get
