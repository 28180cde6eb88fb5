"""A program that waits for an editor at its first `backward()`: `AUTOLM_DAP=PORT python FILE`."""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from typing import Any

from autolm.debugger.dap.client import Client
from autolm.debugger.dap.port import listen, wait_for_editor
from autolm.debugger.dap.session import Session
from autolm.engine.graph import Node
from autolm.outside.message import message, plain_message
from autolm.walking.program import Pass, backward_hook

VARIABLE = "AUTOLM_DAP"
_waiting = threading.Lock()


def stopped_backward(root: Node, grad: Any, retain_grads: bool | None) -> None:
    """Run a backward pass that an editor can walk; the first pass waits for the editor."""
    with _waiting:
        session = _session()
    if session.detached.is_set():
        Pass(root, grad, retain_grads).do()
    else:
        backward_hook(session.visit)(root, grad, retain_grads)


@cache
def _session() -> Session:
    """Wait until an editor has attached and configured its session."""
    port_text = os.environ.pop(VARIABLE)  # children of this program do not inherit it
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else -1
    if not 0 <= port < 2**16:
        raise ValueError(
            message(
                "backward: {variable}={value}: a port must be a number, such as 5678",
                variable=VARIABLE,
                value=port_text,
            )
        )
    try:
        server = listen(port)
    except OSError as error:
        raise ValueError(
            message(
                "backward: {variable}={value}: {reason}",
                variable=VARIABLE,
                value=port_text,
                reason=plain_message(error.strerror or ""),
            )
        ) from None
    with server:
        editor = wait_for_editor(server)
    session = Session(editor.channel, starts_program=False)
    session.client = Client(editor.client)
    session.start(editor.request)
    session.configured.wait()
    atexit.register(session.end)
    return session
