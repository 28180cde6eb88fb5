"""The contributions and gradients of a backward pass, without changing the `grad` of any node."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking.walk import Walk


@dataclass
class BackwardRecord:
    """The steps of a backward pass at some nodes, and the gradients of these nodes."""

    steps: list[Step]
    gradients: dict[Node, Any]


def backward_steps(root: Node, grad: Any = None) -> Iterator[Step]:
    """Yield the steps of a backward pass; afterwards restore every gradient."""
    pass_ = Walk(root, grad)
    try:
        while step := pass_.step():
            yield step
    finally:
        pass_.abandon()


def walk(root: Node, nodes: Container[Node], grad: Any = None) -> BackwardRecord:
    """Do a backward pass, and record it at these nodes."""
    record = BackwardRecord([], {})
    if root in nodes:
        record.gradients[root] = root.as_gradient(grad)
    for step in backward_steps(root, grad):
        if step.node in nodes:
            record.steps.append(step)
        for contribution in step.contributions:
            parent = contribution.parent
            if parent.requires_grad and parent in nodes:
                record.gradients[parent] = contribution.after
    return record
