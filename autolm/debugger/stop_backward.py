"""How the debugger comes up: called by name, or where a program's next `backward()` would run.

The engine asks one context variable which pass `backward()` runs. `set_trace()` puts a pass there
that opens the prompt; nothing else in the engine knows of it, and nothing is slower for it. Until
that pass lines are recorded, so that what is computed up to there is shown with file and line.
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

# What the prompt of the latest pass was told: breakpoints hold in the next pass too.
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
    """Open the debugger on the backward pass of a node; `help` there lists what it knows.

    Left at the end of the pass, the gradients are those of `backward()`; left before, with q, they
    are as they were. Lines are known of what was computed under `record_locations()`, with
    AUTOLM_LOCATIONS=1, or after an earlier `debug()`: from the first one on, they are recorded.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        As for `Walk`: of how many steps the segments are in which a large model is walked.
    """
    record_lines(True)
    open_debugger(current_pass(read_node("debug", "root", root), grad, retain_grads), segment)


def post_mortem() -> None:
    """Open the debugger on the latest pass, at the operation where a number stopped being finite.

    Without such a number it opens at the start of the pass. Of a PyTorch program only a pass that
    keeps its graph (`retain_graph=True`) can be looked at.

    Raises
    ------
    ValueError
        When there was no pass, or nothing holds its result any more.
    """
    root = latest_root.get()()
    if root is None:
        raise ValueError(
            message("post_mortem: backward() was not called, or its result no longer exists")
        )
    open_debugger(current_pass(root), at_nonfinite=True)


def set_trace() -> None:
    """Stop in the next `backward()` of this program, and open the debugger there.

    There `c` goes to a breakpoint, in this pass or a later one; without breakpoints, to the end of
    the pass and from there on with the program. `q` ends the program, as pdb's does.
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
    """What pdb raises at `q`; where nobody handles it, the program ends without a traceback."""


def walk_pass(here: Pass, segment: int | None = None, passes: Passes | None = None) -> None:
    """Walk a pass at the prompt, to its end; who quits before ends the program."""
    if not open_debugger(here, segment, passes):
        raise bdb.BdbQuit if hasattr(builtins, "get_ipython") else Quit  # IPython shows no BdbQuit


_passes = Passes()  # of a program under AUTOLM_DEBUG=1


def stopped_backward(root: Node, grad: Any, retain_grads: bool | None) -> None:
    """Do a backward pass of a program under AUTOLM_DEBUG=1: at the prompt if it is awaited."""
    _prompt_hook(_passes)(root, grad, retain_grads)


def _prompt_hook(passes: Passes) -> Backward:
    return backward_hook(
        lambda each: visit_pass(each, passes, lambda here: walk_pass(here, None, passes))
    )


def open_debugger(
    here: Pass,
    segment: int | None = None,
    passes: Passes | None = None,
    *,
    at_nonfinite: bool = False,
) -> bool:
    """Open the prompt over a pass; return whether the user went on, rather than quit.

    A pass that does not stop at its start opens the prompt only if a breakpoint is reached.
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
                passes.latest.norm = gradient_norm([each for each in sums if each is not None])
            return not debugger.has_quit
    finally:
        backward_pass.reset(token)
