"""The graphs of two batches, side by side: which arrays come from the batch, and what stays.

An array of a leaf comes from the batch if it lies in the memory of one of its arrays. That it has
the same numbers is not enough: `np.clip(x, -3, 3)` is x for most batches. The arrays in attributes
are copies that the engine made, so they are compared by their numbers.
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
    """Why the plain step has to run."""


class NotYetRecordable(NotRecordable):
    """Why these two examples do not do; others may."""


class Example(NamedTuple):
    """One plain forward pass.

    Attributes
    ----------
    loss
        Its root.
    batch
        The arrays that the loss function was called with: copies, with memory of their own.
    order
        The nodes: leaves, then results as they were made; constants among them.
    reads
        Which result the loss function read as a number, in words; empty if it read none.
    """

    loss: Tensor
    batch: Sequence[Array]
    order: Sequence[Tensor]
    reads: str

    @classmethod
    def of(cls, loss: Tensor, batch: Sequence[Array]) -> Example:
        """Make an example of a loss that was just computed."""
        order: Any = topological_order(loss)
        for node in order:
            if node.parents and node.captured is not None and node.captured.result is not None:
                reads = f"the loss function reads a result as a number: {describe(node)}"
                return cls(loss, batch, order, reads)
        return cls(loss, batch, order, "")


class Matches:
    """Which arrays in the graph of a second example come from its batch.

    Parameters
    ----------
    first, second
        Of batches of the same shapes.

    Attributes
    ----------
    pinned
        The indices of arrays of the batch on which the graph may depend in another way: it has a
        constant with the same numbers. It is valid while these arrays stay the same.

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
        place = {node: i for i, node in enumerate(first.order)}
        places = {node: i for i, node in enumerate(second.order)}
        for one, two in zip(first.order, second.order, strict=True):
            same = one.op is two.op and one.shape == two.shape and one.dtype == two.dtype
            parents = [place[each] for each in one.parents], [places[each] for each in two.parents]
            if not same or parents[0] != parents[1]:
                raise NotRecordable(
                    f"the loss function makes another graph for another batch: {describe(one)} "
                    f"and {describe(two)}"
                )

    def leaf(self, i: int) -> Source | None:
        """Return which part of the batch a leaf holds; None if it holds the same in both."""
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
        """Return an attribute of a node, in which `Source` stands for an array of the batch."""
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
        """Return the array of the batch that an attribute is a copy of, or else the constant."""
        equal = [i for i in self._with_equal_numbers(one, two) if self._has_dtype(i, two)]
        if not equal or are_equal_arrays(one, two):
            self._require_constant(one, two, what)
            return two
        if len(equal) > 1:
            raise NotYetRecordable(f"arrays {equal[0]} and {equal[1]} of a batch are equal")
        own = _view_of(self._second.batch, self._second.batch[equal[0]])
        assert own is not None  # an empty array is a constant
        return own

    def _require_constant(self, one: Array, two: Array, what: str) -> None:
        if not are_equal_arrays(one, two):
            raise NotRecordable(
                f"{what} changes from call to call and is no array of the batch; compute it before "
                "the call, or from Tensors"
            )
        self.pinned.update(self._with_equal_numbers(one, two))

    def _with_equal_numbers(self, one: Array, two: Array) -> list[int]:
        """Return which arrays of the batch have these numbers in both examples."""
        return [
            i
            for i, (a, b) in enumerate(zip(self._first.batch, self._second.batch, strict=True))
            if are_equal_arrays(one, a) and are_equal_arrays(two, b)
        ]

    def _has_dtype(self, i: int, array: Array) -> bool:
        return self._second.batch[i].dtype == array.dtype


class Source(NamedTuple):
    """A view of an array of the batch: its place, and what `np.ndarray` needs to make the view."""

    place: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    strides: tuple[int, ...]

    def of(self, batch: Sequence[Array]) -> Array:
        """Return the view of the array in another batch, whose arrays are in C order."""
        return np.ndarray(self.shape, self.dtype, batch[self.place], self.offset, self.strides)


def _view_of(batch: Sequence[Array], array: Array) -> Source | None:
    """Return the part of a batch in whose memory an array lies; None if it lies elsewhere."""
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
