"""Debug the backward pass of a program as it is: `autolm step FILE.py`.

The program runs as it would by itself, with its lines recorded. It is stopped where it calls
`backward()` on the variable in question; if it never does, the debugger opens when it has ended.
"""

from __future__ import annotations

import ast
import bdb
import runpy
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autolm import graph
from autolm.graph import Node, backward_pass, record_sites, topological_order
from autolm.inspect.stop_backward import StoppedPass, open_debugger, variables_of_caller

LOSS = "loss"


class ScriptError(ValueError):
    """A program cannot be debugged; the message is one line."""


def debug_script(path: Path, variable: str | None = None) -> None:
    """Run a program, and debug the backward pass of one of its variables.

    Parameters
    ----------
    path
        The program.
    variable
        Its name for the root; by default `loss`, and if it has none, what it calls `backward()` on,
        or the one result that it makes no further use of.

    Raises
    ------
    ScriptError
        When the program fails, or it is not clear which variable is meant.
    """
    try:
        source = path.read_text()
        assigned = {
            name.id
            for name in ast.walk(ast.parse(source))
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise ScriptError(f"{path}:{error.lineno}: {error.msg}") from None
    wanted = variable or (LOSS if LOSS in assigned else None)
    stopped = False

    def stop(root: Node, grad: Any, retain_grads: bool | None) -> Any:
        nonlocal stopped
        if stopped or (wanted is not None and variables_of_caller().get(wanted) is not root):
            return graph.Backprop(root, grad, retain_grads)
        stopped = True
        return StoppedPass(root, grad, retain_grads)

    token = backward_pass.set(stop)
    try:
        variables = _run(path)
    except bdb.BdbQuit:
        return
    finally:
        backward_pass.reset(token)
    if not stopped:
        open_debugger(_root(path, variables, variable), None, None, variables)


def _run(path: Path) -> Mapping[str, Any]:
    """Run a program as `python FILE` does; return its variables."""
    with _as_main(path), record_sites():
        try:
            return runpy.run_path(str(path), run_name="__main__")
        except SystemExit as exit:
            raise ScriptError(f"{path}: ended by itself, with {exit.code!r}") from None
        except bdb.BdbQuit:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(path)]
            where = f"{path}:{lines[-1]}" if lines else str(path)
            raise ScriptError(f"{where}: {type(error).__name__}: {error}") from error


@contextmanager
def _as_main(path: Path) -> Iterator[None]:
    arguments, folders = sys.argv, sys.path
    sys.argv, sys.path = [str(path)], [str(path.resolve().parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = arguments, folders


def _root(path: Path, variables: Mapping[str, Any], variable: str | None) -> Node:
    """Choose what to differentiate when the program itself differentiated nothing."""
    if variable is not None:
        if variable not in variables:
            raise ScriptError(f"{path} has no variable {variable}")
        if not isinstance(variables[variable], Node):
            kind = type(variables[variable]).__name__
            raise ScriptError(f"{path}: {variable} is of type {kind}, not a Value or a Tensor")
        return variables[variable]  # type: ignore[no-any-return]
    if isinstance(variables.get(LOSS), Node):
        return variables[LOSS]  # type: ignore[no-any-return]
    results = {name: v for name, v in variables.items() if isinstance(v, Node) and v.parents}
    used = {n for root in results.values() for n in topological_order(root) if n is not root}
    last = {node: name for name, node in results.items() if node not in used}
    if len(last) != 1:
        names = f"; choose one with --var: {', '.join(last.values())}" if last else ""
        raise ScriptError(f"{path} has no variable {LOSS}{names}")
    return next(iter(last))
