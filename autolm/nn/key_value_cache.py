"""The key-value cache of an attention layer.

In a causal model the keys and values of a position do not depend on later tokens. A new token
therefore needs only its own row of every matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.ops.array_arguments import read_floating
from autolm.outside.arguments import read_kind, read_size
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor


class KeyValueCache:
    """The keys and values of one attention layer, for one growing sequence.

    Parameters
    ----------
    max_len
        The maximum number of positions.
    d_model
        The width of keys and of values: that of all their heads together.
    dtype
        The dtype of keys and values.

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
        rows = min(self.max_len, 64)  # grows when needed
        self.keys = np.empty((rows, columns), dtype)
        self.values = np.empty((rows, columns), dtype)
        self.length = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values of new positions, (new, d_model); return all of them as views.

        Raises
        ------
        RuntimeError
            If a gradient is required: it cannot pass through the cache.
        ValueError
            If the width differs, keys and values have different lengths, or there are more
            than `max_len` positions.
        """
        d_model = self.keys.shape[1]
        for argument, new in (("keys", keys), ("values", values)):
            read_kind("KeyValueCache", argument, new, Tensor, "a Tensor")
            if new.ndim != 2 or new.shape != (len(keys), d_model):
                wanted = f"({'new' if new is keys else len(keys)}, {d_model})"
                raise ValueError(
                    message(
                        "KeyValueCache: {argument} must be {wanted}, not {shape}",
                        argument=argument,
                        wanted=wanted,
                        shape=new.shape,
                    )
                )
        if keys.requires_grad or values.requires_grad:
            raise RuntimeError(
                message("KeyValueCache: what is kept has no gradient; use no_grad()")
            )
        end = self.length + len(keys)
        self.make_room(end)
        self.keys[self.length : end], self.values[self.length : end] = keys.data, values.data
        self.length = end
        return Tensor(self.keys[:end], False), Tensor(self.values[:end], False)

    def make_room(self, end: int) -> None:
        """Extend the arrays to `end` positions, if they are too short.

        Raises
        ------
        TypeError, ValueError
            If `end` is not a number of positions, or exceeds `max_len`.
        """
        end = read_size("KeyValueCache", "end", end, low=0)
        if end > self.max_len:
            raise ValueError(
                message(
                    "KeyValueCache: {end} keys are more than max_len {max_len}",
                    end=end,
                    max_len=self.max_len,
                )
            )
        if end > len(self.keys):
            rows = min(self.max_len, max(end, 2 * len(self.keys)))
            self.keys, self.values = (_longer(array, rows) for array in (self.keys, self.values))


def _longer(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return a longer copy of an array."""
    grown = np.empty((rows, array.shape[1]), array.dtype)
    grown[: len(array)] = array
    return grown
