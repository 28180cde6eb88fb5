"""The backward pass, walked for a picture: what was sent along each edge, and nothing changed.

The numbers are those of the walk that every face shares. Only where they are put differs: into a
picture rather than into the nodes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking.walk import Walk


@dataclass
class Walked:
    """What a backward pass did at some nodes: its steps there, and the gradients they got."""

    steps: list[Step]
    gradients: dict[Node, Any]


def backward_steps(root: Node, grad: Any = None) -> Iterator[Step]:
    """Walk a backward pass from here, and leave every gradient as it was."""
    walked = Walk(root, grad)
    try:
        while step := walked.step():
            yield step
    finally:
        walked.abandon()


def walk(root: Node, nodes: Container[Node], grad: Any = None) -> Walked:
    """Do a backward pass, and keep what it does at these nodes."""
    walked = Walked([], {})
    if root in nodes:
        walked.gradients[root] = root.as_gradient(grad)
    for step in backward_steps(root, grad):
        if step.node in nodes:
            walked.steps.append(step)
        for sent in step.contributions:
            if sent.parent.requires_grad and sent.parent in nodes:
                walked.gradients[sent.parent] = sent.after
    return walked
