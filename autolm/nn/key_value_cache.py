"""What an attention keeps of the positions that it has seen, so that none is computed twice.

Where no position looks ahead, the keys and values of those that were read do not change when more
is read. So to go on by one token takes one row of every product, and not all rows again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from autolm.tensor import Tensor


class KeyValueCache:
    """The keys and values of one attention, for one sequence that grows.

    Parameters
    ----------
    max_len
        The most positions that there is room for.
    d_model
        Width of keys and of values.
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
        self.keys = np.empty((max_len, d_model), dtype)
        self.values = np.empty((max_len, d_model), dtype)
        self.length = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take in those of the next positions, (new, d_model), and return those of all, as views.

        Raises
        ------
        RuntimeError
            While a graph is recorded, as no gradient could get through what is kept.
        """
        if keys.requires_grad or values.requires_grad:
            raise RuntimeError("KeyValueCache: what is kept has no gradient; use no_grad()")
        end = self.length + len(keys)
        self.keys[self.length : end], self.values[self.length : end] = keys.data, values.data
        self.length = end
        return Tensor(self.keys[:end], False), Tensor(self.values[:end], False)
