"""How one number of a matrix is computed, as a graph of Values that the page opens and steps.

All cells of a matrix are computed alike, and so are those of many matrices: the graph of one is
drawn here, with places for names and numbers, and the page fills them with those of the cell that
is opened. Of a long sum the first terms are drawn; the others stand in it as one number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import mul
from typing import Any

import numpy as np

from autolm.drawing.exact import exact_view
from autolm.drawing.gradients import walk
from autolm.engine.graph import Node, topological_order
from autolm.engine.value import Value
from autolm.pages.playback import Words, explanations, moments
from autolm.pages.scalar_program import scalar_program
from autolm.pages.scene import ANY_NUMBER, scene_of, templates
from autolm.walking.array_adapter import adapter_of

TERMS = 3  # of a sum that are drawn
EXPONENTIALS = ("softmax", "log_softmax", "logsumexp")
FOLDS: dict[str, Callable[[list[Value]], Value]] = {
    "sum": Value.sum,
    "prod": partial(reduce, mul),
    "max": partial(reduce, Value.maximum),
    "min": partial(reduce, Value.minimum),
}
KNOWN = {*FOLDS, *EXPONENTIALS, "matmul", "mean", "norm"}
ROOM = "n" * 13  # for the name of a cell
SAMPLE = 0.5  # what a leaf holds while the graph is made

Leaf = tuple[int, int]  # an operand, and which of the numbers that it gives; (-1, 0): all others


class Zooms:
    """The graphs of the cells of some matrices, each kind once.

    Attributes
    ----------
    drawn
        By kind: the scene, the program, and for each leaf of it which number it holds.
    """

    def __init__(self) -> None:
        self.drawn: dict[str, dict[str, Any]] = {}
        self._graphs: dict[str, tuple[Value, list[Leaf]] | None] = {}

    def of(self, maker: Any, kind: str, count: int) -> str | None:
        """Return the kind of graph that a number of a node's is computed by, if one can be drawn.

        `count` says of how many terms, or numbers of a row, it is made.
        """
        # Of sums that are longer than what is drawn, only a mean knows by how much.
        terms = count if maker.op.name == "mean" else min(count, TERMS + 1)
        attributes = dict(maker.attributes) if kind == "each" else maker.attributes.get("ord", "")
        key = f"{maker.op.name} {attributes}{terms}"
        if key not in self._graphs:
            self._graphs[key] = _graph(maker, kind, count)
        made = self._graphs[key]
        if made and key not in self.drawn:
            self.drawn[key] = _drawn(*made)
        return key if made else None


def _graph(maker: Any, kind: str, count: int) -> tuple[Value, list[Leaf]] | None:
    """Make the graph of one number, and say what its leaves hold; the root is given a name.

    None if the page cannot compute it.
    """
    made = _elementwise(maker) if kind == "each" else _along(maker, count)
    if made is None or not made[0].parents:
        return None
    if scalar_program(topological_order(made[0]), []) is None:
        return None
    result: Node = made[0]
    result.name = "‹r›"
    return made


def _leaves(number: int, first: int = 0) -> list[Value]:
    return [Value(SAMPLE, name=f"‹{i}›") for i in range(first, first + number)]


def _elementwise(maker: Any) -> tuple[Value, list[Leaf]] | None:
    """Run the operation on one number of each operand."""
    on_values = getattr(maker.op, "on_values", None)
    if on_values is None:
        return None  # another library's, of which only the name is known
    if any(adapter_of(parent.data).array().dtype.kind != "f" for parent in maker.parents):
        return None  # a condition: there is nothing to compute
    if any(np.ndim(each) for each in maker.attributes.values()):
        return None
    operands = _leaves(len(maker.parents))
    result = on_values(*(np.array(each) for each in operands), **maker.attributes)
    value = np.asarray(result).item()
    return (value, [(k, 0) for k in range(len(operands))]) if isinstance(value, Value) else None


def _along(made: Any, count: int) -> tuple[Value, list[Leaf]] | None:
    """Put together the terms of a product, or of a row; the first of a row is the number itself."""
    name = made.op.name
    order = made.attributes.get("ord", 2) if name == "norm" else 0
    fold = FOLDS.get(name, FOLDS["sum"])
    if name not in KNOWN or order not in (0, 1, 2):
        return None
    drawn = min(count, TERMS)
    operands = (0, 1) if name == "matmul" else (0,)
    leaves = [(k, i) for i in range(drawn) for k in operands]
    values = _leaves(len(leaves))
    terms = values
    if name == "matmul":
        terms = [a * b for a, b in zip(values[::2], values[1::2], strict=True)]
    elif name in EXPONENTIALS:
        terms = [value.exp() for value in values]
    elif order:
        terms = [value.abs() if order == 1 else value * value for value in values]
    rest = _leaves(1, len(leaves)) if count > drawn else []
    total = fold([*terms, *rest])
    leaves += [(-1, 0)] * len(rest)
    if name == "mean":
        total = total / count
    elif name == "softmax":
        total = terms[0] / total
    elif name == "log_softmax":
        total = values[0] - total.log()
    elif name == "logsumexp":
        total = total.log()
    elif order == 2:
        total = total.sqrt()
    return total, leaves


def _drawn(root: Value, leaves: list[Leaf]) -> dict[str, Any]:
    """Draw a graph, and tell its steps with places for names and numbers."""
    order = topological_order(root)
    view = exact_view(order, set(order))
    keys = {box.nodes[0]: box.key for box in view.boxes if box.nodes}
    for box in view.boxes:
        box.title = f"{box.title}{ROOM}" if box.title.startswith("‹") else box.title
    steps, words = walk(root, set(order)).steps, Words()
    told = explanations(order, steps, keys, words)
    played = moments(order, steps, keys, words)
    scene = scene_of("zoom", "", view, played, told, ANY_NUMBER)
    places = {node.name: place for place, node in enumerate(order) if not node.parents}
    return {
        "scene": scene | {"templates": templates(order, steps, keys, words)},
        "program": scalar_program(order, steps),
        "leaves": [[places[f"‹{i}›"], *leaf] for i, leaf in enumerate(leaves)],
    }
