"""The program's side of a debugging session: it answers the editor and stops the passes.

A thread reads what the editor sends. During a pass, the `PassHandler` answers in the program's
thread. While the program runs, this module answers the requests that need no pass.
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
from autolm.debugger.dap.editor_breakpoints import (
    DATA,
    EXCEPTION,
    FUNCTION,
    LINE,
    NON_FINITE,
    EditorBreakpoint,
    EditorBreakpoints,
)
from autolm.debugger.dap.messages import (
    Channel,
    JsonObject,
    RequestError,
    command_of,
    read_argument,
)
from autolm.debugger.dap.pass_handler import THREAD, PassHandler
from autolm.debugger.prompt import error_line
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.walking.breakpoints import hit_condition
from autolm.walking.passes import Passes, condition_holds, parse_condition
from autolm.walking.program import Pass, visit_pass

# Answered at once by the reading thread, even while the program evaluates an expression.
ANY_TIME_COMMANDS = ("threads", "pause", "disconnect", "terminate")


class FollowUp(NamedTuple):
    """An empty response, and an action to run after it is sent."""

    act: Callable[[], object]


class Session:
    """The session of one editor with one program.

    Parameters
    ----------
    channel
        The connection to the editor.
    starts_program
        Whether the editor launched the program, which then ends when the editor disconnects.

    Attributes
    ----------
    configured
        Set when the editor has finished its configuration, or has disconnected.
    detached
        Set when the editor has disconnected, or the program has ended.
    pause
        Set when the editor asks for a stop.
    options
        The arguments of its `launch` or `attach`.
    """

    def __init__(self, channel: Channel, *, starts_program: bool) -> None:
        self.channel, self.starts_program = channel, starts_program
        self.configured, self.detached, self.pause = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self.client, self.options = Client({}), JsonObject()
        self.editor_breakpoints = EditorBreakpoints()
        self.passes = Passes(None)
        self._handler: PassHandler | None = None
        self._requests: SimpleQueue[JsonObject | None] = SimpleQueue()
        self._lock = threading.Lock()  # decides who answers: the handler, or the reading thread
        self._visiting = threading.RLock()  # passes in several threads are walked one after another
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.detached.set)

    def start(self, request: JsonObject | None = None) -> None:
        """Answer a request that was already received, and start to read."""
        if request is not None:
            self._answer(request, None)
        self._reader = threading.Thread(target=self._read, name="autolm dap", daemon=True)
        self._reader.start()

    def end(self) -> None:
        """Tell the editor that debugging has ended, and disconnect."""
        if not self.detached.is_set():
            self.detached.set()
            self.channel.event("terminated")
            self.channel.shut_down()
            self._reader.join()

    # Passes

    def visit(self, here: Pass) -> None:
        """Count a pass of an attached program, and let the editor walk it if it stops there."""
        variable = self.options.get("variable")
        if variable and here.variables.get(variable) is not here.root:
            here.do()
        else:
            visit_pass(here, self.passes, self.on_pass)

    def on_pass(self, here: Pass) -> None:
        """Let the editor walk a pass from its start, or only from a breakpoint in it."""
        with self._visiting:
            if self.detached.is_set():
                self.passes.wait()
                here.do()
            else:
                self._let_walk(here)

    def _let_walk(self, here: Pass) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if self.passes.error:
            self.channel.event("output", category="stderr", output=f"{self.passes.error}\n")
        entered_by = [
            breakpoint
            for breakpoint in self.editor_breakpoints
            if breakpoint.is_pass and self._is_met(breakpoint, here)
        ]
        with here.walk(read_argument(self.options, "segment", int, None)) as walk:
            handler = PassHandler(
                walk,
                here.variables,
                here.call,
                channel=self.channel,
                client=self.client,
                editor_breakpoints=self.editor_breakpoints,
                pause=self.pause,
                detached=self.detached,
                requests=self._requests,
                answer=self._answer,
                passes=self.passes,
                stops_at_every_pass=self._stops_at_every,
            )
            with self._lock:
                self._handler = handler
            try:
                handler.run(here.stops, entered_by)
            finally:
                with self._lock:
                    self._handler = None
                    while not self._requests.empty():
                        request = self._requests.get()
                        if request is not None:
                            self._answer(request, None)
            is_done = not self.detached.is_set()
            if is_done:
                walk.finish()
        if not is_done:
            here.do()

    @property
    def _stops_at_every(self) -> bool:
        stops_on_entry = read_argument(self.options, "stopOnEntry", bool, True)
        return stops_on_entry and self.options.get("stopAt") == "every"

    def _is_met(self, breakpoint: EditorBreakpoint, here: Pass) -> bool:
        """Return whether a breakpoint on `backward` stops at the start of this pass."""
        if breakpoint.condition:
            try:
                if not condition_holds(breakpoint.condition, here.root, here.grad, here.variables):
                    return False
            except Exception as error:
                text = say(
                    message(
                        "the condition {condition}: {error}",
                        condition=breakpoint.condition,
                        error=error_line(error),
                    )
                )
                self.channel.event("output", category="stderr", output=text)
        breakpoint.hit_count += 1
        return not breakpoint.hits or hit_condition(breakpoint.hits)(breakpoint.hit_count)

    # Requests

    def _read(self) -> None:
        while (message := self.channel.receive()) is not None:
            with self._lock:
                if self._handler is None or message.get("command") in ANY_TIME_COMMANDS:
                    self._answer(message, None)
                    message = None  # wake the handler, which may have to end
                if self._handler is not None:
                    self._requests.put(message)
        if self.starts_program and not self.detached.is_set():
            os._exit(1)  # the editor that launched the program is gone
        self._let_go()
        self.channel.close()

    def _let_go(self) -> None:
        self.detached.set()
        self.configured.set()
        self._requests.put(None)

    def _answer(self, request: JsonObject, handler: PassHandler | None) -> None:
        """Answer one request, by a method of the session or of the pass handler."""
        try:
            command, arguments = command_of(request)
            handle = getattr(self, f"on_{command}", None) or getattr(handler, f"on_{command}", None)
            if handle is None and hasattr(PassHandler, f"on_{command}"):
                raise RequestError(
                    message(
                        "{command}: the program is running, and no pass is stopped", command=command
                    )
                )
            if handle is None:
                raise RequestError(
                    message("{command}: autolm dap does not support this request", command=command)
                )
            body = handle(arguments)
        except Exception as error:
            self.channel.refuse(request, error_line(error))
            return
        if isinstance(body, FollowUp):
            self.channel.answer(request)
            body.act()
        else:
            self.channel.answer(request, body)

    # Start and end

    def on_initialize(self, arguments: JsonObject) -> JsonObject:
        """Read the conventions of the editor; return the capabilities."""
        self.client = Client(arguments)
        return CAPABILITIES

    def on_attach(self, arguments: JsonObject) -> FollowUp:
        """Start the session, with the editor's options for passes."""
        stop_at = read_argument(arguments, "stopAt", str, "first")
        if stop_at not in ("first", "every"):
            raise RequestError(
                message('stopAt must be "first" or "every", got {stop_at!r}', stop_at=stop_at)
            )
        read_argument(arguments, "stopOnEntry", bool, True)
        read_argument(arguments, "variable", str, "")
        segment = read_argument(arguments, "segment", int, None)
        if segment is not None and segment < 1:
            raise RequestError(
                message(
                    "segment must be a number of steps, at least 1, got {segment}", segment=segment
                )
            )
        self.passes.wait(*_first_stop(arguments), has_breakpoints=self.passes.has_breakpoints)
        self.options = arguments
        return FollowUp(lambda: self.channel.event("initialized"))

    on_launch = on_attach

    def on_configurationDone(self, arguments: JsonObject) -> FollowUp:
        """Continue the program."""
        return FollowUp(self.configured.set)

    def on_disconnect(self, arguments: JsonObject) -> FollowUp:
        """Continue the program without debugging, or end it."""
        ends = read_argument(arguments, "terminateDebuggee", bool, self.starts_program)
        return FollowUp(_end_process if ends else self._let_go)

    def on_terminate(self, arguments: JsonObject) -> FollowUp:
        """End the program."""
        return FollowUp(self._terminate)

    def _terminate(self) -> None:
        self.channel.event("terminated")
        _end_process()

    # Requests at any time

    def on_threads(self, arguments: JsonObject) -> JsonObject:
        """Name the one thread after the root."""
        handler = self._handler
        name = (
            handler.name
            if handler
            else read_argument(self.options, "variable", str, "") or "backward"
        )
        return {"threads": [{"id": THREAD, "name": name}]}

    def on_pause(self, arguments: JsonObject) -> None:
        """Stop between two steps; while the program runs, in the next pass."""
        self.pause.set()
        if self._handler is None:
            self.passes.wait(0, has_breakpoints=self.passes.has_breakpoints)

    # Breakpoints

    def on_setBreakpoints(self, arguments: JsonObject) -> JsonObject:
        """Set the breakpoints of a file."""
        path = self.client.path(
            read_argument(read_argument(arguments, "source", dict), "path", str)
        )
        breakpoints = [
            _read_breakpoint(
                LINE, path, item, line=read_argument(item, "line", int) + 1 - self.client.first_line
            )
            for item in _read_objects(arguments, "breakpoints")
        ]
        return self._replace(LINE, path, breakpoints)

    def on_setFunctionBreakpoints(self, arguments: JsonObject) -> JsonObject:
        """Set the breakpoints on operations, scopes, names and functions."""
        items = _read_objects(arguments, "breakpoints")
        return self._replace(
            FUNCTION,
            "",
            [_read_breakpoint(FUNCTION, read_argument(item, "name", str), item) for item in items],
        )

    def on_setDataBreakpoints(self, arguments: JsonObject) -> JsonObject:
        """Set the breakpoints on changes of a gradient."""
        items = _read_objects(arguments, "breakpoints")
        return self._replace(
            DATA,
            "",
            [_read_breakpoint(DATA, read_argument(item, "dataId", str), item) for item in items],
        )

    def on_setExceptionBreakpoints(self, arguments: JsonObject) -> JsonObject:
        """Set the breakpoints on non-finite numbers."""
        items = [{"filterId": item} for item in read_argument(arguments, "filters", list, [])]
        items += _read_objects(arguments, "filterOptions")
        for item in items:
            if item.get("filterId") != NON_FINITE:
                raise RequestError(
                    message(
                        "filter {name} does not exist; the only filter is {known}",
                        name=item.get("filterId"),
                        known=NON_FINITE,
                    )
                )
        return self._replace(
            EXCEPTION, "", [_read_breakpoint(EXCEPTION, NON_FINITE, item) for item in items]
        )

    def _replace(self, kind: str, path: str, breakpoints: Sequence[EditorBreakpoint]) -> JsonObject:
        before = self.editor_breakpoints.replace(kind, path, breakpoints)
        self.passes.has_breakpoints = any(True for _ in self.editor_breakpoints)
        if self._handler is not None:
            self._handler.replace_breakpoints(before, breakpoints)
        return {"breakpoints": [breakpoint.to_json(self.client) for breakpoint in breakpoints]}


def _first_stop(arguments: JsonObject) -> tuple[int | None, str]:
    """Return the number or the condition of the first pass to stop at."""
    number, condition = (
        read_argument(arguments, "pass", int, None),
        read_argument(arguments, "when", str, ""),
    )
    if number is not None and condition:
        raise RequestError(message("pass and when each choose the pass: use only one of them"))
    if number is not None and number < 0:
        raise RequestError(message("pass must be 0 or more, got {number}", number=number))
    if condition:
        parse_condition(condition)
        return None, condition
    if number is None and read_argument(arguments, "stopOnEntry", bool, True):
        number = 0
    return number, ""


def _read_objects(arguments: JsonObject, name: str) -> list[JsonObject]:
    objects: list[Any] = read_argument(arguments, name, list, [])
    for item in objects:
        if not isinstance(item, dict):
            raise RequestError(message("{name} must be a list of objects", name=name))
    return objects


def _read_breakpoint(kind: str, where: str, item: JsonObject, line: int = 0) -> EditorBreakpoint:
    """Read a breakpoint; without a pass, only its hit condition can be checked."""
    condition, hits = (
        read_argument(item, "condition", str, ""),
        read_argument(item, "hitCondition", str, ""),
    )
    breakpoint = EditorBreakpoint(
        kind, where, line, condition, hits, read_argument(item, "logMessage", str, "")
    )
    try:
        hit_condition(hits or "1")
    except ValueError as error:
        breakpoint.why, breakpoint.is_pending = words_of(error), False
    return breakpoint


def _end_process() -> None:
    """End this process by a signal, which works in any thread."""
    os.kill(os.getpid(), signal.SIGTERM)
