"""Make of a counterexample a program that runs as pasted, and fails."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autolm.ops import OPERATIONS
from autolm.ops.primitive import Primitive
from autolm.testing.call import Call, literal
from autolm.testing.composed_as_one import AsOne
from autolm.testing.example_operations import SubjectWithConstants
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.source import decorated, imported, written_out
from autolm.testing.under_test import Subject

RELATIONS = ("causal", "causal_along", "shift_invariant", "permutation_equivariant")
OURS = {  # what a program may mention, and where it is to be had
    **dict.fromkeys(("check_gradient", "check_op", *RELATIONS), "autolm.testing"),
    "Case": "autolm.ops",
    "primitive": "autolm",
    "Tensor": "autolm",
}


def site_of(function: Callable[..., Any]) -> str:
    """Return file:line of a function, from the current directory if it is below it.

    Of a class with a forward, such as a Function of PyTorch, it is the line of the class.
    """
    source = function.source if isinstance(function, Kernel) else inspect.unwrap(function)
    code = getattr(source, "__code__", None)
    if code is None:
        return ""
    line = code.co_firstlineno
    if isinstance(function, Kernel) and isinstance(function.function, type):
        line = _line_of_class(function.function.__name__, code.co_filename, line)
    return f"{_shown(code.co_filename)}:{line}"


def _line_of_class(name: str, path: str, line: int) -> int:
    """Return the line at which a class of this name begins in a file; else `line`."""
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return line
    classes = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    return next((each.lineno for each in classes if each.name == name), line)


def _shown(path: str) -> Path:
    below = Path(path).is_relative_to(Path.cwd())
    return Path(path).relative_to(Path.cwd()) if below else Path(path)


def runnable(program: str, subject: Subject) -> str:
    """Put before a program the definition of the operation, and the imports of all it mentions.

    Empty if the operation cannot be defined anew, such as an object that is called.
    """
    kernel = subject.op.forward
    name = subject.op.name
    definition = None if isinstance(subject, SubjectWithConstants) else _definition(subject.op)
    if definition is None:
        return ""
    if isinstance(kernel, Kernel):
        return kernel.runnable(program, definition)
    lines = [*definition, *_domain_told(subject), program]
    text = "\n".join(lines)
    words = set(re.findall(r"\w+", program))
    needed = [f"from {home} import {own}" for own, home in OURS.items() if own in words]
    mixed_in = [op.name for op in OPERATIONS if op.name != name and f" = {op.name}(" in program]
    needed += [f"from autolm.ops import {op}" for op in mixed_in]
    makers = {"primitive": "autolm", "composed": "autolm.ops"}
    needed += [
        f"from {home} import {maker}"
        for maker, home in makers.items()
        if f"{name} = {maker}({name})" in lines
    ]
    needed += ["import numpy as np"] if "np." in text else []
    needed += ["from array import array"] if re.search(r"(?<!\.)\barray\(", program) else []
    imports = [line for line in (*needed, *lines) if line.startswith(("import ", "from "))]
    rest = [line for line in lines if line not in imports]
    return "\n".join([*sorted(set(imports)), *rest])


def program_of_relation(subject: Subject, call: Call, relation: Any) -> str:
    """Write a program that finds a relation broken."""
    recorded = relation in subject.op.relations
    if not recorded and relation.name.partition("(")[0] not in RELATIONS:
        return ""  # one of the user's own, whose name may be anything
    shapes = tuple(x.shape for x in call.inputs)
    attributes = f", {literal(call.attributes)}" if call.attributes else ""
    told = "" if recorded else f", relations=[{relation.name}]"
    return f"check_op({subject.op.name}, cases=[Case({shapes}{attributes})]{told})"


def _definition(op: Primitive) -> list[str] | None:
    """Import an operation, or write it out, or run its file."""
    if isinstance(op.forward, Kernel):
        return _of_a_kernel(op.name, op.forward)
    operation = op.forward.op if isinstance(op.forward, AsOne) else op
    name, function = operation.name, operation.forward
    line = imported(name, operation)
    if line is not None:
        return [line]
    joined = [f"{name} = {operation.kind}({name})"]
    line = imported(name, function)
    if line is not None:
        return [line, *joined]
    lines = written_out(name, function)
    if lines is not None:
        return lines if decorated(function) else [*lines, *joined]
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    if "<" in function.__qualname__ or not os.path.exists(code.co_filename):
        return [f"# {name} must be defined here as it is at {site_of(function)}"]
    run = f"{name} = runpy.run_path({str(_shown(code.co_filename))!r})[{name!r}]"
    return ["import runpy", run, *([] if decorated(function) else joined)]


def _of_a_kernel(name: str, kernel: Kernel) -> list[str]:
    """Import a function of another library, or run its file, or say where it is."""
    line = imported(name, kernel.function)
    if line is not None:
        return [line]
    site = site_of(kernel)
    path = site.rpartition(":")[0]
    qualified = getattr(kernel.function, "__qualname__", name)
    if not os.path.exists(path) or qualified != name:
        return [f"# {name} must be defined here" + f" as it is at {site}" * bool(site)]
    return ["import runpy", f"{name} = runpy.run_path({path!r})[{name!r}]"]


def _domain_told(subject: Subject) -> list[str]:
    """Tell the operation of a domain that its record does not know."""
    known = subject.op.domain * (len(subject.domains) if len(subject.op.domain) == 1 else 1)
    told = subject.domains != known
    return [f"{subject.op.name}.domain = {literal(subject.domains)}"] if told else []
