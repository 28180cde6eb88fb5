"""The matrices of the player: numbers, labels, and the operands of each number.

A fused node, such as an attention, is decomposed, and the decomposition is run on the same arrays
with the same upstream gradient. Operations that only move numbers are skipped; the page receives
the origin of each number instead. Arrays are stored as bytes, so that the page has all digits.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.drawing.axes import IN_PLACE, IN_ROWS, MOVES, REDUCTIONS, Axes, Axis, move_indices
from autolm.drawing.gradients import BackwardRecord, walk
from autolm.drawing.matrix import exponent, largest
from autolm.engine.graph import Node, topological_order
from autolm.ops.array_arguments import read_axes
from autolm.pages.playback import Moment
from autolm.pages.sentence import Sentence
from autolm.pages.zooming import Zooms
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of
from autolm.walking.decomposition import decompose
from autolm.walking.numpy_view import numpy_view
from autolm.walking.tokens import Tokens

MAX_NUMBERS = 1_500_000  # in one page; the largest arrays are left out, which the page says
IN_VIEW = 24  # matrices of one step; if there are more, the last, without decompositions
MASK = "mask"
PICKS = MOVES | {"embedding"}  # each number of the result is a number of the operand
MASKING = ("where", "masked_fill", "add")
SHIFT_INVARIANT = ("softmax", "log_softmax")  # each row of the gradient of the operand sums to 0


@dataclass(eq=False)
class ShownMatrix:
    """One matrix of the page.

    Attributes
    ----------
    node, owner
        The node of the array, and the node of the graph in whose step the matrix appears.
    maker
        The root of the decomposition of a node that is decomposed; otherwise the node itself.
    """

    node: Node
    owner: Node
    maker: Node
    grad: Any = None
    axes: tuple[Axis, ...] = ()
    hidden: NDArray[Any] | None = None
    operands: list[dict[str, Any]] = field(default_factory=list)
    uses: list[tuple[Node, int, Any]] = field(default_factory=list)  # (user, operand, contribution)


class Matrices:
    """The matrices of a graph of Tensors and of the decompositions of its fused nodes.

    Attributes
    ----------
    shown
        The matrices, in the order of the computation.
    numbers
        The index of the matrix of each node.
    zooms
        The graphs of single numbers, once the matrices are content.
    """

    def __init__(
        self,
        order: Sequence[Node],
        walked: BackwardRecord,
        sentence: Sentence | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.sentence, self.tokens = sentence, tokens
        self.shown: list[ShownMatrix] = []
        self.zooms = Zooms()
        self.numbers: dict[Node, int] = {}
        self._all: list[Node] = []  # the nodes of the graph and of the decompositions
        self._views: dict[Node, Any] = {}  # the NumPy view of each node
        self._alias: dict[Node, Node] = {}  # leaf of a decomposition -> operand
        self._users: dict[Node, list[tuple[Node, int, Any]]] = {}
        self._consumers: dict[Node, list[Node]] = {}  # in the graph, without decompositions
        for step in walked.steps:
            for parent in step.node.parents:
                self._consumers.setdefault(parent, []).append(step.node)
        steps = {step.node: step for step in walked.steps}
        for node in order:
            maker = self._open(node, steps.get(node))
            self._note([node])
            view = self._views[node]
            if np.ndim(view.data) and (node.parents or view.data.size):
                self._add(ShownMatrix(node, node, maker, walked.gradients.get(node)))
            if maker is node and node in steps:
                self._note_uses(BackwardRecord([steps[node]], {}))
        self._describe()

    def _note(self, nodes: Sequence[Node]) -> None:
        self._all += nodes
        self._views |= {node: numpy_view(node) for node in nodes}

    def _add(self, matrix: ShownMatrix) -> None:
        self.numbers[matrix.node] = len(self.shown)
        self.shown.append(matrix)

    def _open(self, node: Node, step: Any) -> Node:
        """Add the matrices of the decomposition of a node; return the root of the decomposition.

        A node without a decomposition, or whose data has changed, is returned itself.
        """
        try:
            root, leaves = decompose(node)
        except (TypeError, ValueError):
            return node
        order = topological_order(root)
        inside = set(order)
        record = walk(root, inside, step.upstream) if step else BackwardRecord([], {})
        self._note(order)
        self._alias |= {
            leaf: p for p, leaf in leaves.items() if p in self._views and leaf in inside
        }
        for part in order:
            view = self._views[part]
            is_result = part.parents and part is not root and view.op.name not in MOVES
            if np.ndim(view.data) and (is_result or part.name == MASK or _has_heads(part)):
                self._add(ShownMatrix(part, node, part, record.gradients.get(part)))
        self._alias[root] = node
        self._note_uses(record)
        return root

    def _note_uses(self, record: BackwardRecord) -> None:
        for step in record.steps:
            for operand, contribution in enumerate(step.contributions):
                parent = contribution.parent
                if parent.requires_grad:
                    use = step.node, operand, contribution.value
                    self._users.setdefault(self._alias.get(parent, parent), []).append(use)

    def _describe(self) -> None:
        """Determine the axes, the operands, the uses and the hidden numbers of the matrices."""
        known_axes = self.sentence.axes() if self.sentence else self._token_axes()
        known_axes |= {(node, -3): Axis("heads") for node in self._all if _has_heads(node)}
        axes = Axes(self._all, same=self._alias, initial=known_axes)
        for matrix in self.shown:
            matrix.axes = axes.of(matrix.node)
            matrix.operands = [self._reference(p) for p in self._views[matrix.maker].parents]
            matrix.uses = [self._use(*use) for use in self._users.get(matrix.node, [])]
            if matrix.node.name == MASK and matrix.owner is not matrix.node:
                matrix.hidden = ~np.asarray(matrix.node.data, bool)
        for node in self._all:
            self._hide(node)

    def _token_axes(self) -> dict[tuple[Node, int], Axis]:
        """Return the axes that `tokens` labels in a graph without an embedding."""
        if self.tokens is None:
            return {}
        axis = Axis("words", self.tokens.texts)
        return {
            (node, place - np.ndim(node.data)): axis for node, place in self.tokens.axes.items()
        }

    def _hide(self, masked: Node) -> None:
        """Mark the numbers that a mask replaces by −∞, in its operands and its results."""
        view = self._views[masked]
        scores = [self._alias.get(p, p) for p in view.parents if p.requires_grad]
        if len(scores) != 1 or view.op.name not in MASKING or view.data.dtype.kind != "f":
            return
        least = np.finfo(view.data.dtype).min / 2  # some programs use it as −∞
        hidden = view.data <= least
        if not hidden.any():
            return

        def has_same_shape(node: Node) -> bool:
            return np.shape(self._views[node].data) == hidden.shape

        def mark(node: Node) -> None:
            number = self.numbers.get(self._alias.get(node, node))
            if number is not None:
                matrix = self.shown[number]
                matrix.hidden = hidden if matrix.hidden is None else matrix.hidden | hidden

        above = scores
        while (
            len(above) == 1 and has_same_shape(above[0]) and len(self._users.get(above[0], ())) == 1
        ):
            mark(above[0])
            view = self._views[above[0]]
            operands = view.parents if view.parents and _is_elementwise(view.op) else ()
            above = [self._alias.get(p, p) for p in operands if p.requires_grad]
        below = [masked]
        while below:
            node = below.pop()
            mark(node)
            for user, *_ in self._users.get(self._alias.get(node, node), ()):
                op, data = self._views[user].op, self._views[user].data
                if has_same_shape(user) and (op.name in IN_ROWS or _is_elementwise(op)):
                    is_masked = (data[hidden] == 0) | (data[hidden] <= least)
                    below += [user] if bool(is_masked.all()) else []

    def _reference(self, node: Node) -> dict[str, Any]:
        """Return where the numbers of an operand are: in which matrix, and at which indices."""
        node = self._alias.get(node, node)
        view = self._views[node]
        location: dict[str, Any] = {"shape": list(np.shape(view.data))}
        if node in self.numbers:
            return location | {"matrix": self.numbers[node]}
        if view.data is not None and not np.ndim(view.data):
            return location | {"number": _plain(view.data)}
        if view.parents and view.op.name in PICKS and np.size(view.data) <= MAX_NUMBERS:
            inner = self._reference(view.parents[0])
            if "matrix" in inner:
                places = self._places(inner)
                return inner | location | {"places": move_indices(view, places)}
        is_stored = not node.requires_grad and np.size(view.data) <= MAX_NUMBERS
        return location | ({"constant": view.data} if is_stored else {})

    def _places(self, reference: dict[str, Any]) -> NDArray[Any]:
        size = np.arange(int(np.prod(reference["shape"]))).reshape(reference["shape"])
        return np.asarray(reference.get("places", size))

    def _use(self, user: Node, operand: int, value: Any) -> tuple[Node, int, Any]:
        """Skip users that only move numbers."""
        while self._alias.get(user, user) not in self.numbers:
            users = self._users.get(user, [])
            if len(users) != 1:
                break
            user, operand, _ = users[0]
        return self._alias.get(user, user), operand, value

    # The matrices in view

    def of(self, nodes: Iterable[Node]) -> list[int]:
        """List the matrices of the operands and the results of some nodes of the graph."""
        results = dict.fromkeys(nodes)
        operands = dict.fromkeys(parent for node in results for parent in node.parents)
        outer = {self.numbers[node] for node in (*operands, *results) if node in self.numbers}
        inner = {i for i, matrix in enumerate(self.shown) if matrix.owner in results}
        return sorted(outer | inner if len(outer | inner) <= IN_VIEW else outer)[-IN_VIEW:]

    def leaves_of(self, nodes: Iterable[Node]) -> list[int]:
        """List the matrices of the leaves among the operands of some nodes of the graph."""
        leaves = dict.fromkeys(p for node in nodes for p in node.parents if not p.parents)
        return [self.numbers[leaf] for leaf in leaves if leaf in self.numbers][:IN_VIEW]

    def availability(self, played: Sequence[Moment], box_of: Mapping[Node, str]) -> list[list[Any]]:
        """List the matrices of a scene as [number, first moment of its data, of its gradient].

        A gradient is available after the steps of all users of its node; None if a user is not in
        the scene.
        """
        forward = {m.box: i for i, m in enumerate(played) if m.phase == "forward"}
        backward = {m.box: i for i, m in enumerate(played) if m.phase == "backward"}
        turn = min(backward.values(), default=0)
        in_view = {i for moment in played for i in moment.matrices}
        entries = []
        for i, matrix in enumerate(self.shown):
            if matrix.owner not in box_of and i not in in_view:
                continue
            data_at = forward.get(box_of[matrix.owner], 0) if matrix.owner in box_of else 0
            is_inner = matrix.node is not matrix.owner
            users = [matrix.owner] if is_inner else self._consumers.get(matrix.node, [])
            steps = [backward[box] for user in users if (box := box_of.get(user)) in backward]
            is_known = matrix.grad is not None and len(steps) == len(users)
            entries.append([i, data_at, max([turn, *steps]) if is_known else None])
        return entries

    # Serialisation

    def as_json(self) -> list[dict[str, Any]]:
        """Return the matrices as JSON; the numbers of the largest are left out beyond the limit."""
        remaining, included = MAX_NUMBERS, set()
        sizes = [int(self._views[matrix.node].data.size) for matrix in self.shown]
        for i in sorted(range(len(sizes)), key=sizes.__getitem__):
            remaining -= 2 * sizes[i]
            included |= {i} if remaining >= 0 else set()
        return [self._matrix_json(i, i in included) for i in range(len(self.shown))]

    def _matrix_json(self, number: int, has_numbers: bool) -> dict[str, Any]:
        matrix = self.shown[number]
        node, array = matrix.node, self._views[matrix.node].data
        content = {
            "name": wording.visible(matrix_name(node)),
            "scope": node.scope,
            "shape": list(array.shape),
            "axes": [[axis.kind, self._labelled(axis)] for axis in matrix.axes],
            "made": self._computation(matrix) if has_numbers else None,
            "uses": self._uses(matrix) if has_numbers else [],
            "isLeaf": not node.parents and node.requires_grad,
            "sums": self._is_softmax(node, ("softmax",)),
            "gradSums": self._grad_sums_to_zero(node),
        }
        if not has_numbers:
            return content
        content |= packed_numbers("data", array)
        if matrix.grad is not None:
            content |= packed_numbers("grad", adapter_of(matrix.grad).array())
        if matrix.hidden is not None:
            content["hidden"] = _packed(matrix.hidden, np.uint8)
        return content

    def _labelled(self, axis: Axis) -> list[str] | str:
        """Return labels, or the kind of an axis whose labels the page has elsewhere."""
        return axis.kind if axis.kind in ("tokens", "vocabulary") else list(axis.labels)

    def _computation(self, matrix: ShownMatrix) -> dict[str, Any] | None:
        """Describe how one number is computed."""
        maker = matrix.maker
        if not maker.parents:
            return None
        operands = [_reference_json(reference) for reference in matrix.operands]
        unused = list(enumerate(self._views[maker].parents))

        def slot(operand: Node) -> str:  # PyTorch has operands that the NumPy view lacks
            match = next((pair for pair in unused if pair[1] is operand), None)
            if match is None:
                return self._label(operand)
            unused.remove(match)
            return f"\x01{match[0]}\x02"

        computation = {
            "formula": wording.expression(maker, self._label),
            "cell": wording.expression(maker, slot),
            "operands": operands,
            "op": self._views[maker].op.name,
        }
        pattern = self._pattern(matrix)
        if computation["op"] == "norm":
            computation["ord"] = _plain(self._views[maker].attributes.get("ord", 2))
        return computation | pattern | {"zoom": self._zoom(matrix, pattern)}

    def _pattern(self, matrix: ShownMatrix) -> dict[str, Any]:
        """Return which numbers of the operands one number depends on."""
        view = self._views[matrix.maker]
        name, rank = view.op.name, np.ndim(view.data)
        if name in PICKS and matrix.operands and "matrix" in matrix.operands[0]:
            places = move_indices(view, self._places(matrix.operands[0]))
            return {"kind": "moved", "places": _packed(places, np.int32)}
        if name == "matmul" and all(operand["shape"] for operand in matrix.operands):
            return {"kind": "matmul"}
        if name in REDUCTIONS:
            shape = tuple(matrix.operands[0]["shape"])
            axes = read_axes(name, view.attributes.get("axis"), shape)
            reduced = sorted(axis % len(shape) for axis in axes)
            return {"kind": "along", "axes": reduced, "keeps": len(shape) == rank}
        if name in IN_ROWS:
            return {"kind": "along", "axes": [rank - 1], "keeps": True}
        if _is_elementwise(view.op):
            return {"kind": "each"}
        return {"kind": "all"}

    def _zoom(self, matrix: ShownMatrix, pattern: Mapping[str, Any]) -> str | None:
        """Return the key of the graph that computes one number."""
        if not all({"matrix", "number", "constant"} & ref.keys() for ref in matrix.operands):
            return None
        shape = matrix.operands[0]["shape"] if matrix.operands else []
        view, kind = self._views[matrix.maker], pattern["kind"]
        if kind == "matmul":
            return self.zooms.of(view, "matmul", shape[-1])
        if kind == "along":
            count = math.prod(shape[axis] for axis in pattern["axes"])
            return self.zooms.of(view, "along", count)
        return self.zooms.of(view, "each", 0) if kind == "each" else None

    def _label(self, node: Node) -> str:
        return wording.short(wording.known_name(self._alias.get(node, node))) or wording.label(node)

    def _uses(self, matrix: ShownMatrix) -> list[dict[str, Any]]:
        content = []
        for user, operand, value in matrix.uses:
            use = {"by": self.numbers.get(user), "operand": operand, "called": self._label(user)}
            if len(matrix.uses) > 1:
                use |= packed_numbers("data", adapter_of(value).array())
            content.append(use)
        return content

    def _is_softmax(self, node: Node, names: Sequence[str]) -> bool:
        """Whether a node is a softmax of each row."""
        view = self._views[node]
        is_softmax = bool(node.parents) and view.op.name in names
        return is_softmax and view.attributes.get("axis", -1) in (-1, np.ndim(view.data) - 1)

    def _grad_sums_to_zero(self, node: Node) -> bool:
        """Whether each row of a gradient sums to 0, because only a softmax uses the node."""
        users = self._consumers.get(node, [])
        if len(users) != 1 or not self._is_softmax(users[0], SHIFT_INVARIANT):
            users = [user for user, *_ in self._users.get(node, [])]
        if len(users) != 1:
            return False
        view = self._views[users[0]]
        is_masked = view.op.name in MASKING and np.shape(view.data) == np.shape(node.data)
        if is_masked and sum(parent.requires_grad for parent in view.parents) == 1:
            return self._grad_sums_to_zero(self._alias.get(users[0], users[0]))
        return self._is_softmax(users[0], SHIFT_INVARIANT)


def _is_elementwise(op: Any) -> bool:
    """Whether each number of a result depends only on the operands' numbers at its index."""
    return op.name in IN_PLACE or getattr(op, "cases", None) == ()


def _has_heads(node: Node) -> bool:
    """Whether a node of a decomposition has an axis of heads before the last two axes."""
    if not node.parents:
        return False
    is_kernel = node.op.name == "scaled_dot_product_attention" and len(node.data.shape) > 3
    return is_kernel or (node.name.endswith("_heads") and node.op.name == "swapaxes")


def matrix_name(node: Node) -> str:
    """Return the name of a matrix; that of a parameter of PyTorch is its path."""
    path = node.name if node.goes_by_its_path and not node.parents else ""
    return path or wording.name(node) or wording.label(node)


def _reference_json(reference: dict[str, Any]) -> dict[str, Any]:
    kinds = {"places": np.int32, "constant": np.float64}
    return reference | {k: _packed(reference[k], kinds[k]) for k in kinds if k in reference}


def packed_numbers(key: str, array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as bytes, with its largest number and the power of ten of its cells."""
    kind = "f4" if array.dtype == np.float32 else "f8"
    maximum = largest(np.asarray(array, float))
    return {
        key: _packed(array, np.float32 if kind == "f4" else np.float64),
        f"{key}Kind": kind,
        f"{key}Largest": maximum,
        f"{key}Exponent": exponent(maximum),
    }


def _packed(array: Any, dtype: Any) -> str:
    numbers = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(numbers.tobytes()).decode()


def _plain(number: Any) -> float | str:
    """Return a number for JSON; infinities and NaN as text."""
    value = float(number)
    return value if np.isfinite(value) else str(value)
