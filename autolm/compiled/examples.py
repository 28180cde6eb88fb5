"""The graphs of two batches, side by side: which arrays come from the batch, and what stays."""

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
        The arrays that the loss function was given, as copies.
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
            if node.parents and node.guard is not None and node.guard.shown is not None:
                reads = f"the loss function reads a result as a number: {describe(node)}"
                return cls(loss, batch, order, reads)
        return cls(loss, batch, order, "")


class Matches:
    """What in the graph of a second example comes from its batch.

    Parameters
    ----------
    first, second
        Batches of the same shapes.

    Raises
    ------
    NotRecordable
        If the two graphs differ.
    """

    def __init__(self, first: Example, second: Example) -> None:
        self._first, self._second = first, second
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

    def leaf(self, i: int) -> int | None:
        """Return which array of the batch a leaf holds; None if it holds the same in both."""
        one, two = self._first.order[i], self._second.order[i]
        if one is two:
            return None
        return self._source(one._array, two._array, f"{describe(two)} of shape {two.shape}")

    def attribute(self, i: int, name: str) -> Any:
        """Return an attribute of a node, in which `Source` stands for an array of the batch."""
        one, two = self._first.order[i], self._second.order[i]
        what = f"{name} of {describe(two)}"
        return self._with_sources(one.attributes.get(name), two.attributes[name], what)

    def _with_sources(self, one: Any, two: Any, what: str) -> Any:
        if isinstance(two, np.ndarray) and isinstance(one, np.ndarray):
            source = self._source(one, two, what)
            return two if source is None else Source(source, two.dtype)
        if type(one) is type(two) and isinstance(two, tuple | list) and len(one) == len(two):
            items = [self._with_sources(a, b, what) for a, b in zip(one, two, strict=True)]
            return items if isinstance(two, list) else tuple(items)
        if not _are_equal(one, two):
            raise NotRecordable(f"{what} changes from call to call")
        return two

    def _source(self, one: Array, two: Array, what: str) -> int | None:
        batches = self._first.batch, self._second.batch
        sources = [
            i
            for i, (a, b) in enumerate(zip(*batches, strict=True))
            if _are_equal_arrays(one, a) and _are_equal_arrays(two, b)
        ]
        if not sources:
            if _are_equal_arrays(one, two):
                return None
            raise NotRecordable(f"{what} changes from call to call and is no array of the batch")
        if len(sources) > 1:
            raise NotYetRecordable(f"arrays {sources[0]} and {sources[1]} of a batch are equal")
        if _are_equal_arrays(one, two):
            raise NotYetRecordable(
                f"array {sources[0]} of the batch is the same in every call, and cannot be told "
                "from a constant"
            )
        return sources[0]


class Source(NamedTuple):
    """An array of the batch, by its place in it, in another dtype."""

    place: int
    dtype: np.dtype[Any]


def _are_equal_arrays(one: Array, two: Array) -> bool:
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
