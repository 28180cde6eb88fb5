"""Source text of expressions: the text that created a node, and how to write it as an operand.

A location has the lines and columns of an expression, as CPython records them for tracebacks.
"""

from __future__ import annotations

import ast
import linecache
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from autolm.engine.graph import Node
from autolm.engine.location import Frame

MAX_SOURCE = 60  # characters of source text that can be a name


def source_texts(nodes: Collection[Node], variables: Mapping[str, Any]) -> dict[Node, str]:
    """Return the source text of each node whose expression made no other node.

    Three kinds of results have no text: intermediate results of one call, such as the partial sums
    of `sum(xs)`; results of an expression that ran more than once; and results of an expression
    whose variable was assigned a later result, to which the text would now refer. A text from
    inside a function uses the names of that function.
    """
    partial = {p for n in nodes if n.location for p in n.parents if p.location is n.location}
    places = {n: n.location.user for n in nodes if n.location and n.parents and n not in partial}
    runs = Counter(place[:5] for place in places.values())
    later = {name: abs(v.order) for name, v in variables.items() if issubclass(type(v), Node)}
    texts = {}
    for node, place in places.items():
        text = expression_at(place) if runs[place[:5]] == 1 else ""
        if text and len(text) <= MAX_SOURCE:
            names = [part.id for part in ast.walk(ast.parse(text)) if isinstance(part, ast.Name)]
            if all(later.get(name, 0) <= abs(node.order) for name in names):
                texts[node] = text
    return texts


def expression_at(frame: Frame) -> str:
    """Return the text of the expression at a location, in one line; empty if there is none."""
    path, line, end_line, column, end_column = frame[:5]
    if None in (line, end_line, column, end_column):
        return ""
    lines = [text.encode() for text in linecache.getlines(path)[line - 1 : end_line]]
    if len(lines) != end_line - line + 1:
        return ""
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    text = b"".join(lines).decode(errors="replace")
    tree = parsed_expression(text)  # None for a statement such as `total += x`
    if tree is None:
        return ""
    return text if expression_in_line(text) else ast.unparse(tree)  # in one line, no comments


@cache
def parsed_expression(text: str) -> ast.expr | None:
    """Parse a text as one expression, which may take several lines; None if it is not one."""
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


@cache
def expression_in_line(text: str) -> ast.expr | None:
    """Parse a text that can be part of another expression; None if it cannot."""
    if not text.isprintable() or "#" in text:
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


# Precedence of operators, as in Python's grammar.
_BINDING: dict[type, int] = {
    ast.Add: 1,
    ast.Sub: 1,
    ast.Mult: 2,
    ast.Div: 2,
    ast.MatMult: 2,
    ast.USub: 3,
    ast.Pow: 4,
}
_SIGNS = {"+": 1, "−": 1, "·": 2, "×": 2, "/": 2, "@": 2}
ATOM = 9


def operand_text(text: str, sign: str, *, right: bool = False) -> str:
    """Write an operand of an operator, in parentheses if precedence requires them.

    >>> operand_text("a + b", "·"), operand_text("a*b", "+"), operand_text("w[0]", "·")
    ('(a + b)', 'a*b', 'w[0]')
    >>> operand_text("a + b", "−"), operand_text("a + b", "−", right=True)
    ('a + b', '(a + b)')
    """
    least = _SIGNS.get(sign, ATOM) + (right and sign in "−/")
    return text if binding(text) >= least else f"({text})"


def is_atom(text: str) -> bool:
    """Whether a text can precede a dot: `x`, `w[0]`, `f(x)`, not `a + b`.

    >>> is_atom("w[0]"), is_atom("a + b")
    (True, False)
    """
    return binding(text) == ATOM


@cache
def binding(text: str) -> int:
    """Return the precedence of an expression's outermost operator; ATOM if it has none."""
    body = expression_in_line(text)
    if body is None:
        return 0 if " " in text else ATOM
    match body:
        case ast.BinOp() | ast.UnaryOp():
            return _BINDING.get(type(body.op), 0)
        case (
            ast.Name()
            | ast.Call()
            | ast.Attribute()
            | ast.Subscript()
            | ast.Constant()
            | ast.Tuple()
            | ast.List()
        ):
            return ATOM
    return 0
