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
    """Why a run stopped, before the next step.

    Attributes
    ----------
    reason
        "breakpoint"; "until" (the condition is true or the scope was left); "interrupted"; "end" or
        "start" of the pass.
    breakpoints
        The breakpoints that stopped it. If evaluating a condition failed, it has the `error`.
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
        """Run to a breakpoint, a condition or the end of the pass.

        Parameters
        ----------
        stops
            The breakpoints; by default those of the walk.
        until
            A function of the next step; the run stops where it returns true.
        interrupted
            Called after each step; the run stops if it returns true.
        """
        return self._run("run", stops, until, interrupted)

    def run_back(
        self,
        stops: Iterable[Breakpoint] | None = None,
        until: Condition | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Run back to a breakpoint, a condition or the start of the pass."""
        return self._run("run_back", stops, until, interrupted)

    def out(
        self,
        scope: str,
        stops: Iterable[Breakpoint] | None = None,
        interrupted: InterruptCheck | None = None,
    ) -> RunResult:
        """Run until the next step is outside a scope; for "", to the end of the pass."""
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
        """Run back until the previous step is outside a scope."""
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
            hits = self._hits_here(stops)
            if hits:
                return RunResult("breakpoint", hits)
            step = None if until is None else self.preview()
            if step is not None and until is not None and until(step):
                return RunResult("until")
            if interrupted is not None and interrupted():
                return RunResult("interrupted")
        return RunResult("end" if is_forwards else "start")

    def breakpoints_here(self, stops: Iterable[Breakpoint] | None = None) -> tuple[Breakpoint, ...]:
        """Return the breakpoints that stop before the next step, without moving."""
        self._require_open("breakpoints_here")
        return self._hits_here(self._read_stops("breakpoints_here", stops))

    def _hits_here(self, stops: Iterable[Breakpoint]) -> tuple[Breakpoint, ...]:
        here = [
            breakpoint
            for breakpoint in stops
            if breakpoint.is_enabled and self.position in breakpoint.selection.steps
        ]
        step = self.preview() if here else None
        if step is None:
            return ()
        hits = tuple(
            [breakpoint for breakpoint in here if breakpoint.stops(step)]
        )  # a list: `stops` counts a hit for each
        for breakpoint in hits:
            if breakpoint.is_temporary:
                breakpoint.is_enabled = False
                self.breakpoints.pop(breakpoint.id, None)
        return hits

    def _read_stops(self, name: str, stops: Iterable[Breakpoint] | None) -> list[Breakpoint]:
        if stops is None:
            return list(self.breakpoints.values())
        items = read_items(name, "stops", stops, "a list of breakpoints")
        return [read_kind(name, "stops", item, Breakpoint, A_BREAKPOINT) for item in items]

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
        """Make `run` and `run_back` stop before the steps that match all of these arguments.

        Parameters
        ----------
        line
            The line of the program that created the node, as FILE:LINE.
        op
            The operation, by name or symbol: "mul" or "×".
        name, scope
            Patterns for the node's name and scope, with * and ? as in file names.
        when
            A function of the step: ``lambda step: abs(step.upstream) > 10``.
        nonfinite
            Stop before a step with a contribution that is inf or nan.
        watch
            Stop before a step that changes the gradient of this node.
        """
        patterns = (("line", line), ("op", op), ("name", name), ("scope", scope))
        texts = {
            key: None if text is None else read_text("break_at", key, text)
            for key, text in patterns
        }
        read_optional_function("break_at", "when", when, A_CONDITION)
        read_bool("break_at", "nonfinite", nonfinite)
        operations, selections = self.operations, list[StepSelection]()
        if texts["line"]:
            path, _, number = texts["line"].rpartition(":")
            if not path or not number.isdigit():
                raise ValueError(
                    message("break_at: line must be FILE:LINE, got {line!r}", line=line)
                )
            selections.append(at_line(operations, path, int(number)))
        for key, select in (("op", at_operation), ("name", at_name), ("scope", at_scope)):
            text = texts[key]
            if text:
                selections.append(select(operations, text))
        if nonfinite:
            selections.append(at_nonfinite(operations))
        if watch is not None:
            selections.append(at_change_of(operations, read_node("break_at", "watch", watch)))
        if not selections and when is None:
            raise ValueError(
                message(
                    "break_at: a location is required: line=, op=, name=, scope=, when=, "
                    "nonfinite= or watch="
                )
            )
        selection = intersection(selections) if selections else every_step(operations)
        return self.add(Breakpoint(selection, when))

    def add(self, breakpoint: Breakpoint) -> Breakpoint:
        """Add a breakpoint under the next id."""
        read_kind("add", "breakpoint", breakpoint, Breakpoint, A_BREAKPOINT)
        breakpoint.id = max(self.breakpoints, default=0) + 1
        self.breakpoints[breakpoint.id] = breakpoint
        return breakpoint


def is_within(scope: str, outer: str) -> bool:
    """Whether a scope is `outer`, or inside it."""
    return not outer or scope == outer or scope.startswith(f"{outer}.")
