"""Find example arguments for the functions of a Python file: how a function is meant to be called.

A check needs them: shapes and kinds of arguments cannot be read from a signature. They come from
the first source that has them: the table `EXAMPLES` of the file, a doctest of the function, a call
at the top level of the file. Only the arguments of a call are evaluated, and only if each name in
them is bound once, by an assignment or an import.
"""

from __future__ import annotations

import ast
import difflib
import doctest
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from autolm.outside.message import message

CHECKS = ("check_function", "check_gradient")  # called as check(function, *arguments)
GRADCHECKS = ("gradcheck", "gradgradcheck")  # called as gradcheck(function, (arguments))


class Arguments(NamedTuple):
    """The arguments of one call."""

    positional: tuple[Any, ...]
    keywords: dict[str, Any]

    def in_order(self, function: Any) -> tuple[Any, ...]:
        """Return all arguments by position, for a function that takes them so."""
        if not self.keywords:
            return self.positional
        bound = inspect.signature(function).bind(*self.positional, **self.keywords)
        if bound.kwargs:
            raise TypeError(
                message(
                    "its example names {names}; give it by position", names=", ".join(bound.kwargs)
                )
            )
        return bound.args


class TopLevel(NamedTuple):
    """A statement outside of functions, and whether it has been executed."""

    statement: ast.stmt
    executed: bool


Bindings = dict[str, list[TopLevel]]  # the statements that bind a name


class UnreadableCallError(Exception):
    """The arguments of a call depend on more than assignments."""


@dataclass(frozen=True)
class ExampleFinder:
    """Example arguments for the functions that a module defines.

    Raises
    ------
    ValueError
        If `EXAMPLES` is not a dict, or has a name that the module does not define.
    """

    variables: Mapping[str, Any]  # of the module, after it was executed
    source: str = field(repr=False)

    def __post_init__(self) -> None:
        declared = self._declared
        if not isinstance(declared, Mapping):
            raise ValueError("EXAMPLES must be a dict of arguments by name of the function")
        for name in declared:
            if name not in self.variables:
                near = difflib.get_close_matches(str(name), self.variables, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"EXAMPLES has {name!r}, which the file does not define{hint}")

    @property
    def _declared(self) -> Any:
        return self.variables.get("EXAMPLES", {})

    def find(self, name: str) -> Arguments | None:
        """Return example arguments of a function of the module; None if it has none."""
        if name in self._declared:
            example = self._declared[name]
            positional = example if type(example) is tuple else (example,)
            return Arguments(positional, {})
        function = self.variables[name]
        for owner in (function, getattr(function, "forward", function)):
            statements = list(_of_doctest(owner.__doc__ or ""))
            call = _first_call(name, statements, self.variables)
            if call is not None:
                return call
        return _first_call(name, list(_of_module(ast.parse(self.source).body)), self.variables)


def _of_doctest(docstring: str) -> Iterator[TopLevel]:
    """List the statements of a docstring's examples, as far as they can be parsed."""
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
        body = ast.parse("".join(example.source for example in examples)).body
    except (SyntaxError, ValueError):
        return
    yield from (TopLevel(statement, False) for statement in body)


def _of_module(body: list[ast.stmt], executed: bool = True) -> Iterator[TopLevel]:
    """List the statements of a module; those after `if __name__ == "__main__"` are not executed."""
    for statement in body:
        yield TopLevel(statement, executed)
        is_main = isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)
        if isinstance(statement, ast.If | ast.With | ast.Try):
            yield from _of_module(statement.body, executed and not is_main)


def _first_call(
    name: str, statements: list[TopLevel], variables: Mapping[str, Any]
) -> Arguments | None:
    """Return the arguments of the first call of a function that can be evaluated."""
    bindings: Bindings = {}
    for line in statements:
        for bound in _bound_by(line.statement):
            bindings.setdefault(bound, []).append(line)
    for line in statements:
        for call in _calls_in(line.statement):
            try:
                arguments = _arguments_of(call, name, bindings)
                if arguments is not None:
                    return _evaluated(*arguments, dict(bindings), dict(variables))
            except Exception:  # it needs a loop, say; or the program's own code raises
                continue
    return None


def _parts_outside_of_functions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Walk a statement, without the bodies of functions, classes, loops and other blocks."""
    if isinstance(statement, ast.If | ast.With | ast.Try):
        return  # `_of_module` lists what is in them
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    yield from ast.walk(statement)


def _calls_in(statement: ast.stmt) -> list[ast.Call]:
    if isinstance(statement, ast.For | ast.While):
        return []
    parts = _parts_outside_of_functions(statement)
    return [part for part in parts if isinstance(part, ast.Call)]


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """List the names that a statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from ((each.asname or each.name).partition(".")[0] for each in statement.names)
    if isinstance(statement, ast.With):
        targets = [item.optional_vars for item in statement.items if item.optional_vars]
        yield from (part.id for t in targets for part in ast.walk(t) if isinstance(part, ast.Name))
    for part in _parts_outside_of_functions(statement):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            yield part.id


def _refers_to(expression: ast.expr, name: str, bindings: Bindings) -> bool:
    """Whether an expression is a function by its name, its `apply`, or another name of that."""
    if isinstance(expression, ast.Attribute) and expression.attr == "apply":
        return isinstance(expression.value, ast.Name) and expression.value.id == name
    if not isinstance(expression, ast.Name):
        return False
    if expression.id == name:
        return True
    binders = bindings.get(expression.id, [])
    statement = binders[0].statement if len(binders) == 1 else None
    return isinstance(statement, ast.Assign) and _refers_to(statement.value, name, {})


def _arguments_of(
    call: ast.Call, name: str, bindings: Bindings
) -> tuple[ast.expr, list[ast.keyword]] | None:
    """Return the expressions of a call's arguments, as a tuple and by name; None of another's."""
    if _refers_to(call.func, name, bindings):
        return ast.Tuple(call.args, ast.Load()), call.keywords
    called = ast.unparse(call.func).rpartition(".")[2]
    if called not in CHECKS + GRADCHECKS or not call.args:
        return None
    if not _refers_to(call.args[0], name, bindings):
        return None
    if called in GRADCHECKS:
        return call.args[1], []
    if call.keywords:  # such as a domain: then numbers or shapes are not any
        raise UnreadableCallError
    return ast.Tuple(call.args[1:], ast.Load()), []


def _evaluated(
    positional: ast.expr, keywords: list[ast.keyword], bindings: Bindings, scope: dict[str, Any]
) -> Arguments:
    """Evaluate the arguments of a call, after the assignments that they need."""

    def value(expression: ast.expr) -> Any:
        _execute_what_binds(_names_in(expression), bindings, scope)
        code = ast.fix_missing_locations(ast.Expression(expression))
        return eval(compile(code, "<example arguments>", "eval"), scope)

    whole = value(positional)
    by_name = {str(keyword.arg): value(keyword.value) for keyword in keywords}
    return Arguments(tuple(whole) if isinstance(whole, tuple | list) else (whole,), by_name)


def _names_in(part: ast.AST) -> set[str]:
    parts = [node for node in ast.walk(part) if isinstance(node, ast.Name)]
    bound = {node.id for node in parts if isinstance(node.ctx, ast.Store)}
    return {node.id for node in parts} - bound


def _execute_what_binds(names: set[str], bindings: Bindings, scope: dict[str, Any]) -> None:
    for name in sorted(names):
        binders = bindings.pop(name, [])
        if len(binders) > 1:
            raise UnreadableCallError
        for statement, executed in binders:
            if executed:
                continue
            if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom):
                raise UnreadableCallError
            _execute_what_binds(_names_in(statement), bindings, scope)
            exec(compile(ast.Module([statement], []), "<example arguments>", "exec"), scope)
