"""Run a program for its graph: the FILE.py of `autolm step`, `autolm draw` and the player.

The program runs as it would by itself, with its lines recorded. It is drawn as it is at its first
`backward()` on the variable in question: a training loop in its first step, with the data that made
the graph and the gradients of that pass. A program that differentiates nothing runs to its end, and
is drawn without gradients.
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

from autolm.engine.backprop import backward, backward_pass
from autolm.engine.graph import Node, record_sites, topological_order
from autolm.walking.program_names import variables_of_caller

LOSS = "loss"


class ProgramError(ValueError):
    """A program has no graph to look into; the message is one line."""


class _Found(bdb.BdbQuit):
    """The program has come to the pass that was waited for."""

    def __init__(self, root: Node, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self.root, self.variables = root, variables


def root_of_program(path: Path, variable: str | None = None) -> tuple[Node, Mapping[str, Any]]:
    """Run a program, and return the root that it differentiates, and its variables then.

    Parameters
    ----------
    path
        The program.
    variable
        Its name for the root; by default `loss`, and if it has none, what it calls `backward()` on,
        or the one result that it makes no further use of.

    Raises
    ------
    ProgramError
        When the program fails, or it is not clear which variable is meant.
    """
    wanted = wanted_variable(path, variable)

    def find(root: Node, grad: Any, retain_grads: bool | None) -> None:
        variables = variables_of_caller()
        backward(root, grad, retain_grads=True)
        if wanted is None or variables.get(wanted) is root:
            raise _Found(root, variables)

    token = backward_pass.set(find)
    try:
        variables = run_program(path)
        root = choose_root(path, variables, variable)
    except _Found as found:
        root, variables = found.root, found.variables
    finally:
        backward_pass.reset(token)
    return root, variables


def wanted_variable(path: Path, variable: str | None) -> str | None:
    """Return the name of the root: the one given, or `loss` if the program has that, or None."""
    return variable or (LOSS if _assigns(path, LOSS) else None)


def _assigns(path: Path, variable: str) -> bool:
    """Whether a program gives something this name."""
    try:
        names = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)]
    except OSError as error:
        raise ProgramError(f"{path}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise ProgramError(f"{path}:{error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise ProgramError(f"{path}: not a program: {error}") from None
    return any(name.id == variable and isinstance(name.ctx, ast.Store) for name in names)


def run_program(path: Path) -> Mapping[str, Any]:
    """Run a program as `python FILE` does; return its variables."""
    with _as_main(path), record_sites():
        try:
            return runpy.run_path(str(path), run_name="__main__")
        except SystemExit as exit:
            raise ProgramError(f"{path}: ended by itself, with {exit.code!r}") from None
        except bdb.BdbQuit:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(path)]
            where = f"{path}:{lines[-1]}" if lines else str(path)
            raise ProgramError(f"{where}: {type(error).__name__}: {error}") from error


@contextmanager
def _as_main(path: Path) -> Iterator[None]:
    arguments, folders = sys.argv, sys.path
    sys.argv, sys.path = [str(path)], [str(path.resolve().parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = arguments, folders


def choose_root(path: Path, variables: Mapping[str, Any], variable: str | None) -> Node:
    """Choose what to differentiate when the program itself differentiated nothing."""
    if variable is not None:
        if not isinstance(variables.get(variable), Node):
            raise ProgramError(_no_root(path, variables, variable))
        return variables[variable]
    if isinstance(variables.get(LOSS), Node):
        return variables[LOSS]
    results = {name: v for name, v in variables.items() if isinstance(v, Node) and v.parents}
    used = {n for root in results.values() for n in topological_order(root) if n is not root}
    last = {node: name for name, node in results.items() if node not in used}
    if len(last) != 1:
        names = f"; choose one with --var: {', '.join(last.values())}" if last else ""
        raise ProgramError(f"{_no_root(path, variables, LOSS)}{names}")
    return next(iter(last))


def _no_root(path: Path, variables: Mapping[str, Any], variable: str) -> str:
    """Say why a variable is no root: there is none so called, or it holds something else."""
    if variable not in variables:
        return f"{path} has no variable {variable}"
    kind = type(variables[variable])
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{path}: {variable} is of type {module}{kind.__name__}, not a Value or a Tensor"
