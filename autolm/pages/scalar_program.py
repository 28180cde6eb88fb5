"""A program of single numbers, for the page: it computes it again when a reader changes a leaf.

The arithmetic stands once more in `assets/program.js`; tests in a browser hold it to the engine's.
What is shown before anything is changed are the engine's own numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.engine.value import OPERATIONS, Value


def scalar_program(order: Sequence[Node], steps: Sequence[Step]) -> dict[str, Any] | None:
    """Write a graph of Values as a list of operations; None for any other graph.

    The exponent of a power is no number to change: the rule of the power is told with it.
    """
    if not all(isinstance(n, Value) and (n.op is None or _is_own(n)) for n in order):
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


def _is_own(node: Node) -> bool:
    """Whether the operation is one of a Value's, with its own rule, and not a user's."""
    return OPERATIONS.get(node.op.name) is node.op


def number(value: float | None) -> float | str | None:
    """Return a number that JSON can hold; what it cannot, as text."""
    return value if value is None or math.isfinite(value) else str(value)
