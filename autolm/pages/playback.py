"""What the player plays: the steps of a graph, forward then backward, as plain text and keys.

A step says which box it lights, what it writes into which boxes, and its arithmetic in words and
numbers. Everything about gradients comes from the engine's own steps; nothing is computed again.
Of a program of single numbers the same is told once more with slots for the numbers, which the page
fills when a reader changes one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autolm.drawing.exact import arithmetic, product
from autolm.drawing.view import Arrow, Box
from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.blame import blamed_nodes

LINES = 6  # operands that are written out in one step
LETTERS = re.compile(r"(?<![^\W\d])[aby](?![A-Za-z])")  # what the records call operands and result


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
        The keys of boxes that are marked from now on: a number in them is not finite, and blamed.
    matrices
        The numbers of the matrices that are in view.
    steps
        How many steps of the engine's pass are done by the end of it, if it is of that pass.
    """

    phase: str
    title: str
    lines: list[str] = field(default_factory=list)
    box: str = ""
    arrows: list[str] = field(default_factory=list)
    writes: dict[str, dict[str, str]] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    matrices: list[int] = field(default_factory=list)
    steps: int | None = None


class Words:
    """How the numbers and formulas of a pass are written.

    Parameters
    ----------
    names
        What the nodes of the graph are called: a letter that is among them stands in no formula.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = set(names)

    def data(self, node: Node) -> str:
        """Write the numbers of a node."""
        return wording.peek(node.data)

    def factor(self, node: Node) -> str:
        """Write them as a part of a term: a negative one in brackets, an array by its shape."""
        if np.ndim(node.data):
            return f"[{wording.shape(node.data)}]"
        text = wording.number(node.data)
        return f"({text})" if text.startswith("−") else text

    def upstream(self, step: Step) -> str:
        """Write what has arrived at a node when its step is done."""
        return wording.peek(step.upstream)

    def before(self, step: Step, operand: int) -> str:
        """Write the gradient of an operand before the step adds to it."""
        before = step.contributions[operand].before
        return wording.NOT_COMPUTED if before is None else wording.peek(before)

    def after(self, step: Step, operand: int) -> str:
        """Write the gradient of an operand after it."""
        return wording.peek(step.contributions[operand].after)

    def arithmetic(self, step: Step, operand: int) -> str:
        """Write what an operand is sent as a product."""
        return arithmetic(step, operand)

    def rule(self, node: Node, operand: int) -> str:
        """Write the rule for one operand; in the program's names if a letter is one of them."""
        rule = wording.rule(node, operand)
        if not self._are_taken(" ".join(node.op.rule or ())):  # one step speaks one language
            return rule
        slope = wording.slope(node, operand, self.name)
        return f"ḡ · {slope}" if slope else ""

    def formula(self, node: Node) -> str:
        """Write an operation as an equation; empty where its letters are names of the program."""
        text = wording.formula(node)
        return "" if self._are_taken(text) else text

    def _are_taken(self, text: str) -> bool:
        return not self.names.isdisjoint(LETTERS.findall(text))

    def name(self, node: Node) -> str:
        """Call an operand by its name; without one, a number by itself, an array by its shape."""
        return wording.short(wording.known_name(node)) or self.factor(node)

    def definition(self, node: Node) -> str:
        """Say how a node is made, in names."""
        return wording.assignment(node, self.name)


class Slots(Words):
    """The same with a slot for each number, by the place of the node, or of the step."""

    def __init__(self, names: Iterable[str], places: Mapping[Node, int]) -> None:
        super().__init__(names)
        self._places = places

    def data(self, node: Node) -> str:
        """Leave a slot."""
        return slot("data", self._places[node])

    def factor(self, node: Node) -> str:
        """Leave a slot."""
        return slot("factor", self._places[node])

    def upstream(self, step: Step) -> str:
        """Leave a slot."""
        return slot("upstream", step.index)

    def before(self, step: Step, operand: int) -> str:
        """Leave a slot."""
        return slot("before", step.index, operand)

    def after(self, step: Step, operand: int) -> str:
        """Leave a slot."""
        return slot("after", step.index, operand)

    def arithmetic(self, step: Step, operand: int) -> str:
        """Leave three slots."""
        sent = slot("local", step.index, operand), slot("value", step.index, operand)
        return product(self.upstream(step), *sent)


def slot(what: str, *places: int) -> str:
    """Write where the page puts a number: between signs that no name can have."""
    return f"\x01{':'.join(map(str, (what, *places)))}\x02"


def moments(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> list[Moment]:
    """Play a graph that is drawn exactly: one moment for each operation, each way."""
    root = order[-1]
    given = {keys[n]: {"data": words.data(n)} for n in order if not n.parents}
    played = [Moment("start", "The leaves are given.", ["Press → for the first operation."], "")]
    played[0].writes = given
    blamed = blamed_nodes(order)
    played[0].alarms = [keys[node] for node in order if node in blamed and not node.parents]
    played += [_forward(node, keys, words, node in blamed) for node in order if node.parents]
    seed = words.upstream(steps[0]) if steps else wording.peek(root.as_gradient(None))
    name = target(root)
    start = Moment("backward", f"The pass begins at the result: {wording.grad_of(name)} = {seed}")
    start.box, start.writes, start.steps = keys[root], {keys[root]: {"grad": seed}}, 0
    return [*played, start, *(_backward(step, keys, words) for step in steps)]


def _forward(node: Node, keys: Mapping[Node, str], words: Words, is_blamed: bool) -> Moment:
    key = keys[node]
    moment = Moment("forward", words.definition(node), forward_lines(node, words), f"{key}op")
    moment.arrows = [f"{key}in{i}" for i in range(len(node.parents))] + [f"{key}out"]
    moment.writes = {key: {"data": words.data(node)}}
    moment.alarms = [key] if is_blamed else []
    return moment


def forward_lines(node: Node, words: Words) -> list[str]:
    """Write out what one operation computes: `3 × 2 = 6`, and its formula."""
    computed = f"{wording.expression(node, words.factor)} = {words.data(node)}"
    return [computed, *filter(None, [words.formula(node)])]


def _backward(step: Step, keys: Mapping[Node, str], words: Words) -> Moment:
    node, key = step.node, keys[step.node]
    moment = Moment("backward", words.definition(node), backward_lines(step, words), f"{key}op")
    moment.arrows = [f"{key}in{i}" for i in range(len(node.parents))]
    moment.steps = step.index + 1
    for i, sent in enumerate(step.contributions):
        if sent.parent.requires_grad:
            moment.writes[keys[sent.parent]] = {"grad": words.after(step, i)}
            moment.alarms += [] if wording.are_finite(sent.after) else [keys[sent.parent]]
    return moment


def backward_lines(step: Step, words: Words, most: int = LINES) -> list[str]:
    """Write out what one operation sends: `ḡ · b = 0.5 × 2 = 1 → a.grad: – → 1`."""
    lines = [f"ḡ = {words.upstream(step)}"]
    for i, sent in enumerate(step.contributions[:most]):
        if not sent.parent.requires_grad:
            lines.append(f"{words.name(sent.parent)} is a constant: no gradient reaches it")
            continue
        rule = words.rule(step.node, i)
        is_told = sent.local is None or rule in ("", "ḡ")
        sums = words.arithmetic(step, i) if is_told else f"{rule} = {words.arithmetic(step, i)}"
        grad = wording.grad_of(target(sent.parent))
        lines.append(f"{sums} → {grad}: {words.before(step, i)} → {words.after(step, i)}")
    left_out = len(step.contributions) - most
    return lines + ([f"… {wording.count(left_out)} more operands"] if left_out > 0 else [])


@dataclass
class Told:
    """What is told of a box that is chosen: what it is, and what has arrived there by when.

    Attributes
    ----------
    lines
        What is known of it from the start.
    arrived
        Contributions to its gradient, each with the moment in which it is sent.
    """

    lines: list[str]
    arrived: list[tuple[int, str]] = field(default_factory=list)


def explanations(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> dict[str, Told]:
    """Explain each node: what it is, and its gradient as the sum of what arrives there."""
    told = {node: Told(facts(wording.hint(node))[bool(node.name) :]) for node in order}
    turn = 1 + sum(bool(node.parents) for node in order)
    for number, step in enumerate(steps, turn + 1):
        for i, sent in enumerate(step.contributions):
            if sent.parent.requires_grad:
                source = f"from {words.definition(step.node)}"
                line = f"  {words.arithmetic(step, i)}   {source}"
                told[sent.parent].arrived.append((number, line))
    return {f"{keys[node]}{op}": each for node, each in told.items() for op in ("", "op")}


def facts(hint: str) -> list[str]:
    """Return the lines of a hint, without the numbers, which may not be computed yet."""
    return [line for line in hint.split("\n") if not line.startswith("data ")]


def longest(boxes: Sequence[Box], played: Sequence[Moment], least: str = "") -> None:
    """Let each box reserve room for the longest text that is ever written into it, and `least`."""
    texts: dict[tuple[str, str], str] = {}
    for moment in played:
        for key, writes in moment.writes.items():
            for row, text in writes.items():
                texts[key, row] = max(texts.get((key, row), ""), text, key=len)
    for box in boxes:
        box.rows = [
            (row, max(texts.get((box.key, row), ""), wording.NOT_COMPUTED, least, key=len))
            for row, _ in box.rows
        ]


def target(node: Node) -> str:
    """Call a node to whose gradient something is added."""
    return wording.short(wording.known_name(node)) or f"[{wording.label(node)}]"


def arrows_between(arrows: Sequence[Arrow], box: str, *, into: bool) -> list[str]:
    """Return the keys of the arrows that end at a box, or that begin there."""
    return [arrow.key for arrow in arrows if (arrow.head if into else arrow.tail) == box]
