"""A port of this machine that obeys only an editor that shows the token of this port.

Every program of this machine can connect to a port, and every web page can make a browser do so.
A token that only the user's terminal shows tells the editor from them.
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

VARIABLE = "AUTOLM_DAP_TOKEN"  # a token that the user chooses, for an editor's configuration
SHORTEST_TOKEN = 16  # characters
MAX_REQUEST_SIZE = 1 << 20  # bytes of a message from a client that has not shown the token
MAX_WAITING = 64  # clients that have not shown it; the oldest makes room for the next
PATIENCE = 2  # seconds that a client has to read why it is refused
POLL_INTERVAL = 0.05  # seconds between two looks at what else happens while a client is awaited

T = TypeVar("T")


class Editor(NamedTuple):
    """An editor that has shown the token.

    Attributes
    ----------
    channel
        The connection to it.
    client
        The arguments of its `initialize`, which has been answered.
    request
        Its `launch` or `attach`, which has not.
    """

    channel: Channel
    client: JsonObject
    request: JsonObject


def listen(port: int) -> socket.socket:
    """Return a server at this port of this machine, which nobody else can reach.

    Raises
    ------
    OSError
        When the port cannot be used.
    """
    return socket.create_server(("127.0.0.1", port))


def wait_for_editor(server: socket.socket) -> Editor:
    """Print where the server listens and its token; return the first editor that shows it.

    Raises
    ------
    ValueError
        When the environment gives a token that is too short.
    """
    token, printed = _choose_token()
    place = "{}:{}".format(*server.getsockname())
    print_safely(f"autolm dap: listening on {place}, token {printed}", sys.stderr)
    return first_admitted(server, lambda channel: _admit(channel, token))


def _choose_token() -> tuple[str, str]:
    """Return the token, and how it is printed: one that the user chose is not shown."""
    chosen = os.environ.pop(VARIABLE, "")  # a child of this program has no part in it
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
    """Answer `initialize`; return the editor once it has shown the token, and close on all else."""
    client = JsonObject()
    while (message := channel.receive(MAX_REQUEST_SIZE)) is not None:
        try:
            command, arguments = command_of(message)
            if command == "initialize":
                Client(arguments)  # refuses what it does not understand
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
    look: Callable[[], object] = lambda: None,
) -> T:
    """Accept clients until one of them is admitted, and close the connections to all others.

    Each is read in a thread of its own, so that one that says nothing keeps nobody out.

    Parameters
    ----------
    server
        Where they connect.
    admit
        Reads from a client; returns None for one that is not admitted.
    look
        Called again and again meanwhile; what it raises ends the wait.
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
            look()
    finally:
        for channel_waiting in waiting:
            channel_waiting.shut_down()
