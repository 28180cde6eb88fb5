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

from autolm.drawing.axes import IN_ROWS, MOVES, REDUCTIONS, Axes, Axis, moved_places
from autolm.drawing.gradients import Walked, walk
from autolm.drawing.matrix import exponent, largest
from autolm.engine.graph import Node, topological_order
from autolm.ops.arguments import read_axes
from autolm.pages.playback import Moment
from autolm.pages.sentence import Sentence
from autolm.pages.zooming import Zooms
from autolm.walking import wording
from autolm.walking.opening import composed

MOST_NUMBERS = 1_500_000  # in one page; the largest arrays are left out, and said to be
IN_VIEW = 24  # matrices of one step; of more, the last, without what is inside fused nodes
MASK = "mask"
PICKS = MOVES | {"embedding"}  # each number of the result is one of the operand's
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
        self, order: Sequence[Node], walked: Walked, sentence: Sentence | None = None
    ) -> None:
        self.sentence = sentence
        self.shown: list[Shown] = []
        self.zooms = Zooms()
        self.numbers: dict[Node, int] = {}
        self._all: list[Node] = []  # the nodes of the graph, and those of its definitions
        self._alias: dict[Node, Node] = {}  # the leaves of definitions: the operands they stand for
        self._users: dict[Node, list[tuple[Node, int, Any]]] = {}
        self._consumers: dict[Node, list[Node]] = {}  # in the graph itself
        for step in walked.steps:
            for parent in step.node.parents:
                self._consumers.setdefault(parent, []).append(step.node)
        steps = {step.node: step for step in walked.steps}
        for node in order:
            maker = self._open(node, steps.get(node))
            if np.ndim(node.data):
                self._add(Shown(node, node, maker, walked.gradients.get(node)))
            self._all.append(node)
            if maker is node and node in steps:
                self._note_uses(Walked([steps[node]], {}))
        self._describe()

    def _add(self, shown: Shown) -> None:
        self.numbers[shown.node] = len(self.shown)
        self.shown.append(shown)

    def _open(self, node: Node, step: Any) -> Node:
        """Add what is inside a fused node, and return the end of it; a node that is closed: itself.

        One whose numbers were changed since stays closed.
        """
        if not node.parents or getattr(node.op, "definition", None) is None:
            return node
        try:
            root, leaves = composed(node)
        except (TypeError, ValueError):
            return node
        order = topological_order(root)
        inside = walk(root, set(order), step.upstream) if step else Walked([], {})
        self._alias |= {leaf: parent for parent, leaf in leaves.items()}
        for each in order:
            is_result = each.parents and each is not root and each.op.name not in MOVES
            if np.ndim(each.data) and (is_result or each.name == MASK or _is_of_heads(each)):
                self._add(Shown(each, node, each, inside.gradients.get(each)))
        self._all += order
        self._alias[root] = node
        self._note_uses(inside)
        return root

    def _note_uses(self, walked: Walked) -> None:
        for step in walked.steps:
            for operand, sent in enumerate(step.contributions):
                if sent.parent.requires_grad:
                    parent = self._alias.get(sent.parent, sent.parent)
                    self._users.setdefault(parent, []).append((step.node, operand, sent.value))

    def _describe(self) -> None:
        """Find out what axes run along, what a mask hides, who is made of whom, and who uses it."""
        known = self.sentence.axes() if self.sentence else {}
        known |= {(node, -3): Axis("heads") for node in self._all if _is_of_heads(node)}
        axes = Axes(self._all, same=self._alias, known=known)
        masks = [
            each for each in self.shown if each.node.name == MASK and each.owner is not each.node
        ]
        for each in self.shown:
            each.axes = axes.of(each.node)
            each.operands = [self._reference(parent) for parent in each.maker.parents]
            each.uses = [self._use(*use) for use in self._users.get(each.node, [])]
            for mask in masks:
                if mask.owner is each.owner and axes.agree(mask.node, each.node):
                    hidden = np.broadcast_to(
                        ~np.asarray(mask.node.data, bool), each.node.data.shape
                    )
                    each.hidden = hidden if each.hidden is None else each.hidden | hidden

    def _reference(self, node: Node) -> dict[str, Any]:
        """Say where the numbers of an operand are: which matrix, at which of its places."""
        node = self._alias.get(node, node)
        where: dict[str, Any] = {"shape": list(np.shape(node.data))}
        if node in self.numbers:
            return where | {"matrix": self.numbers[node]}
        if not np.ndim(node.data):
            return where | {"number": _plain(node.data)}
        if node.parents and node.op.name in PICKS:
            inner = self._reference(node.parents[0])
            if "matrix" in inner:
                places = self._places(inner)
                return inner | where | {"places": moved_places(node, places)}
        return where

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
        for i in sorted(range(len(self.shown)), key=lambda i: self.shown[i].node.data.size):
            left -= 2 * int(self.shown[i].node.data.size)
            fitting |= {i} if left >= 0 else set()
        return [self._written(i, i in fitting) for i in range(len(self.shown))]

    def _written(self, number: int, has_room: bool) -> dict[str, Any]:
        shown = self.shown[number]
        node, array = shown.node, np.asarray(shown.node.data)
        written = {
            "name": wording.visible(wording.name(node) or wording.label(node)),
            "scope": node.scope,
            "shape": list(array.shape),
            "axes": [[axis.kind, self._labelled(axis)] for axis in shown.axes],
            "made": self._made(shown),
            "uses": self._uses(shown) if has_room else [],
            "isLeaf": not node.parents and node.requires_grad,
            "sums": _sums_to_one(shown.maker),
            "gradSums": self._grad_sums_to_zero(shown),
        }
        if not has_room:
            return written
        written |= packed_numbers("data", array)
        if shown.grad is not None:
            written |= packed_numbers("grad", np.asarray(shown.grad))
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
        slots = iter(f"\x01{i}\x02" for i in range(len(operands)))
        made = {
            "formula": wording.expression(maker, self._called),
            "cell": wording.expression(maker, lambda _: next(slots)),
            "operands": operands,
            "op": maker.op.name,
        }
        way = self._way(shown)
        return made | way | {"zoom": self._zoom(shown, way)}

    def _way(self, shown: Shown) -> dict[str, Any]:
        """Say in which way one number is made: of which numbers of its operands."""
        maker, name = shown.maker, shown.maker.op.name
        if name in PICKS and shown.operands and "matrix" in shown.operands[0]:
            places = moved_places(maker, self._places(shown.operands[0]))
            return {"kind": "moved", "places": _packed(places, np.int32)}
        if name == "matmul" and min(len(each["shape"]) for each in shown.operands) > 1:
            return {"kind": "matmul"}
        if name in REDUCTIONS:
            shape = tuple(shown.operands[0]["shape"])
            axes = read_axes(name, maker.attributes.get("axis"), shape)
            gone = sorted(axis % len(shape) for axis in axes)
            return {"kind": "along", "axes": gone, "keeps": len(shape) == maker.data.ndim}
        if name in IN_ROWS:
            return {"kind": "along", "axes": [maker.data.ndim - 1], "keeps": True}
        if getattr(maker.op, "cases", None) == ():
            return {"kind": "each"}
        return {"kind": "all"}

    def _zoom(self, shown: Shown, way: Mapping[str, Any]) -> str | None:
        """Return the kind of graph that one number opens as."""
        if not all("matrix" in each or "number" in each for each in shown.operands):
            return None
        shape = shown.operands[0]["shape"] if shown.operands else []
        if way["kind"] == "matmul":
            return self.zooms.of(shown.maker, "matmul", shape[-1])
        if way["kind"] == "along":
            count = math.prod(shape[axis] for axis in way["axes"])
            return self.zooms.of(shown.maker, "along", count)
        return self.zooms.of(shown.maker, "each", 0) if way["kind"] == "each" else None

    def _called(self, node: Node) -> str:
        return wording.short(wording.called(self._alias.get(node, node))) or wording.label(node)

    def _uses(self, shown: Shown) -> list[dict[str, Any]]:
        written = []
        for by, operand, value in shown.uses:
            use = {"by": self.numbers.get(by), "operand": operand, "called": self._called(by)}
            if len(shown.uses) > 1:
                use |= packed_numbers("data", np.asarray(value))
            written.append(use)
        return written

    def _grad_sums_to_zero(self, shown: Shown) -> bool:
        """Whether each row of a gradient adds up to 0, since only a softmax sends to it."""
        if len(shown.uses) != 1:
            return False
        by, operand, _ = shown.uses[0]
        if by.op.name == "where" and operand == 1 and by in self.numbers:
            return self._grad_sums_to_zero(self.shown[self.numbers[by]])
        return by.op.name in SHIFT_INVARIANT and _is_along_rows(by)


def _is_of_heads(node: Node) -> bool:
    """Whether a node of a definition has an axis of heads before the last two."""
    return bool(node.parents) and node.name.endswith("_heads") and node.op.name == "swapaxes"


def _is_along_rows(node: Node) -> bool:
    return node.attributes.get("axis", -1) in (-1, np.ndim(node.data) - 1)


def _sums_to_one(maker: Node) -> bool:
    return bool(maker.parents) and maker.op.name == "softmax" and _is_along_rows(maker)


def _reference_written(reference: dict[str, Any]) -> dict[str, Any]:
    places = reference.get("places")
    return reference if places is None else reference | {"places": _packed(places, np.int32)}


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
