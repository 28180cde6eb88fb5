"""The arrays of a graph, as the page shows them: numbers, labels, and what each number is made of.

A fused node is opened: its definition, run on the same arrays with the same upstream, shows what
is inside an attention, a norm, a loss. What only moves numbers there is stepped over, and the page
is told where each came from. Numbers travel as they are in memory, so the page has all digits.
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

MOST_NUMBERS = 1_500_000  # in one page; the largest arrays are left out, and said to be
IN_VIEW = 24  # matrices of one step; of more, the last, without what is inside fused nodes
MASK = "mask"
PICKS = MOVES | {"embedding"}  # each number of the result is one of the operand's
MASKING = ("where", "masked_fill", "add")
SHIFT_INVARIANT = ("softmax", "log_softmax")  # each row of a gradient through one adds up to 0


@dataclass(eq=False)
class Shown:
    """One matrix of the page.

    Attributes
    ----------
    node, owner
        Whose array it is; and the node of the graph in whose step it appears.
    maker
        Of a node that is opened, the end of its definition; else the node itself.
    """

    node: Node
    owner: Node
    maker: Node
    grad: Any = None
    axes: tuple[Axis, ...] = ()
    hidden: NDArray[Any] | None = None
    operands: list[dict[str, Any]] = field(default_factory=list)
    uses: list[tuple[Node, int, Any]] = field(default_factory=list)  # by whom, operand, what


class Matrices:
    """The arrays of a graph of Tensors, and what is inside its fused nodes.

    Attributes
    ----------
    shown
        The matrices, in the order of the computation.
    numbers
        The place of a node's matrix in that order.
    zooms
        The graphs that their numbers open as, once they are written.
    """

    def __init__(
        self,
        order: Sequence[Node],
        walked: BackwardRecord,
        sentence: Sentence | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.sentence, self.tokens = sentence, tokens
        self.shown: list[Shown] = []
        self.zooms = Zooms()
        self.numbers: dict[Node, int] = {}
        self._all: list[Node] = []  # the nodes of the graph, and those of its definitions
        self._read: dict[Node, Any] = {}  # each of them in NumPy
        self._alias: dict[Node, Node] = {}  # the leaves of definitions: the operands they stand for
        self._users: dict[Node, list[tuple[Node, int, Any]]] = {}
        self._consumers: dict[Node, list[Node]] = {}  # in the graph itself
        for step in walked.steps:
            for parent in step.node.parents:
                self._consumers.setdefault(parent, []).append(step.node)
        steps = {step.node: step for step in walked.steps}
        for node in order:
            maker = self._open(node, steps.get(node))
            self._note([node])
            read = self._read[node]
            if np.ndim(read.data) and (node.parents or read.data.size):
                self._add(Shown(node, node, maker, walked.gradients.get(node)))
            if maker is node and node in steps:
                self._note_uses(BackwardRecord([steps[node]], {}))
        self._describe()

    def _note(self, nodes: Sequence[Node]) -> None:
        self._all += nodes
        self._read |= {node: numpy_view(node) for node in nodes}

    def _add(self, shown: Shown) -> None:
        self.numbers[shown.node] = len(self.shown)
        self.shown.append(shown)

    def _open(self, node: Node, step: Any) -> Node:
        """Add what is inside a fused node, and return the end of it; a node that is closed: itself.

        One whose numbers were changed since stays closed.
        """
        try:
            root, leaves = decompose(node)
        except (TypeError, ValueError):
            return node
        order = topological_order(root)
        inside = set(order)
        done = walk(root, inside, step.upstream) if step else BackwardRecord([], {})
        self._note(order)
        self._alias |= {leaf: p for p, leaf in leaves.items() if p in self._read and leaf in inside}
        for each in order:
            read = self._read[each]
            is_result = each.parents and each is not root and read.op.name not in MOVES
            if np.ndim(read.data) and (is_result or each.name == MASK or _is_of_heads(each)):
                self._add(Shown(each, node, each, done.gradients.get(each)))
        self._alias[root] = node
        self._note_uses(done)
        return root

    def _note_uses(self, walked: BackwardRecord) -> None:
        for step in walked.steps:
            for operand, sent in enumerate(step.contributions):
                if sent.parent.requires_grad:
                    parent = self._alias.get(sent.parent, sent.parent)
                    self._users.setdefault(parent, []).append((step.node, operand, sent.value))

    def _describe(self) -> None:
        """Find out what axes run along, what a mask hides, who is made of whom, and who uses it."""
        known = self.sentence.axes() if self.sentence else self._token_axes()
        known |= {(node, -3): Axis("heads") for node in self._all if _is_of_heads(node)}
        axes = Axes(self._all, same=self._alias, known=known)
        for each in self.shown:
            each.axes = axes.of(each.node)
            each.operands = [self._reference(parent) for parent in self._read[each.maker].parents]
            each.uses = [self._use(*use) for use in self._users.get(each.node, [])]
            if each.node.name == MASK and each.owner is not each.node:
                each.hidden = ~np.asarray(each.node.data, bool)
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
        """Mark what a mask hides: where it puts −∞, of what, and what comes of that."""
        made = self._read[masked]
        scores = [self._alias.get(each, each) for each in made.parents if each.requires_grad]
        if len(scores) != 1 or made.op.name not in MASKING or made.data.dtype.kind != "f":
            return
        least = np.finfo(made.data.dtype).min / 2  # which some programs take for −∞
        hidden = made.data <= least
        if not hidden.any():
            return

        def is_alike(node: Node) -> bool:
            return np.shape(self._read[node].data) == hidden.shape

        def mark(node: Node) -> None:
            number = self.numbers.get(self._alias.get(node, node))
            if number is not None:
                shown = self.shown[number]
                shown.hidden = hidden if shown.hidden is None else shown.hidden | hidden

        above = scores
        while len(above) == 1 and is_alike(above[0]) and len(self._users.get(above[0], ())) == 1:
            mark(above[0])
            read = self._read[above[0]]
            operands = read.parents if read.parents and _is_in_place(read.op) else ()
            above = [self._alias.get(each, each) for each in operands if each.requires_grad]
        below = [masked]
        while below:
            node = below.pop()
            mark(node)
            for by, *_ in self._users.get(self._alias.get(node, node), ()):
                op, data = self._read[by].op, self._read[by].data
                if is_alike(by) and (op.name in IN_ROWS or _is_in_place(op)):
                    comes_to_nothing = (data[hidden] == 0) | (data[hidden] <= least)
                    below += [by] if bool(comes_to_nothing.all()) else []

    def _reference(self, node: Node) -> dict[str, Any]:
        """Say where the numbers of an operand are: which matrix, at which of its places."""
        node = self._alias.get(node, node)
        read = self._read[node]
        where: dict[str, Any] = {"shape": list(np.shape(read.data))}
        if node in self.numbers:
            return where | {"matrix": self.numbers[node]}
        if read.data is not None and not np.ndim(read.data):
            return where | {"number": _plain(read.data)}
        if read.parents and read.op.name in PICKS and np.size(read.data) <= MOST_NUMBERS:
            inner = self._reference(read.parents[0])
            if "matrix" in inner:
                places = self._places(inner)
                return inner | where | {"places": move_indices(read, places)}
        is_told = not node.requires_grad and np.size(read.data) <= MOST_NUMBERS
        return where | ({"constant": read.data} if is_told else {})

    def _places(self, reference: dict[str, Any]) -> NDArray[Any]:
        size = np.arange(int(np.prod(reference["shape"]))).reshape(reference["shape"])
        return np.asarray(reference.get("places", size))

    def _use(self, by: Node, operand: int, value: Any) -> tuple[Node, int, Any]:
        """Go on to who uses what was only moved."""
        while self._alias.get(by, by) not in self.numbers:
            users = self._users.get(by, [])
            if len(users) != 1:
                break
            by, operand, _ = users[0]
        return self._alias.get(by, by), operand, value

    # What is in view

    def of(self, nodes: Iterable[Node]) -> list[int]:
        """List the matrices of some nodes of the graph: what they read, and what they make."""
        results = dict.fromkeys(nodes)
        read = dict.fromkeys(parent for node in results for parent in node.parents)
        outer = {self.numbers[node] for node in (*read, *results) if node in self.numbers}
        inner = {i for i, each in enumerate(self.shown) if each.owner in results}
        return sorted(outer | inner if len(outer | inner) <= IN_VIEW else outer)[-IN_VIEW:]

    def given(self, nodes: Iterable[Node]) -> list[int]:
        """List the matrices of the leaves that some nodes of the graph read."""
        leaves = dict.fromkeys(p for node in nodes for p in node.parents if not p.parents)
        return [self.numbers[leaf] for leaf in leaves if leaf in self.numbers][:IN_VIEW]

    def known(self, played: Sequence[Moment], box_of: Mapping[Node, str]) -> list[list[Any]]:
        """List the matrices of a scene: [number, from which moment on its data, and its gradient].

        A gradient is known when all who send to it are done; None where some are not in the scene.
        """
        forward = {each.box: i for i, each in enumerate(played) if each.phase == "forward"}
        backward = {each.box: i for i, each in enumerate(played) if each.phase == "backward"}
        turn = min(backward.values(), default=0)
        in_view = {i for moment in played for i in moment.matrices}
        found = []
        for i, each in enumerate(self.shown):
            if each.owner not in box_of and i not in in_view:
                continue
            data_at = forward.get(box_of[each.owner], 0) if each.owner in box_of else 0
            is_inner = each.node is not each.owner
            senders = [each.owner] if is_inner else self._consumers.get(each.node, [])
            done = [backward[box] for s in senders if (box := box_of.get(s)) in backward]
            is_known = each.grad is not None and len(done) == len(senders)
            found.append([i, data_at, max([turn, *done]) if is_known else None])
        return found

    # What the page is given

    def as_json(self) -> list[dict[str, Any]]:
        """Return the matrices for the page, the small ones first where not all have room."""
        left, fitting = MOST_NUMBERS, set()
        sizes = [int(self._read[each.node].data.size) for each in self.shown]
        for i in sorted(range(len(sizes)), key=sizes.__getitem__):
            left -= 2 * sizes[i]
            fitting |= {i} if left >= 0 else set()
        return [self._written(i, i in fitting) for i in range(len(self.shown))]

    def _written(self, number: int, has_room: bool) -> dict[str, Any]:
        shown = self.shown[number]
        node, array = shown.node, self._read[shown.node].data
        written = {
            "name": wording.visible(matrix_name(node)),
            "scope": node.scope,
            "shape": list(array.shape),
            "axes": [[axis.kind, self._labelled(axis)] for axis in shown.axes],
            "made": self._made(shown) if has_room else None,
            "uses": self._uses(shown) if has_room else [],
            "isLeaf": not node.parents and node.requires_grad,
            "sums": self._is_softmax(node, ("softmax",)),
            "gradSums": self._grad_sums_to_zero(node),
        }
        if not has_room:
            return written
        written |= packed_numbers("data", array)
        if shown.grad is not None:
            written |= packed_numbers("grad", adapter_of(shown.grad).array())
        if shown.hidden is not None:
            written["hidden"] = _packed(shown.hidden, np.uint8)
        return written

    def _labelled(self, axis: Axis) -> list[str] | str:
        """Return labels; those of the sentence and of the vocabulary stand once in the page."""
        return axis.kind if axis.kind in ("tokens", "vocabulary") else list(axis.labels)

    def _made(self, shown: Shown) -> dict[str, Any] | None:
        """Say how one number is computed: in which way of the ways that the page knows."""
        maker = shown.maker
        if not maker.parents:
            return None
        operands = [_reference_written(each) for each in shown.operands]
        left = list(enumerate(self._read[maker].parents))

        def slot(operand: Node) -> str:  # some that PyTorch has are no operand of ours
            found = next((each for each in left if each[1] is operand), None)
            if found is None:
                return self._called(operand)
            left.remove(found)
            return f"\x01{found[0]}\x02"

        made = {
            "formula": wording.expression(maker, self._called),
            "cell": wording.expression(maker, slot),
            "operands": operands,
            "op": self._read[maker].op.name,
        }
        way = self._way(shown)
        if made["op"] == "norm":
            made["ord"] = _plain(self._read[maker].attributes.get("ord", 2))
        return made | way | {"zoom": self._zoom(shown, way)}

    def _way(self, shown: Shown) -> dict[str, Any]:
        """Say in which way one number is made: of which numbers of its operands."""
        made = self._read[shown.maker]
        name, rank = made.op.name, np.ndim(made.data)
        if name in PICKS and shown.operands and "matrix" in shown.operands[0]:
            places = move_indices(made, self._places(shown.operands[0]))
            return {"kind": "moved", "places": _packed(places, np.int32)}
        if name == "matmul" and all(each["shape"] for each in shown.operands):
            return {"kind": "matmul"}
        if name in REDUCTIONS:
            shape = tuple(shown.operands[0]["shape"])
            axes = read_axes(name, made.attributes.get("axis"), shape)
            gone = sorted(axis % len(shape) for axis in axes)
            return {"kind": "along", "axes": gone, "keeps": len(shape) == rank}
        if name in IN_ROWS:
            return {"kind": "along", "axes": [rank - 1], "keeps": True}
        if _is_in_place(made.op):
            return {"kind": "each"}
        return {"kind": "all"}

    def _zoom(self, shown: Shown, way: Mapping[str, Any]) -> str | None:
        """Return the kind of graph that one number opens as."""
        if not all({"matrix", "number", "constant"} & each.keys() for each in shown.operands):
            return None
        shape = shown.operands[0]["shape"] if shown.operands else []
        made = self._read[shown.maker]
        if way["kind"] == "matmul":
            return self.zooms.of(made, "matmul", shape[-1])
        if way["kind"] == "along":
            count = math.prod(shape[axis] for axis in way["axes"])
            return self.zooms.of(made, "along", count)
        return self.zooms.of(made, "each", 0) if way["kind"] == "each" else None

    def _called(self, node: Node) -> str:
        return wording.short(wording.known_name(self._alias.get(node, node))) or wording.label(node)

    def _uses(self, shown: Shown) -> list[dict[str, Any]]:
        written = []
        for by, operand, value in shown.uses:
            use = {"by": self.numbers.get(by), "operand": operand, "called": self._called(by)}
            if len(shown.uses) > 1:
                use |= packed_numbers("data", adapter_of(value).array())
            written.append(use)
        return written

    def _is_softmax(self, node: Node, names: Sequence[str]) -> bool:
        """Whether a node is a softmax of each row."""
        made = self._read[node]
        is_one = bool(node.parents) and made.op.name in names
        return is_one and made.attributes.get("axis", -1) in (-1, np.ndim(made.data) - 1)

    def _grad_sums_to_zero(self, node: Node) -> bool:
        """Whether each row of a gradient adds up to 0, since only a softmax sends to it."""
        users = self._consumers.get(node, [])
        if len(users) != 1 or not self._is_softmax(users[0], SHIFT_INVARIANT):
            users = [by for by, *_ in self._users.get(node, [])]
        if len(users) != 1:
            return False
        made = self._read[users[0]]
        is_masked = made.op.name in MASKING and np.shape(made.data) == np.shape(node.data)
        if is_masked and sum(each.requires_grad for each in made.parents) == 1:
            return self._grad_sums_to_zero(self._alias.get(users[0], users[0]))
        return self._is_softmax(users[0], SHIFT_INVARIANT)


def _is_in_place(op: Any) -> bool:
    """Whether each number of a result comes of those at its place alone."""
    return op.name in IN_PLACE or getattr(op, "cases", None) == ()


def _is_of_heads(node: Node) -> bool:
    """Whether a node of a definition has an axis of heads before the last two."""
    if not node.parents:
        return False
    is_kernel = node.op.name == "scaled_dot_product_attention" and len(node.data.shape) > 3
    return is_kernel or (node.name.endswith("_heads") and node.op.name == "swapaxes")


def matrix_name(node: Node) -> str:
    """Call a matrix; a `weight` is one of many, which goes by its path."""
    path = node.name if node.goes_by_its_path and not node.parents else ""
    return path or wording.name(node) or wording.label(node)


def _reference_written(reference: dict[str, Any]) -> dict[str, Any]:
    kinds = {"places": np.int32, "constant": np.float64}
    return reference | {k: _packed(reference[k], kinds[k]) for k in kinds if k in reference}


def packed_numbers(key: str, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array as its bytes, and the power of ten that its cells leave out."""
    kind = "f4" if array.dtype == np.float32 else "f8"
    most = largest(np.asarray(array, float))
    return {
        key: _packed(array, np.float32 if kind == "f4" else np.float64),
        f"{key}Kind": kind,
        f"{key}Largest": most,
        f"{key}Exponent": exponent(most),
    }


def _packed(array: Any, dtype: Any) -> str:
    numbers = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(numbers.tobytes()).decode()


def _plain(number: Any) -> float | str:
    """Return a number that JSON can hold; what it cannot, as text."""
    value = float(number)
    return value if np.isfinite(value) else str(value)
