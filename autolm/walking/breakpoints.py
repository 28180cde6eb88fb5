"""Where a walk through backprop stops: a breakpoint is a text and a question about a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking.wording import label

Condition = Callable[[Step], bool]

ASCII = {"*": "×", "-": "−", "/": "÷", "**": "^"}  # what keyboards have for these symbols


@dataclass
class Breakpoint:
    """Stop where `holds`, and `condition` too if there is one."""

    text: str  # "operation ×"
    holds: Condition
    condition: Condition | None = None
    temporary: bool = False
    hits: int = 0

    def stops(self, step: Step) -> bool:
        """Whether to stop after this step."""
        return self.holds(step) and (self.condition is None or bool(self.condition(step)))


def at_operation(name: str) -> Condition:
    """Stop at an operation, by its name or its symbol: `mul`, `×` or `*`."""
    return lambda step: step.node.op.name == name or step.node.op.symbol == ASCII.get(name, name)


def at_name(pattern: str, label: Callable[[Node], str] = label) -> Condition:
    """Stop where a node's gradient is sent on whose name matches: `x2w2`, `x*`."""
    return lambda step: _matches(label(step.node), pattern) or _matches(step.node.name, pattern)


def at_scope(pattern: str) -> Condition:
    """Stop in a scope that matches, or inside one: `blocks.0`, `blocks.*.attention`."""

    def holds(step: Step) -> bool:
        parts = step.node.scope.split(".")
        return any(_matches(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))

    return holds


def at_nonfinite(step: Step) -> bool:
    """Stop where inf or nan is sent."""
    return any(sent.after is not None and not finite(sent.value) for sent in step.contributions)


def at_change_of(node: Node) -> Condition:
    """Stop where the gradient of a node changes."""
    return lambda step: any(
        sent.parent is node and not np.array_equal(sent.before, sent.after)
        for sent in step.contributions
    )


def finite(data: Any) -> bool:
    """Whether every number is neither infinite nor nan."""
    return bool(np.all(np.isfinite(data)))


def _matches(text: str, pattern: str) -> bool:
    return text == pattern or (bool(text) and fnmatchcase(text, pattern))
