"""Array adapters: the queries that the tools make of a node's data, for any array library.

`ArrayAdapter` reads floats and NumPy arrays. The package for another library registers a subclass
for its array type: `adapter_of.register(array_type)(ItsAdapter)`. A query for a few elements does
not copy the whole array.
"""

from __future__ import annotations

import math
import reprlib
from functools import singledispatch
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node
from autolm.outside.message import message

Index = tuple[int, ...]


class ArrayAdapter:
    """Read a number or a NumPy array.

    Attributes
    ----------
    data
        The number or the array.
    has_numbers
        Whether the data has numbers; an array may have only a shape and a dtype.
    """

    has_numbers = True

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def shape(self) -> Index:
        """Length of each axis; () for one number."""
        return np.shape(self.data)

    @property
    def dtype(self) -> str:
        """Name of the dtype, or of the type of a Python number."""
        return str(getattr(self.data, "dtype", type(self.data).__name__))

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def array(self) -> NDArray[Any] | None:
        """Return the data as a NumPy array; None if it cannot be one."""
        return np.asarray(self.data)

    def first(self, count: int) -> list[Any]:
        """Return the first `count` elements in row-major order."""
        return list(islice(np.asarray(self.data).flat, count))

    def norm(self) -> float:
        """Return the Euclidean norm, scaled so that it does not overflow."""
        largest = float(np.abs(self.data).max()) if self.size else 0.0
        if self.shape == () or largest == 0 or not math.isfinite(largest):
            return largest
        return largest * math.sqrt(float(((self.data / largest) ** 2).sum()))

    def extent(self) -> tuple[float, float]:
        """Return the minimum and the maximum; both are nan if an element is nan."""
        return np.min(self.data), np.max(self.data)

    def index_of_nonfinite(self, *, nan: bool = False) -> Index | None:
        """Return the index of the first non-finite element; with `nan`, of the first nan."""
        bad = np.isnan(self.data) if nan else np.logical_not(np.isfinite(self.data))
        return tuple(map(int, np.argwhere(bad)[0])) if np.any(bad) else None

    def is_finite(self) -> bool:
        """Whether no element is infinite or nan."""
        if isinstance(self.data, float):
            return math.isfinite(self.data)
        return np.asarray(self.data).dtype.kind not in "fc" or bool(np.isfinite(self.data).all())

    def equals(self, other: Any) -> bool:
        """Whether other data has the same shape and the same elements; nan equals nan."""
        if type(self.data) is type(other) is float:
            return self.data == other or (self.data != self.data and other != other)
        return other is not None and bool(np.array_equal(self.data, other, equal_nan=True))

    def distance(self, other: Any) -> float:
        """Return the Euclidean norm of the difference from other data."""
        return ArrayAdapter(np.subtract(other, self.data)).norm()

    def at(self, index: Index, shape: Index) -> float:
        """Broadcast the data to `shape`, and return the element at `index`."""
        return float(np.broadcast_to(self.data, shape)[index])

    def ones(self) -> Any:
        """Return an array of ones with the same shape and dtype."""
        return np.ones_like(self.data)

    def with_entry(self, place: Index, value: Any) -> Any:
        """Return a copy in which the entry at `place` is `value`."""
        copy = np.array(self.data)
        copy[place] = read_numbers(value, np.shape(copy[place]))
        return copy

    def read_replacement(self, data: Any) -> Any:
        """Read other data in the same shape, and convert it to the same dtype."""
        array = read_numbers(data, self.shape)
        return float(array) if isinstance(self.data, float) else array.astype(self.data.dtype)


def read_numbers(data: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read data as an array of numbers in a shape."""
    data = data.data if isinstance(data, Node) else data
    try:
        array = np.asarray(data)
    except (TypeError, ValueError):  # nodes in a list; lists of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            message(
                "expected {shape}, got {data}",
                shape=_describe_shape(shape),
                data=reprlib.repr(data),
            )
        )
    if array.shape != shape:
        raise ValueError(
            message(
                "expected {shape}, got {actual}",
                shape=_describe_shape(shape),
                actual=_describe_shape(array.shape),
            )
        )
    return array


def _describe_shape(shape: tuple[int, ...]) -> str:
    return message("an array of shape {shape}", shape=shape) if shape else message("one number")


@singledispatch
def adapter_of(data: Any) -> Any:
    """Return the adapter for this data, by its type."""
    return ArrayAdapter(data)


def is_array(value: Any) -> bool:
    """Whether a value is an array, of any library with an adapter, with at least one axis."""
    is_read = isinstance(value, np.ndarray) or adapter_of.dispatch(type(value)) is not _DEFAULT
    return is_read and len(adapter_of(value).shape) > 0


_DEFAULT = adapter_of.dispatch(object)
