"""What pictures write about a node: numbers in four digits, arrays as shape and peek, names, hints.

Everything here is plain text of visible signs; `markup.py` makes it safe for DOT, SVG and HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from autolm.drawing.markup import visible
from autolm.engine.graph import Node

NOT_COMPUTED = "–"
PEEK = 3  # how many elements of an array are shown
LONGEST_NAME = 28  # characters; the hint has the whole name
INFIX = ("add", "sub", "mul", "div", "pow", "matmul")
COMMUTATIVE = ("add", "mul", "maximum", "minimum")


def number(x: float) -> str:
    """Write a number in four significant digits, with a proper minus sign.

    >>> number(-0.70710678), number(float("inf")), number(2.0)
    ('−0.7071', 'inf', '2')
    """
    return f"{float(x):.4g}".replace("-", "−")


def count(n: int) -> str:
    """Write a whole number in groups of three digits, which no line break parts.

    >>> count(14208).split()
    ['14', '208']
    """
    return f"{n:,}".replace(",", "\N{NO-BREAK SPACE}")


def shape(array: Any) -> str:
    """Write the shape of an array; empty for a single number."""
    return "×".join(map(str, np.shape(array)))


def peek(array: Any) -> str:
    """Write a number, or the first numbers of an array."""
    if np.ndim(array) == 0:
        return number(array) if np.asarray(array).dtype.kind in "iuf" else str(array)
    array = np.asarray(array)
    first = [peek(element) for element in islice(array.flat, PEEK)]
    return " ".join(first) + (" …" if array.size > PEEK else "")


def gradient(node: Node) -> str:
    """Write the gradient of a node; "not computed" is not 0."""
    return peek(node.grad) if node.has_grad else NOT_COMPUTED


def extent(arrays: Iterable[Any]) -> str:
    """Write several numbers or arrays as their smallest and largest element; one as its peek."""
    arrays = list(arrays)
    if not arrays:
        return NOT_COMPUTED
    if len(arrays) == 1:
        return peek(arrays[0])
    if isinstance(arrays[0], float):
        low, high, ordered = min(arrays), max(arrays), all(x == x for x in arrays)
    else:
        low, high = min(map(np.min, arrays)), max(map(np.max, arrays))
        ordered = not any(np.isnan(array).any() for array in arrays)
    if not ordered:
        return "nan"
    return number(low) if low == high else f"{number(low)} … {number(high)}"


def is_finite(node: Node) -> bool:
    """Whether the data, and the gradient if there is one, are finite."""
    return are_finite(node.data) and (not node.has_grad or are_finite(node.grad))


def are_finite(data: Any) -> bool:
    """Whether a number, or every number of an array, is finite."""
    if isinstance(data, float):
        return math.isfinite(data)
    return data.dtype.kind != "f" or bool(np.isfinite(data).all())


def short(text: str, longest: int = LONGEST_NAME) -> str:
    """Cut a long text, and keep it in its line."""
    text = visible(text[:longest]) + text[longest:]
    return text if len(text) <= longest else text[: longest - 1] + "…"


def name(node: Node) -> str:
    """Return the name of a node inside the box of its scope: its last part."""
    return node.name.removeprefix(f"{node.scope}.") if node.scope else node.name


def base_name(node: Node) -> str:
    """Return the name of the array that a Value is an element of: `W_Q` for `W_Q[3,5]`."""
    text = name(node)
    return text.rpartition("[")[0] if text.endswith("]") else text


def symbol(node: Node) -> str:
    """Return the sign of the operation that made a node; a dot alone would not be seen."""
    op = node.op
    return (op.symbol if op.symbol and op.symbol != "·" else op.name) if op else ""


def rule(node: Node, operand: int) -> str:
    """Return the text of the gradient rule for one operand, as far as the record has it."""
    rules: Sequence[str] = node.op.rule if node.op else ()
    return rules[operand * len(rules) // len(node.parents)] if rules else ""


def role(node: Node, operand: int) -> str:
    """Say which operand of an operation this is, if the order of its operands matters."""
    op, number = node.op, len(node.parents)
    if op is None or number < 2 or op.name in COMMUTATIVE or "…" in op.formula:
        return ""
    if number == 2 and op.name in INFIX:
        return ("1st", "2nd")[operand]
    code = getattr(getattr(op, "forward", None), "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else ()
    return names[operand] if operand < len(names) else ""


def formula(node: Node) -> str:
    """Write an operation as an equation for its result y; empty where the record has none."""
    text = node.op.formula if node.op else ""
    return text if not text or (text[0] == "y" and "=" in text) else f"y = {text}"


def called(node: Node) -> str:
    """Say which node this is, in a line of arithmetic: its name, or what it is."""
    if node.name:
        return short(name(node))
    if node.parents:
        return symbol(node)
    return number(node.data) if np.ndim(node.data) == 0 else f"array {shape(node.data)}"


def hint(node: Node) -> str:
    """Write all that is known of a node: for the text that appears under the pointer."""
    lines = [visible(node.name)] if node.name else []
    if node.op:
        lines += [f"{node.op.name}: {node.op.formula}" if node.op.formula else node.op.name]
        told = [f"{key}={_told(value)}" for key, value in node.attributes.items()]
        lines += [", ".join(told)] if told else []
        lines += [f"gradient: {text}" for text in dict.fromkeys(node.op.rule or ())]
    elif not node.requires_grad:
        lines += ["constant: no gradient reaches it"]
    lines += [f"shape {shape(node.data)} {node.data.dtype}"] if np.ndim(node.data) else []
    lines += [f"data {node.data!r}"] if np.ndim(node.data) == 0 else []
    lines += [f"scope {node.scope}"] if node.scope else []
    lines += [f"made at {node.site}"] if node.site else []
    return "\n".join(lines)


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array {shape(value)}"
    return short(repr(value))  # a list may be an index of unequal parts, and no array
