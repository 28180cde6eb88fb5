"""The requests of an editor during one backward pass: moves, breakpoints and inspection.

A handler runs in the program's thread, where `backward()` was called. It answers requests between
moves, and between the steps of a long move. After each move it reports where it stopped.
"""

from __future__ import annotations

import bdb
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Event
from typing import Any

from autolm.debugger.dap.client import Client, units
from autolm.debugger.dap.debug_console import DebugConsole
from autolm.debugger.dap.editor_breakpoints import (
    EXCEPTION,
    LINE,
    BreakpointSetter,
    EditorBreakpoint,
    EditorBreakpoints,
)
from autolm.debugger.dap.messages import Channel, JsonObject, RequestError, read_argument
from autolm.debugger.dap.panes import Panes
from autolm.debugger.prompt import error_line
from autolm.engine.backprop import latest_root
from autolm.engine.location import Frame
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import LONGEST, printable
from autolm.walking.blame import Blame, blame_nonfinite
from autolm.walking.breakpoints import at_line
from autolm.walking.line_gradients import line_gradients
from autolm.walking.passes import Passes
from autolm.walking.program_names import use_variables
from autolm.walking.runner import RunResult, is_within
from autolm.walking.variable_tree import VariableTree
from autolm.walking.walk import Walk

THREAD = 1  # the id of the only thread, which runs the pass
Move = Callable[[], RunResult | None]  # None: the move ended by itself
MAX_GOTO_TARGETS = 50  # of one line


class PassHandler:
    """A pass that an editor walks.

    Parameters
    ----------
    walk, variables, call
        The pass, and the program's variables and stack at the call of `backward()`.
    channel, client, editor_breakpoints
        The connection to the editor, its conventions, and its breakpoints.
    pause, detached
        Set when the editor asks for a stop; set when it has disconnected.
    requests, answer
        The queue of requests that arrive during this pass, in which None only wakes the handler;
        the function that answers one of them.
    passes, stops_at_every_pass
        The passes of the program, None inside an opened graph; whether to stop at the start of
        each.
    """

    def __init__(
        self,
        walk: Walk,
        variables: Mapping[str, Any],
        call: Sequence[Frame],
        *,
        channel: Channel,
        client: Client,
        editor_breakpoints: EditorBreakpoints,
        pause: Event,
        detached: Event,
        requests: SimpleQueue[JsonObject | None],
        answer: Callable[[JsonObject, PassHandler], None],
        passes: Passes | None = None,
        stops_at_every_pass: bool = False,
    ) -> None:
        self.walk, self.variables, self.call = walk, variables, call
        self.channel, self.client, self.editor_breakpoints = channel, client, editor_breakpoints
        self.pause, self.detached, self.requests, self.answer = pause, detached, requests, answer
        self.passes, self.stops_at_every_pass = passes, stops_at_every_pass
        self.console = DebugConsole(walk, variables, call, pause, passes)
        self.names, self.namespace = self.console.names, self.console.namespace
        self.name = self.names(walk.root)
        tree = VariableTree(walk, self.names, self.console.tokens)
        stack = self.console.stack
        self.panes = Panes(client, walk, self.namespace, stack, tree, variables)
        self.setter = BreakpointSetter(walk, self.namespace, self.blame, self._log)
        self._move: Move | None = None  # the move that was requested last
        self._has_move, self._leaves_pass = True, False  # the run to the first stop is a move
        self._breakpoints_changed = False  # whether breakpoints were set during a move
        self._continues = False  # whether a move may continue past the end of the pass

    # Stops

    def run(self, stop_on_entry: bool, entered_by: Sequence[EditorBreakpoint] = ()) -> None:
        """Walk the pass until the editor continues the program, or disconnects."""
        for breakpoint in self.editor_breakpoints:
            self.set(breakpoint)
        breakpoints = self.walk.breakpoints_here()
        entry_breakpoints = (breakpoint.breakpoint for breakpoint in entered_by)
        breakpoints += tuple(stop for stop in entry_breakpoints if stop is not None)
        stopped = RunResult("interrupted" if self.pause.is_set() else "entry", breakpoints)
        if stopped.reason == "entry" and not breakpoints and not stop_on_entry:
            self._continues = True
            stopped = self._run_to_stop(lambda: self.walk.run(interrupted=self._interrupted))
        while not self.detached.is_set():
            if stopped.reason == "end" and self._continues and self._has_further_stops():
                self._leave_pass()
                return
            self._report_stop(stopped)
            move = self._next_move()
            if move is None:
                return
            try:
                stopped = move() or RunResult("until")
            except bdb.BdbQuit:
                raise
            except Exception as error:  # a user's rule has failed; other moves stay possible
                self._say(f"{error_line(error)}\n", "stderr")
                stopped = RunResult("until")

    def _has_further_stops(self) -> bool:
        """Return whether the program may stop in a later pass."""
        return self.passes is not None and (
            self.stops_at_every_pass or any(True for _ in self.editor_breakpoints)
        )

    def _leave_pass(self, *, enters_next: bool = False) -> None:
        """Set the next stop of the program."""
        if self.passes is not None:
            number = self.passes.count if enters_next or self.stops_at_every_pass else None
            self.passes.wait(number, has_breakpoints=any(True for _ in self.editor_breakpoints))

    def _next_move(self) -> Move | None:
        """Answer requests until one of them moves; return None to leave the pass."""
        self._has_move = self._continues = False
        while not self._has_move and not self.detached.is_set():
            request = self.requests.get()
            if request is not None:
                self.answer(request, self)
        return None if self._leaves_pass or self.detached.is_set() else self._move

    def _request_move(self, move: Move) -> None:
        if self._has_move:
            raise RequestError(
                message("the walk is still moving: pause it, or wait until it stops")
            )
        self._move, self._has_move = move, True

    def _leave(self) -> None:
        self._request_move(lambda: RunResult("until"))
        self._leaves_pass = True

    def _run_to_stop(self, move: Move) -> RunResult:
        """Run a long move; breakpoints that are set meanwhile apply at once."""
        while True:
            self._breakpoints_changed = False
            stopped = move() or RunResult("until")
            is_wanted = self.pause.is_set() or self.detached.is_set()
            if stopped.reason != "interrupted" or is_wanted:
                return stopped

    def _interrupted(self) -> bool:
        while not self.requests.empty():
            request = self.requests.get()
            if request is not None:
                self.answer(request, self)
        return self._breakpoints_changed or self.pause.is_set() or self.detached.is_set()

    def _report_stop(self, stopped: RunResult) -> None:
        """Tell the editor that the walk has stopped, and why."""
        self.pause.clear()
        self.panes.reset()
        for stop in stopped.breakpoints:
            if stop.error is not None:
                condition = message(
                    "the condition of {text}: {error}\n",
                    text=stop.text,
                    error=error_line(stop.error),
                )
                self._say(condition, "stderr")
        hits = self.editor_breakpoints.of(stopped.breakpoints)
        reasons = {"entry": "entry", "interrupted": "pause", "goto": "goto", "restart": "restart"}
        reason = reasons.get(stopped.reason, "step")
        if stopped.breakpoints:
            reason = hits[0].kind if hits else LINE
        body: JsonObject = {
            "reason": reason,
            "hitBreakpointIds": [breakpoint.id for breakpoint in hits],
        }
        if any(breakpoint.kind == EXCEPTION for breakpoint in hits):
            body |= {"reason": EXCEPTION, "description": "inf or nan", "text": self._blame_text()}
        elif self.walk.next_node is None:
            body["description"] = say(message("end of the pass"))
        elif stopped.reason == "start":
            body["description"] = say(message("start of the pass"))
        self.channel.event("stopped", threadId=THREAD, allThreadsStopped=True, **body)

    def _say(self, text: str, category: str = "console") -> None:
        self.channel.event("output", category=category, output=printable(say(text)))

    def _log(self, text: str) -> None:
        self._say(f"{text}\n")

    # Breakpoints

    def set(self, breakpoint: EditorBreakpoint) -> None:
        """Set a breakpoint in this pass, and notify the editor if this changes its state."""
        before = breakpoint.to_json(self.client)
        self.setter.set(breakpoint)
        if breakpoint.breakpoint is not None:
            self.console.register_breakpoint(breakpoint.breakpoint)
        now = breakpoint.to_json(self.client)
        if now != before:
            self.channel.event("breakpoint", reason="changed", breakpoint=now)

    def replace_breakpoints(
        self, removed: Sequence[EditorBreakpoint], added: Sequence[EditorBreakpoint]
    ) -> None:
        """Replace breakpoints in this pass; the caller's response tells the editor their state."""
        for breakpoint in removed:
            self.setter.remove(breakpoint)
        for breakpoint in added:
            self.setter.set(breakpoint)
            if breakpoint.breakpoint is not None:
                self.console.register_breakpoint(breakpoint.breakpoint)
        self._breakpoints_changed = True

    def blame(self) -> Blame | None:
        """Find the first non-finite number in the current data."""
        with use_variables(self.variables):
            return blame_nonfinite(self.walk.root)

    def _blame_text(self) -> str:
        blame = self.blame()
        finite = message("no non-finite number reaches the result or a gradient")
        return printable(say(finite) if blame is None else say(blame.text()), LONGEST)

    # Moves

    def on_next(self, arguments: JsonObject) -> None:
        """Run a step; with granularity `instruction`, send one contribution."""
        if read_argument(arguments, "granularity", str, "") == "instruction":
            return self.on_stepIn(arguments)
        self._forward(lambda: self.walk.run(until=lambda step: True))

    def on_stepIn(self, arguments: JsonObject) -> None:
        """Send one contribution."""
        self._forward(self._send)

    def on_stepOut(self, arguments: JsonObject) -> None:
        """Run to the end of the module."""
        ahead = self.walk.next_node
        scope = "" if ahead is None else ahead.scope
        self._forward(
            lambda: self._run_to_stop(lambda: self.walk.out(scope, interrupted=self._interrupted))
        )

    def on_continue(self, arguments: JsonObject) -> JsonObject:
        """Run to the next breakpoint or the end of the pass; from there, continue the program."""
        is_end = self.walk.next_node is None
        self._forward(
            lambda: self._run_to_stop(lambda: self.walk.run(interrupted=self._interrupted))
        )
        self._continues = True
        if is_end:
            self._leave_pass()
        return {"allThreadsContinued": True}

    def on_stepBack(self, arguments: JsonObject) -> None:
        """Undo a step; with granularity `instruction`, undo one contribution."""
        if read_argument(arguments, "granularity", str, "") == "instruction":
            self._request_move(self._unsend)
        else:
            self._request_move(lambda: self.walk.run_back(until=lambda step: True))

    def on_reverseContinue(self, arguments: JsonObject) -> None:
        """Go back to the previous breakpoint, or to the start of the pass."""
        self._request_move(
            lambda: self._run_to_stop(lambda: self.walk.run_back(interrupted=self._interrupted))
        )

    def on_gotoTargets(self, arguments: JsonObject) -> JsonObject:
        """List the steps that a line has created."""
        source = read_argument(arguments, "source", dict)
        path = self.client.path(read_argument(source, "path", str))
        line = read_argument(arguments, "line", int) + 1 - self.client.first_line
        steps = sorted(at_line(self.walk.operations, path, line).steps)[:MAX_GOTO_TARGETS]
        nodes = ((step, self.walk.operations[step]) for step in steps)
        return {
            "targets": [
                {"id": step, "label": f"{step + 1}  {self.names(node)}", "line": arguments["line"]}
                for step, node in nodes
            ]
        }

    def on_goto(self, arguments: JsonObject) -> None:
        """Go to a step, forward or backward."""
        step = read_argument(arguments, "targetId", int)
        if not 0 <= step < len(self.walk.operations):
            raise RequestError(message("goto: step {step} does not exist", step=step))
        self._request_move(lambda: self._go(step, "goto"))

    def on_restartFrame(self, arguments: JsonObject) -> None:
        """Go back to the start of a module or of the pass; at a step, undo its contributions."""
        called = self.panes.frame(read_argument(arguments, "frameId", int))
        if called.place in self.call or self.walk.next_node is None:
            self._request_move(lambda: self._go(0, "restart"))
        elif called == self.console.stack.frames()[0]:
            self._request_move(lambda: self._go(self.walk.position, "restart"))
        else:
            self._request_move(lambda: self._go(self._start_of(called.scope), "restart"))

    def _start_of(self, scope: str) -> int:
        start = self.walk.position
        while start and is_within(self.walk.operations[start - 1].scope, scope):
            start -= 1
        return start

    def _forward(self, move: Move) -> None:
        """Request a move; at the end of the pass, leave it for the start of the next one."""
        if self.walk.next_node is None:
            self._leave()
            self._leave_pass(enters_next=True)
        else:
            self._request_move(move)

    def _go(self, position: int, reason: str) -> RunResult:
        self.walk.goto(position)
        return RunResult(reason)

    def _send(self) -> RunResult:
        self.walk.send()
        hits = () if self.walk.edge else self.walk.breakpoints_here()
        return RunResult("breakpoint" if hits else "until", hits)

    def _unsend(self) -> RunResult:
        return RunResult("until" if self.walk.unsend() else "start")

    # Inspection

    def on_stackTrace(self, arguments: JsonObject) -> JsonObject:
        """Return the stack: the operation, its modules, and the call of `backward()`."""
        start, levels = (
            read_argument(arguments, "startFrame", int, 0),
            read_argument(arguments, "levels", int, 0),
        )
        return self.panes.frames(max(0, start), max(0, levels))

    def on_scopes(self, arguments: JsonObject) -> JsonObject:
        """Return the scopes of a frame."""
        self.panes.frame(read_argument(arguments, "frameId", int))
        return {"scopes": self.panes.scopes()}

    def on_variables(self, arguments: JsonObject) -> JsonObject:
        """Return the children of a branch."""
        return {"variables": self.panes.variables_of(arguments)}

    def on_lineGradients(self, arguments: JsonObject) -> JsonObject:
        """Return the gradients to show next to lines of a file; our own request, for VS Code."""
        path = self.client.path(read_argument(arguments, "path", str))
        texts = line_gradients(self.walk, self.names, path)
        return {
            "lines": [
                {"line": self.client.line(line), "text": printable(text)}
                for line, text in texts.items()
            ]
        }

    def on_evaluate(self, arguments: JsonObject) -> JsonObject:
        """Return the value of an expression; in the console, run a command of the prompt."""
        text, frame = (
            read_argument(arguments, "expression", str),
            read_argument(arguments, "frameId", int, None),
        )
        if frame is not None:
            self.panes.frame(frame)
        context = read_argument(arguments, "context", str, "")
        if context == "clipboard":
            return {"result": self.panes.clipboard_text(text), "variablesReference": 0}
        if context == "repl" and not self.console.is_expression(text):
            return {"result": self._command(text), "variablesReference": 0}
        return self.panes.value(text)

    def _command(self, line: str) -> str:
        before, edits = (self.walk.position, self.walk.edge), len(self.walk.edits)
        self.console.run_result = None
        output, leaves = self.console.run_line(line)
        inside, self.console.opened_graph = self.console.opened_graph, None
        if inside is not None:
            self._request_move(partial(self._go_inside, *inside))
        elif leaves:
            self._leave() if not self.console.has_quit else self._request_move(_quit)
        elif (self.walk.position, self.walk.edge) != before:
            self._request_move(lambda: self.console.run_result or RunResult("until"))
            self._tell_continued()
        elif len(self.walk.edits) > edits:
            self._report_change()
        return output

    def _tell_continued(self) -> None:
        """Tell the editor that a console command has moved; the stop is reported next."""
        self.channel.event("continued", threadId=THREAD, allThreadsContinued=True)

    def _go_inside(self, root: Any, upstream: Any, variables: Mapping[str, Any]) -> None:
        """Walk a graph that a command has opened inside this step, and return."""
        outer_root = latest_root.get()
        with Walk(root, upstream) as walk:
            inner = PassHandler(
                walk,
                variables,
                (),
                channel=self.channel,
                client=self.client,
                editor_breakpoints=EditorBreakpoints(),
                pause=self.pause,
                detached=self.detached,
                requests=self.requests,
                answer=self.answer,
            )
            try:
                inner.run(stop_on_entry=True)
            except bdb.BdbQuit:
                self._say(message("back in the backward pass of {name}\n", name=self.name))
        latest_root.set(outer_root)

    def on_completions(self, arguments: JsonObject) -> JsonObject:
        """Complete the text in the console."""
        text = read_argument(arguments, "text", str)
        column = read_argument(arguments, "column", int) - self.client.first_column
        encoded = text.encode("utf-16-le", "surrogatepass")[: max(0, column) * 2]
        typed = encoded.decode("utf-16-le", "ignore")
        begin, completions = self.console.complete_at(typed)
        place = {
            "start": units(typed[:begin]) + self.client.first_column,
            "length": units(typed[begin:]),
        }
        return {"targets": [{"label": completion, **place} for completion in completions]}

    def on_exceptionInfo(self, arguments: JsonObject) -> JsonObject:
        """Explain where the first non-finite number comes from."""
        return {
            "exceptionId": "inf or nan",
            "description": self._blame_text(),
            "breakMode": "always",
        }

    # Edits

    def on_setVariable(self, arguments: JsonObject) -> JsonObject:
        """Set the data of a node that a pane shows."""
        number, name = (
            read_argument(arguments, "variablesReference", int),
            read_argument(arguments, "name", str),
        )
        child = self.panes.child(number, name)
        if child.node is None:
            raise RequestError(
                message("{name} cannot be set; only the data of a node can", name=name)
            )
        answer = self.panes.set(child.node, child.index, read_argument(arguments, "value", str))
        self._report_change()
        return answer

    def on_setExpression(self, arguments: JsonObject) -> JsonObject:
        """Set the data of a node, or a part of it, that an expression names."""
        node, place = self.panes.find_settable(read_argument(arguments, "expression", str))
        answer = self.panes.set(node, place, read_argument(arguments, "value", str))
        self._report_change()
        return answer

    def _report_change(self) -> None:
        """Make the editor reload all values, and set exception breakpoints for the new data."""
        for breakpoint in self.editor_breakpoints:
            if breakpoint.kind == EXCEPTION:
                self.setter.remove(breakpoint)
                self.set(breakpoint)
        if self.client.knows_invalidated:
            self.channel.event("invalidated", areas=["variables"])

    def on_dataBreakpointInfo(self, arguments: JsonObject) -> JsonObject:
        """Return the id of a data breakpoint on the gradient of a node."""
        name, number = (
            read_argument(arguments, "name", str),
            read_argument(arguments, "variablesReference", int, None),
        )
        try:
            if number:
                node = self.panes.node_of(number, name)
            else:
                node, _ = self.panes.find_settable(name.removesuffix(".grad"))
        except Exception as error:
            return {"dataId": None, "description": error_line(error)}
        if node not in self.names.numbers or not node.requires_grad:
            return {
                "dataId": None,
                "description": say(message("{name} has no gradient to watch", name=name)),
            }
        nodes = self.names.nodes_named(self.names(node))
        is_named = len(nodes) == 1 and nodes[0] is node
        return {
            "dataId": self.names(node) if is_named else f"#{self.names.numbers[node] + 1}",
            "description": say(
                message("a change of the gradient of {node}", node=self.names(node))
            ),
            "accessTypes": ["write"],
            "canPersist": True,
        }


def _quit() -> RunResult:
    raise bdb.BdbQuit
