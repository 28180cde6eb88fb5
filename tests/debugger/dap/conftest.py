"""A session inside this process: the program is a thread, and the editor a client at a socket."""

import socket
import threading

import pytest

from autolm.debugger.dap.messages import Channel
from autolm.debugger.dap.pass_handler import PassHandler
from autolm.debugger.dap.session import Session
from autolm.walking.program import Pass
from tests.debugger.dap.client import LONG, Client


class Visited:
    """A pass that is walked by a client: `client`; `done` waits until the program goes on."""

    def __init__(self, root, variables, **options):
        ours, theirs = socket.socketpair()
        self.sockets = (ours, theirs)
        self.client = Client(theirs.makefile("rb"), theirs.makefile("wb"))
        self.files = [self.client.reader, self.client.writer]
        self.session = Session(Channel.over_socket(ours), starts_program=False)
        self.session.start()
        self.client.initialize()
        self.options = options
        self.here = Pass(root, variables=variables)
        self.error = None  # what came out of backward()
        self.thread = threading.Thread(target=self._program, daemon=True)

    def _program(self):
        self.session.configured.wait(LONG)
        try:
            self.session.visit(self.here)
        except Exception as error:
            self.error = error

    def begin(self, configure=lambda client: None):
        """Begin the session and return the body of the first `stopped`."""
        self.client.send("attach", **self.options)
        self.client.event("initialized")
        configure(self.client)
        self.client.ask("configurationDone")
        self.thread.start()
        return self.client.event("stopped")

    def done(self):
        self.thread.join(LONG)
        assert not self.thread.is_alive()

    def close(self):
        for connection in self.sockets:
            connection.shutdown(socket.SHUT_RDWR)
        self.client.thread.join(LONG)
        self.session.detached.wait(LONG)
        if self.thread.ident:
            self.done()
        for connection in (*self.files, *self.sockets):
            connection.close()


@pytest.fixture
def visit(monkeypatch):
    """Let a client walk one pass: `visit(root, variables, **options)`; no other pass follows it."""
    monkeypatch.setattr(PassHandler, "_has_further_stops", lambda visit: False)
    opened = []

    def open_visit(root, variables=None, **options):
        opened.append(Visited(root, variables or {}, **options))
        return opened[-1]

    yield open_visit
    for visited in opened:
        visited.close()
