"""The debugger: backprop at a prompt, in the language of pdb, and in that of gdb backwards.

A step is done when it is in view: what the screen says of a gradient is what `.grad` says. This
file holds the commands that go somewhere; `stopping.py` those that say where to stop, and
`looking.py` those that look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolm.debugger.looking import whole_number
from autolm.debugger.prompt import Mistake
from autolm.debugger.screen import within
from autolm.debugger.stopping import Stopping
from autolm.walking.breakpoints import Condition
from autolm.walking.walk import Backprop

BETWEEN_LOOKS = 100  # steps on a way to a place, until Ctrl-C is looked for again


class Debugger(Stopping):
    """The prompt over one backward pass."""

    prompt = "(bp) "
    aliases = {  # noqa: RUF012  (never changed)
        "n": "next",
        "s": "step",
        "r": "return",
        "c": "continue",
        "cont": "continue",
        "unt": "until",
        "b": "break",
        "cl": "clear",
        "l": "list",
        "w": "where",
        "bt": "where",
        "u": "up",
        "d": "down",
        "a": "args",
        "q": "quit",
        "exit": "quit",
        "h": "help",
        "?": "help",
        "reverse-step": "rs",
        "reverse-next": "rn",
        "reverse-continue": "rc",
        "print": "p",
        "j": "goto",
        "jump": "goto",
    }
    groups = {  # noqa: RUF012
        "to go": "step next return continue until goto rs rn rc quit",
        "to stop": "break tbreak condition clear watch",
        "to look": "list where up down p pp args display undisplay why nan zoom open draw help",
        "to ask what if": "set",
    }

    def __init__(
        self, walk: Backprop, variables: Mapping[str, Any], *, leaves_at_end: bool = False
    ) -> None:
        super().__init__(walk, variables)
        self.leaves_at_end = leaves_at_end  # whether `continue` leaves when it comes to the end
        self.has_quit = False
        walk.forward()
        self.intro = f"{self.screen.heading()}\n{self.screen.step(walk.step)}"

    # Going

    def do_step(self, argument: str) -> None:
        """Do one operation, or K of them.

        step [K]   (s)
        """
        self._go_to(min(self.walk.position + _count(argument), len(self.walk.operations)))

    def do_next(self, argument: str) -> None:
        """Go to the end of the module of the next operation.

        next   (n)
        Outside of modules that is one step.
        """
        scope = self._scope_to_finish()
        if scope:
            self._run(lambda step: not within(self._scope_ahead(), scope))
        else:
            self.do_step("")

    def do_return(self, argument: str) -> None:
        """Go on until the scope around this module is left.

        return   (r)
        """
        around = self._scope_to_finish().rpartition(".")[0]
        self._run(lambda step: not within(self._scope_ahead(), around))

    def _scope_to_finish(self) -> str:
        """Return the scope of the next operation, or the one chosen by `up`."""
        chosen = self.scope_in_view()
        return self._scope_ahead() if chosen is None else chosen

    def _scope_ahead(self) -> str:
        """Return the scope of the next operation; at the end, the whole graph's."""
        return "" if self.walk.finished else self.walk.operations[self.walk.position].scope

    def do_continue(self, argument: str) -> bool:
        """Go on to the next breakpoint, or to the end; from the end, leave.

        continue   (c, cont)
        """
        if self.walk.finished:
            return True
        self._run()
        return self.leaves_at_end and self.walk.finished and self.walk.stopped_by is None

    def do_until(self, argument: str) -> None:
        """Go on until step K, or a breakpoint before it; without K, one step.

        until [K]   (unt)
        """
        k = self.step_number(argument) if argument else self.walk.position + 1
        if argument and k <= self.walk.position:
            raise Mistake(f"until: step {k} is done already; goto {k} goes back to it")
        self._run(lambda step: step.index + 1 >= k)

    def do_goto(self, argument: str) -> None:
        """Go to step K, forwards or back; 0 is the start.

        goto K   (j, jump)
        """
        if not argument:
            raise Mistake("goto: to which step? goto 0 is the start")
        self._go_to(0 if argument == "0" else self.step_number(argument))

    def do_rs(self, argument: str) -> None:
        """Undo one operation, or K of them.

        rs [K]   (reverse-step)
        """
        self._go_to(max(0, self.walk.position - _count(argument)))

    def do_rn(self, argument: str) -> None:
        """Go back to before the module of this operation.

        rn   (reverse-next)
        Outside of modules that is one step.
        """
        scope = self.scope_in_view() or self.node.scope
        if scope:
            self._run_back(lambda step: not within(step.node.scope, scope))
        else:
            self.do_rs("")

    def do_rc(self, argument: str) -> None:
        """Go back to the breakpoint before, or to the start.

        rc   (reverse-continue)
        """
        self._run_back()

    def do_quit(self, argument: str) -> bool:
        """Leave; before the end of the pass, every gradient is as it was.

        quit   (q, exit, Ctrl-D)
        """
        self.has_quit = True
        return True

    def _go_to(self, k: int) -> None:
        def move(stop: Callable[[], bool]) -> None:
            while (way := k - self.walk.position) and not stop():
                part = max(-BETWEEN_LOOKS, min(way, BETWEEN_LOOKS))
                self.walk.goto(self.walk.position + part)

        self._go(move)

    def _run(self, until: Condition | None = None) -> None:
        self._go(lambda stop: self.walk.run(lambda step: stop() or bool(until and until(step))))

    def _run_back(self, until: Condition | None = None) -> None:
        self._go(
            lambda stop: self.walk.run_back(lambda step: stop() or bool(until and until(step)))
        )

    def _go(self, move: Callable[[Callable[[], bool]], Any]) -> None:
        """Move, and show where that has come to; `move` is told how to learn of Ctrl-C."""
        before, self.walk.stopped_by = self.walk.position, None
        try:
            with self.interrupts_held() as interrupted:
                move(interrupted.is_set)
            if interrupted.is_set():
                self.say("interrupted")
            self.outwards = 0
        finally:
            self._show(moved=self.walk.position != before)

    def _show(self, moved: bool) -> None:
        count = len(self.walk.operations)
        if not count:
            self.say("a leaf has no steps: there is nothing to walk (c or q leaves)")
            return
        if moved:
            self.say(self.screen.step(self.walk.step, self._stopped_by()))
            self.show_displays()
        elif not self.walk.position:
            self.say("at the start: nothing is done yet")
        if self.walk.finished:
            done = f"all {count} steps are" if count > 1 else "the one step is"
            self.say(f"at the end: {done} done (rs goes back, c or q leaves)")

    def _stopped_by(self) -> str:
        """Say which breakpoint it was."""
        stopped = self.walk.stopped_by
        if stopped is None:
            return ""
        numbers = [number for number, each in self.walk.breakpoints.items() if each is stopped]
        return f"… breakpoint {numbers[0]}" if numbers else f"… {stopped.text}"


def _count(text: str) -> int:
    """Read how many steps to go; one if nothing was typed."""
    count = whole_number(text) if text else 1
    if count < 1:
        raise Mistake(f"{count} steps? s goes forward, and rs back")
    return count
