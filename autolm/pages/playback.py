"""The moments of the player: the forward and backward steps of a graph, as texts.

A moment has the box to highlight, the texts to write into boxes, and the arithmetic of its step;
gradients are those of the engine. For graphs of Values there is also a version with slots in place
of numbers, which the page fills when a reader changes a leaf.
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

MAX_OPERANDS = 6  # operands that one moment lists
LETTERS = re.compile(r"(?<![^\W\d])[aby](?![A-Za-z])")  # names of operands and result in formulas


@dataclass
class Moment:
    """One position of the slider of the player.

    Attributes
    ----------
    phase
        "start", "forward" or "backward".
    title, lines
        A description of the step, and its arithmetic.
    box, arrows
        Keys of the box and the arrows to highlight.
    writes
        New texts of the data and the gradient of boxes, by the key of a box.
    alarms
        Keys of boxes to mark because of a non-finite number.
    matrices
        Numbers of the matrices in view.
    steps
        How many steps of the backward pass are done after it; None in the forward pass.
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
    """Formats the numbers and formulas of a pass.

    Parameters
    ----------
    names
        The names of the nodes; formulas do not use a letter that is one of them.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = set(names)

    def data(self, node: Node) -> str:
        """Format the data of a node."""
        return wording.peek(node.data)

    def factor(self, node: Node) -> str:
        """Format the data of a node as a factor: negative numbers in brackets, arrays as shapes."""
        if np.ndim(node.data):
            return f"[{wording.shape(node.data)}]"
        text = wording.number(node.data)
        return f"({text})" if text.startswith("−") else text

    def upstream(self, step: Step) -> str:
        """Format the upstream gradient of a step."""
        return wording.peek(step.upstream)

    def before(self, step: Step, operand: int) -> str:
        """Format the gradient of an operand before a step."""
        before = step.contributions[operand].before
        return wording.NOT_COMPUTED if before is None else wording.peek(before)

    def after(self, step: Step, operand: int) -> str:
        """Format the gradient of an operand after a step."""
        return wording.peek(step.contributions[operand].after)

    def arithmetic(self, step: Step, operand: int) -> str:
        """Format the contribution to an operand as a product."""
        return arithmetic(step, operand)

    def rule(self, node: Node, operand: int) -> str:
        """Format the rule of an operand, with names of the program if they contain its letters."""
        rule = wording.rule(node, operand)
        if not self._uses_names(" ".join(node.op.rule or ())):  # the same for all operands
            return rule
        slope = wording.slope(node, operand, self.name)
        return f"ḡ · {slope}" if slope else ""

    def formula(self, node: Node) -> str:
        """Format an operation as an equation; empty if its letters are names of the program."""
        text = wording.formula(node)
        return "" if self._uses_names(text) else text

    def _uses_names(self, text: str) -> bool:
        return not self.names.isdisjoint(LETTERS.findall(text))

    def name(self, node: Node) -> str:
        """Return the name of an operand, or else its number or its shape."""
        return wording.short(wording.known_name(node)) or self.factor(node)

    def definition(self, node: Node) -> str:
        """Format a node as an assignment, with names."""
        return wording.assignment(node, self.name)


class Slots(Words):
    """Formats with slots in place of numbers, by the index of the node or of the step."""

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
        """Return a product of slots."""
        local = slot("local", step.index, operand)
        return product(self.upstream(step), local, slot("value", step.index, operand))


def slot(kind: str, *indices: int) -> str:
    """Return a slot for a number, between control characters that names do not contain."""
    return f"\x01{':'.join(map(str, (kind, *indices)))}\x02"


def moments(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> list[Moment]:
    """Return the moments of an exactly drawn graph: one per operation and direction."""
    root = order[-1]
    leaf_data = {keys[n]: {"data": words.data(n)} for n in order if not n.parents}
    played = [Moment("start", "The leaves are given.", ["Press → for the first operation."], "")]
    played[0].writes = leaf_data
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
    """Return the arithmetic of an operation, such as `3 × 2 = 6`, and its formula."""
    computed = f"{wording.expression(node, words.factor)} = {words.data(node)}"
    return [computed, *filter(None, [words.formula(node)])]


def _backward(step: Step, keys: Mapping[Node, str], words: Words) -> Moment:
    node, key = step.node, keys[step.node]
    moment = Moment("backward", words.definition(node), backward_lines(step, words), f"{key}op")
    moment.arrows = [f"{key}in{i}" for i in range(len(node.parents))]
    moment.steps = step.index + 1
    for i, contribution in enumerate(step.contributions):
        if contribution.parent.requires_grad:
            parent_key = keys[contribution.parent]
            moment.writes[parent_key] = {"grad": words.after(step, i)}
            moment.alarms += [] if wording.are_finite(contribution.after) else [parent_key]
    return moment


def backward_lines(step: Step, words: Words, most: int = MAX_OPERANDS) -> list[str]:
    """Return the contributions of a step, such as `ḡ · b = 0.5 × 2 = 1 → a.grad: – → 1`."""
    lines = [f"ḡ = {words.upstream(step)}"]
    for i, contribution in enumerate(step.contributions[:most]):
        parent = contribution.parent
        if not parent.requires_grad:
            lines.append(f"{words.name(parent)} is a constant: no gradient reaches it")
            continue
        rule = words.rule(step.node, i)
        has_rule = contribution.local is None or rule in ("", "ḡ")
        product_text = words.arithmetic(step, i)
        product_text = product_text if has_rule else f"{rule} = {product_text}"
        grad = wording.grad_of(target(parent))
        lines.append(f"{product_text} → {grad}: {words.before(step, i)} → {words.after(step, i)}")
    left_out = len(step.contributions) - most
    return lines + ([f"… {wording.count(left_out)} more operands"] if left_out > 0 else [])


@dataclass
class Explanation:
    """The explanation of a selected box: facts, and the contributions to its gradient.

    Attributes
    ----------
    lines
        Facts that do not depend on the moment.
    arrived
        Contributions to its gradient, each with the moment in which it arrives.
    """

    lines: list[str]
    arrived: list[tuple[int, str]] = field(default_factory=list)


def explanations(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> dict[str, Explanation]:
    """Return explanations of all nodes, by the keys of their boxes."""
    by_node = {node: Explanation(facts(wording.hint(node))[bool(node.name) :]) for node in order}
    turn = 1 + sum(bool(node.parents) for node in order)
    for number, step in enumerate(steps, turn + 1):
        for i, contribution in enumerate(step.contributions):
            if contribution.parent.requires_grad:
                source = f"from {words.definition(step.node)}"
                line = f"  {words.arithmetic(step, i)}   {source}"
                by_node[contribution.parent].arrived.append((number, line))
    return {f"{keys[n]}{op}": text for n, text in by_node.items() for op in ("", "op")}


def facts(hint: str) -> list[str]:
    """Return the lines of a hint without the data, which may not be computed yet."""
    return [line for line in hint.split("\n") if not line.startswith("data ")]


def reserve_widths(boxes: Sequence[Box], played: Sequence[Moment], least: str = "") -> None:
    """Write into each box the longest text that it will have, at least `least`, for the layout."""
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
    """Return the name or the label of a node."""
    return wording.short(wording.known_name(node)) or f"[{wording.label(node)}]"


def arrows_between(arrows: Sequence[Arrow], box: str, *, into: bool) -> list[str]:
    """Return the keys of the arrows into a box, or out of it."""
    return [arrow.key for arrow in arrows if (arrow.head if into else arrow.tail) == box]
