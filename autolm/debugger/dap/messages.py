"""Messages of the Debug Adapter Protocol on a stream: JSON after a header that says how long it is.

What is no message is skipped, whatever it is: the next that is one is found, and answered.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

Message = dict[str, Any]
HEADER = re.compile(rb"Content-Length: *(\d{1,9}) *\r\n(?:[\w-]+:[^\r\n]*\r\n)*\r\n", re.IGNORECASE)
LONGEST_HEADER = 4096  # bytes
CHUNK = 65536  # bytes


class Refused(ValueError):
    """A request that cannot be done; the message is one line for the user."""


class Channel:
    r"""Sends and receives messages over a pair of streams; any thread may send.

    >>> from io import BytesIO
    >>> stream = BytesIO()
    >>> Channel(stream, stream).event("output", output="a")
    >>> stream.getvalue().partition(b"{")[0]
    b'Content-Length: 71\r\n\r\n'
    """

    def __init__(
        self, reader: BinaryIO, writer: BinaryIO, connection: socket.socket | None = None
    ) -> None:
        self._reader, self._writer, self._connection = reader, writer, connection
        self._buffer, self._sent, self._lock = bytearray(), 0, threading.Lock()

    @classmethod
    def over(cls, connection: socket.socket) -> Channel:
        """Return the channel over a connection."""
        if connection.family == socket.AF_INET:  # what is short is not to wait for more
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return cls(connection.makefile("rb"), connection.makefile("wb"), connection)

    def begins_with(self, word: str) -> bool:
        """Read a line, and say whether it is this one: who knows the word is who was meant."""
        line = self._reader.readline(LONGEST_HEADER)
        return secrets.compare_digest(line, word.encode() + b"\n")

    def receive(self) -> Message | None:
        """Wait for the next message; None at the end of the stream."""
        while True:
            head = HEADER.search(self._buffer)
            if head is None:
                del self._buffer[:-LONGEST_HEADER]
            elif len(self._buffer) >= head.end() + int(head[1]):
                message = _read(self._buffer[head.end() : head.end() + int(head[1])])
                # Of what is no message the length may be wrong too: look behind its header.
                del self._buffer[: head.end() + (0 if message is None else int(head[1]))]
                if message is not None:
                    return message
                continue
            chunk = b""
            with suppress(OSError, ValueError):  # it was closed
                chunk = self._reader.read1(CHUNK)  # type: ignore[attr-defined]
            if not chunk:
                return None
            self._buffer += chunk

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, with the next number; to one who has gone, nothing."""
        with self._lock, suppress(OSError, ValueError):
            self._sent += 1
            body = json.dumps({"seq": self._sent, **message}).encode()
            self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._writer.flush()

    def hang_up(self) -> None:
        """Let whoever reads at either end come to the end."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def part(self, patience: float) -> None:
        """Close after the other end has: closing on what it still sends would lose our last."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
                self._connection.settimeout(patience)
                while self._connection.recv(CHUNK):
                    pass
        self.close()

    def close(self) -> None:
        """Let go of the streams, when nobody reads them any more."""
        for stream in (self._reader, self._writer, self._connection):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.close()

    def event(self, name: str, **body: Any) -> None:
        """Send an event."""
        self.send({"type": "event", "event": name, "body": body})

    def answer(self, request: Message, body: Mapping[str, Any] | None = None) -> None:
        """Say that a request was done."""
        self.send({**_response(request), "success": True, "body": body or {}})

    def refuse(self, request: Message, why: str) -> None:
        """Say why a request was not."""
        error = {"id": 1, "format": "{why}", "variables": {"why": why}, "showUser": True}
        self.send(
            {**_response(request), "success": False, "message": why, "body": {"error": error}}
        )


def _read(body: bytearray) -> Message | None:
    with suppress(ValueError, RecursionError):
        message = json.loads(body)
        if isinstance(message, dict):
            return message
    return None


def _response(request: Message) -> Message:
    number = request.get("seq")
    return {
        "type": "response",
        "request_seq": number if isinstance(number, int) else 0,
        "command": str(request.get("command")),
    }


def command_of(request: Message) -> tuple[str, Message]:
    """Return what a request asks for, and its arguments."""
    command, arguments = request.get("command"), request.get("arguments")
    arguments = {} if arguments is None else arguments
    if request.get("type") != "request" or not isinstance(command, str):
        raise Refused("a message that is no request, or has no command")
    if not isinstance(arguments, dict):
        raise Refused(f"{command}: its arguments are no object")
    return command, arguments


KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "an object", bool: "a boolean"}


def told(arguments: Message, name: str, kind: type[Any], default: Any = ...) -> Any:
    """Return an argument, if it is of this kind; left out or null, the default, if there is one."""
    value = arguments.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(f"{name} must be {KINDS[kind]}, not {json.dumps(value)}")
    return value
