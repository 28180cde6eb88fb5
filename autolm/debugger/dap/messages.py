"""Messages of the Debug Adapter Protocol on a stream: JSON after a header that gives its length.

Bytes that are not a message end the stream: nothing after them is read. A browser, which sends the
lines of HTTP first, is therefore never obeyed.
"""

from __future__ import annotations

import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from autolm.outside.arguments import must_be
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import words_of

JsonObject = dict[str, Any]
HEADER = re.compile(rb"Content-Length: *(\d{1,9})\r\n\r\n", re.IGNORECASE)  # the only one there is
HEADER_NAME = b"content-length:"
MAX_HEADER_SIZE = 64  # bytes
MAX_MESSAGE_SIZE = 1 << 28  # bytes
CHUNK = 65536  # bytes


class RequestError(ValueError):
    """A request that cannot be done; the message is one line for the user."""


class MalformedMessage(ValueError):
    """Bytes on a stream are not a message; the message of the error is one line."""


class Channel:
    r"""Sends and receives messages over a pair of streams; any thread may send.

    Attributes
    ----------
    fault
        Why the stream was given up, if bytes came that are not a message; else empty.

    Examples
    --------
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
        self._sent, self._lock = 0, threading.Lock()
        self.fault = ""

    @classmethod
    def over_socket(cls, connection: socket.socket) -> Channel:
        """Return the channel over a connection."""
        if connection.family == socket.AF_INET:  # what is short is not to wait for more
            with suppress(OSError):  # it was closed
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return cls(connection.makefile("rb"), connection.makefile("wb"), connection)

    def begins_with(self, word: str) -> bool:
        """Read a line, and return whether it is this secret word."""
        line = b""
        with suppress(OSError, ValueError):  # it was closed
            line = self._reader.readline(MAX_HEADER_SIZE * 2)
        return hmac.compare_digest(line, word.encode() + b"\n")

    def receive(self, longest: int = MAX_MESSAGE_SIZE) -> JsonObject | None:
        """Wait for the next message.

        Parameters
        ----------
        longest
            How many bytes of JSON it may have.

        Returns
        -------
        The message; None at the end of the stream, and for bytes that are not a message: then
        `fault` says what is wrong with them.
        """
        try:
            return self._receive(longest)
        except MalformedMessage as error:
            self.fault = words_of(error)
        except (OSError, ValueError):  # it was closed
            pass
        return None

    def _receive(self, longest: int) -> JsonObject | None:
        length = self._receive_header()
        if length is None:
            return None
        if length > longest:
            raise MalformedMessage(
                message(
                    "a message of {length} bytes exceeds the limit of {longest}",
                    length=length,
                    longest=longest,
                )
            )
        body = self._reader.read(length)
        return _parsed(body) if len(body) == length else None

    def _receive_header(self) -> int | None:
        """Read a header byte by byte, up to the first wrong one; return the length it gives."""
        header = b""
        while not header.endswith(b"\r\n\r\n"):
            byte = self._reader.read(1)
            if not byte:
                return None
            header += byte
            is_header = HEADER_NAME.startswith(header[: len(HEADER_NAME)].lower())
            if not is_header or len(header) > MAX_HEADER_SIZE:
                raise MalformedMessage(
                    message(
                        "a message must begin with Content-Length, got {header!r}", header=header
                    )
                )
        match = HEADER.fullmatch(header)
        if match is None:
            raise MalformedMessage(
                message(
                    "the header must be Content-Length and a number of bytes, got {header!r}",
                    header=header,
                )
            )
        return int(match[1])

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, with the next number; to one who has gone, nothing."""
        with self._lock, suppress(OSError, ValueError):
            self._sent += 1
            body = json.dumps({"seq": self._sent, **message}).encode()
            self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._writer.flush()

    def shut_down(self) -> None:
        """Let whoever reads at either end come to the end."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def close_after_peer(self, patience: float) -> None:
        """Close after the other end has: closing on what it still sends would lose our last.

        After `patience` seconds it is closed in any case.
        """
        if self._connection is not None:
            end = time.monotonic() + patience
            with suppress(OSError, ValueError):  # ValueError: no time is left
                self._connection.shutdown(socket.SHUT_WR)
                is_open = True
                while is_open:
                    self._connection.settimeout(end - time.monotonic())
                    is_open = bool(self._connection.recv(CHUNK))
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

    def answer(self, request: JsonObject, body: Mapping[str, Any] | None = None) -> None:
        """Say that a request was done."""
        self.send({**_response(request), "success": True, "body": body or {}})

    def refuse(self, request: JsonObject, why: str) -> None:
        """Say why a request was not; a dialog shows it only where the user has to act."""
        why = say(why)
        needs_user = request.get("command") in ("launch", "attach", "restart")
        error = {"id": 1, "format": "{why}", "variables": {"why": why}, "showUser": needs_user}
        self.send(
            {**_response(request), "success": False, "message": why, "body": {"error": error}}
        )


def _parsed(body: bytes) -> JsonObject:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedMessage(message("the message is not JSON")) from None
    if not isinstance(parsed, dict):
        raise MalformedMessage(message("the message is not a JSON object"))
    return parsed


def _response(request: JsonObject) -> JsonObject:
    number = request.get("seq")
    return {
        "type": "response",
        "request_seq": number if isinstance(number, int) else 0,
        "command": str(request.get("command")),
    }


def command_of(request: JsonObject) -> tuple[str, JsonObject]:
    """Return what a request asks for, and its arguments."""
    command, arguments = request.get("command"), request.get("arguments")
    arguments = {} if arguments is None else arguments
    if request.get("type") != "request" or not isinstance(command, str):
        raise RequestError(message("the message is not a request with a command"))
    if not isinstance(arguments, dict):
        raise RequestError(message("{command}: arguments must be an object", command=command))
    return command, arguments


KIND_NAMES = {
    str: message("a string"),
    int: message("an integer"),
    list: message("a list"),
    dict: message("an object"),
    bool: message("a boolean"),
}


def read_argument(arguments: JsonObject, name: str, kind: type[Any], default: Any = ...) -> Any:
    """Return an argument, if it is of this kind; left out or null, the default, if there is one."""
    value = arguments.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestError(must_be(name, KIND_NAMES[kind], value))
    return value
