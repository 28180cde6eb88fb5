"""A graph of Values as a program that the page recomputes when a reader changes a leaf.

`assets/program.js` implements the arithmetic of Value; tests in a browser compare it with the
engine. Until a leaf changes, the page shows the numbers of the engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.engine.value import OPERATIONS, Value

#: The operations that `assets/program.js` can compute.
IN_JAVASCRIPT = frozenset(
    (
        *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "sum", "dot", "neg", "abs"),
        *("relu", "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "erfc"),
    )
)


def scalar_program(order: Sequence[Node], steps: Sequence[Step]) -> dict[str, Any] | None:
    """Return a graph of Values as a list of operations; None if the page cannot compute it.

    The exponent of a power cannot be changed, because the displayed rule contains it.
    """
    if not all(map(_is_computable, order)):
        return None
    places = {node: place for place, node in enumerate(order)}
    fixed = {node.parents[1] for node in order if node.op and node.op.name == "pow"}
    return {
        "operations": [node.op.name if node.op else "" for node in order],
        "operands": [[places[parent] for parent in node.parents] for node in order],
        "data": [number(node.data) for node in order],
        "takesGradient": [node.requires_grad for node in order],
        "isFree": [not node.parents and node not in fixed for node in order],
        "steps": [
            {
                "node": places[step.node],
                "upstream": number(step.upstream),
                "sent": [list(map(number, values)) for _, *values in step.contributions],
            }
            for step in steps
        ],
    }


def _is_computable(node: Node) -> bool:
    """Whether a node is a leaf, or an operation of Value that JavaScript implements."""
    if node.op is None:
        return isinstance(node, Value)
    name = node.op.name
    return name in IN_JAVASCRIPT and OPERATIONS.get(name) is node.op


def number(value: float | None) -> float | str | None:
    """Return a number for JSON; infinities and NaN as text."""
    return value if value is None or math.isfinite(value) else str(value)
