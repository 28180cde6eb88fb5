"""The breakpoints of an editor, and the breakpoints of the walk that they become in each pass.

An editor sets breakpoints before there is a graph, and they apply to every pass. In a pass, each
becomes a `Breakpoint` of the walk; the editor learns whether a step matches it, and at which line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from autolm.debugger.dap.client import Client
from autolm.debugger.dap.messages import JsonObject
from autolm.debugger.prompt import error_line
from autolm.engine.graph import Node
from autolm.engine.location import Location
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.walking.blame import Blame
from autolm.walking.breakpoints import (
    Breakpoint,
    StepSelection,
    at_change_of,
    at_function,
    at_line,
    at_nonfinite,
    at_word,
    hit_condition,
)
from autolm.walking.namespace import Namespace
from autolm.walking.walk import Walk

LINE, FUNCTION, DATA, EXCEPTION = (
    "breakpoint",
    "function breakpoint",
    "data breakpoint",
    "exception",
)
NON_FINITE = "non-finite"
PASS = "backward"


@dataclass
class EditorBreakpoint:
    """A breakpoint as the editor set it.

    Attributes
    ----------
    kind, where, line
        One of the four kinds; the path, name or id that this kind needs; the line in a path.
    condition, hits, log
        The condition, the hit condition and the log message, as the editor wrote them.
    id
        Its number in the editor, which is the same when the program runs again.
    breakpoint, actual_line
        The breakpoint of the current pass, None if no step can meet it; the line where it stops.
    why, is_pending
        The reason why there is none; whether a pass must begin before it can be set.
    hit_count
        For a breakpoint on `backward`: the number of passes that met its condition.
    """

    kind: str
    where: str
    line: int = 0
    condition: str = ""
    hits: str = ""
    log: str = ""
    id: int = 0
    breakpoint: Breakpoint | None = None
    why: str = "no backward pass yet: there is no graph"
    is_pending: bool = True
    actual_line: int = field(default=0)
    hit_count: int = 0

    @property
    def is_pass(self) -> bool:
        """Whether it stops at the start of a pass: a function breakpoint on `backward`."""
        return self.kind == FUNCTION and self.where == PASS

    def to_json(self, client: Client) -> JsonObject:
        """Return the `Breakpoint` of the protocol."""
        body: JsonObject = {"id": self.id, "verified": self.breakpoint is not None}
        if self.kind == LINE:
            line = client.line(self.actual_line or self.line)
            body |= {"line": line, "source": client.source(self.where)}
        if self.breakpoint is None:
            body |= {
                "message": say(self.why),
                "reason": "pending" if self.is_pending else "failed",
            }
        return body


class EditorBreakpoints:
    """All breakpoints that the editor has set."""

    def __init__(self) -> None:
        self._breakpoints: dict[tuple[str, str], list[EditorBreakpoint]] = {}

    def __iter__(self) -> Iterator[EditorBreakpoint]:
        for group in self._breakpoints.values():
            yield from group

    def replace(
        self, kind: str, path: str, breakpoints: Sequence[EditorBreakpoint]
    ) -> list[EditorBreakpoint]:
        """Replace the breakpoints of one kind and path; return the previous ones."""
        before = self._breakpoints.pop((kind, path), [])
        used_ids = {breakpoint.id for breakpoint in self}
        for breakpoint in breakpoints:
            # A hash, and not a counter: the id must be the same in the next run of the program.
            breakpoint.id = crc32(
                f"{kind}\n{breakpoint.where}\n{breakpoint.line}".encode(errors="replace")
            )
            while breakpoint.id in used_ids or breakpoint.id >= 2**31:
                breakpoint.id = (breakpoint.id + 1) % 2**31
            used_ids.add(breakpoint.id)
        self._breakpoints[kind, path] = list(breakpoints)
        return before

    def of(self, stops: Iterable[Breakpoint]) -> list[EditorBreakpoint]:
        """Return the editor's breakpoints for these breakpoints of the walk."""
        return [
            breakpoint for stop in stops for breakpoint in self if breakpoint.breakpoint is stop
        ]


class BreakpointSetter:
    """Sets breakpoints in one pass.

    Parameters
    ----------
    walk, namespace
        The pass, and the namespace in which conditions are evaluated.
    blame
        Returns the first non-finite number.
    say
        Prints the messages of log points.
    """

    def __init__(
        self,
        walk: Walk,
        namespace: Namespace,
        blame: Callable[[], Blame | None],
        say: Callable[[str], object],
    ) -> None:
        self.walk, self.namespace, self.blame, self.say = walk, namespace, blame, say

    def set(self, breakpoint: EditorBreakpoint) -> None:
        """Set a breakpoint in this pass if it matches a step; otherwise store the reason in it."""
        breakpoint.breakpoint, breakpoint.is_pending, breakpoint.actual_line = None, False, 0
        if breakpoint.is_pass:
            breakpoint.breakpoint = self.walk.add(
                Breakpoint(StepSelection("start of the pass", ()))
            )
            return
        try:
            stop = Breakpoint(
                self._places(breakpoint),
                self.namespace.condition(breakpoint.condition) if breakpoint.condition else None,
                hit_condition(breakpoint.hits) if breakpoint.hits else None,
                self._logging(breakpoint.log) if breakpoint.log else None,
            )
        except Exception as error:
            breakpoint.why = error_line(error)
            return
        if not stop.is_verified:
            breakpoint.why = message("no step of this pass matches {text}", text=stop.text)
            return
        breakpoint.breakpoint = self.walk.add(stop)
        if breakpoint.kind == LINE:
            locations = (self.walk.operations[step].location for step in stop.selection.steps)
            breakpoint.actual_line = min(
                _first_line_around(location, breakpoint) for location in locations if location
            )

    def remove(self, breakpoint: EditorBreakpoint) -> None:
        """Remove a breakpoint from this pass."""
        if breakpoint.breakpoint is not None:
            self.walk.breakpoints.pop(breakpoint.breakpoint.id, None)

    def _places(self, breakpoint: EditorBreakpoint) -> StepSelection:
        operations, names = self.walk.operations, self.namespace.names
        if breakpoint.kind == LINE:
            return at_line(operations, breakpoint.where, breakpoint.line)
        if breakpoint.kind == DATA:
            return at_change_of(operations, names.find(breakpoint.where), names)
        if breakpoint.kind == EXCEPTION:
            return self._at_blame()
        places = at_word(operations, breakpoint.where, names)
        return places if places.steps else at_function(operations, breakpoint.where)

    def _at_blame(self) -> StepSelection:
        """Select the step of the operation to blame, or the first step that uses its result."""
        blame, operations = self.blame(), self.walk.operations
        if blame is None:
            return StepSelection("inf or nan", ())
        blamed = blame.made_by or blame.node
        for index, node in enumerate(operations):
            if node is blamed or any(parent is blamed for parent in _constants(node, blamed)):
                return StepSelection("inf or nan", {index})
        return at_nonfinite(operations)

    def _logging(self, text: str) -> Callable[[Any], object]:
        read_log = self.namespace.log_message(text)
        return lambda step: self.say(read_log(step))


def _constants(node: Node, blamed: Node) -> tuple[Node, ...]:
    """Return the operands of a node, or nothing if the node to blame has its own step."""
    is_step = bool(blamed.parents) and blamed.requires_grad
    return () if is_step else node.parents


def _first_line_around(location: Location, breakpoint: EditorBreakpoint) -> int:
    """Return the first line of the expression that contains the line of a breakpoint."""
    lines = [
        frame.line
        for frame in location.frames
        if frame.line <= breakpoint.line <= (frame.end_line or frame.line)
    ]
    return lines[0] if lines else breakpoint.line
