"""What an attention keeps of the positions that it has seen, so that none is computed twice.

Where no position looks ahead, the keys and values of those that were read do not change when more
is read. So to go on by one token takes one row of every product, and not all rows again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.tensor.arguments import read_floating, read_kind, read_size
from autolm.tensor.tensor import Tensor


class KeyValueCache:
    """The keys and values of one attention, for one sequence that grows.

    Parameters
    ----------
    max_len
        The most positions that there is room for.
    d_model
        Width of keys and of values: of the heads that have their own, where several share them.
    dtype
        Of both.

    Examples
    --------
    >>> cache = KeyValueCache(max_len=4, d_model=1)
    >>> for row in ([[1.0]], [[2.0]]):
    ...     keys, values = cache.extend(Tensor(row, False), Tensor(row, False))
    >>> keys.data.ravel()
    array([1., 2.])
    """

    def __init__(self, max_len: int, d_model: int, dtype: DTypeLike = "float64") -> None:
        self.max_len = read_size("KeyValueCache", "max_len", max_len)
        columns = read_size("KeyValueCache", "d_model", d_model)
        dtype = read_floating("KeyValueCache", "dtype", dtype)
        rows = min(self.max_len, 64)  # a long one is made as long as it is needed
        self.keys = np.empty((rows, columns), dtype)
        self.values = np.empty((rows, columns), dtype)
        self.length = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take in those of the next positions, (new, d_model), and return those of all, as views.

        Raises
        ------
        RuntimeError
            While a graph is recorded, as no gradient could get through what is kept.
        ValueError
            For another width, for keys and values of different lengths, and for more positions
            than there is room for.
        """
        d_model = self.keys.shape[1]
        for argument, new in (("keys", keys), ("values", values)):
            read_kind("KeyValueCache", argument, new, Tensor, "a Tensor")
            if new.ndim != 2 or new.shape != (len(keys), d_model):
                wanted = f"({'new' if new is keys else len(keys)}, {d_model})"
                raise ValueError(f"KeyValueCache: {argument} must be {wanted}, not {new.shape}")
        if keys.requires_grad or values.requires_grad:
            raise RuntimeError("KeyValueCache: what is kept has no gradient; use no_grad()")
        end = self.length + len(keys)
        self.make_room(end)
        self.keys[self.length : end], self.values[self.length : end] = keys.data, values.data
        self.length = end
        return Tensor(self.keys[:end], False), Tensor(self.values[:end], False)

    def make_room(self, end: int) -> None:
        """Have room for so many positions: in new arrays, if those that there are are too short.

        Raises
        ------
        TypeError, ValueError
            For what is no number of positions, and for more than `max_len`.
        """
        end = read_size("KeyValueCache", "end", end, low=0)
        if end > self.max_len:
            raise ValueError(f"KeyValueCache: {end} keys are more than max_len {self.max_len}")
        if end > len(self.keys):
            rows = min(self.max_len, max(end, 2 * len(self.keys)))
            self.keys, self.values = (_longer(kept, rows) for kept in (self.keys, self.values))


def _longer(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return an array with room for more rows; the views of the old one stay as they are."""
    grown = np.empty((rows, array.shape[1]), array.dtype)
    grown[: len(array)] = array
    return grown
