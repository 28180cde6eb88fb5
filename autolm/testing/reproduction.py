"""Programs that repeat a counterexample, and the location of what was checked.

A program imports the operation if it is in a package, and else runs its file. Local functions and
lambdas have no program.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autolm.ops import OPERATIONS
from autolm.testing.call import Call, literal
from autolm.testing.composed_primitive import ComposedForward
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.subject import Subject

RELATIONS = ("causal", "causal_along", "shift_invariant", "permutation_equivariant")
IMPORTS = {  # names that a program may mention, and where they are imported from
    **dict.fromkeys(("check_gradient", "check_op", *RELATIONS), "autolm.testing"),
    "Case": "autolm.ops",
    "composed": "autolm.ops",
    "primitive": "autolm",
    "Tensor": "autolm",
    "array": "array",
    **{op.name: "autolm.ops" for op in OPERATIONS},
}


def location_of(function: Callable[..., Any]) -> str:
    """Return file:line of a function, relative to the current directory where that is above it.

    For a class with a forward, such as a Function of PyTorch, it is the line of the class.
    """
    source = function.source if isinstance(function, Kernel) else inspect.unwrap(function)
    code = getattr(source, "__code__", None)
    if code is None:
        return ""
    line = code.co_firstlineno
    if isinstance(function, Kernel) and isinstance(function.function, type):
        line = _line_of_class(function.function.__name__, code.co_filename, line)
    return f"{_relative(code.co_filename)}:{line}"


def _line_of_class(name: str, path: str, default: int) -> int:
    """Return the line at which a class of this name begins in a file."""
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return default
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return next((node.lineno for node in classes if node.name == name), default)


def _relative(path: str) -> Path:
    below = Path(path).is_relative_to(Path.cwd())
    return Path(path).relative_to(Path.cwd()) if below else Path(path)


def runnable(program: str, subject: Subject) -> str:
    """Put before a program the lines that get the operation, and the imports.

    Empty where no other program can get the operation.
    """
    forward, name = subject.op.forward, subject.op.name
    if isinstance(forward, Kernel):
        lines = _lookup(name, forward.function, forward.source)
        return forward.runnable(program, lines) if lines else ""
    op = forward.op if isinstance(forward, ComposedForward) else subject.op
    lines = _lookup(name, op, op.forward)
    if not lines and (lines := _lookup(name, op.forward, op.forward)):
        lines.append(f"{name} = {op.kind}({name})")
    if not lines:
        return ""
    recorded = subject.op.domain * (len(subject.domains) if len(subject.op.domain) == 1 else 1)
    if subject.domains != recorded:
        lines.append(f"{name}.domain = {literal(subject.domains)}")
    text = "\n".join([*lines, program])
    words = set(re.findall(r"(?<![.\w])\w+(?=[(\]])", text)) - {name}
    needed = {f"from {IMPORTS[word]} import {word}" for word in words & IMPORTS.keys()}
    needed |= {"import numpy as np"} if "np." in text else set()
    return "\n".join([*sorted({*needed, lines[0]}), *lines[1:], program])


def _lookup(name: str, value: Any, function: Callable[..., Any]) -> list[str]:
    """Return the lines that get a value of a module by its name; none where it is not there."""
    variables = getattr(inspect.unwrap(function), "__globals__", {})
    if variables.get(name) is not value:
        return []
    if value in OPERATIONS:
        return [f"from autolm.ops import {name}"]
    if variables.get("__package__") and variables["__name__"] != "__main__":
        return [f"from {variables['__name__']} import {name}"]
    if not Path(variables.get("__file__", "")).is_file():
        return []
    path = str(_relative(variables["__file__"]))
    return ["import runpy", f"{name} = runpy.run_path({path!r})[{name!r}]"]


def program_of_relation(subject: Subject, call: Call, relation: Any) -> str:
    """Write a program that finds a relation broken."""
    recorded = relation in subject.op.relations
    if not recorded and relation.name.partition("(")[0] not in RELATIONS:
        return ""  # a user's relation may have any name
    shapes = tuple(x.shape for x in call.inputs)
    attributes = f", {literal(call.attributes)}" if call.attributes else ""
    option = "" if recorded else f", relations=[{relation.name}]"
    return f"check_op({subject.op.name}, cases=[Case({shapes}{attributes})]{option})"
