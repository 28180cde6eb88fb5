"""A program in a pseudo-terminal, driven as by a person who reads the prompt before typing."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x07|\r")


def _as_in_a_terminal(slave):
    """Let Ctrl-C reach the program, and be heard, though what runs the tests may ignore it."""
    os.login_tty(slave)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Runs `python ARGUMENTS…`; `type` sends keys, `read` returns the screen up to a text."""

    def __init__(self, *arguments, **environment):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=lambda: _as_in_a_terminal(slave),
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONIOENCODING": "utf-8",
                "TERM": "xterm",
                "COLUMNS": "120",
                "HOME": os.devnull,  # no history, and no start-up file
                "INPUTRC": os.devnull,
                "OPENBLAS_NUM_THREADS": "1",
                **environment,
            },
        )
        os.close(slave)
        self.raw = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, until="(bp) ", timeout=30.0):
        """Return what appears, up to a text; without control characters."""
        deadline, piece, screen = time.monotonic() + timeout, b"", ""
        while until not in screen:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"waited for {until!r}, and saw:\n{screen}")
            if not select.select([self.master], [], [], remaining)[0]:
                continue
            try:
                more = os.read(self.master, 65536)
            except OSError:  # the program has closed its end
                more = b""
            if not more:
                raise EOFError(f"waited for {until!r}, and saw:\n{screen}")
            piece += more
            self.raw = piece.decode(errors="replace")
            screen = CONTROL.sub("", self.raw)
        return screen

    def type(self, keys):
        """Send keys as they are."""
        os.write(self.master, keys.encode())

    def say(self, line, until="(bp) "):
        """Type a line, and return the answer without the echo and the prompt."""
        self.type(line + "\n")
        answer = self.read(until)
        return answer.partition("\n")[2].removesuffix(until).rstrip("\n")

    def interrupt(self):
        """Press Ctrl-C at the prompt, and again if it was lost: Python's input() can lose one."""
        for _ in range(4):
            self.type("\x03")
            with suppress(TimeoutError):
                return self.read(timeout=10.0)  # time enough for a busy machine to answer
        raise TimeoutError("Ctrl-C was not heard")

    def wait(self):
        """Read to the end; return the last of the screen and the exit code."""
        screen = b""
        while True:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                break
            if not more:
                break
            screen += more
        return CONTROL.sub("", screen.decode(errors="replace")), self.process.wait(30)
