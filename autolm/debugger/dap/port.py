"""A port of this machine that accepts only an editor with the token of this port.

Every program of this machine can connect to a port, and every web page can make a browser do so.
The token, which only the user's terminal shows, distinguishes the editor from them.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from autolm.debugger.dap.capabilities import CAPABILITIES
from autolm.debugger.dap.client import Client
from autolm.debugger.dap.messages import Channel, JsonObject, RequestError, command_of
from autolm.debugger.prompt import error_line
from autolm.outside.message import message
from autolm.outside.terminal import print_safely

VARIABLE = "AUTOLM_DAP_TOKEN"  # a token chosen by the user, for an editor's configuration
SHORTEST_TOKEN = 16  # characters
MAX_REQUEST_SIZE = 1 << 20  # bytes, for a client that has not sent the token
MAX_WAITING = 64  # clients that have not sent it; then the oldest is disconnected
PATIENCE = 2  # seconds for a refused client to read the reason
POLL_INTERVAL = 0.05  # seconds between two calls of `poll` while waiting for a client

T = TypeVar("T")


class Editor(NamedTuple):
    """An editor that has sent the token.

    Attributes
    ----------
    channel
        The connection to it.
    client
        The arguments of its `initialize` request, which has been answered.
    request
        Its `launch` or `attach` request, which has not been answered.
    """

    channel: Channel
    client: JsonObject
    request: JsonObject


def listen(port: int) -> socket.socket:
    """Return a server socket at this port of localhost.

    Raises
    ------
    OSError
        If the port cannot be used.
    """
    return socket.create_server(("127.0.0.1", port))


def wait_for_editor(server: socket.socket) -> Editor:
    """Print the address and the token of a server; return the first editor that sends the token.

    Raises
    ------
    ValueError
        If the token in the environment is too short.
    """
    token, printed = _choose_token()
    place = "{}:{}".format(*server.getsockname())
    print_safely(f"autolm dap: listening on {place}, token {printed}", sys.stderr)
    return first_admitted(server, lambda channel: _admit(channel, token))


def _choose_token() -> tuple[str, str]:
    """Return the token and the text to print, which hides a token that the user chose."""
    chosen = os.environ.pop(VARIABLE, "")  # children of this program do not inherit it
    if not chosen:
        token = secrets.token_hex()
        return token, token
    if len(chosen) < SHORTEST_TOKEN:
        raise ValueError(
            message(
                "{variable}: a token of {count} characters can be guessed; use at least {minimum}",
                variable=VARIABLE,
                count=len(chosen),
                minimum=SHORTEST_TOKEN,
            )
        )
    return chosen, f"of {VARIABLE}"


def _admit(channel: Channel, token: str) -> Editor | None:
    """Answer `initialize`; return the editor after it sends the token, and close otherwise."""
    client = JsonObject()
    while (message := channel.receive(MAX_REQUEST_SIZE)) is not None:
        try:
            command, arguments = command_of(message)
            if command == "initialize":
                Client(arguments)  # raises if an argument has the wrong type
                client = arguments
                channel.answer(message, CAPABILITIES)
            else:
                _require_token(command, arguments, token)
                return Editor(channel, client, message)
        except RequestError as error:
            channel.refuse(message, error_line(error))
            channel.close_after_peer(PATIENCE)
            return None
    return None


def _require_token(command: str, arguments: JsonObject, token: str) -> None:
    if command not in ("launch", "attach"):
        raise RequestError(
            message(
                "{command}: send launch or attach first, with the token of this port",
                command=command,
            )
        )
    client_token = arguments.get("token")
    if not isinstance(client_token, str) or not hmac.compare_digest(
        _bytes(client_token), _bytes(token)
    ):
        raise RequestError(
            message(
                "{command}: wrong token; the program prints the token of this port "
                "(autolm dap: listening on …, token …), or set {variable} for both",
                command=command,
                variable=VARIABLE,
            )
        )


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def first_admitted(
    server: socket.socket,
    admit: Callable[[Channel], T | None],
    poll: Callable[[], object] = lambda: None,
) -> T:
    """Accept clients until one of them is admitted, and close the connections to all others.

    Each client has its own thread, so that a silent client does not block the others.

    Parameters
    ----------
    server
        The listening socket.
    admit
        Reads from a client; returns None for one that is not admitted.
    poll
        Called repeatedly while waiting; an exception that it raises ends the wait.
    """
    verdicts: SimpleQueue[tuple[Channel, T | None]] = SimpleQueue()
    waiting: list[Channel] = []

    def read(channel: Channel) -> None:
        verdict = None
        try:
            verdict = admit(channel)
        finally:
            if verdict is None:
                channel.close()
            verdicts.put((channel, verdict))

    server.settimeout(POLL_INTERVAL)
    try:
        while True:
            with suppress(TimeoutError, ConnectionError):
                connection, _ = server.accept()
                connection.settimeout(None)
                channel = Channel.over_socket(connection)
                waiting.append(channel)
                threading.Thread(target=read, args=(channel,), daemon=True).start()
                if len(waiting) > MAX_WAITING:
                    waiting.pop(0).shut_down()
            while not verdicts.empty():
                channel, verdict = verdicts.get()
                if channel in waiting:
                    waiting.remove(channel)
                if verdict is not None:
                    return verdict
            poll()
    finally:
        for channel_waiting in waiting:
            channel_waiting.shut_down()
