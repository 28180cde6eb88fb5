"""The prompt in an editor's console, which sends commands line by line."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, NamedTuple

from autolm.debugger.breakpoint_commands import TypedBreakpoint
from autolm.debugger.commands import Debugger
from autolm.debugger.prompt import WORD_BREAKS, CommandError
from autolm.engine.graph import Node
from autolm.engine.location import Frame
from autolm.outside.message import message
from autolm.walking.breakpoints import Breakpoint
from autolm.walking.passes import Passes
from autolm.walking.walk import Walk


class OpenedGraph(NamedTuple):
    """A graph that a command has opened inside a step, with the arguments of its walk."""

    root: Node
    upstream: Any
    variables: Mapping[str, Any]


class DebugConsole(Debugger):
    """The prompt over a pass that an editor also walks.

    Attributes
    ----------
    pause
        Set to end a long move between two steps.
    opened_graph
        The graph that `zoom` or `open` has opened, until the pass handler walks it.
    """

    def __init__(
        self,
        walk: Walk,
        variables: Mapping[str, Any],
        call: Sequence[Frame],
        pause: threading.Event,
        passes: Passes | None = None,
    ) -> None:
        super().__init__(walk, variables, call, passes)
        self.intro = None  # an editor shows where the pass is
        self.pause = pause
        self.opened_graph: OpenedGraph | None = None

    def is_expression(self, line: str) -> bool:
        """Return whether a line is an expression, and not a command."""
        name, _, text = self.parseline(line.strip())
        if (
            name is not None
            or text.startswith("!")
            or (text.isidentifier() and not self.is_defined(text))
        ):
            return False
        return self.namespace.is_expression(text)

    def run_line(self, line: str) -> tuple[str, bool]:
        """Run a line; return its output, and whether it leaves the pass."""
        self.stdout = io.StringIO()
        with redirect_stdout(self.stdout):  # an expression may print, too
            leaves = self.onecmd(line)
            while self.cmdqueue and not leaves:  # the commands of a breakpoint
                leaves = self.onecmd(self.cmdqueue.pop(0))
        return self.stdout.getvalue().rstrip("\n"), leaves

    def complete_at(self, line: str) -> tuple[int, list[str]]:
        """Return where the last word of a line begins, and its completions."""
        begin = len(line) - len(re.split(f"[{WORD_BREAKS}]", line)[-1])
        word, before = line[begin:], line[:begin].split()
        if not before:
            return begin, sorted(set(self.completenames(word)))
        name = self.aliases.get(before[0], before[0])
        complete = getattr(self, f"complete_{name}", self.completedefault)
        return begin, sorted(set(complete(word, line, begin, len(line))))

    def register_breakpoint(self, stop: Breakpoint) -> None:
        """Make a breakpoint that the editor has set available to commands."""
        self.typed[stop.id] = TypedBreakpoint("break", stop.text)

    def read_line(self, prompt: str) -> str | None:
        """Raise a CommandError, because there is no terminal to read from."""
        raise CommandError(
            message("the editor's console sends one line at a time, and this command needs several")
        )

    def do_interact(self, argument: str) -> None:
        """Start Python at a prompt; not available here, where every other line runs as Python.

        interact
        """
        raise CommandError(
            message("interact: not needed here; any line that is not a command runs as Python")
        )

    @contextmanager
    def deferred_interrupts(self) -> Iterator[threading.Event]:
        """Make the editor's pause end a long move between two steps."""
        yield self.pause

    def _walk_inside(self, root: Node, upstream: Any, names: Mapping[str, Any], title: str) -> None:
        self.opened_graph = OpenedGraph(root, upstream, {**self.variables, **names})
        self.say(message("inside {title}; continue at its end, or q, returns", title=title))
