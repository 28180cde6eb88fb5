"""How the debugger comes up: called by name, or where a program's next `backward()` would run.

The engine asks one context variable which pass `backward()` runs. `set_trace()` puts a pass there
that opens the prompt; nothing else in the engine knows of it, and nothing is slower for it.
"""

from __future__ import annotations

import bdb
from collections.abc import Mapping
from typing import Any

from autolm.debugger.commands import Debugger
from autolm.engine.backprop import backward_pass
from autolm.engine.graph import Node
from autolm.walking.program_names import variables_of_caller
from autolm.walking.walk import Backprop


def debug(root: Node, grad: Any = None, *, retain_grads: bool | None = None) -> None:
    """Open the debugger on the backward pass of a node; `help` there lists what it knows.

    Left at the end of the pass, the gradients are those of `backward()`; left before, with q, they
    are as they were.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    """
    open_debugger(root, grad, retain_grads, variables_of_caller())


def set_trace() -> None:
    """Stop in the next `backward()` of this program, and open the debugger there.

    There `c` goes on with the program once the pass is done; `q` ends it, as pdb's does.
    """
    usual = backward_pass.get()

    def stop_once(root: Node, grad: Any, retain_grads: bool | None) -> None:
        backward_pass.set(usual)
        stopped_backward(root, grad, retain_grads)

    backward_pass.set(stop_once)


def stopped_backward(root: Node, grad: Any, retain_grads: bool | None) -> None:
    """Do a backward pass at the prompt: what AUTOLM_DEBUG=1 lets every `backward()` be.

    The user walks it; what is left when they go on is done then.
    """
    if not open_debugger(root, grad, retain_grads, variables_of_caller(), leaves_at_end=True):
        raise bdb.BdbQuit


def open_debugger(
    root: Node,
    grad: Any,
    retain_grads: bool | None,
    variables: Mapping[str, Any],
    *,
    leaves_at_end: bool = False,
) -> bool:
    """Open the prompt over a pass; return whether the user went on, rather than quit."""
    token = backward_pass.set(None)  # the prompt's own passes do not stop
    try:
        with Backprop(root, grad, retain_grads) as walk:
            debugger = Debugger(walk, variables, leaves_at_end=leaves_at_end)
            debugger.open()
            if not walk.finished:
                changed = ", and every number that was set," if walk.edits else ""
                debugger.say(f"left at step {walk.position}: every gradient{changed} is as it was")
            elif walk.edits:
                debugger.say("left at the end: what was set stays so")
            return not debugger.has_quit
    finally:
        backward_pass.reset(token)
