"""Debug the backward pass of a program as it is: `autolm step FILE.py`.

The program runs as it would by itself, with its lines recorded. It is stopped where it calls
`backward()` on the variable in question; if it never does, the debugger opens when it has ended.
"""

from __future__ import annotations

import bdb
from pathlib import Path
from typing import Any

from autolm.debugger.stop_backward import open_debugger, stopped_backward
from autolm.engine.backprop import backward, backward_pass
from autolm.engine.graph import Node
from autolm.walking.program import choose_root, run_program, wanted_variable
from autolm.walking.program_names import variables_of_caller


def debug_script(path: Path, variable: str | None = None) -> None:
    """Run a program, and debug the backward pass of one of its variables.

    Which one, and what is raised where that is not clear, is as for `root_of_program`.
    """
    wanted = wanted_variable(path, variable)
    stopped = False

    def stop(root: Node, grad: Any, retain_grads: bool | None) -> None:
        nonlocal stopped
        if stopped or (wanted is not None and variables_of_caller().get(wanted) is not root):
            backward(root, grad, retain_grads)
            return
        stopped = True
        stopped_backward(root, grad, retain_grads)

    token = backward_pass.set(stop)
    try:
        variables = run_program(path)
    except bdb.BdbQuit:
        return
    finally:
        backward_pass.reset(token)
    if not stopped:
        open_debugger(choose_root(path, variables, variable), None, None, variables)
