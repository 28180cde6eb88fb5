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
# The only header of the protocol.
HEADER = re.compile(rb"Content-Length: *(\d{1,9})\r\n\r\n", re.IGNORECASE)
HEADER_NAME = b"content-length:"
MAX_HEADER_SIZE = 64  # bytes
MAX_MESSAGE_SIZE = 1 << 28  # bytes
CHUNK = 65536  # bytes


class RequestError(ValueError):
    """A request cannot be fulfilled; the message is one line for the user."""


class MalformedMessage(ValueError):
    """Bytes on a stream are not a message; the message of the error is one line."""


class Channel:
    r"""Sends and receives messages over a pair of streams; any thread may send.

    Attributes
    ----------
    fault
        Why reading stopped, if the stream had bytes that are not a message; otherwise empty.

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
        if connection.family == socket.AF_INET:  # send short messages without delay
            with suppress(OSError):  # the connection is closed
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return cls(connection.makefile("rb"), connection.makefile("wb"), connection)

    def begins_with(self, word: str) -> bool:
        """Read a line, and compare it with a secret word in constant time."""
        line = b""
        with suppress(OSError, ValueError):  # the stream is closed
            line = self._reader.readline(MAX_HEADER_SIZE * 2)
        return hmac.compare_digest(line, word.encode() + b"\n")

    def receive(self, longest: int = MAX_MESSAGE_SIZE) -> JsonObject | None:
        """Wait for the next message.

        Parameters
        ----------
        longest
            The maximum size of the JSON, in bytes.

        Returns
        -------
        The message, or None at the end of the stream and for bytes that are not a message. In the
        latter case `fault` says what is wrong.
        """
        try:
            return self._receive(longest)
        except MalformedMessage as error:
            self.fault = words_of(error)
        except (OSError, ValueError):  # the stream is closed
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
        """Read a header byte by byte, up to the first wrong byte; return the length."""
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
        """Send a message with the next sequence number; do nothing if the stream is closed."""
        with self._lock, suppress(OSError, ValueError):
            self._sent += 1
            body = json.dumps({"seq": self._sent, **message}).encode()
            self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._writer.flush()

    def shut_down(self) -> None:
        """Shut the connection down, so that the readers at both ends stop."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def close_after_peer(self, patience: float) -> None:
        """Close after the peer has closed, or after `patience` seconds.

        Closing while the peer still sends could lose the last messages to it.
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
        """Close the streams and the connection; no thread may still read them."""
        for stream in (self._reader, self._writer, self._connection):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.close()

    def event(self, name: str, **body: Any) -> None:
        """Send an event."""
        self.send({"type": "event", "event": name, "body": body})

    def answer(self, request: JsonObject, body: Mapping[str, Any] | None = None) -> None:
        """Send the response of a request that succeeded."""
        self.send({**_response(request), "success": True, "body": body or {}})

    def refuse(self, request: JsonObject, why: str) -> None:
        """Send the response of a failed request; a dialog shows it only if the user must act."""
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
    """Return the command of a request, and its arguments."""
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
    """Return an argument after a check of its type; `default` replaces a missing or null one."""
    value = arguments.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestError(must_be(name, KIND_NAMES[kind], value))
    return value
