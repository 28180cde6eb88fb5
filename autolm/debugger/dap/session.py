"""The program's end of a debugging session: it answers the editor, and stops the passes.

A thread of its own reads what the editor sends. While the program stands in a pass, or walks one,
the `visit` answers in the program's thread; while the program runs, there is nothing to look at,
and what can be said at all is said here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from autolm.debugger.dap.capabilities import CAPABILITIES
from autolm.debugger.dap.client import Client
from autolm.debugger.dap.messages import Channel, Message, Refused, command_of, told
from autolm.debugger.dap.stops import DATA, EXCEPTION, FUNCTION, LINE, NON_FINITE, Stops, Told
from autolm.debugger.dap.visit import THREAD, Visit
from autolm.debugger.prompt import one_line
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.walking.breakpoints import hit_condition
from autolm.walking.passes import Passes, condition_holds, parse_condition
from autolm.walking.program import Pass, visit_pass

# Answered at once, even if what the program evaluates never ends.
AT_ANY_TIME = ("threads", "pause", "disconnect", "terminate")


class Then(NamedTuple):
    """An answer that says only that it was done, and what follows it."""

    act: Callable[[], object]


class Session:
    """What one editor wants of one program.

    Parameters
    ----------
    channel
        The editor.
    starts_program
        Whether the program runs for the editor, and ends when that has gone.

    Attributes
    ----------
    begun
        Set when the editor has said all that it wants before the program goes on.
    over
        Set when it has gone, or lets the program go.
    options
        The arguments of its `launch` or `attach`.
    """

    def __init__(self, channel: Channel, *, starts_program: bool) -> None:
        self.channel, self.starts_program = channel, starts_program
        self.begun, self.over, self.pause = threading.Event(), threading.Event(), threading.Event()
        self.client, self.options = Client({}), Message()
        self.stops = Stops()
        self.passes = Passes(None)
        self._visit: Visit | None = None
        self._requests: SimpleQueue[Message | None] = SimpleQueue()
        self._lock = threading.Lock()  # of what answers: the visit, or the reading thread
        self._visiting = threading.RLock()  # passes in several threads are visited in turn
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.over.set)

    def start(self, request: Message | None = None) -> None:
        """Answer a request that was received already, and begin to read."""
        if request is not None:
            self._answer(request, None)
        self._reader = threading.Thread(target=self._read, name="autolm dap", daemon=True)
        self._reader.start()

    def end(self) -> None:
        """Say that there is no more to debug, and hang up."""
        if not self.over.is_set():
            self.over.set()
            self.channel.event("terminated")
            self.channel.hang_up()
            self._reader.join()

    # Passes

    def visit(self, here: Pass) -> None:
        """Count a pass of an attached program, and show it to the editor if it is awaited."""
        variable = self.options.get("variable")
        if variable and here.variables.get(variable) is not here.root:
            here.do()
        else:
            visit_pass(here, self.passes, self.on_pass)

    def on_pass(self, here: Pass) -> None:
        """Show a pass to the editor: at its start, or only at a breakpoint in it."""
        with self._visiting:
            if self.over.is_set():
                self.passes.wait()
                here.do()
            else:
                self._let_walk(here)

    def _let_walk(self, here: Pass) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if self.passes.error:
            self.channel.event("output", category="stderr", output=f"{self.passes.error}\n")
        entered_by = [each for each in self.stops if each.is_pass and self._is_met(each, here)]
        with here.walk(told(self.options, "segment", int, None)) as walk:
            visit = Visit(
                walk,
                here.variables,
                here.call,
                channel=self.channel,
                client=self.client,
                stops=self.stops,
                pause=self.pause,
                over=self.over,
                requests=self._requests,
                answer=self._answer,
                passes=self.passes,
                stops_at_every=self._stops_at_every,
            )
            with self._lock:
                self._visit = visit
            try:
                visit.run(here.stops, entered_by)
            finally:
                with self._lock:
                    self._visit = None
                    while not self._requests.empty():
                        request = self._requests.get()
                        if request is not None:
                            self._answer(request, None)
            is_done = not self.over.is_set()
            if is_done:
                walk.finish()
        if not is_done:
            here.do()

    @property
    def _stops_at_every(self) -> bool:
        stops_on_entry = told(self.options, "stopOnEntry", bool, True)
        return stops_on_entry and self.options.get("stopAt") == "every"

    def _is_met(self, each: Told, here: Pass) -> bool:
        """Whether a breakpoint on `backward` stops at the start of this pass."""
        if each.condition:
            try:
                if not condition_holds(each.condition, here.root, here.grad, here.variables):
                    return False
            except Exception as error:
                text = say(
                    message(
                        "the condition {condition}: {error}",
                        condition=each.condition,
                        error=one_line(error),
                    )
                )
                self.channel.event("output", category="stderr", output=text)
        each.met += 1
        return not each.hits or hit_condition(each.hits)(each.met)

    # Requests

    def _read(self) -> None:
        while (message := self.channel.receive()) is not None:
            with self._lock:
                if self._visit is None or message.get("command") in AT_ANY_TIME:
                    self._answer(message, None)
                    message = None  # but a visit is to look whether it is over
                if self._visit is not None:
                    self._requests.put(message)
        if self.starts_program and not self.over.is_set():
            os._exit(1)  # nobody is there any more to see what it does
        self._let_go()
        self.channel.close()

    def _let_go(self) -> None:
        self.over.set()
        self.begun.set()
        self._requests.put(None)

    def _answer(self, request: Message, visit: Visit | None) -> None:
        """Answer one request, whatever it is."""
        try:
            command, arguments = command_of(request)
            handle = getattr(self, f"on_{command}", None) or getattr(visit, f"on_{command}", None)
            if handle is None and hasattr(Visit, f"on_{command}"):
                raise Refused(
                    message(
                        "{command}: the program is running, and no pass is stopped", command=command
                    )
                )
            if handle is None:
                raise Refused(
                    message("{command}: autolm dap does not support this request", command=command)
                )
            body = handle(arguments)
        except Exception as error:
            self.channel.refuse(request, one_line(error))
            return
        if isinstance(body, Then):
            self.channel.answer(request)
            body.act()
        else:
            self.channel.answer(request, body)

    # Beginning and ending

    def on_initialize(self, arguments: Message) -> Message:
        """Learn how the editor counts; say what there is."""
        self.client = Client(arguments)
        return CAPABILITIES

    def on_attach(self, arguments: Message) -> Then:
        """Begin, with what the editor wants of the passes."""
        stop_at = told(arguments, "stopAt", str, "first")
        if stop_at not in ("first", "every"):
            raise Refused(
                message('stopAt must be "first" or "every", got {stop_at!r}', stop_at=stop_at)
            )
        told(arguments, "stopOnEntry", bool, True)
        told(arguments, "variable", str, "")
        segment = told(arguments, "segment", int, None)
        if segment is not None and segment < 1:
            raise Refused(
                message(
                    "segment must be a number of steps, at least 1, got {segment}", segment=segment
                )
            )
        self.passes.wait(*_first_stop(arguments), has_breakpoints=self.passes.has_breakpoints)
        self.options = arguments
        return Then(lambda: self.channel.event("initialized"))

    on_launch = on_attach

    def on_configurationDone(self, arguments: Message) -> Then:
        """Let the program go on."""
        return Then(self.begun.set)

    def on_disconnect(self, arguments: Message) -> Then:
        """Let the program run as if nobody had looked; or end it."""
        ends = told(arguments, "terminateDebuggee", bool, self.starts_program)
        return Then(_end_process if ends else self._let_go)

    def on_terminate(self, arguments: Message) -> Then:
        """End the program."""
        return Then(self._terminate)

    def _terminate(self) -> None:
        self.channel.event("terminated")
        _end_process()

    # What can be asked at any time

    def on_threads(self, arguments: Message) -> Message:
        """Name the one thread after the root."""
        visit = self._visit
        name = visit.name if visit else told(self.options, "variable", str, "") or "backward"
        return {"threads": [{"id": THREAD, "name": name}]}

    def on_pause(self, arguments: Message) -> None:
        """Stop between two steps; while the program runs, in the next pass."""
        self.pause.set()
        if self._visit is None:
            self.passes.wait(0, has_breakpoints=self.passes.has_breakpoints)

    # Breakpoints

    def on_setBreakpoints(self, arguments: Message) -> Message:
        """Keep the breakpoints of a file."""
        path = self.client.path(told(told(arguments, "source", dict), "path", str))
        found = [
            _told(LINE, path, each, line=told(each, "line", int) + 1 - self.client.first_line)
            for each in _several(arguments, "breakpoints")
        ]
        return self._replace(LINE, path, found)

    def on_setFunctionBreakpoints(self, arguments: Message) -> Message:
        """Keep those on operations, scopes, names and functions."""
        given = _several(arguments, "breakpoints")
        return self._replace(
            FUNCTION, "", [_told(FUNCTION, told(each, "name", str), each) for each in given]
        )

    def on_setDataBreakpoints(self, arguments: Message) -> Message:
        """Keep those on changes of a gradient."""
        given = _several(arguments, "breakpoints")
        return self._replace(
            DATA, "", [_told(DATA, told(each, "dataId", str), each) for each in given]
        )

    def on_setExceptionBreakpoints(self, arguments: Message) -> Message:
        """Keep the filter on what is not finite."""
        given = [{"filterId": each} for each in told(arguments, "filters", list, [])]
        given += _several(arguments, "filterOptions")
        for each in given:
            if each.get("filterId") != NON_FINITE:
                raise Refused(
                    message(
                        "filter {name} does not exist; the only filter is {known}",
                        name=each.get("filterId"),
                        known=NON_FINITE,
                    )
                )
        return self._replace(EXCEPTION, "", [_told(EXCEPTION, NON_FINITE, each) for each in given])

    def _replace(self, kind: str, path: str, given: Sequence[Told]) -> Message:
        before = self.stops.replace(kind, path, given)
        self.passes.has_breakpoints = any(True for _ in self.stops)
        if self._visit is not None:
            self._visit.set_anew(before, given)
        return {"breakpoints": [each.shown(self.client) for each in given]}


def _first_stop(arguments: Message) -> tuple[int | None, str]:
    """Read at the start of which pass to stop first: its number, or its condition."""
    number, condition = told(arguments, "pass", int, None), told(arguments, "when", str, "")
    if number is not None and condition:
        raise Refused(message("pass and when each choose the pass: use only one of them"))
    if number is not None and number < 0:
        raise Refused(message("pass must be 0 or more, got {number}", number=number))
    if condition:
        parse_condition(condition)
        return None, condition
    if number is None and told(arguments, "stopOnEntry", bool, True):
        number = 0
    return number, ""


def _several(arguments: Message, name: str) -> list[Message]:
    found: list[Any] = told(arguments, name, list, [])
    for each in found:
        if not isinstance(each, dict):
            raise Refused(message("{name} must be a list of objects", name=name))
    return found


def _told(kind: str, where: str, given: Message, line: int = 0) -> Told:
    """Read a breakpoint; of its conditions only the number of hits can be judged by itself."""
    condition, hits = told(given, "condition", str, ""), told(given, "hitCondition", str, "")
    found = Told(kind, where, line, condition, hits, told(given, "logMessage", str, ""))
    try:
        hit_condition(hits or "1")
    except ValueError as error:
        found.why, found.is_pending = words_of(error), False
    return found


def _end_process() -> None:
    """End this process as a signal would, in whatever thread it is."""
    os.kill(os.getpid(), signal.SIGTERM)
