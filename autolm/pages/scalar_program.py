"""A graph of Values as a program for the page, which computes it again when a leaf is changed.

`assets/program.js` repeats the arithmetic of Value, and tests in a browser hold it to the engine's.
Until a leaf is changed, the page shows the engine's own numbers.
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
    """Write a graph of Values as a list of operations; None if the page cannot compute it.

    The exponent of a power is not free to change, since the rule of the power is shown with it.
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
                "sent": [list(map(number, sent[1:])) for sent in step.contributions],
            }
            for step in steps
        ],
    }


def _is_computable(node: Node) -> bool:
    """Check for a leaf, or an operation of JavaScript's that has Value's own rule."""
    if node.op is None:
        return isinstance(node, Value)
    name = node.op.name
    return name in IN_JAVASCRIPT and OPERATIONS.get(name) is node.op


def number(value: float | None) -> float | str | None:
    """Return a number that JSON can hold; what it cannot, as text."""
    return value if value is None or math.isfinite(value) else str(value)
