"""One step of a pass through a graph, and how it reads: what each number, node and slope is called.

A step is what a learner looks at, in a loop, at the debugger's prompt or in the variables pane of
an editor. So it says in one line what happened, and this file decides the words: the stepper, the
debugger and the explanations all use them.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from autolm.engine.backprop import Contribution, Step
from autolm.engine.graph import ForwardStep

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


def sent(contribution: Contribution, upstream: Any = None) -> str:
    """Say what a parent was sent; with the upstream gradient, as the product that it is."""
    parent, local, value, before, after = contribution
    if not parent.requires_grad:
        return f"{label(parent)}: a constant"
    known = upstream is not None and local is not None
    product = f"{show(upstream)} × {show(local)} = " if known else ""
    return f"{label(parent)}: {product}{show(value)}, grad {total(before)} → {total(after)}"


def backward_line(step: Step) -> str:
    """Say what one operation of a backward pass receives, and what it sends to each parent."""
    upstream = [f"ḡ = {show(step.upstream)}"] if hasattr(step.upstream, "shape") else []
    sentences = [sent(each, step.upstream) for each in step.contributions]
    return "   ".join([_opening(step), *upstream, *sentences])


def forward_line(step: ForwardStep) -> str:
    """Say what one operation of a forward pass makes of its operands."""
    if hasattr(step.result, "shape"):
        return f"{_opening(step)}   = {show(step.result)}"
    arithmetic = expression(step.node, lambda operand: show(operand.data))
    return f"{_opening(step)} = {arithmetic} = {show(step.result)}"


def _opening(step: Any) -> str:
    index, node = step.index, step.node
    name = f"{node.name} = " if node.name else ""
    scope = f"   {node.scope}" if node.scope else ""
    return f"{index + 1}  {node.op.symbol or node.op.name}  {name}{expression(node)}{scope}"
