"""The prompt over one backward pass, with the commands of pdb and gdb's commands for going back.

It stops before a step, as pdb stops before a line. This file has the commands that move;
`breakpoint_commands.py` has those for breakpoints, `inspection_commands.py` those that show data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autolm.debugger.breakpoint_commands import BreakpointCommands
from autolm.debugger.inspection_commands import read_integer
from autolm.debugger.prompt import CommandError, error_line
from autolm.debugger.screen import aligned, red
from autolm.engine.location import Frame
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.walking.passes import Passes, parse_condition
from autolm.walking.runner import RunResult, is_within
from autolm.walking.walk import Walk
from autolm.walking.wording import show

PASSES_LISTED = 20  # the latest ones


class Debugger(BreakpointCommands):
    """The prompt over one backward pass."""

    prompt = "(bp) "
    aliases = {  # noqa: RUF012  (never changed)
        "n": "next",
        "s": "step",
        "si": "stepi",
        "r": "return",
        "c": "continue",
        "cont": "continue",
        "unt": "until",
        "b": "break",
        "cl": "clear",
        "l": "list",
        "ll": "longlist",
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
        "reverse-stepi": "rsi",
        "reverse-next": "rn",
        "reverse-continue": "rc",
        "run": "restart",
        "print": "p",
        "j": "goto",
        "jump": "goto",
        "finish": "return",
        "fin": "return",
        "until-pass": "until_pass",
    }
    groups = {  # noqa: RUF012
        "to go": "step stepi next return continue until goto restart quit",
        "to go to other passes": "pass until_pass",
        "to go back": "rs rsi rn rc",
        "to stop": "break tbreak watch condition ignore enable disable commands clear info",
        "to look": "list longlist where up down p pp args whatis source display undisplay why nan "
        "zoom open draw",
        "to ask what if": "set",
        "to talk": "interact alias unalias help",
    }
    keys = {  # noqa: RUF012
        "F10": "s (rs is Step Back)",
        "F11": "si",
        "Shift-F11": "r",
        "F5": "c (rc is Reverse)",
    }
    takes_python = ("p", "pp", "whatis", "display", "source")

    def __init__(
        self,
        walk: Walk,
        variables: Mapping[str, Any],
        call: Sequence[Frame] = (),
        passes: Passes | None = None,
    ) -> None:
        super().__init__(walk, variables, call)
        self.passes = passes
        self.has_quit = False
        self.run_result: RunResult | None = None  # why the latest move stopped
        self.intro = f"{self.screen.heading()}\n{self._here()}"

    # Moves

    def do_step(self, argument: str) -> bool:
        """Run the current step, or K steps; at the end, go to the start of the next pass.

        step [K]   (s)
        """
        if self.walk.finished and self.passes is not None:
            return self._leave_for(number=self.passes.count)
        self._go_to(self.walk.position + _count(argument))
        return False

    def do_stepi(self, argument: str) -> None:
        """Send one contribution of the current step, or K contributions.

        stepi [K]   (si)
        """
        self._repeat(self.walk.send, _count(argument))

    def do_next(self, argument: str) -> bool:
        """Run one step; before the first step of a module, run the whole module.

        next   (n)
        After up: run to the end of the selected scope.
        """
        chosen, walk = self.scope_in_view(), self.walk
        if walk.finished:
            return self.do_step("")
        scope = "" if walk.next_node is None else walk.next_node.scope
        begins = not (walk.position and is_within(walk.operations[walk.position - 1].scope, scope))
        if chosen is not None:
            self._out(chosen)
        elif scope and begins:
            self._out(scope)
        else:
            self._go_to(walk.position + 1)
        return False

    def do_return(self, argument: str) -> None:
        """Run to the end of this module; outside modules, to the end of the pass.

        return   (r)
        After up: run to the end of the selected scope.
        """
        chosen = self.scope_in_view()
        self._out(self.node.scope if chosen is None else chosen)

    def do_continue(self, argument: str) -> bool:
        """Run to the next breakpoint, in this pass or a later pass of the program.

        continue   (c, cont)
        Without breakpoints: run to the end of the pass; at the end, continue the program.
        """
        has_breakpoints = any(
            breakpoint.is_enabled for breakpoint in self.walk.breakpoints.values()
        )
        goes_on = self.passes is not None and has_breakpoints
        if not self.walk.finished and not goes_on:
            self._go(lambda stop: self.walk.run(interrupted=stop))
            return False
        if not self.walk.finished and self.run_to_breakpoint():
            return False
        if self.passes is not None:
            self.passes.wait(has_breakpoints=has_breakpoints)
        return True

    def run_to_breakpoint(self) -> bool:
        """Run to a breakpoint and show it; return False if the pass ends first."""
        arrived = () if self.intro is None else self.walk.breakpoints_here()
        if not arrived:
            with self.deferred_interrupts() as interrupted:
                stopped = self.walk.run(interrupted=interrupted.is_set)
            if stopped.reason == "end":
                return False
            arrived = stopped.breakpoints
        if self.intro is not None:
            self.say(self.screen.heading())
            self.intro = None
        self._go(lambda _: RunResult("breakpoint", arrived), has_moved=True)
        return True

    def do_pass(self, argument: str) -> bool:
        """List the passes of the program so far, or run to the start of pass N.

        pass [N]
        The first pass is 0. The passes before pass N run at full speed and do not stop.
        """
        if not argument:
            self._list_passes()
            return False
        number, now = read_integer(argument), self._passes("pass").count - 1
        if number < now:
            raise CommandError(
                message(
                    "pass: pass {number} is over, this is pass {now}; to start again: "
                    "autolm step --pass {number}",
                    number=number,
                    now=now,
                )
            )
        if number == now:
            self._go_to(0)
            return False
        return self._leave_for(number=number)

    def do_until_pass(self, argument: str) -> bool:
        """Run to the start of the next pass in which an expression is true.

        until_pass EXPRESSION   (until-pass)
        EXPRESSION can use the variables of the program and grad(NAME), the gradient that the pass
        computes for a node of this name.
        """
        if not argument:
            raise CommandError(
                message("until-pass: a condition is required, such as: until-pass loss > 2")
            )
        parse_condition(argument)
        self._passes("until-pass")
        return self._leave_for(condition=argument)

    def _passes(self, command: str) -> Passes:
        if self.passes is None:
            raise CommandError(
                message(
                    "{command}: this prompt debugs a single graph, without a program around it",
                    command=command,
                )
            )
        return self.passes

    def _leave_for(self, number: int | None = None, condition: str = "") -> bool:
        """Finish this pass, and continue the program to another pass."""
        with self.deferred_interrupts() as interrupted:
            self.walk.goto(len(self.walk.operations), interrupted=interrupted.is_set)
        if interrupted.is_set():
            self.say(message("interrupted"))
            self.say(self._here())
            return False
        self._passes("pass").wait(number, condition)
        return True

    def _list_passes(self) -> None:
        history = list(self._passes("pass").history)
        first = max(0, len(history) - PASSES_LISTED)
        if first:
            self.say(
                message(
                    "… passes {first} … {last} are not shown",
                    first=history[0].number,
                    last=history[first - 1].number,
                )
            )
        rows = [("pass", "loss", "‖∇‖", say(message("seconds")))]
        ends = [record.started for record in history[1:]]
        for i, record in enumerate(history[first:], first):
            loss = "" if record.loss is None else show(record.loss)
            norm = "" if record.norm is None else show(record.norm)
            seconds = f"{ends[i] - record.started:.4f}" if i < len(ends) else ""
            rows.append((str(record.number), loss, norm, seconds))
        self.write("\n".join(aligned(rows)))

    def do_until(self, argument: str) -> None:
        """Run until step K is next, or to an earlier breakpoint; without K, run one step.

        until [K]   (unt)
        """
        k = self.step_number(argument) if argument else self.walk.position + 2
        if k <= self.walk.position + 1:
            raise CommandError(
                message("until: step {k} is not ahead; to go back to it: goto {k}", k=k)
            )
        self._go(lambda stop: self.walk.run(None, lambda step: step.index + 1 >= k, stop))

    def do_goto(self, argument: str) -> None:
        """Go to step K, forward or backward, or to the start or the end of the pass.

        goto K | start | end   (j, jump)
        """
        if not argument:
            raise CommandError(message("goto: a step number is required; goto 1 is the start"))
        ends = {"start": 0, "end": len(self.walk.operations)}
        self._go_to(ends[argument] if argument in ends else self.step_number(argument) - 1)

    def do_restart(self, argument: str) -> None:
        """Go back to the start of the pass; keep the breakpoints and reset their hit counts.

        restart   (run)
        """
        for breakpoint in self.walk.breakpoints.values():
            breakpoint.hit_steps.clear()
        self._go_to(0)

    def do_rs(self, argument: str) -> None:
        """Undo a step, or K steps; a partly sent step counts as one.

        rs [K]   (reverse-step)
        """
        self._repeat(self.walk.back, _count(argument))

    def do_rsi(self, argument: str) -> None:
        """Undo one contribution, or K contributions.

        rsi [K]   (reverse-stepi)
        """
        self._repeat(self.walk.unsend, _count(argument))

    def do_rn(self, argument: str) -> None:
        """Undo one step; after the last step of a module, undo the whole module.

        rn   (reverse-next)
        After up: go back to the start of the selected scope.
        """
        chosen, walk = self.scope_in_view(), self.walk
        scope = walk.operations[walk.position - 1].scope if walk.position else ""
        ends = walk.next_node is None or not is_within(walk.next_node.scope, scope)
        if chosen is not None or (scope and ends and not walk.edge):
            out_of = scope if chosen is None else chosen
            self._go(lambda stop: walk.back_out(out_of, interrupted=stop))
        else:
            self._repeat(walk.back, 1)

    def do_rc(self, argument: str) -> None:
        """Go back to the previous breakpoint, or to the start of the pass.

        rc   (reverse-continue)
        """
        self._go(lambda stop: self.walk.run_back(interrupted=stop))

    def do_quit(self, argument: str) -> bool:
        """Quit; before the end of the pass, restore all gradients and all values that were set.

        quit   (q, exit, Ctrl-D)
        """
        self.has_quit = True
        return True

    # How a move runs

    def _out(self, scope: str) -> None:
        self._go(lambda stop: self.walk.out(scope, interrupted=stop))

    def _go_to(self, k: int) -> None:
        k = min(k, len(self.walk.operations))
        self._go(lambda stop: self.walk.goto(k, interrupted=stop))

    def _repeat(self, move: Callable[[], Any], times: int) -> None:
        def several(stop: Callable[[], bool]) -> None:
            for _ in range(times):
                if not move() or stop():
                    return

        self._go(several)

    def _go(
        self, move: Callable[[Callable[[], bool]], RunResult | None], has_moved: bool = False
    ) -> None:
        """Move and show the new position; `move` receives a function that reports Ctrl-C."""
        before = self.walk.position, self.walk.edge
        self.queue([])
        try:
            with self.deferred_interrupts() as interrupted:
                stopped = move(interrupted.is_set)
        except Exception:  # a rule has failed: show its step before the error
            if self.walk.position != before[0]:
                self.outwards = 0
                self.say(self.screen.next_step_line())
            raise
        self.run_result = stopped
        if interrupted.is_set():
            self.say(message("interrupted"))
        has_moved |= (self.walk.position, self.walk.edge) != before
        self.outwards = 0 if has_moved else self.outwards
        stops = () if stopped is None else stopped.breakpoints
        self._show(has_moved, [breakpoint.id for breakpoint in stops])
        for breakpoint in stops:
            if breakpoint.error is not None:
                self.say(
                    red(
                        message(
                            "the condition of breakpoint {id}: {error}",
                            id=breakpoint.id,
                            error=error_line(breakpoint.error),
                        )
                    )
                )
        self.queue([line for breakpoint in stops for line in self._commands_of(breakpoint.id)])

    def _commands_of(self, number: int) -> list[str]:
        lines = self.commands.get(number, [])
        return lines[1:] if lines[:1] == ["silent"] else lines

    def _show(self, has_moved: bool, stops: Sequence[int]) -> None:
        first = self.commands.get(stops[0], []) if stops else []
        if first[:1] == ["silent"]:
            return
        if not has_moved and not self.walk.position and self.walk.operations:
            self.say(message("at the start: no step has run yet"))
        else:
            note = (
                message("… breakpoint {names}", names=", ".join(map(str, stops))) if stops else ""
            )
            self.say(self._here(note))
        if has_moved:
            self.show_displays()

    def _here(self, note: str = "") -> str:
        if not self.walk.operations:
            return message(
                "a leaf has no steps; there is nothing to step through (c continues, q quits)"
            )
        return self.view(note)


def _count(text: str) -> int:
    """Read a number of steps; the default is 1."""
    count = read_integer(text) if text else 1
    if count < 1:
        raise CommandError(
            message(
                "the number of steps must be at least 1, got {count}; to go backward: rs",
                count=count,
            )
        )
    return count
