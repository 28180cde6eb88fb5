"""Commands for IPython and Jupyter: `%load_ext autolm` adds `%%step` and `%autolm draw`."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from autolm.debugger.stop_backward import open_debugger, set_trace
from autolm.drawing.drawing import draw
from autolm.engine.graph import Node
from autolm.engine.watching import backward_pass, watching_pass
from autolm.outside.message import message
from autolm.tensor.nodes import node_of
from autolm.walking.program import Pass, record_lines
from autolm.walking.program_names import use_variables

ROOT = "loss"


def load_ipython_extension(shell: Any) -> None:
    """Add the magic commands of autolm to IPython: `%load_ext autolm`.

    `%%step` runs a cell and opens the debugger in its first `backward()`; `%%step NAME`, or a cell
    without a `backward()`, opens it on a variable when the cell has run. `%autolm draw [NAME]`
    draws the graph of a variable; by default of `loss`.
    """

    def step(line: str, cell: str) -> None:
        name, usual = line.strip(), watching_pass()
        context = copy_context()  # context variables set for this cell end with it

        def run() -> Any:
            record_lines(True)
            if not name:
                set_trace()
            return shell.run_cell(cell)

        result = context.run(run)
        is_stopped = not name and context.get(backward_pass) is usual
        if result.success and not is_stopped:
            open_debugger(Pass(_root(shell, name or ROOT), variables=_variables(shell)))

    def autolm(line: str) -> Any:
        command, _, name = line.strip().partition(" ")
        if command != "draw":
            raise ValueError(
                message("%autolm: the only command is draw, such as: %autolm draw loss")
            )
        with use_variables(_variables(shell)):
            return draw(_root(shell, name.strip() or ROOT))

    shell.register_magic_function(step, "cell", "step")
    shell.register_magic_function(autolm, "line", "autolm")


def _variables(shell: Any) -> dict[str, Any]:
    hidden = shell.user_ns_hidden
    return {name: value for name, value in shell.user_ns.items() if name not in hidden}


def _root(shell: Any, name: str) -> Node:
    value = shell.user_ns.get(name)
    node = value if isinstance(value, Node) else node_of(value)
    if node is None:
        raise ValueError(
            message("{name}: the notebook has no Value or Tensor of this name", name=name)
        )
    return node
