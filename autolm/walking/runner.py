"""Runs of a walk to its next stop: a breakpoint, a condition, the end of a scope or of the pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.outside.arguments import read_bool, read_items, read_kind, read_text
from autolm.outside.message import message
from autolm.tensor.nodes import read_node
from autolm.walking.breakpoints import (
    Breakpoint,
    Condition,
    StepSelection,
    at_change_of,
    at_line,
    at_name,
    at_nonfinite,
    at_operation,
    at_scope,
    every_step,
    intersection,
)
from autolm.walking.stepper import INTERRUPT_CHECK, InterruptCheck, Stepper, read_optional_function

A_CONDITION = "a function of a step that answers True or False"
A_BREAKPOINT = "a Breakpoint, as break_at makes it"


class RunResult(NamedTuple):
    """Why a walk has come to rest, before the step that is next.

    Attributes
    ----------
    reason
        "breakpoint"; "until", where that was true or the scope was left; "interrupted"; "end" or
        "start" of the pass.
    breakpoints
        Those that stopped it. One whose condition could not be asked has its `error`.
    """

    reason: str
    breakpoints: tuple[Breakpoint, ...] = ()


class Runner(Stepper):
    """Moves of many steps, with breakpoints; see `Walk`."""

    def run(
        self,
        stops: Iterable[Breakpoint] | None = None,
        until: Condition | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Go on until something stops it before a step, or to the end of the pass.

        Parameters
        ----------
        stops
            The breakpoints; the walk's own if left out.
        until
            A question about the step that is next; where the answer is true, it stops.
        interrupted
            Asked after each step whether to stop there.
        """
        return self._run("run", stops, until, interrupted)

    def run_back(
        self,
        stops: Iterable[Breakpoint] | None = None,
        until: Condition | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Go back in the same way, to the start of the pass at the furthest."""
        return self._run("run_back", stops, until, interrupted)

    def out(
        self,
        scope: str,
        stops: Iterable[Breakpoint] | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Go on to the end of a scope, whose next step is outside; of "" to the end of the pass."""
        scope = read_text("out", "scope", scope)
        return self._run(
            "out", stops, lambda step: not is_within(step.node.scope, scope), interrupted
        )

    def back_out(
        self,
        scope: str,
        stops: Iterable[Breakpoint] | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Go back to the start of a scope, whose step before is outside."""
        scope = read_text("back_out", "scope", scope)

        def is_before(step: Step) -> bool:
            return step.index > 0 and not is_within(self.operations[step.index - 1].scope, scope)

        return self._run("back_out", stops, is_before, interrupted)

    def _run(
        self,
        name: str,
        stops: Iterable[Breakpoint] | None,
        until: Condition | None,
        interrupted: InterruptCheck | None,
    ) -> RunResult:
        self._require_open(name)
        read_optional_function(name, "until", until, A_CONDITION)
        read_optional_function(name, "interrupted", interrupted, INTERRUPT_CHECK)
        stops = self._read_stops(name, stops)
        is_forwards = name in ("run", "out")
        while self.step() if is_forwards else self.back():
            found = self._arrived(stops)
            if found:
                return RunResult("breakpoint", found)
            step = None if until is None else self.preview()
            if step is not None and until is not None and until(step):
                return RunResult("until")
            if interrupted is not None and interrupted():
                return RunResult("interrupted")
        return RunResult("end" if is_forwards else "start")

    def breakpoints_here(self, stops: Iterable[Breakpoint] | None = None) -> tuple[Breakpoint, ...]:
        """Return the breakpoints that stop before the step that is next: where one begins."""
        self._require_open("arrive")
        return self._arrived(self._read_stops("arrive", stops))

    def _arrived(self, stops: Iterable[Breakpoint]) -> tuple[Breakpoint, ...]:
        here = [each for each in stops if each.is_enabled and self.position in each.selection.steps]
        step = self.preview() if here else None
        if step is None:
            return ()
        found = tuple([each for each in here if each.stops(step)])  # each is asked
        for each in found:
            if each.is_temporary:
                each.is_enabled = False
                self.breakpoints.pop(each.id, None)
        return found

    def _read_stops(self, name: str, stops: Iterable[Breakpoint] | None) -> list[Breakpoint]:
        if stops is None:
            return list(self.breakpoints.values())
        found = read_items(name, "stops", stops, "a list of breakpoints")
        return [read_kind(name, "stops", each, Breakpoint, A_BREAKPOINT) for each in found]

    def break_at(
        self,
        *,
        line: str | None = None,
        op: str | None = None,
        name: str | None = None,
        scope: str | None = None,
        when: Condition | None = None,
        nonfinite: bool = False,
        watch: Node | None = None,
    ) -> Breakpoint:
        """Let `run` and `run_back` stop before the steps of which all of these hold.

        Parameters
        ----------
        line
            The line of the program that made the node, as FILE:LINE.
        op
            The operation, by name or symbol: "mul" or "×".
        name, scope
            The node's name and scope; * and ? stand for anything, as in names of files.
        when
            A question about the step: ``lambda step: abs(step.upstream) > 10``.
        nonfinite
            Something that it sends is inf or nan.
        watch
            It changes the gradient of this node.
        """
        given = (("line", line), ("op", op), ("name", name), ("scope", scope))
        texts = {
            key: None if text is None else read_text("break_at", key, text) for key, text in given
        }
        read_optional_function("break_at", "when", when, A_CONDITION)
        read_bool("break_at", "nonfinite", nonfinite)
        operations, asked = self.operations, list[StepSelection]()
        if texts["line"]:
            path, _, number = texts["line"].rpartition(":")
            if not path or not number.isdigit():
                raise ValueError(
                    message("break_at: line must be FILE:LINE, got {line!r}", line=line)
                )
            asked.append(at_line(operations, path, int(number)))
        for key, place in (("op", at_operation), ("name", at_name), ("scope", at_scope)):
            text = texts[key]
            if text:
                asked.append(place(operations, text))
        if nonfinite:
            asked.append(at_nonfinite(operations))
        if watch is not None:
            asked.append(at_change_of(operations, read_node("break_at", "watch", watch)))
        if not asked and when is None:
            raise ValueError(
                message(
                    "break_at: a location is required: line=, op=, name=, scope=, when=, "
                    "nonfinite= or watch="
                )
            )
        places = intersection(asked) if asked else every_step(operations)
        return self.add(Breakpoint(places, when))

    def add(self, breakpoint: Breakpoint) -> Breakpoint:
        """Add a breakpoint under the next id."""
        read_kind("add", "breakpoint", breakpoint, Breakpoint, A_BREAKPOINT)
        breakpoint.id = max(self.breakpoints, default=0) + 1
        self.breakpoints[breakpoint.id] = breakpoint
        return breakpoint


def is_within(scope: str, outer: str) -> bool:
    """Whether a scope is `outer`, or inside it."""
    return not outer or scope == outer or scope.startswith(f"{outer}.")
