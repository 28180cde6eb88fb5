"""What the source of a program says of an operation: `x1*w[0]`, if that is still what made it.

A site knows the columns of the expression that made a node. Its text is a name only if it means
this very node: an operand that the program has rebound since goes by its name of now, and where
that is not known there is no source. So a name never says what is not so.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from autolm.engine.graph import Node
from autolm.engine.hooks import known_node
from autolm.engine.site import Frame, Site
from autolm.walking.reading import reading

LONGEST = 60  # characters of source; what is longer is told by its operation
OPERATIONS: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "matmul",
    ast.Pow: "pow",
    ast.USub: "neg",
}
_NOTHING = object()


class Sources:
    """Reads the source of nodes, whose operands have `names` and whose program has `variables`."""

    def __init__(
        self, nodes: Collection[Node], names: Mapping[Node, str], variables: Mapping[str, Any]
    ) -> None:
        self.names, self.variables = names, variables
        # What a call uses on the way to its result, such as the sums of the first terms of a list.
        self.inner = {p for n in nodes if n.site for p in n.parents if p.site is n.site}
        sites = (n.site for n in nodes if n.parents and n not in self.inner)
        self.made_at = Counter(site.user[:5] for site in sites if site)
        # Of an expression in a loop, for all of its nodes:
        self.expressions, self.form = cache(expression_at), cache(ast.dump)
        self.resolve, self.bound = cache(self._resolved), cache(self._bound)
        self.is_alone = cache(self._made_one)

    def __call__(self, node: Node) -> str:
        """Return the source of a node; empty where it is not known, too long or no longer so."""
        site = node.site
        if site is None or not node.parents:
            return ""
        found = self.expressions(site.user)
        if found is None:
            return ""
        text, tree = found
        for operands in self._operands(node, tree):
            said = self._with_operands(node, text, tree, operands)
            if said:
                return said if len(said) <= LONGEST else ""
        is_total = isinstance(tree, ast.Call) and self._is_total(node, tree)
        return text if is_total and len(text) <= LONGEST else ""

    def _operands(self, node: Node, tree: ast.expr) -> Iterator[list[ast.expr]]:
        """Yield which parts of an expression may be the operands of the operation."""
        name = node.op.name
        match tree:
            case ast.BinOp() if OPERATIONS.get(type(tree.op)) == name:
                yield [tree.left, tree.right]
            case ast.UnaryOp() if OPERATIONS.get(type(tree.op)) == name:
                yield [tree.operand]
            case ast.Subscript() if name == "getitem" and _is_literal(tree.slice):
                yield [tree.value]
            case ast.Attribute(attr="T") if name == "transpose":
                yield [tree.value]
            case ast.Call() if node not in self.inner and _called(tree.func) == name:
                given = list(_flat(tree.args))
                if isinstance(tree.func, ast.Attribute) and not self._is_library(tree.func.value):
                    yield [tree.func.value, *given]
                yield given

    def _is_library(self, tree: ast.expr) -> bool:
        return isinstance(self.resolve(tree), ModuleType | type)

    def _with_operands(
        self, node: Node, text: str, tree: ast.expr, operands: Sequence[ast.expr]
    ) -> str:
        """Return the text, with the operands as they are called now; empty if they are not these.

        What follows the operands in a call must be what the operation was told.
        """
        parents = node.parents
        if isinstance(tree, ast.Call):
            keywords = [(keyword.arg, keyword.value) for keyword in tree.keywords]
            others = [*((None, each) for each in operands[len(parents) :]), *keywords]
            if not all(self._was_told(node, key, value) for key, value in others):
                return self._of_lists(node, text, tree)
        if len(operands) < len(parents):
            return self._of_lists(node, text, tree)
        pairs = list(zip(operands, parents, strict=False))
        names = [self._operand(expression, parent, node) for expression, parent in pairs]
        if None in names:
            return ""
        for (expression, _), name in zip(pairs[::-1], names[::-1], strict=True):
            if name:
                before, after = _around(text, expression)
                least = 0 if before.endswith(("(", ", ")) else _least(tree, expression)
                name = name if binding(name) >= least else f"({name})"
                text = f"{before}{name}{after}"
        return text

    def _of_lists(self, node: Node, text: str, tree: ast.expr) -> str:
        """Return the text of a call that was given its operands in lists."""
        if not isinstance(tree, ast.Call) or tree.keywords:
            return ""
        given = [each for argument in tree.args for each in _items(self.resolve(argument))]
        return text if _are(given, node.parents) else ""

    def _made_one(self, site: Site) -> bool:
        """Whether no other was made by the expression at a site, in a loop or another call."""
        return self.made_at[site.user[:5]] <= 1

    def _operand(self, tree: ast.expr, node: Node, result: Node) -> str | None:
        """Return "" if an expression means this node, else what it is called; None if nothing.

        What a function called its own cannot be looked up any more: it is believed if it was said
        of one node only.
        """
        value = self.resolve(tree)
        if value is node or (_is_constant(node) and _is_number(value, node.data)):
            return ""
        name = node.name or self.names.get(node, "")
        if name:
            parsed = expression_in_line(name)
            if parsed is None:
                return None
            return "" if self.form(parsed) == self.form(tree) else name
        if _is_constant(node) and np.ndim(node.data) == 0:
            number = float(node.data)
            return (
                repr(int(number) if number.is_integer() else number)
                if math.isfinite(number)
                else None
            )
        is_gone = value is _NOTHING and not self.bound(tree)
        return "" if is_gone and self.is_alone(result.site) else None

    def _bound(self, tree: ast.AST) -> list[Any]:
        """List what the names in an expression, and not of its own, hold now, but functions."""
        names = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
        own = {each.id for each in names if isinstance(each.ctx, ast.Store)}
        known = ({each.id for each in names} - own) & self.variables.keys()
        held = [self.variables[name] for name in known]
        return [each for each in held if not (callable(each) or isinstance(each, ModuleType))]

    def _has_gone(self, tree: ast.AST) -> bool:
        """Whether an expression uses names that are no more, and not its own."""
        names = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
        own = {each.id for each in names if isinstance(each.ctx, ast.Store)}
        return any(
            each.id not in self.variables and each.id not in own and not hasattr(builtins, each.id)
            for each in names
        )

    def _was_told(self, node: Node, keyword: str | None, tree: ast.expr) -> bool:
        if _is_literal(tree):
            return True
        value = self.resolve(tree)
        told = node.attributes
        of = [told.get(keyword, _NOTHING)] if keyword else list(told.values())
        return any(each is value or _is_same(each, value) for each in of)

    def _is_total(self, node: Node, tree: ast.Call) -> bool:
        """Whether a node is what Python's own `sum(...)` came to."""
        is_sum = isinstance(tree.func, ast.Name) and tree.func.id == "sum"
        if not is_sum or self.variables.get("sum", builtins.sum) is not builtins.sum:
            return False
        if node.op.name != "add" or node in self.inner:
            return False
        terms = []
        start = node
        while len(start.parents) == 2 and start.op.name == "add" and start.site is node.site:
            start, term = start.parents
            terms.append(term)
        if isinstance(tree.args[0], ast.GeneratorExp | ast.ListComp):
            if not self.is_alone(node.site) and self._has_gone(tree):
                return False
            made_of = self._made_of(node, [start, *terms])
            return all(
                each in made_of
                if isinstance(each, Node)
                else any(_is_number(each, one.data) for one in made_of if _is_constant(one))
                for value in self.bound(tree)
                for each in _items(value)
            )
        given = _items(self.resolve(tree.args[0]))
        return _are(given, terms[::-1])

    def _made_of(self, node: Node, found: Iterable[Node]) -> set[Node]:
        """Return what is used inside the lines of the expression that made a node."""
        assert node.site is not None
        lines = node.site.user
        waiting, seen = list(found), set[Node]()
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                place = each.site.user if each.site else None
                if place and place.path == lines.path and _within(place, lines):
                    waiting.extend(each.parents)
        return seen

    def _resolved(self, tree: ast.expr) -> Any:
        """Return what an expression holds in the program now, as far as looking does nothing."""
        value = self._held(tree)
        node = known_node(value)
        return value if node is None else node

    def _held(self, tree: ast.expr) -> Any:
        match tree:
            case ast.Constant():
                return tree.value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.Name():
                return self.variables.get(tree.id, _NOTHING)
            case ast.List() | ast.Tuple():
                return [self.resolve(each) for each in tree.elts]
            case ast.Attribute():
                owner = self.resolve(tree.value)
                if isinstance(owner, tuple) and tree.attr in getattr(owner, "_fields", ()):
                    return getattr(owner, tree.attr)
                return getattr(owner, "__dict__", {}).get(tree.attr, _NOTHING)
            case ast.Subscript():
                owner, key = self.resolve(tree.value), self.resolve(tree.slice)
                key = tuple(key) if isinstance(key, list) else key
                try:
                    known = type(owner) in (list, tuple, dict, np.ndarray)
                    return owner[key] if known else _NOTHING
                except (LookupError, TypeError):
                    return _NOTHING
        return _NOTHING


def expression_at(frame: Frame) -> tuple[str, ast.expr] | None:
    """Return the expression at a place in a file, in one line, as text and parsed."""
    path, line, end_line, column, end_column = frame[:5]
    if None in (line, end_line, column, end_column):
        return None
    lines = [text.encode() for text in linecache.getlines(path)[line - 1 : end_line]]
    if len(lines) != end_line - line + 1:
        return None
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    text = b"".join(lines).decode(errors="replace")
    tree = parsed_expression(text)
    if tree is None:
        return None
    plain = expression_in_line(text)
    if plain is not None:
        return text, plain
    text = ast.unparse(tree)  # in one line, without comments
    return text, ast.parse(text, mode="eval").body


@cache
def parsed_expression(text: str) -> ast.expr | None:
    """Parse an expression; of an assignment such as `total += x`, the sum that it makes."""
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.AugAssign):
        return None
    target, op, value = body[0].target, body[0].op, body[0].value
    text = ast.unparse(ast.BinOp(target, op, value))
    return ast.parse(text, mode="eval").body


@cache
def expression_in_line(text: str) -> ast.expr | None:
    """Parse a text that can stand inside another expression; None if it cannot."""
    if not text.isprintable() or "#" in text:
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


# How tightly operators bind, as in Python's grammar.
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


def beside(text: str, sign: str, *, right: bool = False) -> str:
    """Write an operand beside an operator, in parentheses where it would be read otherwise.

    >>> beside("a + b", "·"), beside("a*b", "+"), beside("a + b", "−"), beside("w[0]", "·")
    ('(a + b)', 'a*b', 'a + b', 'w[0]')
    """
    least = _SIGNS.get(sign, ATOM) + (right and sign in "−/")
    return text if binding(text) >= least else f"({text})"


def is_atom(text: str) -> bool:
    """Whether a text can stand before a dot: `x`, `w[0]`, `f(x)`, not `a + b`.

    >>> is_atom("w[0]"), is_atom("a + b")
    (True, False)
    """
    return binding(text) == ATOM


@cache
def binding(text: str) -> int:
    """Return how tightly an expression holds together: ATOM if nothing can part it."""
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


def _least(tree: ast.expr, operand: ast.expr) -> int:
    """Return how tightly what stands for an operand must hold together."""
    match tree:
        case ast.BinOp():
            outer = _BINDING[type(tree.op)]
            is_last = operand is tree.right
            return outer + (is_last != isinstance(tree.op, ast.Pow))
        case ast.UnaryOp():
            return _BINDING[ast.USub]
        case ast.Call():
            is_receiver = isinstance(tree.func, ast.Attribute) and operand is tree.func.value
            return ATOM if is_receiver else 0
    return ATOM


def _around(text: str, tree: ast.expr) -> tuple[str, str]:
    assert tree.end_col_offset is not None
    line = text.encode()
    return line[: tree.col_offset].decode(), line[tree.end_col_offset :].decode()


def _within(inner: Frame, outer: Frame) -> bool:
    if inner.line is None or inner.end_line is None or outer.line is None:
        return False
    return bool(outer.line <= inner.line and inner.end_line <= outer.end_line)


def _called(tree: ast.expr) -> str:
    match tree:
        case ast.Name():
            return tree.id
        case ast.Attribute():
            return tree.attr
    return ""


def _flat(trees: Iterable[ast.expr]) -> Iterator[ast.expr]:
    for each in trees:
        yield from each.elts if isinstance(each, ast.List | ast.Tuple) else [each]


def _items(value: Any) -> list[Any]:
    """List the nodes and numbers in a container of them; what else there is stands for itself."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in _items(inner)]
    if isinstance(value, list | tuple):
        return [each for inner in value for each in _items(inner)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return list(value.flat)
    return [value]


def _are(values: Sequence[Any], nodes: Sequence[Node]) -> bool:
    return len(values) == len(nodes) and all(
        value is node or (_is_constant(node) and _is_number(value, node.data))
        for value, node in zip(values, nodes, strict=True)
    )


def _is_constant(node: Node) -> bool:
    return not node.requires_grad and not node.parents


def _is_number(value: Any, data: Any) -> bool:
    if not isinstance(value, int | float | np.generic | np.ndarray):
        return False
    held = reading(data)
    if np.shape(value) != held.shape:
        return False
    return bool(held.first(1) == [value] if not held.shape else np.array_equal(value, data))


def _is_same(told: Any, value: Any) -> bool:
    plain = (bool, int, float, str, tuple, np.ndarray)
    return type(told) is type(value) and isinstance(told, plain) and np.array_equal(told, value)


def _is_literal(tree: ast.AST) -> bool:
    """Whether an expression has no names, such as `2`, `-1` or `1:3`."""
    return not any(isinstance(each, ast.Name | ast.Call) for each in ast.walk(tree))
