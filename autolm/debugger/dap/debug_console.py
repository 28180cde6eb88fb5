"""The prompt in an editor's console: its commands, told line by line, which read from nowhere."""

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
    """A graph that was opened inside a step, to be walked."""

    root: Node
    upstream: Any
    variables: Mapping[str, Any]


class DebugConsole(Debugger):
    """The prompt over a pass that an editor walks too.

    Attributes
    ----------
    pause
        Set when a long way is to end between two steps.
    inside
        What `zoom` or `open` has opened, until somebody walks it.
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
        """Whether a line is no command, and can be evaluated."""
        name, _, text = self.parseline(line.strip())
        if (
            name is not None
            or text.startswith("!")
            or (text.isidentifier() and not self.is_defined(text))
        ):
            return False
        return self.namespace.is_expression(text)

    def run_line(self, line: str) -> tuple[str, bool]:
        """Run a line; return what it prints, and whether it leaves the pass."""
        self.stdout = io.StringIO()
        with redirect_stdout(self.stdout):  # what it evaluates may print, too
            leaves = self.onecmd(line)
            while self.cmdqueue and not leaves:  # the commands of a breakpoint
                leaves = self.onecmd(self.cmdqueue.pop(0))
        return self.stdout.getvalue().rstrip("\n"), leaves

    def complete_at(self, line: str) -> tuple[int, list[str]]:
        """Return how the end of a line can go on, and where in it what is completed begins."""
        begin = len(line) - len(re.split(f"[{WORD_BREAKS}]", line)[-1])
        word, before = line[begin:], line[:begin].split()
        if not before:
            return begin, sorted(set(self.completenames(word)))
        name = self.aliases.get(before[0], before[0])
        complete = getattr(self, f"complete_{name}", self.completedefault)
        return begin, sorted(set(complete(word, line, begin, len(line))))

    def register_breakpoint(self, stop: Breakpoint) -> None:
        """Let commands speak of a breakpoint that the editor has set."""
        self.typed[stop.id] = TypedBreakpoint("break", stop.text)

    def read_line(self, prompt: str) -> str | None:
        """Refuse to read: there is no terminal."""
        raise CommandError(
            message("the editor's console sends one line at a time, and this command needs several")
        )

    def do_interact(self, argument: str) -> None:
        """Start Python with all these names: at a prompt only, for here every line is Python.

        interact
        """
        raise CommandError(
            message("interact: not needed here; any line that is not a command runs as Python")
        )

    @contextmanager
    def deferred_interrupts(self) -> Iterator[threading.Event]:
        """Let the editor's pause end a long way."""
        yield self.pause

    def _walk_inside(self, root: Node, upstream: Any, names: Mapping[str, Any], title: str) -> None:
        self.opened_graph = OpenedGraph(root, upstream, {**self.variables, **names})
        self.say(message("inside {title}; continue at its end, or q, returns", title=title))
