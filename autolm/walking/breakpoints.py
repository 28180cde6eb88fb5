"""Breakpoints of a walk: the steps they may stop before, their conditions and hit counts.

The steps of a breakpoint are computed from the graph once, so steps without a breakpoint cost
nothing. A breakpoint without steps is unverified. Its predicate and condition are evaluated on the
next step, which is computed but not done. Hits are counted in the order of the pass: the third hit
is the third matching step in both directions.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, NamedTuple

from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.engine.location import Frame, Location
from autolm.outside.message import message
from autolm.walking.array_adapter import adapter_of
from autolm.walking.wording import are_finite, label

Condition = Callable[[Step], Any]  # evaluated on the next step

ASCII = {"*": "×", "-": "−", "/": "÷", "**": "^"}  # what keyboards have for these symbols


class StepSelection(NamedTuple):
    """The indices of the steps that a breakpoint may stop before, and a predicate on each step."""

    text: str  # "operation ×"
    steps: Collection[int]
    predicate: Condition | None = None

    def intersect(self, other: StepSelection) -> StepSelection:
        """Return the steps that are in both selections."""
        predicates = [predicate for predicate in (self.predicate, other.predicate) if predicate]
        return StepSelection(
            f"{self.text}, {other.text}",
            frozenset(self.steps) & frozenset(other.steps),
            (lambda step: all(holds(step) for holds in predicates)) if predicates else None,
        )


@dataclass
class Breakpoint:
    """Stop before the steps of a selection.

    Attributes
    ----------
    selection
        The steps that it may stop before: see `at_operation`, `at_line` and the others.
    condition
        Stop only if this is true. If it raises, the walk stops and `error` has the exception.
    hits
        The hit condition: whether to stop at the hit of this number. See `hit_condition`.
    log
        Called with the step instead of stopping.
    id
        Its number in the walk, which assigns it.
    text
        The description that front ends show.
    is_enabled
        Whether it stops at all.
    is_temporary
        Whether the walk removes it after its first stop.
    ignored
        How many hits to skip before it stops again.
    hit_steps
        The steps at which it was hit, in the order of the pass.
    error
        The exception that the condition raised at the latest step, or None.
    """

    selection: StepSelection
    condition: Condition | None = None
    hits: Callable[[int], bool] | None = None
    log: Callable[[Step], object] | None = None
    id: int = 0
    text: str = ""
    is_enabled: bool = True
    is_temporary: bool = False
    ignored: int = 0
    hit_steps: list[int] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.text = self.text or self.selection.text

    @property
    def is_verified(self) -> bool:
        """Whether the selection has a step."""
        return bool(self.selection.steps)

    def stops(self, step: Step) -> bool:
        """Return whether to stop before this step; count the hit, and call `log` if it is set."""
        self.error = None
        holds = self.selection.predicate
        if holds is not None and not holds(step):
            return False
        if self.condition is not None:
            try:
                if not self.condition(step):
                    return False
            except Exception as error:
                self.error = error
        hit = bisect_left(self.hit_steps, step.index)
        if self.hit_steps[hit : hit + 1] != [step.index]:
            self.hit_steps.insert(hit, step.index)
        if self.hits is not None and not self.hits(hit + 1):
            return False
        if self.ignored:
            self.ignored -= 1
            return False
        if self.log is None or self.error is not None:
            return True
        self.log(step)
        return False


def hit_condition(text: str) -> Callable[[int], bool]:
    """Parse a hit condition: "3" is the third hit, ">=2" all from the second, "%5" every fifth.

    >>> [n for n in range(1, 11) if hit_condition("%5")(n)]
    [5, 10]
    """
    match = re.fullmatch(r"\s*(==|>=|<=|>|<|%|=)?\s*(\d+)\s*", text)
    if match is None or (match[1] == "%" and int(match[2]) == 0):
        raise ValueError(
            message(
                "hit condition {text!r}: must be a number of hits, such as 3, >=2 or %5", text=text
            )
        )
    number = int(match[2])
    comparisons: dict[str, Callable[[int], bool]] = {
        "==": lambda n: n == number,
        ">=": lambda n: n >= number,
        "<=": lambda n: n <= number,
        ">": lambda n: n > number,
        "<": lambda n: n < number,
        "%": lambda n: n % number == 0,
    }
    return comparisons["==" if match[1] in (None, "=") else match[1]]


# Selections of steps


def every_step(operations: Sequence[Node]) -> StepSelection:
    """Return every step."""
    return StepSelection(message("any step"), range(len(operations)))


def at_step(operations: Sequence[Node], number: int) -> StepSelection:
    """Return one step, by its number from 1."""
    return StepSelection(
        message("step {number}", number=number), {number - 1} & set(range(len(operations)))
    )


def at_operation(operations: Sequence[Node], name: str) -> StepSelection:
    """Return the steps of an operation, by its name or its symbol: `mul`, `×` or `*`."""
    symbol = ASCII.get(name, name)
    return _select(
        message("operation {symbol}", symbol=symbol),
        operations,
        lambda node: node.op.name == name or node.op.symbol == symbol,
    )


def at_name(
    operations: Sequence[Node], pattern: str, label: Callable[[Node], str] = label
) -> StepSelection:
    """Return the steps of nodes whose name matches: `x2w2`, `x*`."""
    return _select(
        message("name {pattern}", pattern=pattern),
        operations,
        lambda node: _matches(label(node), pattern) or _matches(node.name, pattern),
    )


def at_scope(operations: Sequence[Node], pattern: str) -> StepSelection:
    """Return the steps in a scope that matches, or inside one: `blocks.0`, `blocks.*.attention`."""

    def fits(node: Node) -> bool:
        parts = node.scope.split(".")
        return any(_matches(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))

    return _select(message("scope {pattern}", pattern=pattern), operations, fits)


def at_line(operations: Sequence[Node], path: str, line: int) -> StepSelection:
    """Return the steps of the nodes that a line of the program created.

    A line inside an expression of several lines selects the whole expression. A line that only
    calls functions selects the first step of each consecutive run of steps that its calls created,
    because a Python debugger too stops once at such a line.
    """
    text = f"{os.path.basename(path)}:{line}"
    real = os.path.realpath(path)
    same = {path: True}

    def is_here(frame: Frame, within: bool) -> bool:
        last = frame.end_line if within and frame.end_line else frame.line
        if not frame.line <= line <= last:
            return False
        if frame.path not in same:
            same[frame.path] = os.path.realpath(frame.path) == real
        return same[frame.path]

    locations = {node.location: node.location.user for node in operations if node.location}
    for within in (False, True):
        steps = _steps_made_at(
            operations, {location for location, user in locations.items() if is_here(user, within)}
        )
        if steps:
            return StepSelection(text, frozenset(steps))
    calling = {
        location for location in locations if any(is_here(frame, True) for frame in location.frames)
    }
    return StepSelection(text, _first_of_each_stretch(_steps_made_at(operations, calling)))


def at_function(operations: Sequence[Node], name: str) -> StepSelection:
    """Return the steps at which the pass enters a function of the program, given by name.

    These are the first steps of each consecutive run of steps that calls of the function created.
    """
    locations = {node.location for node in operations if node.location}
    matching = {
        location
        for location in locations
        if any(frame.function == name for frame in location.frames)
    }
    return StepSelection(
        f"function {name}", _first_of_each_stretch(_steps_made_at(operations, matching))
    )


def _steps_made_at(operations: Sequence[Node], locations: Collection[Location]) -> list[int]:
    """List the steps whose nodes were created at one of these locations."""
    return [index for index, node in enumerate(operations) if node.location in locations]


def _first_of_each_stretch(indices: Sequence[int]) -> frozenset[int]:
    """Return the first index of each run of consecutive indices."""
    later = (after for before, after in pairwise(indices) if after != before + 1)
    return frozenset([*indices[:1], *later])


def at_nonfinite(operations: Sequence[Node]) -> StepSelection:
    """Return every step, with the predicate that it sends inf or nan."""
    return every_step(operations)._replace(
        text="inf or nan",
        predicate=lambda step: any(
            contribution.after is not None and not are_finite(contribution.value)
            for contribution in step.contributions
        ),
    )


def at_change_of(
    operations: Sequence[Node], node: Node, label: Callable[[Node], str] = label
) -> StepSelection:
    """Return the steps that contribute to a node, with the predicate that its gradient changes."""
    return _select(
        message("change of {node}.grad", node=label(node)),
        operations,
        lambda consumer: any(parent is node for parent in consumer.parents),
    )._replace(
        predicate=lambda step: any(
            contribution.parent is node
            and contribution.after is not None
            and not adapter_of(contribution.after).equals(contribution.before)
            for contribution in step.contributions
        )
    )


def at_word(
    operations: Sequence[Node], text: str, label: Callable[[Node], str] = label
) -> StepSelection:
    """Select by a single word: an operation, a scope or the name of a node, in this order.

    Editors call this a function breakpoint: `tanh`, `w1`, `blocks.0.*`. A leaf has no step, so the
    name of a leaf selects the changes of its gradient.
    """
    for select in (at_operation, at_scope):
        selection = select(operations, text)
        if selection.steps:
            return selection
    selection = at_name(operations, text, label)
    if selection.steps:
        return selection
    leaves = dict.fromkeys(p for node in operations for p in node.parents if not p.parents)
    named = [leaf for leaf in leaves if _matches(label(leaf), text) or _matches(leaf.name, text)]
    return at_change_of(operations, named[0], label) if len(named) == 1 else selection


def intersection(selections: Iterable[StepSelection]) -> StepSelection:
    """Return the steps that are in all of these selections."""
    result, *rest = selections
    for selection in rest:
        result = result.intersect(selection)
    return result


def _select(text: str, operations: Sequence[Node], fits: Callable[[Node], bool]) -> StepSelection:
    return StepSelection(
        text, frozenset(index for index, node in enumerate(operations) if fits(node))
    )


def _matches(text: str, pattern: str) -> bool:
    return text == pattern or (bool(text) and fnmatchcase(text, pattern))
