"""Write a function out, with all that it mentions, so that it stands alone in another file."""

from __future__ import annotations

import ast
import builtins
import inspect
import os
import site
import symtable
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from autolm.ops.array_operation import Case
from autolm.ops.primitive import Primitive
from autolm.testing.call import literal

PUBLIC = ("autolm", "autolm.ops", "autolm.testing")  # where our own names are to be had
DATA = (bool, int, float, str, tuple, list, dict, np.ndarray, np.generic, type(None))
MOST_ELEMENTS = 1000  # of an array that is written out


def imported(name: str, value: Any) -> str | None:
    """Return the line that imports `value` by `name` into any program, if there is one."""
    if isinstance(value, ModuleType):
        same = value.__name__ == name
        return f"import {value.__name__}" + ("" if same else f" as {name}")
    own = getattr(value, "__name__", name)
    home = sys.modules.get(str(getattr(value, "__module__", "")))
    for module in (*(sys.modules[public] for public in PUBLIC if public in sys.modules), home):
        found = next((n for n in (name, own) if getattr(module, n, None) is value), None)
        if module is not None and found is not None and _found_by_others(module):
            return f"from {module.__name__} import {found}" + f" as {name}" * (found != name)
    return None


def written_out(name: str, function: Callable[..., Any]) -> list[str] | None:
    """Return the lines that define `function` by `name`; None if they cannot be told."""
    return _defined(name, function, {name})


def decorated(function: Callable[..., Any]) -> bool:
    """Whether the source of a function starts with a decorator."""
    source = _source("f", function)
    return source is not None and source.startswith("@")


def _defined(name: str, function: Callable[..., Any], seen: set[str]) -> list[str] | None:
    if isinstance(function, partial):
        return _defined_partial(name, function, seen)
    source = _source(name, function)
    if source is None:
        return None
    around = {**function.__globals__, **_closure(function)}
    lines: list[str] = []
    for mentioned in _free_names(source):
        if mentioned in seen or (mentioned not in around and hasattr(builtins, mentioned)):
            continue
        seen.add(mentioned)
        needed = _bound(mentioned, around[mentioned], seen) if mentioned in around else None
        if needed is None:
            return None
        lines += needed
    given = function.__name__
    return [*lines, source, *[f"{name} = {given}"] * (given not in (name, "<lambda>"))]


def _defined_partial(name: str, function: partial[Any], seen: set[str]) -> list[str] | None:
    whole = getattr(function.func, "__name__", "")
    lines = _bound(whole, function.func, seen) if whole.isidentifier() else None
    told = [literal(x) for x in function.args]
    told += [f"{key}={literal(value)}" for key, value in function.keywords.items()]
    line = f"{name} = functools.partial({', '.join([whole, *told])})"
    return None if lines is None else ["import functools", *lines, line]


def _closure(function: Callable[..., Any]) -> Mapping[str, Any]:
    return inspect.getclosurevars(function).nonlocals


def _bound(name: str, value: Any, seen: set[str]) -> list[str] | None:
    """Return the lines after which `name` means `value`."""
    line = imported(name, value)
    if line is not None:
        return [line]
    if isinstance(value, FunctionType):
        return _defined(name, value, seen)
    if isinstance(value, Primitive) and isinstance(value.forward, FunctionType):
        return _defined(name, value.forward, seen) if decorated(value.forward) else None
    return _data(name, value)


def _data(name: str, value: Any) -> list[str] | None:
    if not isinstance(value, DATA) or np.size(np.asarray(value, dtype=object)) > MOST_ELEMENTS:
        return None
    text = literal(value)
    try:
        eval(text, {"np": np, "Case": Case})
    except Exception:  # it holds something that does not print as it is written
        return None
    line = f"{name} = np.array({text})" if isinstance(value, np.ndarray) else f"{name} = {text}"
    return ["from autolm.ops import Case"] * ("Case(" in text) + [line]


def _source(name: str, function: Callable[..., Any]) -> str | None:
    """Return the statement that defines a function."""
    if not isinstance(function, FunctionType):
        return None
    try:
        if function.__name__ == "<lambda>":
            return _lambda_source(name, function)
        source = textwrap.dedent(inspect.getsource(function)).strip()
        return source if isinstance(ast.parse(source).body[0], ast.FunctionDef) else None
    except (OSError, SyntaxError):  # typed at a prompt
        return None


def _lambda_source(name: str, function: FunctionType) -> str | None:
    file = "".join(inspect.findsource(function)[0])
    parameters = list(inspect.signature(function).parameters)
    found = [
        node
        for node in ast.walk(ast.parse(file))
        if isinstance(node, ast.Lambda)
        and node.lineno == function.__code__.co_firstlineno
        and [a.arg for a in (*node.args.args, *node.args.kwonlyargs)] == parameters
    ]
    text = ast.get_source_segment(file, found[0]) if len(found) == 1 else None
    return None if text is None else f"{name} = ({text})"


def _free_names(source: str) -> list[str]:
    """List what a piece of source mentions and does not define."""
    found = dict[str, None]()
    tables = [symtable.symtable(source, "source", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            own = symbol.is_assigned() or symbol.is_namespace() or symbol.is_parameter()
            outside = symbol.is_global() if table.get_type() != "module" else not own
            if symbol.is_referenced() and outside:
                found[symbol.get_name()] = None
    return sorted(found)


def _found_by_others(module: ModuleType) -> bool:
    """Whether a program that is started here finds this module by its name.

    A path that a test runner has put into `sys.path` does not count.
    """
    if module.__name__ == "__main__":
        return False
    try:
        spec = find_spec(module.__name__)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or not os.path.isabs(spec.origin):
        return spec is not None and spec.origin in ("built-in", "frozen")
    if module.__name__.partition(".")[0] == "autolm":
        return True
    depth = module.__name__.count(".") + (spec.submodule_search_locations is not None)
    told = [Path(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    installed = (*sysconfig.get_paths().values(), *site.getsitepackages(), site.USER_SITE or "")
    return Path(spec.origin).parents[depth] in {Path.cwd(), *told, *map(Path, installed)}
