"""What the player plays: the steps of a graph, forward then backward, as plain text and keys.

A step says which box it lights, what it writes into which boxes, and its arithmetic in words and
numbers. Everything about gradients comes from the engine's own steps; nothing is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autolm.drawing.exact import arithmetic
from autolm.drawing.view import Arrow, Box
from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.reading import reading

LINES = 6  # operands that are written out in one step


@dataclass
class Moment:
    """One position of the slider.

    Attributes
    ----------
    phase
        "start", "forward" or "backward".
    title, lines
        What happens, and its arithmetic.
    box, arrows
        What is lit.
    writes
        By the key of a box: what its data and its gradient read from now on.
    alarms
        The keys of boxes that hold what is not finite from now on.
    """

    phase: str
    title: str
    lines: list[str] = field(default_factory=list)
    box: str = ""
    arrows: list[str] = field(default_factory=list)
    writes: dict[str, dict[str, str]] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)


def moments(order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str]) -> list[Moment]:
    """Play a graph that is drawn exactly: one moment for each operation, each way."""
    root = order[-1]
    given = {keys[n]: {"data": wording.peek(n.data)} for n in order if not n.parents}
    played = [Moment("start", "The leaves are given.", ["Press → for the first operation."], "")]
    played[0].writes = given
    played[0].alarms = [keys[n] for n in order if not (n.parents or wording.are_finite(n.data))]
    played += [_forward(node, keys) for node in order if node.parents]
    seed = wording.peek(root.as_gradient(None))
    name = target(root)
    start = Moment("backward", f"The pass begins at the result: {wording.grad_of(name)} = {seed}")
    start.box, start.writes = keys[root], {keys[root]: {"grad": seed}}
    return [*played, start, *(_backward(step, keys) for step in steps)]


def _forward(node: Node, keys: Mapping[Node, str]) -> Moment:
    key = keys[node]
    moment = Moment("forward", _definition(node), forward_lines(node), f"{key}op")
    moment.arrows = [f"{key}in{i}" for i in range(len(node.parents))] + [f"{key}out"]
    moment.writes = {key: {"data": wording.peek(node.data)}}
    moment.alarms = [] if wording.are_finite(node.data) else [key]
    return moment


def forward_lines(node: Node) -> list[str]:
    """Write out what one operation computes: `3 × 2 = 6`, and its formula."""
    computed = f"{wording.expression(node, _value)} = {wording.peek(node.data)}"
    return [computed, *filter(None, [wording.formula(node)])]


def _backward(step: Step, keys: Mapping[Node, str]) -> Moment:
    node, key = step.node, keys[step.node]
    moment = Moment("backward", _definition(node), backward_lines(step), f"{key}op")
    moment.arrows = [f"{key}in{i}" for i in range(len(node.parents))]
    for sent in step.contributions:
        if sent.parent.requires_grad:
            moment.writes[keys[sent.parent]] = {"grad": wording.peek(sent.after)}
            moment.alarms += [] if wording.are_finite(sent.after) else [keys[sent.parent]]
    return moment


def backward_lines(step: Step, most: int = LINES) -> list[str]:
    """Write out what one operation sends: `ḡ · b = 0.5 × 2 = 1 → a.grad: – → 1`."""
    lines = [f"ḡ = {wording.peek(step.upstream)}"]
    for i, sent in enumerate(step.contributions[:most]):
        if not sent.parent.requires_grad:
            lines.append(f"{_name(sent.parent)} is a constant: no gradient reaches it")
            continue
        rule = wording.rule(step.node, i)
        is_told = sent.local is None or rule in ("", "ḡ")
        sums = arithmetic(step, i) if is_told else f"{rule} = {arithmetic(step, i)}"
        before = wording.NOT_COMPUTED if sent.before is None else wording.peek(sent.before)
        grad = wording.grad_of(target(sent.parent))
        lines.append(f"{sums} → {grad}: {before} → {wording.peek(sent.after)}")
    left_out = len(step.contributions) - most
    return lines + ([f"… {wording.count(left_out)} more operands"] if left_out > 0 else [])


def explanations(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str]
) -> dict[str, list[str]]:
    """Explain each node: what it is, and its gradient as the sum of what arrived there."""
    arrived: dict[Node, list[str]] = {node: [] for node in order}
    total: dict[Node, Any] = {}
    for step in steps:
        for i, sent in enumerate(step.contributions):
            if sent.parent.requires_grad:
                total[sent.parent] = sent.after
                source = f"from {_definition(step.node)}"
                arrived[sent.parent].append(f"  {arithmetic(step, i)}   {source}")
    told = {}
    for node in order:
        lines = wording.hint(node).split("\n")[bool(node.name) :]
        if node in total:
            lines.append(f"grad = {wording.peek(total[node])}, the sum of")
            lines += arrived[node][:LINES]
            left_out = len(arrived[node]) - LINES
            lines += [f"  … {wording.count(left_out)} more"] if left_out > 0 else []
        told[keys[node]] = lines
        told[f"{keys[node]}op"] = lines
    return told


def longest(boxes: Sequence[Box], played: Sequence[Moment]) -> None:
    """Let each box reserve room for the longest text that is ever written into it."""
    texts: dict[tuple[str, str], str] = {}
    for moment in played:
        for key, writes in moment.writes.items():
            for row, text in writes.items():
                texts[key, row] = max(texts.get((key, row), ""), text, key=len)
    for box in boxes:
        box.rows = [
            (row, max(texts.get((box.key, row), ""), wording.NOT_COMPUTED, key=len))
            for row, _ in box.rows
        ]


def target(node: Node) -> str:
    """Call a node to whose gradient something is added."""
    return wording.short(wording.called(node)) or f"[{wording.label(node)}]"


def _definition(node: Node) -> str:
    return wording.made(node, _name)


def _name(node: Node) -> str:
    """Call an operand by its name; without one, a number by itself, an array by its shape."""
    return wording.short(wording.called(node)) or _value(node)


def _value(node: Node) -> str:
    if reading(node.data).shape:
        return f"[{wording.shape(node.data)}]"
    text = wording.peek(node.data)
    return f"({text})" if text.startswith("−") else text


def arrows_between(arrows: Sequence[Arrow], box: str, *, into: bool) -> list[str]:
    """Return the keys of the arrows that end at a box, or that begin there."""
    return [arrow.key for arrow in arrows if (arrow.head if into else arrow.tail) == box]
