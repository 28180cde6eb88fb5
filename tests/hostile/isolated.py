"""An `autolm` command in a process of its own, forked so that nothing is imported again.

What hostile input does, a hang, all memory, a kill, must not reach the tests: time and memory of
the child are bounded, and its output goes to files. Forking makes a case cost some milliseconds.
"""

import contextlib
import gc
import io
import os
import signal
import sys
import tempfile
import traceback
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.backends.backend_agg
import pytest
import rich.progress
import safetensors.numpy

import autolm.cli.verdicts
import autolm.debugger.script
import autolm.lm.report
import autolm.lm.run
import autolm.pages.player_page
import autolm.walking.blame
from autolm.__main__ import main
from autolm.cli import main as command

resource: Any = pytest.importorskip("resource")  # and fork: a system like Unix
IMPORTED_ONCE = (matplotlib.backends.backend_agg, rich.progress, safetensors.numpy)

MEMORY = 6 << 30  # bytes of address space beyond which an allocation fails
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SECONDS = 150 if NIGHTLY else 30  # compiled loops are compiled anew


class Ended(NamedTuple):
    """How a command ended: exit code, or minus the signal that killed it."""

    code: int
    out: bytes
    error: bytes


@cache
def _load_what_commands_load() -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        command(["info"])
    gc.collect()
    gc.freeze()  # so that no child copies pages only to count references


class Running:
    """A command that was just started."""

    def __init__(
        self,
        folder: Path,
        words: Any,
        stdin: bytes = b"",
        encoding: str = "utf-8",
        room: int | None = None,
    ) -> None:
        self.files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115
        self.files[0].write(stdin)
        self.files[0].seek(0)
        _load_what_commands_load()
        ready, begun = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            self.pid = os.fork()
        if not self.pid:
            if room is not None:  # bytes that a file may have, as on a disk that is full then
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
                sys.dont_write_bytecode = True  # CPython 3.11 would keep a part of it
            _be_the_command(folder, words, self.files, encoding, begun)
        os.close(begun)
        os.read(ready, 1)
        os.close(ready)

    def end(self) -> Ended:
        """Wait for its end."""
        _, status = os.waitpid(self.pid, 0)
        for file in self.files:
            file.seek(0)
        _, out, error = (file.read() for file in self.files)
        for file in self.files:
            file.close()
        return Ended(os.waitstatus_to_exitcode(status), out, error)


def autolm(folder: Path, *words: str, **options: Any) -> Ended:
    """Run a command in a folder to its end; runs write little, and no picture."""
    return Running(folder, words, **options).end()


def _be_the_command(folder: Path, words: Any, files: Any, encoding: str, begun: int) -> None:
    code = 99
    try:
        for descriptor, file in enumerate(files):
            os.dup2(file.fileno(), descriptor)
        streams = [os.fdopen(i, "wr"[i == 0], encoding=encoding, closefd=False) for i in range(3)]
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(folder)
        os.environ.update(COLUMNS="200", HYPOTHESIS_PROFILE="dev")
        warnings.resetwarnings()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(SECONDS)
        autolm_run: Any = sys.modules["autolm.lm.run"]
        autolm_run.SAMPLE_TOKENS = 20
        autolm_run.draw_losses = lambda metrics, *_: repr(metrics).encode()
        sys.argv = ["autolm", *words]
        os.write(begun, b".")
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os._exit(code)
