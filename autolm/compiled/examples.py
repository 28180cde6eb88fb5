"""Compare the graphs of two batches: which arrays come from the batch, and which are constants.

An array of a leaf comes from the batch if it shares memory with one of its arrays. Equal numbers
are not enough: `np.clip(x, -3, 3)` equals x for most batches. The arrays in attributes are copies
that the engine made, so they are compared by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import describe, topological_order
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


class NotRecordable(Exception):
    """The step cannot be recorded; the message says why."""


class NotYetRecordable(NotRecordable):
    """These two examples cannot be recorded, but other batches may."""


class Example(NamedTuple):
    """One plain forward pass.

    Attributes
    ----------
    loss
        The root of its graph.
    batch
        Copies of the arrays that the loss function was called with.
    order
        The nodes: leaves, then results in the order of computation; constants included.
    reads
        Text that names the result which the loss function read as a number; empty if none.
    """

    loss: Tensor
    batch: Sequence[Array]
    order: Sequence[Tensor]
    reads: str

    @classmethod
    def of(cls, loss: Tensor, batch: Sequence[Array]) -> Example:
        """Return the example of a loss that was just computed."""
        order: Any = topological_order(loss)
        for node in order:
            if node.parents and node.captured is not None and node.captured.result is not None:
                reads = f"the loss function reads a result as a number: {describe(node)}"
                return cls(loss, batch, order, reads)
        return cls(loss, batch, order, "")


class Matches:
    """Finds which arrays in the graph of a second example come from its batch.

    Parameters
    ----------
    first, second
        Examples whose batches have the same shapes.

    Attributes
    ----------
    pinned
        The indices of arrays of the batch that equal a constant of the graph. The graph may depend
        on them in an unknown way, so a program is valid only while these arrays do not change.

    Raises
    ------
    NotRecordable
        If the two graphs differ.
    """

    def __init__(self, first: Example, second: Example) -> None:
        self._first, self._second = first, second
        self.pinned: set[int] = set()
        if len(first.order) != len(second.order):
            raise NotRecordable("the loss function makes another graph for another batch")
        index_in_first = {node: i for i, node in enumerate(first.order)}
        index_in_second = {node: i for i, node in enumerate(second.order)}
        for one, two in zip(first.order, second.order, strict=True):
            same = one.op is two.op and one.shape == two.shape and one.dtype == two.dtype
            parents_of_one = [index_in_first[parent] for parent in one.parents]
            parents_of_two = [index_in_second[parent] for parent in two.parents]
            if not same or parents_of_one != parents_of_two:
                raise NotRecordable(
                    f"the loss function makes another graph for another batch: {describe(one)} "
                    f"and {describe(two)}"
                )

    def leaf(self, i: int) -> Source | None:
        """Return the part of the batch that a leaf holds; None if it is a constant."""
        one, two = self._first.order[i], self._second.order[i]
        if one is two:
            return None
        what = f"{describe(two)} of shape {two.shape}"
        source = _view_of(self._second.batch, two._array)
        if source != _view_of(self._first.batch, one._array):
            raise NotRecordable(f"{what} is another part of the batch in each call")
        if source is None:
            self._require_constant(one._array, two._array, what)
        return source

    def attribute(self, i: int, name: str) -> Any:
        """Return an attribute of a node, with a `Source` for each array of the batch."""
        one, two = self._first.order[i], self._second.order[i]
        what = f"{name} of {describe(two)}"
        return self._with_sources(one.attributes.get(name), two.attributes[name], what)

    def _with_sources(self, one: Any, two: Any, what: str) -> Any:
        if isinstance(two, np.ndarray) and isinstance(one, np.ndarray):
            return self._copied(one, two, what)
        if type(one) is type(two) and isinstance(two, tuple | list) and len(one) == len(two):
            items = [self._with_sources(a, b, what) for a, b in zip(one, two, strict=True)]
            return items if isinstance(two, list) else tuple(items)
        if not _are_equal(one, two):
            raise NotRecordable(f"{what} changes from call to call")
        return two

    def _copied(self, one: Array, two: Array, what: str) -> Array | Source:
        """Return the source of an attribute that copies an array of the batch, or the constant."""
        equal = [i for i in self._with_equal_numbers(one, two) if self._has_dtype(i, two)]
        if not equal or are_equal_arrays(one, two):
            self._require_constant(one, two, what)
            return two
        if len(equal) > 1:
            raise NotYetRecordable(f"arrays {equal[0]} and {equal[1]} of a batch are equal")
        source = _view_of(self._second.batch, self._second.batch[equal[0]])
        assert source is not None  # an empty array is a constant
        return source

    def _require_constant(self, one: Array, two: Array, what: str) -> None:
        if not are_equal_arrays(one, two):
            raise NotRecordable(
                f"{what} changes from call to call and is no array of the batch; compute it before "
                "the call, or from Tensors"
            )
        self.pinned.update(self._with_equal_numbers(one, two))

    def _with_equal_numbers(self, one: Array, two: Array) -> list[int]:
        """Return the indices of the arrays of the batch with these numbers in both examples."""
        return [
            i
            for i, (a, b) in enumerate(zip(self._first.batch, self._second.batch, strict=True))
            if are_equal_arrays(one, a) and are_equal_arrays(two, b)
        ]

    def _has_dtype(self, i: int, array: Array) -> bool:
        return self._second.batch[i].dtype == array.dtype


class Source(NamedTuple):
    """A view of an array of the batch: the array's index, and the arguments of np.ndarray."""

    array: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    strides: tuple[int, ...]

    def of(self, batch: Sequence[Array]) -> Array:
        """Return the view of the array in another batch, whose arrays are in C order."""
        return np.ndarray(self.shape, self.dtype, batch[self.array], self.offset, self.strides)


def _view_of(batch: Sequence[Array], array: Array) -> Source | None:
    """Return the part of a batch whose memory an array shares; None if it shares none."""
    for i, whole in enumerate(batch):
        if np.may_share_memory(whole, array):
            offset = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
            return Source(i, array.shape, array.dtype, offset, array.strides)
    return None


def are_equal_arrays(one: Array, two: Array) -> bool:
    """Whether two arrays have the same shape and the same numbers, in any dtype."""
    if one.shape != two.shape:
        return False
    two = two.astype(one.dtype, copy=False)
    return np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


def _are_equal(one: Any, two: Any) -> bool:
    if one is two:
        return True
    try:
        return type(one) is type(two) and bool(one == two)
    except (TypeError, ValueError):
        return False
