"""The debug adapter: it starts the program in its own process, and relays messages to the editor.

The program's process answers requests in `session`. The adapter starts, restarts and ends the
process, and forwards its output.
"""

from __future__ import annotations

import codecs
import os
import secrets
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from autolm.debugger.dap.capabilities import CAPABILITIES
from autolm.debugger.dap.launched_program import SECRET
from autolm.debugger.dap.messages import (
    CHUNK,
    Channel,
    JsonObject,
    RequestError,
    command_of,
    read_argument,
)
from autolm.debugger.dap.port import VARIABLE, first_admitted, listen, wait_for_editor
from autolm.debugger.prompt import error_line
from autolm.outside.language import say
from autolm.outside.message import message

PATIENCE = 2  # seconds for a program to end after it is terminated
REPLAYED_COMMANDS = (  # requests that are sent again to a restarted program
    "setBreakpoints",
    "setFunctionBreakpoints",
    "setDataBreakpoints",
    "setExceptionBreakpoints",
    "configurationDone",
)


class Adapter:
    """One session of an editor; the session and its launched program end when the editor leaves.

    Parameters
    ----------
    channel
        The connection to the editor.
    client
        The arguments of its `initialize` request, if it was answered already.
    """

    def __init__(self, channel: Channel, client: JsonObject | None = None) -> None:
        self.channel = channel
        self._client, self._launch = client or JsonObject(), JsonObject()
        self._replayed: dict[tuple[str, str], JsonObject] = {}
        self._program: ProgramProcess | None = None
        self._is_over = False

    def serve(self, request: JsonObject | None = None) -> None:
        """Answer until the editor disconnects, or its stream ends.

        Parameters
        ----------
        request
            A request that was already received.

        Raises
        ------
        ValueError
            If the stream has bytes that are not a message.
        """
        try:
            if request is not None:
                self._handle(request)
            while not self._is_over and (request := self.channel.receive()) is not None:
                self._handle(request)
        finally:
            self._stop()
        if self.channel.fault:
            raise ValueError(message("dap: {fault}", fault=self.channel.fault))

    def _handle(self, request: JsonObject) -> None:
        try:
            command, arguments = command_of(request)
            handle = getattr(self, f"on_{command}", self._forward)
            handle(request, arguments)
        except Exception as error:
            self.channel.refuse(request, error_line(error))

    def on_initialize(self, request: JsonObject, arguments: JsonObject) -> None:
        """Return the capabilities."""
        self._client = arguments
        self.channel.answer(request, CAPABILITIES)

    def on_launch(self, request: JsonObject, arguments: JsonObject) -> None:
        """Start the program, which waits until the editor has set its breakpoints."""
        self._refuse_second()
        self._launch = arguments
        self._start(request)

    def on_attach(self, request: JsonObject, arguments: JsonObject) -> None:
        """Connect to a program that waits at a port."""
        self._refuse_second()
        port = read_argument(arguments, "port", int)
        try:
            connection = socket.create_connection(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise RequestError(
                message(
                    "attach: no program is waiting on port {port} ({error}); start it with "
                    "AUTOLM_DAP={port}",
                    port=port,
                    error=error,
                )
            ) from None
        self._program = ProgramProcess(self.channel, None, Channel.over_socket(connection))
        self._begin(request)

    def on_restart(self, request: JsonObject, arguments: JsonObject) -> None:
        """Start the program again, with the same breakpoints."""
        if not self._launch:
            raise RequestError(
                message("restart: only a program started by launch can be restarted")
            )
        self._launch = {**self._launch, **read_argument(arguments, "arguments", dict, {})}
        self._stop()
        self._start(None)
        self.channel.answer(request)
        for earlier_request in sorted(
            self._replayed.values(), key=lambda earlier: REPLAYED_COMMANDS.index(earlier["command"])
        ):
            self._to_program({**earlier_request, "seq": -1})

    def on_terminate(self, request: JsonObject, arguments: JsonObject) -> None:
        """End the program."""
        program = self._program
        if program is None or program.process is None:
            return self._forward(request, arguments)
        self.channel.answer(request)
        program.process.terminate()
        killer = threading.Timer(PATIENCE, program.process.kill)
        killer.daemon = True
        killer.start()

    def on_disconnect(self, request: JsonObject, arguments: JsonObject) -> None:
        """End the session; by default, end a launched program and let an attached one continue."""
        program = self._program
        is_launched = program is not None and program.process is not None
        ends = read_argument(arguments, "terminateDebuggee", bool, is_launched)
        if program is not None and not (is_launched and ends):
            self._to_program({**request, "seq": -1, "arguments": {"terminateDebuggee": ends}})
            program.is_detached = True
        self.channel.answer(request)
        self._is_over = True

    def _refuse_second(self) -> None:
        if self._program is not None:
            raise RequestError(message("a session debugs one program, and one is already running"))

    def _forward(self, request: JsonObject, arguments: JsonObject) -> None:
        if self._program is None:
            raise RequestError(
                message("{command}: no program is running", command=request["command"])
            )
        if request["command"] in REPLAYED_COMMANDS:
            source = arguments.get("source")
            path = source.get("path") if isinstance(source, dict) else ""
            self._replayed[request["command"], str(path)] = request
        if self._program.channel is None:
            self.channel.answer(request, _answer_without_debugging(request["command"], arguments))
        else:
            self._program.ask(request)

    def _to_program(self, request: JsonObject) -> None:
        if self._program is not None and self._program.channel is not None:
            self._program.channel.send(request)

    def _start(self, request: JsonObject | None) -> None:
        options = self._launch
        folder = Path(read_argument(options, "cwd", str, "") or os.getcwd())
        program = folder / read_argument(options, "program", str)
        if not program.is_file():
            raise RequestError(message("launch: program {program} does not exist", program=program))
        python = options.get("python") or sys.executable
        command = [python] if isinstance(python, str) else python
        environment = _environment(read_argument(options, "env", dict, {}))
        args = list(map(str, read_argument(options, "args", list, [])))
        is_plain = read_argument(options, "noDebug", bool, False)
        try:
            if is_plain:
                process, channel = _start_process(
                    [*command, str(program), *args], folder, environment
                )
            else:
                process, channel = _start_connected(command, folder, environment)
        except (OSError, TypeError) as error:
            raise RequestError(
                message("launch: {python}: {error}", python=python, error=error)
            ) from None
        self._launch = {**options, "program": str(program)}
        self._program = ProgramProcess(self.channel, process, channel)
        self._begin(request)

    def _begin(self, request: JsonObject | None) -> None:
        """Introduce the editor to the program's process, and start to relay messages."""
        program = self._program
        assert program is not None
        program.start()
        if program.channel is None:
            if request is not None:
                self.channel.answer(request)
                self.channel.event("initialized")
            return
        hello = {"type": "request", "command": "initialize", "arguments": self._client}
        self._to_program({**hello, "seq": -1})
        if request is None:
            program.is_restart = True
            request = {"type": "request", "command": "launch", "arguments": self._launch}
            self._to_program({**request, "seq": -1})
        else:
            program.ask({**request, "arguments": self._launch or request["arguments"]})

    def _stop(self) -> None:
        """End a launched program, disconnect from an attached one, and stop relaying."""
        program, self._program = self._program, None
        if program is None:
            return
        if program.is_detached and program.process is not None:
            program.join()  # a program whose output is not read would fail
            return
        program.is_detached = True
        if program.process is not None:
            program.process.terminate()
            try:
                program.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.process.kill()
        elif program.channel is not None:
            program.channel.shut_down()
        program.join()


class ProgramProcess:
    """A running program: its process, if the adapter started it, and the channel to its session.

    Attributes
    ----------
    is_detached
        Whether messages and output of the program are no longer relayed.
    is_restart
        Whether the editor has already been initialized, before a restart of the program.
    """

    def __init__(
        self, editor: Channel, process: subprocess.Popen[bytes] | None, channel: Channel | None
    ) -> None:
        self.editor, self.process, self.channel = editor, process, channel
        self.is_detached = self.is_restart = False
        self._unanswered: list[JsonObject] = []
        self._has_ended = False
        self._lock = threading.Lock()  # guards _unanswered and _has_ended
        self._pumps: list[threading.Thread] = []
        self._relaying = threading.Thread(target=self._relay, daemon=True)

    def start(self) -> None:
        """Start to relay the messages and the output of the program."""
        if self.process is not None:
            for pipe, category in (
                (self.process.stdout, "stdout"),
                (self.process.stderr, "stderr"),
            ):
                pump = threading.Thread(target=self._pump, args=(pipe, category), daemon=True)
                self._pumps.append(pump)
                pump.start()
        self._relaying.start()

    def ask(self, request: JsonObject) -> None:
        """Send a request of the editor to the program; raise RequestError if it has ended."""
        with self._lock:
            if self._has_ended or self.channel is None:
                raise _refused_after_end(request)
            self._unanswered.append(request)
        self.channel.send(request)

    def join(self) -> None:
        """Wait until everything is relayed."""
        self._relaying.join()

    def _pump(self, pipe: Any, category: str) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with pipe:
            while data := pipe.read1(CHUNK):
                text = decoder.decode(data)
                if text and not self.is_detached:
                    self.editor.event("output", category=category, output=text)

    def _relay(self) -> None:
        is_terminated = False
        while self.channel is not None and (message := self.channel.receive()) is not None:
            if message.get("type") == "response":
                self._note_answer(message.get("request_seq"))
            is_own_request = message.get("request_seq") == -1
            is_repeated = self.is_restart and message.get("event") == "initialized"
            is_terminated |= message.get("event") == "terminated"
            if not (is_own_request or is_repeated or self.is_detached):
                self.editor.send({key: message[key] for key in message.keys() - {"seq"}})
        self._refuse_unanswered()
        if self.channel is not None:
            self.channel.close()
        code = None if self.process is None else self.process.wait()
        for pump in self._pumps:
            pump.join(PATIENCE)  # a child of the program may hold the pipe
        if not self.is_detached:
            if code is not None:
                self.editor.event("exited", exitCode=code)
            if not is_terminated:
                self.editor.event("terminated")

    def _note_answer(self, number: Any) -> None:
        with self._lock:
            for request in self._unanswered:
                if request.get("seq") == number:
                    self._unanswered.remove(request)
                    return

    def _refuse_unanswered(self) -> None:
        with self._lock:
            self._has_ended = True
            unanswered, self._unanswered = self._unanswered, []
        for request in unanswered:
            self.editor.refuse(request, error_line(_refused_after_end(request)))


def _refused_after_end(request: JsonObject) -> RequestError:
    return RequestError(message("{command}: the program has ended", command=request["command"]))


def _environment(changes: JsonObject) -> dict[str, str]:
    """Return the environment of a program, without the variables that start another debugger."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AUTOLM_DAP", "AUTOLM_DEBUG", VARIABLE)
    }
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = str(value)
    return environment


def _start_process(
    command: list[str], folder: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], None]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return process, None


def _start_connected(
    command: list[str], folder: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start the process of a program to be debugged, and wait until it connects."""
    secret = secrets.token_hex()
    with listen(0) as server:
        port = str(server.getsockname()[1])
        # -P: imports do not search the current folder.
        command = [*command, "-P", "-m", "autolm.debugger.dap.launched_program", port]
        process, _ = _start_process(command, folder, {**environment, SECRET: secret})

        def refuse_if_ended() -> None:
            if process.poll() is not None:
                _, printed = process.communicate()
                lines = printed.decode(errors="replace").strip().splitlines()
                reason = (
                    lines[-1]
                    if lines
                    else message("it ended with exit code {code}", code=process.returncode)
                )
                raise RequestError(
                    message("launch: {command}: {reason}", command=command[0], reason=reason)
                )

        def admit(channel: Channel) -> Channel | None:
            return channel if channel.begins_with(secret) else None

        return process, first_admitted(server, admit, refuse_if_ended)


def _answer_without_debugging(command: str, arguments: JsonObject) -> JsonObject:
    """Answer a request for a program that runs without debugging."""
    if command.startswith("set"):
        breakpoints = read_argument(arguments, "breakpoints", list, [])
        why = say(message("the program runs without debugging"))
        return {"breakpoints": [{"verified": False, "message": why} for _ in breakpoints]}
    if command == "threads":
        return {"threads": [{"id": 1, "name": "the program"}]}
    if command == "configurationDone":
        return {}
    raise RequestError(
        message(
            "{command}: not available while the program runs without debugging", command=command
        )
    )


def serve(reader: BinaryIO, writer: BinaryIO) -> None:
    """Serve one editor on a pair of streams; some editors end a session by an interrupt."""
    with suppress(KeyboardInterrupt):
        Adapter(Channel(reader, writer)).serve()


def serve_at(port: int) -> None:
    """Serve one editor, which connects to this port of localhost and sends its token."""
    with listen(port) as server:
        editor = wait_for_editor(server)
    try:
        Adapter(editor.channel, editor.client).serve(editor.request)
    finally:
        editor.channel.close_after_peer(PATIENCE)
