"""Run a program for its graph: what `autolm draw FILE.py` draws and the player plays.

The program runs as it would by itself, up to its first `backward()` on the variable in question:
a training loop is drawn in its first step, with the data that made the graph and the gradients of
that pass. A program that differentiates nothing runs to its end, and is drawn without gradients.
"""

from __future__ import annotations

import ast
import bdb
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autolm import graph
from autolm.graph import Node, backward_pass, topological_order
from autolm.inspect.script import LOSS, ScriptError, _root, _run
from autolm.inspect.stop_backward import variables_of_caller


class _Found(bdb.BdbQuit):
    """The program has come to the pass that was waited for."""

    def __init__(self, root: Node, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self.root, self.variables = root, variables


def root_of_program(path: Path, variable: str | None = None) -> Node:
    """Run a program, and return the root that it differentiates; nodes are called as it calls them.

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
    wanted = variable or (LOSS if _assigns(path, LOSS) else None)

    class Pass(graph.Backprop):
        def run(self) -> None:
            variables = variables_of_caller()
            super().run()
            if wanted is None or variables.get(wanted) is self.root:
                raise _Found(self.root, variables)

    def start(root: Node, grad: Any, retain_grads: bool | None) -> Pass:
        return Pass(root, grad, retain_grads=True)

    token = backward_pass.set(start)
    try:
        variables = _run(path)
        root = _root(path, variables, variable)
    except _Found as found:
        root, variables = found.root, found.variables
    finally:
        backward_pass.reset(token)
    _call_by_variables(root, variables)
    return root


def _assigns(path: Path, variable: str) -> bool:
    """Whether a program gives something this name."""
    try:
        names = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)]
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise ScriptError(f"{path}:{error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise ScriptError(f"{path}: not a program: {error}") from None
    return any(name.id == variable and isinstance(name.ctx, ast.Store) for name in names)


def _call_by_variables(root: Node, variables: Mapping[str, Any]) -> None:
    """Name the nodes that have no name after the variables that hold them."""
    nodes = set(topological_order(root))
    for name, value in variables.items():
        if isinstance(value, Node) and value in nodes and not value.name:
            value.name = name
