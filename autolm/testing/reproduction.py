"""Make of a counterexample a program that runs as pasted."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from autolm.ops import PRIMITIVES


def site_of(function: Callable[..., Any]) -> str:
    """Return file:line of a function, from the current directory if it is below it."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{code.co_firstlineno}"


def runnable(program: str, name: str, function: Callable[..., Any]) -> str:
    """Put before a program the imports of all that it mentions, `function` by its name too."""
    lines = ["import numpy as np"] if "np." in program else []
    for check in ("check_gradient", "check_op"):
        if f"{check}(" in program:
            lines.append(f"from autolm.testing import {check}")
    mixed_in = [op.name for op in PRIMITIVES if op.name != name and f" = {op.name}(" in program]
    if mixed_in:
        lines.append(f"from autolm.ops import {', '.join(mixed_in)}")
    return "\n".join([*dict.fromkeys([*lines, *_definition(name, function)]), program])


def _definition(name: str, function: Callable[..., Any]) -> list[str]:
    """Import a function from its module, or run its file, or repeat its source."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    local = "<locals>" in function.__qualname__
    module = sys.modules.get(function.__module__)
    if not local and module is not None and _can_be_imported(module) and hasattr(module, name):
        public = "autolm.ops" if module.__name__.startswith("autolm.ops.") else module.__name__
        return [f"from {public} import {name}"]
    if not local and os.path.exists(code.co_filename):
        path = os.path.relpath(code.co_filename)
        return ["import runpy", f"{name} = runpy.run_path({path!r})[{name!r}]"]
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except OSError:  # typed at a prompt: there is no source to show
        return []
    modules = [
        f"import {value.__name__}" + (f" as {key}" if key != value.__name__ else "")
        for key, value in function.__globals__.items()
        if isinstance(value, ModuleType) and f"{key}." in source
    ]
    decorators = ["from autolm import primitive"] if "primitive" in source else []
    return [*modules, *decorators, source]


def _can_be_imported(module: ModuleType) -> bool:
    """Whether another program finds this module by its name."""
    try:
        found = find_spec(module.__name__)
    except (ImportError, ValueError):
        return False
    return found is not None and module.__name__ != "__main__"
