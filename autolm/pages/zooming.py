"""The computation of one number of a matrix, as a graph of Values that the page steps through.

All cells of a matrix, and of similar matrices, share one graph with slots for names and numbers,
which the page fills. A long sum is drawn as its first terms and the rest as one number.
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

MAX_TERMS = 3  # terms of a sum that are drawn
EXPONENTIALS = ("softmax", "log_softmax", "logsumexp")
FOLDS: dict[str, Callable[[list[Value]], Value]] = {
    "sum": Value.sum,
    "prod": partial(reduce, mul),
    "max": partial(reduce, Value.maximum),
    "min": partial(reduce, Value.minimum),
}
REDUCTIONS = {*FOLDS, *EXPONENTIALS, "matmul", "mean", "norm"}
NAME_WIDTH = "n" * 13  # reserves space for the name of a cell
SAMPLE = 0.5  # data of a leaf while the graph is built

Leaf = tuple[int, int]  # (operand, index of its number); (-1, 0) is the rest of a sum


class Zooms:
    """The graphs of the cells of matrices, without duplicates.

    Attributes
    ----------
    drawn
        For each key: the scene, the program, and the leaves of the graph.
    """

    def __init__(self) -> None:
        self.drawn: dict[str, dict[str, Any]] = {}
        self._graphs: dict[str, tuple[Value, list[Leaf]] | None] = {}

    def of(self, maker: Any, kind: str, count: int) -> str | None:
        """Return the key of the graph of a number of a node; None if it cannot be drawn.

        `count` is the number of terms, or of numbers in a row.
        """
        # The graph of a long sum does not depend on its length, except for a mean.
        terms = count if maker.op.name == "mean" else min(count, MAX_TERMS + 1)
        attributes = dict(maker.attributes) if kind == "each" else maker.attributes.get("ord", "")
        key = f"{maker.op.name} {attributes}{terms}"
        if key not in self._graphs:
            self._graphs[key] = _graph(maker, kind, count)
        graph = self._graphs[key]
        if graph and key not in self.drawn:
            self.drawn[key] = _drawn(*graph)
        return key if graph else None


def _graph(maker: Any, kind: str, count: int) -> tuple[Value, list[Leaf]] | None:
    """Return the graph of one number, and its leaves; None if the page cannot compute it."""
    graph = _elementwise(maker) if kind == "each" else _along(maker, count)
    if graph is None or not graph[0].parents:
        return None
    if scalar_program(topological_order(graph[0]), []) is None:
        return None
    result: Node = graph[0]
    result.name = "‹r›"
    return graph


def _leaves(number: int, first: int = 0) -> list[Value]:
    return [Value(SAMPLE, name=f"‹{i}›") for i in range(first, first + number)]


def _elementwise(maker: Any) -> tuple[Value, list[Leaf]] | None:
    """Run the operation on one number of each operand."""
    on_values = getattr(maker.op, "on_values", None)
    if on_values is None:
        return None  # an operation of another library
    if any(adapter_of(parent.data).array().dtype.kind != "f" for parent in maker.parents):
        return None  # a condition: there is nothing to compute
    if any(np.ndim(value) for value in maker.attributes.values()):
        return None
    operands = _leaves(len(maker.parents))
    result = on_values(*(np.array(operand) for operand in operands), **maker.attributes)
    value = np.asarray(result).item()
    return (value, [(k, 0) for k in range(len(operands))]) if isinstance(value, Value) else None


def _along(maker: Any, count: int) -> tuple[Value, list[Leaf]] | None:
    """Combine the terms of a product or a row; the first of a row is the number itself."""
    name = maker.op.name
    order = maker.attributes.get("ord", 2) if name == "norm" else 0
    fold = FOLDS.get(name, FOLDS["sum"])
    if name not in REDUCTIONS or order not in (0, 1, 2):
        return None
    drawn = min(count, MAX_TERMS)
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
    """Return the scene of a graph with slots for names and numbers, and its program."""
    order = topological_order(root)
    view = exact_view(order, set(order))
    keys = {box.nodes[0]: box.key for box in view.boxes if box.nodes}
    for box in view.boxes:
        box.title = f"{box.title}{NAME_WIDTH}" if box.title.startswith("‹") else box.title
    steps, words = walk(root, set(order)).steps, Words()
    explained = explanations(order, steps, keys, words)
    played = moments(order, steps, keys, words)
    scene = scene_of("zoom", "", view, played, explained, ANY_NUMBER)
    places = {node.name: place for place, node in enumerate(order) if not node.parents}
    return {
        "scene": scene | {"templates": templates(order, steps, keys, words)},
        "program": scalar_program(order, steps),
        "leaves": [[places[f"‹{i}›"], *leaf] for i, leaf in enumerate(leaves)],
    }
