"""One step of a pass through a graph, and how it reads: what each number, node and slope is called.

A step is what a learner looks at, in a loop, at the debugger's prompt or in the variables pane of
an editor. So it says in one line what happened, and this file decides the words: the stepper, the
debugger and the explanations all use them.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

PEEK = 3  # how many numbers of an array are shown


def show(value: Any) -> str:
    """Write a number in four digits; an array as its shape, its norm and its first numbers.

    >>> show(-0.70710678), show(None)
    ('−0.7071', '–')
    """
    if value is None:
        return "–"
    shape = getattr(value, "shape", ())
    if shape == ():
        return f"{float(value):.4g}".replace("-", "−")
    first = " ".join(show(number) for number in value.ravel()[:PEEK])
    more = " …" if value.size > PEEK else ""
    return f"{'×'.join(map(str, shape))} ‖{show(norm(value))}‖ [{first}{more}]"


def norm(array: Any) -> float:
    """Return the Euclidean length of an array, scaled so that it does not overflow."""
    largest = float(abs(array).max()) if array.size else 0.0
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(float(((array / largest) ** 2).sum()))


def label(node: Any) -> str:
    """Call a node by its name; without one, a leaf is its number, a result its operation."""
    if node.name:
        return str(node.name.removeprefix(f"{node.scope}."))
    if node.op:
        return str(node.op.name)
    return show(node.data) if getattr(node.data, "size", 1) == 1 else f"array{node.data.shape}"


def expression(node: Any, label: Callable[[Any], str] = label) -> str:
    """Write how a node was computed: `x + b`, `tanh(n)`, `sum(a, b, … 14 more)`."""
    op, operands = node.op, [label(parent) for parent in node.parents]
    if op.name == "neg":
        return f"−{operands[0]}"
    infix = re.fullmatch(r"a (\S) b", op.formula) or re.fullmatch(r"([^\w\s])", op.symbol)
    if len(operands) == 2 and infix:
        return f"{operands[0]} {infix[1]} {operands[1]}"
    if len(operands) > 4:
        operands[3:] = [f"… {len(operands) - 3} more"]
    told = [f"{name}={_told(value)}" for name, value in node.attributes.items()]
    return f"{op.name}({', '.join(operands + told)})"


def _told(attribute: Any) -> str:
    text = f"array{attribute.shape}" if hasattr(attribute, "shape") else repr(attribute)
    return text if len(text) <= 20 else f"{text[:19]}…"


def rule(node: Any, operand: int) -> str:
    """Return the text of the rule for one operand; operations of many have one for each row."""
    rules = node.op.rule if node.op else ()
    return str(rules[operand * len(rules) // len(node.parents)]) if rules else ""


def slope(node: Any, operand: int, label: Callable[[Any], str] = label) -> str:
    """Write ∂node/∂operand of a Value in the names of its nodes; empty where there is no short way.

    The rule of a product, ḡ · b, is the upstream gradient times b: so its slope is called b, which
    is the name of the other factor.
    """
    text = rule(node, operand)
    if not text or re.search(r"[ᵃᵇ<>]|where", text):
        return ""
    text = text.replace("ḡ · ", "").replace("ḡ", "1")
    text = re.sub(r"^\(([^()]*)\)$", r"\1", text)
    row = len(node.parents) // len(node.op.rule)
    names = {"y": label(node)}
    names |= {x: label(p) for x, p in zip("ab", node.parents[operand % row :: row], strict=False)}
    return re.sub(r"(?<![^\W\d])[aby](?![A-Za-z])", lambda found: names[found[0]], text)


def total(sum: Any) -> str:
    """Write a sum of contributions: a number, the length of an array, 0 before the first."""
    if sum is None:
        return "0"
    return f"‖{show(norm(sum))}‖" if getattr(sum, "shape", ()) else show(sum)


def describe(node: Any) -> str:
    """Say which node this is, for a message: operation, name, scope, site, as far as known."""
    words = [node.op.name if node.op else "leaf", node.name and repr(node.name)]
    words += [node.scope and f"in {node.scope}", node.site and f"at {node.site}"]
    return " ".join(filter(None, words))


class Contribution(NamedTuple):
    """What a step sends to one parent, whose sum in this pass goes from `before` to `after`."""

    parent: Any
    local: Any  # ∂node/∂parent, where that is one number; None of a Tensor
    value: Any  # upstream × local
    before: Any  # None: nothing has arrived yet
    after: Any

    def __repr__(self) -> str:
        return self.sentence()

    def sentence(self, upstream: Any = None) -> str:
        """Say what was sent; with the upstream gradient, as the product that it is."""
        if not self.parent.requires_grad:
            return f"{label(self.parent)}: a constant"
        known = upstream is not None and self.local is not None
        product = f"{show(upstream)} × {show(self.local)} = " if known else ""
        moved = f"{total(self.before)} → {total(self.after)}"
        return f"{label(self.parent)}: {product}{show(self.value)}, grad {moved}"


class Step(NamedTuple):
    """One operation of a backward pass: its gradient, and what it sends on to its parents."""

    index: int  # type: ignore[assignment]  # from 0
    node: Any
    upstream: Any  # ∂L/∂node, complete
    contributions: tuple[Contribution, ...]  # one per parent
    rule: tuple[str, ...] | None  # one text per operand

    def __repr__(self) -> str:
        sent = [each.sentence(self.upstream) for each in self.contributions]
        upstream = [f"ḡ = {show(self.upstream)}"] if hasattr(self.upstream, "shape") else []
        return "   ".join([_opening(self.index, self.node), *upstream, *sent])


class ForwardStep(NamedTuple):
    """One operation of a forward pass: what it makes of its operands."""

    index: int  # type: ignore[assignment]  # from 0, in the order in which they were done
    node: Any
    operands: tuple[Any, ...]  # their data
    result: Any

    def __repr__(self) -> str:
        if hasattr(self.result, "shape"):
            return f"{_opening(self.index, self.node)}   = {show(self.result)}"
        arithmetic = expression(self.node, lambda operand: show(operand.data))
        return f"{_opening(self.index, self.node)} = {arithmetic} = {show(self.result)}"


def forward_steps(operations: Iterable[Any]) -> Iterator[ForwardStep]:
    """Yield a step for each operation, in the order in which they were done."""
    for i, node in enumerate(sorted(operations, key=lambda node: node.made)):
        yield ForwardStep(i, node, tuple(parent.data for parent in node.parents), node.data)


def _opening(index: int, node: Any) -> str:
    name = f"{node.name} = " if node.name else ""
    scope = f"   {node.scope}" if node.scope else ""
    return f"{index + 1}  {node.op.symbol or node.op.name}  {name}{expression(node)}{scope}"
