"""An `autolm` command in a process of its own, forked so that nothing is imported again.

What hostile input does, a hang, all memory, a kill, must not reach the tests: time and memory of
the child are bounded, and its output goes to files. Forking makes a case cost some milliseconds.
"""

import os
import resource
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib.backends.backend_agg
import matplotlib.figure
import rich.console
import rich.progress
import safetensors.numpy

import autolm.cli.verdicts
import autolm.debugger.script
import autolm.lm.report
import autolm.pages.player_page
import autolm.walking.blame
from autolm.cli import main

__all__ = ["Ended", "autolm"]

MEMORY = 3 << 30  # bytes of address space beyond which an allocation fails
SECONDS = int(os.environ.get("HOSTILE_SECONDS", "20"))
HUNG = -signal.SIGALRM


class Ended(NamedTuple):
    """How a command ended: exit code, or minus the signal that killed it."""

    code: int
    out: bytes
    error: bytes


def autolm(folder: Path, *words: str, stdin: bytes = b"", encoding: str = "utf-8") -> Ended:
    """Run a command in a folder."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as error,
    ):
        given.write(stdin)
        given.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            child = os.fork()
        if not child:
            _be_the_command(folder, words, (given, out, error), encoding)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        error.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), out.read(), error.read())


def _be_the_command(folder, words, files, encoding):
    code = 99
    try:
        for descriptor, file in enumerate(files):
            os.dup2(file.fileno(), descriptor)
        sys.stdin = open(0, encoding=encoding, closefd=False)
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)
        sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)
        sys.unraisablehook = sys.__unraisablehook__
        os.chdir(folder)
        os.environ.update(COLUMNS="200", HYPOTHESIS_PROFILE="dev")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(SECONDS)
        main([*words])
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                pass
        os._exit(code)
