"""What each axis of each array runs along: tokens, heads, the vocabulary; it labels a matrix.

Nothing is guessed from a length, which another axis may happen to have as well. A few operations
know: the rows of an embedding are those of its tokens, the classes of a cross entropy are the
vocabulary. From there it spreads along the operations that leave an axis what it is: a product has
the rows of its first factor and the columns of its second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autolm.engine.graph import Node
from autolm.ops.array_arguments import read_axes
from autolm.walking.array_adapter import adapter_of
from autolm.walking.numpy_view import numpy_view

# What only moves numbers: where each came from is found by moving their places.
MOVES = {"broadcast_to", "flatten", "flip", "getitem", "reshape", "roll", "squeeze", "swapaxes"}
MOVES |= {"transpose", "unsqueeze"}
# Each row by itself, or each number, in the shape of the first operand.
IN_ROWS = {"layer_norm", "log_softmax", "rms_norm", "softmax"}
IN_PLACE = {"astype", "dropout", "gelu", "leaky_relu", "masked_fill", "silu"}
REDUCTIONS = {"logsumexp", "max", "mean", "min", "norm", "prod", "std", "sum", "var"}
MOST_MOVED = 4_000_000  # numbers: in larger arrays it is not looked where each came from


@dataclass(frozen=True)
class Axis:
    """What an axis runs along, and what its places are called; without labels, by their numbers."""

    kind: str = ""
    labels: tuple[str, ...] = ()

    def at(self, place: int) -> str:
        """Call a place on this axis."""
        return self.labels[place] if self.labels else str(place)


Place = tuple[int, int]  # the number of a node, and an axis, counted from the end


class Axes:
    """The axes of all nodes of some graphs, each with what it runs along.

    Parameters
    ----------
    order
        The nodes, operands first; several graphs may stand one after another.
    same
        Nodes of one graph that stand for nodes of another, axis by axis.
    known
        What some axes run along, by node and axis, counted from the end.

    Examples
    --------
    >>> from autolm import Tensor, topological_order
    >>> x, w = Tensor([[1.0, 2.0]], name="x"), Tensor([[3.0], [4.0]])
    >>> y = (x @ w).tanh()
    >>> tokens = Axis("tokens", ("cat",))
    >>> Axes(topological_order(y), known={(x, -2): tokens}).of(y)
    (Axis(kind='tokens', labels=('cat',)), Axis(kind='', labels=()))
    """

    def __init__(
        self,
        order: Sequence[Node],
        *,
        same: Mapping[Node, Node] | None = None,
        known: Mapping[tuple[Node, int], Axis] | None = None,
    ) -> None:
        self._numbers = {node: number for number, node in enumerate(order)}
        self._ranks = {node: len(adapter_of(node.data).shape) for node in order}
        self._first: dict[Place, Place] = {}
        self._known: dict[Place, Axis] = {}
        for node in order:
            if node.parents and node.op:
                self._along_operation(node, numpy_view(node))
        for one, other in (same or {}).items():
            for axis in range(-self._ranks[one], 0):
                self._join((one, axis), (other, axis))
        for (node, axis), what in (known or {}).items():
            self._known.setdefault(self._find((self._numbers[node], axis)), what)

    def of(self, node: Node) -> tuple[Axis, ...]:
        """Return what each axis of a node's array runs along."""
        number = self._numbers[node]
        places = ((number, axis) for axis in range(-self._ranks[node], 0))
        return tuple(self._known.get(self._find(place), Axis()) for place in places)

    def agree(self, one: Node, other: Node) -> bool:
        """Whether the last axes of another node are those of this one, as many as it has."""
        return self._ranks[one] <= self._ranks[other] and all(
            self._find((self._numbers[one], axis)) == self._find((self._numbers[other], axis))
            for axis in range(-self._ranks[one], 0)
        )

    def _find(self, place: Place) -> Place:
        while place in self._first:
            place = self._first[place]
        return place

    def _join(self, one: tuple[Node, int], other: tuple[Node, int]) -> None:
        first, second = (self._find((self._numbers[node], axis)) for node, axis in (one, other))
        if first != second:
            self._first[first] = second

    def _along_operation(self, node: Node, made: Any) -> None:
        name, operands = made.op.name, made.parents
        if name in MOVES:
            self._along_move(node, made)
        elif name == "matmul":
            self._along_product(node, *operands)
        elif name in REDUCTIONS:
            self._along_reduction(node, made)
        elif name == "embedding":
            self._join((node, -1), (operands[0], -1))
        elif name == "attention":
            for operand in operands[:1]:
                self._joined(node, operand, range(-np.ndim(node.data), -1))
            if len(operands) > 2:
                self._join((operands[1], -2), (operands[2], -2))
        elif name == "concatenate":
            rank = np.ndim(node.data)
            joint = made.attributes.get("axis", 0) % rank - rank
            for operand in operands:
                self._joined(node, operand, [axis for axis in range(-rank, 0) if axis != joint])
        elif name in IN_ROWS | IN_PLACE or getattr(made.op, "cases", None) == ():
            for operand in operands:
                self._joined(node, operand, range(-np.ndim(node.data), 0))

    def _joined(self, node: Node, operand: Node, axes: Sequence[int]) -> None:
        """Join axes of a result and of an operand, but where the operand is repeated along it."""
        shape, other = np.shape(node.data), np.shape(operand.data)
        for axis in axes:
            if -axis <= len(other) and shape[axis] == other[axis]:
                self._join((node, axis), (operand, axis))

    def _along_product(self, node: Node, a: Node, b: Node) -> None:
        if np.ndim(a.data) < 2 or np.ndim(b.data) < 2:
            return
        self._join((node, -2), (a, -2))
        self._join((node, -1), (b, -1))
        self._join((a, -1), (b, -2))
        for operand in (a, b):
            self._joined(node, operand, range(-np.ndim(node.data), -2))

    def _along_reduction(self, node: Node, made: Any) -> None:
        (a, *_), attributes = made.parents, made.attributes
        shape = np.shape(a.data)
        gone = {i % len(shape) for i in read_axes(made.op.name, attributes.get("axis"), shape)}
        kept = [i for i in range(len(shape)) if i not in gone]
        places = kept if attributes.get("keepdims") else range(len(kept))
        for i, j in zip(kept, places, strict=True):
            self._join((a, i - len(shape)), (node, j - np.ndim(node.data)))

    def _along_move(self, node: Node, made: Any) -> None:
        """Join an axis of the operand with the one along which alone its places are found again."""
        (a, *_) = made.parents
        shape = np.shape(a.data)
        if math.prod(shape) > MOST_MOVED:
            return
        for axis, size in enumerate(shape):
            along = np.arange(size).reshape([-1 if i == axis else 1 for i in range(len(shape))])
            moved = moved_places(made, np.broadcast_to(along, shape))
            for new in range(moved.ndim):
                line = np.arange(size).reshape([-1 if i == new else 1 for i in range(moved.ndim)])
                if size > 1 and moved.shape[new] == size and bool((moved == line).all()):
                    self._join((a, axis - len(shape)), (node, new - moved.ndim))


def moved_places(made: Any, places: Any) -> Any:
    """Do to an array of places what an operation that moves numbers does to its operand."""
    moved, _ = made.op.forward(np.asarray(places, float), **made.attributes)  # floats hold them all
    return np.asarray(moved).astype(int)
