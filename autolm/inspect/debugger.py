"""The debugger: backprop at a prompt, in the language of pdb, and in that of gdb backwards.

A step is done when it is in view: what the screen says of a gradient is what `.grad` says. This
file holds the commands that go somewhere; `stopping.py` those that say where to stop, and
`looking.py` those that look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolm.inspect.backprop import Backprop
from autolm.inspect.breakpoints import Condition
from autolm.inspect.looking import whole_number
from autolm.inspect.prompt import Mistake
from autolm.inspect.screen import within
from autolm.inspect.stopping import Stopping


class Debugger(Stopping):
    """The prompt over one backward pass."""

    prompt = "(bp) "
    aliases = {  # noqa: RUF012  (never changed)
        "n": "next", "s": "step", "r": "return", "c": "continue", "cont": "continue",
        "unt": "until", "b": "break", "cl": "clear", "l": "list", "w": "where", "bt": "where",
        "u": "up", "d": "down", "a": "args", "q": "quit", "exit": "quit", "h": "help", "?": "help",
        "reverse-step": "rs", "reverse-next": "rn", "reverse-continue": "rc", "print": "p",
        "j": "goto", "jump": "goto",
    }  # fmt: skip
    groups = {  # noqa: RUF012
        "to go": "step next return continue until goto rs rn rc quit",
        "to stop": "break tbreak condition clear watch",
        "to look": "list where up down p pp args display undisplay why nan zoom draw help",
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
        count = whole_number(argument) if argument else 1
        self._go(lambda _: self.walk.forward(count))

    def do_next(self, argument: str) -> None:
        """Go to the end of the module of the next operation.

        next   (n)
        Outside of modules that is one step.
        """
        scope = self._scope_ahead()
        if scope:
            self._run(lambda step: not within(self._scope_ahead() or "", scope))
        else:
            self.do_step("")

    def do_return(self, argument: str) -> None:
        """Go on until the scope around this module is left.

        return   (r)
        """
        around = (self._scope_ahead() or "").rpartition(".")[0]
        self._run(lambda step: not within(self._scope_ahead() or "", around))

    def _scope_ahead(self) -> str | None:
        """Return the scope of the next operation, or the one chosen by `up`; None at the end."""
        if self.walk.finished:
            return None
        chosen = self.scope_in_view()
        return self.walk.operations[self.walk.position].scope if chosen is None else chosen

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
        k = 0 if argument == "0" else self.step_number(argument)
        self._go(lambda _: self.walk.goto(k))

    def do_rs(self, argument: str) -> None:
        """Undo one operation, or K of them.

        rs [K]   (reverse-step)
        """
        count = whole_number(argument) if argument else 1
        self._go(lambda _: self.walk.back(count))

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
            with self.interruptible() as interrupted:
                move(interrupted.is_set)
            self.outwards = 0
        finally:
            self._show(moved=self.walk.position != before)

    def _show(self, moved: bool) -> None:
        count = len(self.walk.operations)
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
