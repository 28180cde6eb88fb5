"""A client of the Debug Adapter Protocol, written from the protocol alone, for the tests."""

import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[3]
LONG = 60  # seconds, after which something hangs


def environment(**more):
    usual = {k: v for k, v in os.environ.items() if not k.startswith("AUTOLM_")}
    return {**usual, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **more}


def framed(message):
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Client:
    """Talks to an adapter over a pair of streams; every message it receives is kept, in order."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.number = 0
        self.waiting = queue.Queue()
        self.events = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            length = 0
            while (line := self.reader.readline().strip()) or not length:
                if not line:
                    self.waiting.put(None)
                    return
                name, _, value = line.partition(b":")
                assert name == b"Content-Length", line
                length = int(value)
            self.waiting.put(json.loads(self.reader.read(length)))

    def next(self):
        return self.waiting.get(timeout=LONG)

    def raw(self, data):
        self.writer.write(data)
        self.writer.flush()

    def send(self, command, **arguments):
        self.number += 1
        message = {"seq": self.number, "type": "request", "command": command}
        self.raw(framed({**message, "arguments": arguments}))
        return self.number

    def response(self, number):
        while (message := self.next()) is not None:
            if message["type"] == "response" and message["request_seq"] == number:
                return message
            self.events.append(message)
        raise EOFError(f"no response to {number}; came: {self.events}")

    def ask(self, command, **arguments):
        """Send a request and return the body of what must be a success."""
        answer = self.response(self.send(command, **arguments))
        assert answer["success"], answer["message"]
        return answer["body"]

    def refused(self, command, **arguments):
        """Send a request that cannot be done, and return why."""
        answer = self.response(self.send(command, **arguments))
        assert not answer["success"], answer
        return answer["message"]

    def event(self, name):
        """Return the body of the next event of this name, whatever comes before it."""
        for i, message in enumerate(self.events):
            if message.get("event") == name:
                del self.events[: i + 1]
                return message["body"]
        self.events.clear()
        while (message := self.next()) is not None:
            if message.get("event") == name:
                return message["body"]
        raise EOFError(f"no event {name}")

    def output(self, category):
        """Return what was printed until the session is over."""
        texts = []
        while True:
            message = self.events.pop(0) if self.events else self.next()
            assert message is not None
            if message.get("event") == "terminated":
                return "".join(texts)
            if message.get("event") == "output" and message["body"]["category"] == category:
                texts.append(message["body"]["output"])

    def close(self):
        """Wait for the end of what is received, and let go."""
        self.thread.join(LONG)
        self.reader.close()
        self.writer.close()

    # What an editor does

    def initialize(self, **arguments):
        usual = {"adapterID": "autolm", "supportsInvalidatedEvent": True}
        return self.ask("initialize", **{**usual, "supportsVariablePaging": True, **arguments})

    def launch(self, program, configure=lambda: None, initialize=None, **arguments):
        self.initialize(**(initialize or {}))
        number = self.send("launch", program=str(program), **arguments)
        while (message := self.next()).get("event") != "initialized":
            self.events.append(message)  # what it prints at once is not to be lost
        configure()
        self.ask("configurationDone")
        return number

    def move(self, command, **arguments):
        """Move, and return the body of `stopped`."""
        self.ask(command, threadId=1, **arguments)
        return self.event("stopped")

    def frames(self):
        return self.ask("stackTrace", threadId=1)["stackFrames"]

    def scope(self, name):
        scopes = self.ask("scopes", frameId=self.frames()[0]["id"])["scopes"]
        (number,) = (scope["variablesReference"] for scope in scopes if scope["name"] == name)
        return number

    def variables(self, number, **page):
        return self.ask("variables", variablesReference=number, **page)["variables"]

    def values(self, scope):
        return {
            variable["name"]: variable["value"] for variable in self.variables(self.scope(scope))
        }

    def evaluate(self, text, context="watch"):
        return self.ask("evaluate", expression=text, context=context)["result"]

    def console(self, line):
        return self.evaluate(line, "repl")


class Adapter(Client):
    """`autolm dap` in a process of its own."""

    def __init__(self, **more):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "autolm", "dap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**more),
        )
        super().__init__(self.process.stdout, self.process.stdin)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        with self.process:
            self.process.stdin.close()
            try:
                self.process.wait(LONG)
            finally:
                self.process.kill()
            stderr = self.process.stderr.read().decode()
        assert kind is not None or stderr == "", stderr


def connected(port):
    """Return a client at a port of this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=LONG)
    with connection:  # it is closed when its files are
        return Client(connection.makefile("rb"), connection.makefile("wb"))


def port_and_token(process):
    """Return the port at which a process says that it listens, and the token of it."""
    line = process.stderr.readline()
    match = re.fullmatch(r"autolm dap: listening on 127\.0\.0\.1:(\d+), token (.*)\n", line)
    assert match, line
    return int(match[1]), match[2]
