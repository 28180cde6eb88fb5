"""What is asked of the numbers that a node holds, whatever holds them.

Walking, drawing and the pages show numbers, and assume nothing of them but what is asked here: of a
float, of an array of NumPy. Another library's arrays are read by a `Reading` of their own, which
its room registers: `reading.register(kind)(ItsReading)`. Nothing large is copied to show a little.
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
    """Reads a number, or an array of NumPy.

    Attributes
    ----------
    data
        What is read.
    is_known
        Whether there are numbers at all, and not a shape alone.
    """

    has_numbers = True

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def shape(self) -> Index:
        """Length of each axis; none of one number."""
        return np.shape(self.data)

    @property
    def dtype(self) -> str:
        """What an element is; the type, of a number of Python."""
        return str(getattr(self.data, "dtype", type(self.data).__name__))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def array(self) -> NDArray[Any] | None:
        """Return the numbers as an array of NumPy; None of what no table can hold."""
        return np.asarray(self.data)

    def first(self, count: int) -> list[Any]:
        """Return the first numbers, row by row, each without a shape."""
        return list(islice(np.asarray(self.data).flat, count))

    def norm(self) -> float:
        """Return the Euclidean length, scaled so that it does not overflow."""
        largest = float(np.abs(self.data).max()) if self.size else 0.0
        if self.shape == () or largest == 0 or not math.isfinite(largest):
            return largest
        return largest * math.sqrt(float(((self.data / largest) ** 2).sum()))

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest number; both are nan where one is."""
        return np.min(self.data), np.max(self.data)

    def index_of_nonfinite(self, *, nan: bool = False) -> Index | None:
        """Return the place of the first number that is infinite or nan, or that is nan."""
        bad = np.isnan(self.data) if nan else np.logical_not(np.isfinite(self.data))
        return tuple(map(int, np.argwhere(bad)[0])) if np.any(bad) else None

    def is_finite(self) -> bool:
        """Whether every number is neither infinite nor nan."""
        if isinstance(self.data, float):
            return math.isfinite(self.data)
        return np.asarray(self.data).dtype.kind not in "fc" or bool(np.isfinite(self.data).all())

    def equals(self, other: Any) -> bool:
        """Whether this holds the same numbers as another of its kind, in the same shape."""
        if type(self.data) is type(other) is float:
            return self.data == other or (self.data != self.data and other != other)
        return other is not None and bool(np.array_equal(self.data, other, equal_nan=True))

    def distance(self, other: Any) -> float:
        """Return how far another of its kind is away: the length of the difference."""
        return ArrayAdapter(np.subtract(other, self.data)).norm()

    def at(self, index: Index, shape: Index) -> float:
        """Return the number at a place in an array of this shape, to which this broadcasts."""
        return float(np.broadcast_to(self.data, shape)[index])

    def ones(self) -> Any:
        """Return an array of ones with this shape and type."""
        return np.ones_like(self.data)

    def with_entry(self, place: Index, value: Any) -> Any:
        """Return a copy with another value at an index."""
        copy = np.array(self.data)
        copy[place] = read_numbers(value, np.shape(copy[place]))
        return copy

    def read_replacement(self, data: Any) -> Any:
        """Convert data to this shape and dtype, to replace these numbers."""
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
    """Return the adapter of these numbers."""
    return ArrayAdapter(data)


def is_array(value: Any) -> bool:
    """Whether this is an array of any library that is read here, with at least one axis."""
    is_read = isinstance(value, np.ndarray) or adapter_of.dispatch(type(value)) is not _DEFAULT
    return is_read and len(adapter_of(value).shape) > 0


_DEFAULT = adapter_of.dispatch(object)
