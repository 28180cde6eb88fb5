"""The meaning of each axis of each array, such as tokens or the vocabulary, to label matrices.

Some axes are known, such as the rows of an embedding (tokens). From these, meanings propagate
through operations that preserve an axis: a matrix product has the rows of its first factor and the
columns of its second. Sizes are not used, because unrelated axes can have the same size.
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

# Operations that only move numbers; moving indices shows where each number came from.
MOVES = {"broadcast_to", "flatten", "flip", "getitem", "reshape", "roll", "squeeze", "swapaxes"}
MOVES |= {"transpose", "unsqueeze"}
# Operations on each row, or on each number, with the shape of the first operand.
IN_ROWS = {"layer_norm", "log_softmax", "rms_norm", "softmax"}
IN_PLACE = {"astype", "dropout", "gelu", "leaky_relu", "masked_fill", "silu"}
REDUCTIONS = {"logsumexp", "max", "mean", "min", "norm", "prod", "std", "sum", "var"}
MAX_MOVED = 4_000_000  # numbers in an array whose movement is traced


@dataclass(frozen=True)
class Axis:
    """The kind of an axis, and the labels of its positions, which are numbers by default."""

    kind: str = ""
    labels: tuple[str, ...] = ()

    def at(self, position: int) -> str:
        """Return the label of a position."""
        return self.labels[position] if self.labels else str(position)


AxisKey = tuple[int, int]  # the number of a node, and an axis, counted from the end


class Axes:
    """The axes of all nodes of one or more graphs.

    Parameters
    ----------
    order
        The nodes, operands first, of one graph after another.
    same
        Nodes of one graph whose axes are those of nodes of another.
    initial
        Axes with a known meaning, by node and axis, counted from the end.

    Examples
    --------
    >>> from autolm import Tensor, topological_order
    >>> x, w = Tensor([[1.0, 2.0]], name="x"), Tensor([[3.0], [4.0]])
    >>> y = (x @ w).tanh()
    >>> tokens = Axis("tokens", ("cat",))
    >>> Axes(topological_order(y), initial={(x, -2): tokens}).of(y)
    (Axis(kind='tokens', labels=('cat',)), Axis(kind='', labels=()))
    """

    def __init__(
        self,
        order: Sequence[Node],
        *,
        same: Mapping[Node, Node] | None = None,
        initial: Mapping[tuple[Node, int], Axis] | None = None,
    ) -> None:
        self._numbers = {node: number for number, node in enumerate(order)}
        self._ranks = {node: len(adapter_of(node.data).shape) for node in order}
        self._first: dict[AxisKey, AxisKey] = {}
        self._known: dict[AxisKey, Axis] = {}
        for node in order:
            if node.parents and node.op:
                self._along_operation(node, numpy_view(node))
        for one, other in (same or {}).items():
            for axis in range(-self._ranks[one], 0):
                self._join((one, axis), (other, axis))
        for (node, axis), meaning in (initial or {}).items():
            self._known.setdefault(self._find((self._numbers[node], axis)), meaning)

    def of(self, node: Node) -> tuple[Axis, ...]:
        """Return the axes of a node's array."""
        number = self._numbers[node]
        keys = ((number, axis) for axis in range(-self._ranks[node], 0))
        return tuple(self._known.get(self._find(key), Axis()) for key in keys)

    def agree(self, one: Node, other: Node) -> bool:
        """Whether all axes of one node are the last axes of the other."""
        return self._ranks[one] <= self._ranks[other] and all(
            self._find((self._numbers[one], axis)) == self._find((self._numbers[other], axis))
            for axis in range(-self._ranks[one], 0)
        )

    def _find(self, key: AxisKey) -> AxisKey:
        """Return the representative of the axes that were joined with one."""
        while key in self._first:
            key = self._first[key]
        return key

    def _join(self, one: tuple[Node, int], other: tuple[Node, int]) -> None:
        first, second = (self._find((self._numbers[node], axis)) for node, axis in (one, other))
        if first != second:
            self._first[first] = second

    def _along_operation(self, node: Node, call: Any) -> None:
        name, operands = call.op.name, call.parents
        if name in MOVES:
            self._along_move(node, call)
        elif name == "matmul":
            self._along_product(node, *operands)
        elif name in REDUCTIONS:
            self._along_reduction(node, call)
        elif name == "embedding":
            self._join((node, -1), (operands[0], -1))
        elif name == "attention":
            for operand in operands[:1]:
                self._joined(node, operand, range(-np.ndim(node.data), -1))
            if len(operands) > 2:
                self._join((operands[1], -2), (operands[2], -2))
        elif name == "concatenate":
            rank = np.ndim(node.data)
            joint = call.attributes.get("axis", 0) % rank - rank
            for operand in operands:
                self._joined(node, operand, [axis for axis in range(-rank, 0) if axis != joint])
        elif name in IN_ROWS | IN_PLACE or getattr(call.op, "cases", None) == ():
            for operand in operands:
                self._joined(node, operand, range(-np.ndim(node.data), 0))

    def _joined(self, node: Node, operand: Node, axes: Sequence[int]) -> None:
        """Join axes of a result with those of an operand, except where the operand is broadcast."""
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

    def _along_reduction(self, node: Node, call: Any) -> None:
        (a, *_), attributes = call.parents, call.attributes
        shape = np.shape(a.data)
        reduced = {i % len(shape) for i in read_axes(call.op.name, attributes.get("axis"), shape)}
        remaining = [i for i in range(len(shape)) if i not in reduced]
        places = remaining if attributes.get("keepdims") else range(len(remaining))
        for i, j in zip(remaining, places, strict=True):
            self._join((a, i - len(shape)), (node, j - np.ndim(node.data)))

    def _along_move(self, node: Node, call: Any) -> None:
        """Join each axis of the operand with the axis of the result along which its indices run."""
        (a, *_) = call.parents
        shape = np.shape(a.data)
        if math.prod(shape) > MAX_MOVED:
            return
        for axis, size in enumerate(shape):
            along = np.arange(size).reshape([-1 if i == axis else 1 for i in range(len(shape))])
            result = move_indices(call, np.broadcast_to(along, shape))
            for new in range(result.ndim):
                line = np.arange(size).reshape([-1 if i == new else 1 for i in range(result.ndim)])
                if size > 1 and result.shape[new] == size and bool((result == line).all()):
                    self._join((a, axis - len(shape)), (node, new - result.ndim))


def move_indices(node: Any, indices: Any) -> Any:
    """Apply an operation that moves numbers to an array of indices."""
    result, _ = node.op.forward(np.asarray(indices, float), **node.attributes)  # exact in float64
    return np.asarray(result).astype(int)
