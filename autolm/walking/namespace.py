"""Evaluate Python at the position of a walk, for every front end.

The prompt, conditions, watches, log points and an editor's console evaluate here. All names are in
one dictionary, so that functions and comprehensions find them and assignments persist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.outside.terminal import words_of
from autolm.walking.breakpoints import Condition
from autolm.walking.names import Names
from autolm.walking.walk import Walk
from autolm.walking.wording import NOT_COMPUTED

HERE = ("node", "grad", "up", "step", "a", "b")  # names that the next step redefines


class Namespace:
    """Evaluate Python before the next step.

    The names are `node`, the node of the next step (at the end, the root); `grad`, its `.grad`;
    `up`, its upstream gradient; `a` and `b`, its operands; `step`, the result of `preview`; `walk`;
    `nodes["any name"]`; the names of the graph; and the variables of the program. An expression
    that is the source text of a node refers to that node: `x*w[0]` computes no new one.

    Parameters
    ----------
    walk
        The pass.
    names
        The names of its nodes.
    variables
        The variables of the program.
    """

    def __init__(self, walk: Walk, names: Names, variables: Mapping[str, Any]) -> None:
        self.walk, self.names = walk, names
        graph_names = {**names.variables(), **names.by_placeholder}
        self._defaults = {**variables, **graph_names}
        self._assigned: set[str] = {name for name in ("a", "b") if name in graph_names}
        nodes = {name: nodes[0] for name, nodes in names.by_name.items()}
        self._bindings: dict[str, Any] = {**self._defaults, "walk": walk, "nodes": nodes}
        self._names_in_scope: set[str] = (
            set()
        )  # names of several nodes, with one node in the current scope

    @property
    def node(self) -> Node:
        """The node whose step is next; at the end, the root."""
        ahead = self.walk.next_node
        return self.walk.root if ahead is None else ahead

    def bindings(self) -> dict[str, Any]:
        """Return the dictionary of all names at this position; assigning to it defines a name."""
        node, bindings = self.node, self._bindings
        for name in self._names_in_scope:
            bindings.pop(name, None)
        self._names_in_scope.clear()
        operands = dict(zip("ab", node.parents, strict=False))
        here = {"node": node, "grad": node.grad, "up": self.walk.gradients[node]}
        bindings.update({name: here[name] for name in here.keys() - self._assigned})
        for name in {"a", "b"} - self._assigned:
            if name in operands or name in self._defaults:
                bindings[name] = operands.get(name, self._defaults.get(name))
            else:
                bindings.pop(name, None)
        return bindings

    def evaluate(self, text: str) -> Any:
        """Return the value of an expression.

        Examples
        --------
        >>> from autolm import Value
        >>> w = [Value(2.0), Value(3.0)]
        >>> walk = Walk(w[0] * w[1])
        >>> here = Namespace(walk, Names(walk.operations, {"w": w}), {"w": w})
        >>> here.evaluate("[each.data * up for each in w]")
        [2.0, 3.0]
        """
        tree = self._parsed(text)
        self._restore_gradients_in(tree)
        return self._value(compile(tree, "<prompt>", "eval"))

    def is_expression(self, text: str) -> bool:
        """Whether a text is an expression, which can be evaluated."""
        try:
            self._parsed(text)
        except SyntaxError:
            return False
        return True

    def execute(self, text: str) -> None:
        """Run statements; the names that they assign persist."""
        tree = ast.parse(text, "<prompt>")
        self._restore_gradients_in(tree)
        code = compile(tree, "<prompt>", "exec")
        bindings = self._bindings_for(code)
        before = {name: bindings.get(name) for name in HERE}
        try:
            exec(code, bindings)
        finally:
            self._assigned |= {name for name in HERE if bindings.get(name) is not before[name]}

    def condition(self, text: str) -> Condition:
        """Compile an expression to a condition; raises SyntaxError for other text."""
        tree = self._parsed(text)
        code = compile(tree, "<prompt>", "eval")

        def is_true(step: Step) -> bool:
            self._restore_gradients_in(tree)
            return bool(self._value(code))

        return is_true

    def log_message(self, text: str) -> Condition:
        """Return a function that formats a log text: each {EXPRESSION} is replaced by its value."""

        def format_log(step: Step) -> str:
            return re.sub(r"\{([^{}]+)\}", lambda match: self.value_or_error(match[1]), text)

        return format_log

    def value_or_error(self, text: str) -> str:
        """Write the value of an expression, or the error that it raises."""
        try:
            return self.value_text(text)
        except Exception as error:
            return f"{type(error).__name__}: {words_of(error)}"

    def value_text(self, text: str) -> str:
        """Write the value of an expression; a gradient that has not arrived is "–", not 0."""
        if text.strip() in self.missing_gradients(text):
            return NOT_COMPUTED
        return repr(self.evaluate(text))

    def missing_gradients(self, text: str) -> list[str]:
        """List the source texts of the gradients in an expression that have not arrived."""
        tree = self._parsed(text)
        self._restore_gradients_in(tree)
        missing = []
        for part in ast.walk(tree):
            if isinstance(part, ast.Attribute) and part.attr == "grad":
                owner = self._value_if_plain(part.value)
                if isinstance(owner, Node) and not owner.has_grad:
                    missing.append(ast.get_source_segment(text.strip(), part) or "")
        return missing

    def _value_if_plain(self, tree: ast.expr) -> Any:
        """Return the value of a part of an expression; None if evaluating it may have effects."""
        if not _is_plain(tree):
            return None
        try:
            return self._value(compile(ast.Expression(tree), "<prompt>", "eval"))
        except Exception:  # the evaluation of the whole expression reports the error
            return None

    def _restore_gradients_in(self, tree: ast.AST) -> None:
        """Restore the gradients that this code reads, if their segments were dropped."""
        if self.walk.segment is None:
            return
        for part in ast.walk(tree):
            if isinstance(part, ast.Name | ast.Attribute | ast.Subscript):
                value = self._value_if_plain(part)
                for item in value if isinstance(value, list | tuple) else [value]:
                    if isinstance(item, Node):
                        self.walk.restore_grad(item)

    def completions(self, text: str) -> Iterator[str]:
        """Yield the completions of a name or of an attribute."""
        owner, dot, prefix = text.rpartition(".")
        if not dot:
            yield from (name for name in self.words() if name.startswith(text))
            return
        try:
            tree = self.names.parse(owner)
            if not _is_plain(tree.body):
                return
            value = self.evaluate(owner)
        except Exception:  # the owner cannot be evaluated
            return
        names = (name for name in dir(value) if name.startswith(prefix))
        yield from (f"{owner}.{name}" for name in names if prefix or not name.startswith("_"))

    def words(self) -> set[str]:
        """Return every name."""
        names = {name for name in self.bindings() if not name.startswith("__")}
        return (names - self.names.by_placeholder.keys()) | {*self.names.by_name, "step"}

    def _parsed(self, text: str) -> ast.Expression:
        """Parse an expression; also accept names that are not Python, as blocks.0.W_Q.grad."""
        try:
            return self.names.parse(text)
        except SyntaxError:
            text = text.strip()
            owner, _, attribute = text.rpartition(".")
            for name, rest in ((text, ""), (owner, f".{attribute}")):
                if name in self.names.by_name:
                    return ast.parse(f"nodes[{name!r}]{rest}", "<prompt>", "eval")
            raise

    def _value(self, code: CodeType) -> Any:
        return eval(code, self._bindings_for(code))

    def _bindings_for(self, code: CodeType) -> dict[str, Any]:
        """Return the names for this code; `step` and ambiguous names only if the code uses them."""
        bindings, used = self.bindings(), _names_in(code)
        if "step" not in self._assigned:
            bindings["step"] = self.walk.preview() if "step" in used else None
        for name in used & self.names.by_name.keys() - bindings.keys():
            here = [n for n in self.names.by_name[name] if n.scope == self.node.scope]
            if len(here) == 1:
                bindings[name] = here[0]
                self._names_in_scope.add(name)
        return bindings


def _names_in(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _is_plain(tree: ast.expr) -> bool:
    """Whether evaluating this has no side effect: only names, attributes, items, constants."""
    match tree:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=value):
            return _is_plain(value)
        case ast.Subscript(value=value, slice=index):
            return _is_plain(value) and _is_plain(index)
        case ast.UnaryOp(operand=operand):
            return _is_plain(operand)
        case ast.Tuple(elts=elements):
            return all(map(_is_plain, elements))
    return False
