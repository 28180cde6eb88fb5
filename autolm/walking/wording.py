"""Text for numbers, nodes, operations and steps, shared by every front end.

A loop that prints steps, the debugger's prompt, an editor, a drawing and a page all use these
functions, so that the wording is defined once. The result is plain text of visible characters;
`drawing/markup.py` escapes it for DOT, SVG and HTML.
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from autolm.engine.backprop import Contribution, Step
from autolm.engine.graph import ForwardStep, Node
from autolm.engine.location import Frame
from autolm.outside.message import message
from autolm.walking.array_adapter import adapter_of
from autolm.walking.program_names import (
    SourceText,
    names_when_stepping,
    program_name,
    use_names,
)
from autolm.walking.source import is_atom, operand_text

NOT_COMPUTED = "–"
PEEK = 3  # how many numbers of an array are shown
LONGEST_NAME = 28  # characters; the hint has the whole name
INFIX = ("add", "sub", "mul", "div", "pow", "matmul")
POWER = "aᵇ⁻¹"  # how the records write the power with the exponent minus 1
RAISED = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COMMUTATIVE = ("add", "mul", "maximum", "minimum")
SIGNS = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})  # for white space in a token

# Numbers


def number(x: float) -> str:
    """Write a number in four significant digits, with a proper minus sign.

    >>> number(-0.70710678), number(float("inf")), number(2.0)
    ('−0.7071', 'inf', '2')
    """
    return f"{float(x):.4g}".replace("-", "−")


def count(n: int) -> str:
    """Write a whole number in groups of three digits, joined by no-break spaces.

    >>> count(14208).split()
    ['14', '208']
    """
    return f"{n:,}".replace(",", "\N{NO-BREAK SPACE}")


def shape(array: Any) -> str:
    """Write the shape of an array; empty for a single number."""
    return "×".join(map(str, adapter_of(array).shape))


def peek(array: Any) -> str:
    """Write a number, or the first numbers of an array."""
    numbers = adapter_of(array)
    if not numbers.has_numbers:
        return NOT_COMPUTED
    first = [_element_text(element) for element in numbers.first(PEEK)]
    return " ".join(first) + (" …" if numbers.size > PEEK else "")


def _element_text(element: Any) -> str:
    is_real = isinstance(element, int | float | np.integer | np.floating)
    is_number = is_real and not isinstance(element, bool)
    return number(element) if is_number else str(element)


def show(value: Any) -> str:
    """Write a number in four digits; an array as its shape, its norm and its first numbers.

    >>> show(-0.70710678), show(None)
    ('−0.7071', '–')
    """
    if value is None:
        return NOT_COMPUTED
    if isinstance(value, float) or adapter_of(value).shape == ():
        return peek(value)
    if not adapter_of(value).has_numbers:
        return message("{shape} of unknown numbers", shape=shape(value))
    return f"{shape(value)} ‖{number(norm(value))}‖ [{peek(value)}]"


def norm(array: Any) -> float:
    """Return the Euclidean norm of an array."""
    return float(adapter_of(array).norm())


def total(sum: Any) -> str:
    """Write a sum of contributions: a number, or the norm of an array; "–" before the first."""
    if sum is None or isinstance(sum, float) or adapter_of(sum).shape == ():
        return show(sum)
    return f"‖{number(norm(sum))}‖"


def gradient(node: Node) -> str:
    """Write the gradient of a node; "–" if it was not computed."""
    return peek(node.grad) if node.has_grad else NOT_COMPUTED


def extent(arrays: Iterable[Any]) -> str:
    """Write several numbers or arrays as their smallest and largest element; one as its peek."""
    arrays = list(arrays)
    if len(arrays) == 1:
        return peek(arrays[0])
    if all(isinstance(item, float) for item in arrays):
        ends = arrays
    else:
        adapters = (item for item in map(adapter_of, arrays) if item.has_numbers and item.size)
        ends = [end for item in adapters for end in item.extent()]
    if not ends:
        return NOT_COMPUTED
    low, high = min(ends), max(ends)
    if any(x != x for x in ends):
        return "nan"
    return number(low) if low == high else f"{number(low)} … {number(high)}"


def has_finite_gradient(node: Node) -> bool:
    """Whether the gradient of a node is finite or absent."""
    return not node.has_grad or are_finite(node.grad)


def are_finite(data: Any) -> bool:
    """Whether a number, or every number of an array, is finite."""
    if isinstance(data, float):
        return math.isfinite(data)
    return bool(adapter_of(data).is_finite())


# Names


def label(node: Node) -> str:
    """Return the name of a node; without one, a leaf's number or a result's operation.

    >>> from autolm import Value
    >>> x = Value(2.0, name="x")
    >>> label(x), label(x * 3), label((x * 3).parents[1])
    ('x', 'mul', '3')
    """
    text = known_name(node)
    if text:
        return text
    if node.op:
        return str(node.op.name)
    numbers = adapter_of(node.data)
    return show(node.data) if numbers.size == 1 else f"array{tuple(numbers.shape)}"


def known_name(node: Node) -> str:
    """Return the name of a node, or the program's name for it; empty without both."""
    return name(node) or program_name(node)


def name(node: Node) -> str:
    """Return the name of a node without its scope."""
    return node.name.removeprefix(f"{node.scope}.") if node.scope else node.name


def grad_of(name: str) -> str:
    """Write the expression for the gradient of the node with this name.

    >>> grad_of("w[0]"), grad_of("a*b")
    ('w[0].grad', '(a*b).grad')
    """
    return f"{name}.grad" if is_atom(name) else f"({name}).grad"


def base_name(node: Node) -> str:
    """Return the name of the array that a Value is an element of: `W_Q` for `W_Q[3,5]`."""
    text = known_name(node)
    return text if isinstance(text, SourceText) else re.sub(r"(?<=.)\[[\d, ]+\]$", "", text)


def short(text: str, longest: int = LONGEST_NAME) -> str:
    """Truncate a text and keep it in one line; a SourceText remains one."""
    text_shown = visible(text[:longest]) + text[longest:]
    return type(text)(text_shown if len(text_shown) <= longest else text_shown[: longest - 1] + "…")


def visible(text: str) -> str:
    r"""Replace characters that XML forbids or that break lines by visible symbols.

    >>> visible("a\x00\nb")
    'a␀␊b'
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    is_unfit = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or (
        code & 0xFFFE == 0xFFFE
    )
    return "\N{REPLACEMENT CHARACTER}" if is_unfit else character


def visible_token(token: str) -> str:
    r"""Write a token in visible characters: white space as symbols, other controls as escapes.

    >>> visible_token(" a\n"), visible_token("\x00\ufeff"), visible_token("é")
    ('␣a⏎', '\\x00\\ufeff', 'é')
    """
    signs = token.translate(SIGNS)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in signs)


# Operations


def symbol(node: Node) -> str:
    """Return the symbol of a node's operation; its name if the symbol is only a dot."""
    op = node.op
    return (op.symbol if op.symbol and op.symbol != "·" else op.name) if op else ""


def formula(node: Node) -> str:
    """Write an operation as an equation for its result y; empty without a formula."""
    text = node.op.formula if node.op else ""
    return text if not text or (text[0] == "y" and "=" in text) else f"y = {text}"


def rule(node: Node, operand: int) -> str:
    """Return the record's text of the rule for one operand; empty if it has none."""
    rules: Sequence[str] = node.op.rule if node.op else ()
    text = rules[operand * len(rules) // len(node.parents)] if rules else ""
    return _with_exponent(text, node.parents[1]) if POWER in text else text


def _with_exponent(text: str, exponent: Node) -> str:
    """Write the exponent into the rule of a power, if it is one constant number."""
    if exponent.requires_grad or exponent.parents or adapter_of(exponent.data).size != 1:
        return text
    (b,) = map(float, adapter_of(exponent.data).first(1))
    rest = number(b - 1)
    power = {"0": "", "1": " · a"}.get(rest, f" · a{rest.translate(RAISED)}")
    power = power if rest.removeprefix("−").isdigit() else f" · a^{rest}"
    return text.replace(" · b", "" if b == 1 else f" · {number(b)}").replace(f" · {POWER}", power)


def role(node: Node, operand: int) -> str:
    """Name an operand by its position or parameter, if the order of operands matters."""
    op, number = node.op, len(node.parents)
    if op is None or number < 2 or op.name in COMMUTATIVE or "…" in op.formula:
        return ""
    if number == 2 and op.name in INFIX:
        return ("1st", "2nd")[operand]
    code = getattr(getattr(op, "forward", None), "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else ()
    return names[operand] if operand < len(names) else ""


def expression(node: Any, label: Callable[[Any], str] = label) -> str:
    """Write how a node was computed: `x + b`, `tanh(n)`, `sum(a, b, … 14 more)`."""
    op, operands = node.op, [label(parent) for parent in node.parents]
    if op is None:
        return label(node)
    if op.name == "neg":
        return f"−{operand_text(operands[0], '·')}"
    infix = re.fullmatch(r"a (\S) b", op.formula) or re.fullmatch(r"([^\w\s])", op.symbol)
    if len(operands) == 2 and infix:
        first, second = (
            operand_text(operands[0], infix[1]),
            operand_text(operands[1], infix[1], right=True),
        )
        return f"{first} {infix[1]} {second}"
    if len(operands) > 4:
        operands[3:] = [f"… {count(len(operands) - 3)} more"]
    return f"{op.name}({', '.join(operands + attributes(node))})"


def attributes(node: Node) -> list[str]:
    """Write the attributes of an operation, as `axis=0`; positional ones without a name."""
    texts = ((name, _attribute_text(value)) for name, value in node.attributes.items())
    return [text if name.isdigit() else f"{name}={text}" for name, text in texts]


def slope(node: Any, operand: int, label: Callable[[Any], str] = label) -> str:
    """Write ∂node/∂operand of a Value by the names of its nodes; empty if it is not short.

    The rule of a product is ḡ · b, the upstream gradient times b. So its slope is the name of the
    other factor.
    """
    text = rule(node, operand).replace(POWER, "a^(b − 1)")
    if not text or re.search(r"[ᵃᵇ<>]|where", text):
        return ""
    text = text.replace("ḡ · ", "").replace("ḡ", "1")
    text = re.sub(r"^\(([^()]*)\)$", r"\1", text)
    row = len(node.parents) // len(node.op.rule)
    names = {"y": label(node)}
    names |= {x: label(p) for x, p in zip("ab", node.parents[operand % row :: row], strict=False)}
    alone = len(text) == 1

    def operand_name(match: re.Match[str]) -> str:
        name = names[match[0]]
        return name if alone or is_atom(name) else f"({name})"

    return re.sub(r"(?<![^\W\d])[aby](?![A-Za-z])", operand_name, text)


def hint(node: Node) -> str:
    """Describe a node in several lines, for a tooltip."""
    whole = node.name or known_name(node)
    lines = [visible(whole)] if whole else []
    if node.op:
        lines += [f"{node.op.name}: {node.op.formula}" if node.op.formula else node.op.name]
        lines += [", ".join(attributes(node))] if node.attributes else []
        lines += [f"gradient: {text}" for text in dict.fromkeys(node.op.rule or ())]
    elif not node.requires_grad:
        lines += ["constant: no gradient reaches it"]
    numbers = adapter_of(node.data)
    lines += [f"shape {shape(node.data)} {numbers.dtype}"] if numbers.shape else []
    lines += [] if numbers.shape else [f"data {node.data!r}"]
    lines += [f"scope {node.scope}"] if node.scope else []
    lines += [f"made at {file_line(node.location.user)}"] if node.location else []
    return "\n".join(lines)


def file_line(frame: Frame) -> str:
    """Write FILE:LINE of a call, with the file's path relative to a folder of `sys.path`.

    A file outside of these folders is written by its name alone, so that published pages do not
    show the folders of the author's machine.
    """
    path = FilePath(frame.path)
    roots = [FilePath(home).resolve() for home in sys.path if home]
    relative_paths = [path.relative_to(home) for home in roots if path.is_relative_to(home)]
    shortest = min(
        relative_paths, key=lambda path_inside: len(path_inside.parts), default=FilePath(path.name)
    )
    return f"{shortest.as_posix()}:{frame.line}"


def _attribute_text(attribute: Any) -> str:
    if isinstance(attribute, np.ndarray) and attribute.ndim == 0:
        attribute = attribute.item()
    text = f"array {shape(attribute)}" if getattr(attribute, "shape", ()) else repr(attribute)
    return text if len(text) <= 20 else f"{text[:19]}…"


# Steps


def contribution_line(contribution: Contribution, upstream: Any = None) -> str:
    """Describe a contribution; with the upstream gradient, as a product."""
    parent, local, value, before, after = contribution
    if not parent.requires_grad:
        return f"{label(parent)}: a constant"
    has_product = upstream is not None and local is not None
    product = f"{show(upstream)} × {show(local)} = " if has_product else ""
    return f"{label(parent)}: {product}{show(value)}, grad {total(before)} → {total(after)}"


def backward_line(step: Step) -> str:
    """Describe a step: its upstream gradient and its contribution to each parent."""
    upstream = [f"ḡ = {show(step.upstream)}"] if hasattr(step.upstream, "shape") else []
    sentences = [
        contribution_line(contribution, step.upstream) for contribution in step.contributions
    ]
    return "   ".join([_opening(step), *upstream, *sentences])


def forward_line(step: ForwardStep) -> str:
    """Describe a step of a forward pass: the operation and its result."""
    if hasattr(step.result, "shape"):
        return f"{_opening(step)}   = {show(step.result)}"
    arithmetic = expression(step.node, lambda operand: show(operand.data))
    return f"{_opening(step)} = {arithmetic} = {show(step.result)}"


def printed_step(step: Step) -> str:
    """Describe a step for a program that prints it, with that program's names."""
    with use_names(names_when_stepping(step.node, *step.node.parents)):
        return backward_line(step)


def printed_contribution(contribution: Contribution) -> str:
    """Describe a contribution for a program that prints it, with that program's names."""
    with use_names(names_when_stepping(contribution.parent)):
        return contribution_line(contribution)


def printed_forward_step(step: ForwardStep) -> str:
    """Describe a step of a forward pass for a program that prints it, with its names."""
    with use_names(names_when_stepping(step.node, *step.node.parents)):
        return forward_line(step)


def assignment(node: Node, label: Callable[[Any], str] = label) -> str:
    """Write the name of a node and its operation: `o = tanh(n)`, or only `x1*w[0]`.

    A name that is source text already shows the operation.
    """
    name, text = label(node), expression(node, label)
    if isinstance(name, SourceText) or isinstance(known_name(node), SourceText):
        return known_name(node) or name
    return text if name == node.op.name else f"{name} = {text}"


def _opening(step: Any) -> str:
    index, node = step.index, step.node
    scope = f"   {node.scope}" if node.scope else ""
    return f"{index + 1}  {symbol(node)}  {assignment(node)}{scope}"
