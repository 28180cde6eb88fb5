"""The ways to open the debugger: `debug()`, `post_mortem()`, and a stop in `backward()`.

The engine reads from a context variable which function runs the pass of `backward()`. `set_trace()`
sets it to a function that opens the prompt; the engine has no other code for the debugger. Until
that pass, lines are recorded, so that each step has a file and a line.
"""

from __future__ import annotations

import bdb
import builtins
from contextvars import ContextVar
from typing import Any

from autolm.debugger.breakpoint_commands import PromptSettings
from autolm.debugger.commands import Debugger
from autolm.debugger.screen import HOW_TO_RECORD_LINES, red
from autolm.engine.backprop import latest_root
from autolm.engine.graph import Node
from autolm.engine.recording import recorder
from autolm.engine.watching import Backward, backward_pass, watching_pass
from autolm.outside.message import message
from autolm.tensor.nodes import read_node
from autolm.walking.passes import Passes, gradient_norm
from autolm.walking.program import Pass, backward_hook, current_pass, record_lines, visit_pass
from autolm.walking.wording import count

# The settings of the latest prompt, such as breakpoints; the next pass inherits them.
latest_settings: ContextVar[PromptSettings | None] = ContextVar(
    "autolm_debugger_settings", default=None
)


def debug(
    root: Node,
    grad: Any = None,
    *,
    retain_grads: bool | None = None,
    segment: int | None = None,
) -> None:
    """Open the debugger on the backward pass of a node; its command `help` lists the commands.

    If you leave at the end of the pass, the gradients are those of `backward()`; if you leave
    earlier, with q, they are restored. A step shows its line if it was computed under
    `record_locations()`, with AUTOLM_LOCATIONS=1, or after an earlier `debug()`, because the first
    `debug()` turns the recording on.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        As for `Walk`: the number of steps in each segment of the walk of a large model.
    """
    record_lines(True)
    open_debugger(current_pass(read_node("debug", "root", root), grad, retain_grads), segment)


def post_mortem() -> None:
    """Open the debugger on the latest pass, at the operation that made the first non-finite number.

    Without such a number, it opens at the start of the pass. A pass of a PyTorch program can only
    be inspected if it keeps its graph (`retain_graph=True`).

    Raises
    ------
    ValueError
        If `backward()` was not called, or its result no longer exists.
    """
    root = latest_root.get()()
    if root is None:
        raise ValueError(
            message("post_mortem: backward() was not called, or its result no longer exists")
        )
    open_debugger(current_pass(root), at_nonfinite=True)


def set_trace() -> None:
    """Stop in the next `backward()` of this program, and open the debugger there.

    The command `c` runs to a breakpoint, in this pass or a later one; without breakpoints, to the
    end of the pass, and from there it continues the program. `q` ends the program, as in pdb.
    """
    before, usual = recorder.get(), watching_pass()
    record_lines(True)
    during, passes = recorder.get(), Passes()
    walked = _prompt_hook(passes)

    def stopped(root: Node, grad: Any, retain_grads: bool | None) -> None:
        is_left = True
        try:
            walked(root, grad, retain_grads)
            is_left = passes.is_over
        finally:
            if is_left:
                backward_pass.set(usual)
                if recorder.get() is during:
                    recorder.set(before)

    backward_pass.set(stopped)


class Quit(SystemExit, bdb.BdbQuit):
    """The exception of `q`, a BdbQuit as in pdb; if unhandled, the program ends silently."""


def walk_pass(here: Pass, segment: int | None = None, passes: Passes | None = None) -> None:
    """Walk a pass at the prompt; quitting ends the program."""
    if not open_debugger(here, segment, passes):
        raise bdb.BdbQuit if hasattr(builtins, "get_ipython") else Quit  # IPython shows no BdbQuit


_passes = Passes()  # the passes of a program under AUTOLM_DEBUG=1


def stopped_backward(root: Node, grad: Any, retain_grads: bool | None) -> None:
    """Run a backward pass of a program under AUTOLM_DEBUG=1, at the prompt if it stops there."""
    _prompt_hook(_passes)(root, grad, retain_grads)


def _prompt_hook(passes: Passes) -> Backward:
    return backward_hook(
        lambda new: visit_pass(new, passes, lambda here: walk_pass(here, None, passes))
    )


def open_debugger(
    here: Pass,
    segment: int | None = None,
    passes: Passes | None = None,
    *,
    at_nonfinite: bool = False,
) -> bool:
    """Open the prompt over a pass; return whether the user continued, rather than quit.

    If the pass does not stop at its start, the prompt opens only at a breakpoint.
    """
    token = backward_pass.set(None)  # the prompt's own passes do not stop
    try:
        with here.walk(segment) as walk:
            debugger = Debugger(walk, here.variables, here.call, passes)
            before = latest_settings.get()
            if before is None:
                debugger.start_up()
            else:
                debugger.set_up(before)
            if passes is not None and passes.error:
                debugger.say(red(passes.error))
            if at_nonfinite:
                debugger.go_to_nonfinite()
            if here.stops:
                unplaced = sum(node.location is None for node in walk.operations)
                if unplaced:
                    debugger.say(
                        message(
                            "the lines of {count} steps were not recorded: {lines}",
                            count=count(unplaced),
                            lines=HOW_TO_RECORD_LINES,
                        )
                    )
                debugger.open()
            elif debugger.run_to_breakpoint():
                debugger.open()
            latest_settings.set(debugger.settings())
            if not walk.finished:
                place = message("before step {step}", step=walk.position + 1)
                debugger.say(
                    message(
                        "left {place}: all gradients and values that were set are restored",
                        place=place,
                    )
                )
            elif walk.edits:
                debugger.say(message("left at the end: the values that were set are kept"))
            if passes is not None and walk.finished:
                sums = (walk.gradients.get(leaf) for leaf in walk.leaves)
                passes.latest.norm = gradient_norm([grad for grad in sums if grad is not None])
            return not debugger.has_quit
    finally:
        backward_pass.reset(token)
