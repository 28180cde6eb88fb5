"""How the debugger comes up: called by name, or where a program's next `backward()` would run.

The engine asks one context variable which pass `backward()` runs. `set_trace()` puts a pass there
that opens the prompt; nothing else in the engine knows of it, and nothing is slower for it. Until
that pass lines are recorded, so that what is computed up to there is shown with file and line.
"""

from __future__ import annotations

import bdb
from contextvars import ContextVar
from typing import Any

from autolm.debugger.commands import Debugger
from autolm.debugger.screen import LINES
from autolm.debugger.stopping import Settings
from autolm.engine.graph import Node
from autolm.engine.recording import Recording, recorder, recording_here
from autolm.engine.site import Sites
from autolm.engine.watching import backward_pass, watching_pass
from autolm.tensor.arguments import read_node
from autolm.walking.program import Pass, pass_here, stopping
from autolm.walking.wording import count

# What the prompt of the latest pass was told: breakpoints hold in the next pass too.
settings: ContextVar[Settings | None] = ContextVar("autolm_debugger_settings", default=None)


def debug(
    root: Node,
    grad: Any = None,
    *,
    retain_grads: bool | None = None,
    segment: int | None = None,
) -> None:
    """Open the debugger on the backward pass of a node; `help` there lists what it knows.

    Left at the end of the pass, the gradients are those of `backward()`; left before, with q, they
    are as they were. Lines are known of what was computed under `record_sites()`, with
    AUTOLM_SITES=1, or after an earlier `debug()`: from the first one on, they are recorded.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        As for `Walk`: of how many steps the segments are in which a large model is walked.
    """
    record_sites_from_now_on()
    open_debugger(pass_here(read_node("debug", "root", root), grad, retain_grads), segment)


def set_trace() -> None:
    """Stop in the next `backward()` of this program, and open the debugger there.

    There `c` comes to the end of the pass, and from there goes on with the program; `q` ends it, as
    pdb's does.
    """
    before, usual = recorder.get(), watching_pass()
    record_sites_from_now_on()
    during = recorder.get()

    def stop_once(root: Node, grad: Any, retain_grads: bool | None) -> None:
        backward_pass.set(usual)
        if recorder.get() is during:
            recorder.set(before)
        stopped_backward(root, grad, retain_grads)

    backward_pass.set(stop_once)


def record_sites_from_now_on() -> None:
    """Let the nodes that are made next know their lines."""
    now = recording_here()
    if now.known is None:
        recorder.set(Recording(now.enabled, now.scope, Sites(), now.entered, now.constants))


def walk_pass(here: Pass, segment: int | None = None) -> None:
    """Let the user walk a pass to its end at the prompt; who quits before ends the program."""
    if not open_debugger(here, segment):
        raise bdb.BdbQuit


def stopped_backward(root: Node, grad: Any, retain_grads: bool | None) -> None:
    """Do a backward pass at the prompt: what AUTOLM_DEBUG=1 lets every `backward()` be."""
    stopping(walk_pass)(root, grad, retain_grads)


def open_debugger(here: Pass, segment: int | None = None) -> bool:
    """Open the prompt over a pass; return whether the user went on, rather than quit."""
    token = backward_pass.set(None)  # the prompt's own passes do not stop
    try:
        with here.walk(segment) as walk:
            debugger = Debugger(walk, here.variables, here.call)
            before = settings.get()
            if before is None:
                debugger.start_up()
            else:
                debugger.set_up(before)
            unplaced = sum(node.site is None for node in walk.operations)
            if unplaced:
                debugger.say(f"no line is known of {count(unplaced)} steps: {LINES}")
            debugger.open()
            settings.set(debugger.settings())
            if not walk.finished:
                changed = ", and every number that was set," if walk.edits else ""
                place = f"before step {walk.position + 1}"
                debugger.say(f"left {place}: every gradient{changed} is as it was")
            elif walk.edits:
                debugger.say("left at the end: what was set stays so")
            return not debugger.has_quit
    finally:
        backward_pass.reset(token)
