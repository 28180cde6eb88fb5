"""Real processes that are stopped, killed, cut off from their reader, or out of space."""

import os
import pty
import re
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from autolm.lm.run_folder import RunFolder
from tests.runs import SMALL, TEXT, contents

ROOT = Path(__file__).parents[2]
CHOICES = {**SMALL, "steps": 75, "validate_every": 1, "schedule": "cosine"}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in CHOICES.items()]


class Command:
    """An `autolm` process in a folder; made so that it cannot run to its end before we are ready.

    Without a terminal a run prints a line at each validation. Its output goes to a pipe that holds
    about 50 of its 75 lines, and which we read no further than we must: so it waits for us.
    """

    def __init__(
        self, folder: Path, *arguments: str, program: tuple[str, str] = ("-m", "autolm")
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pipesize=4096,
            bufsize=0,
        )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, start: str) -> None:
        """Read lines up to one that starts so."""
        for line in iter(self._line, b""):
            if line.decode().startswith(start):
                return
        raise AssertionError(f"no line starts with {start!r}: {self.end()}")

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        line = b""
        while byte := self.process.stdout.read(1):
            line += byte
            if byte == b"\n":
                break
        return line

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, the rest of the output, and errors."""
        out, error = self.process.communicate(timeout=120)
        return self.process.returncode, out.decode(), error.decode()


def autolm(folder: Path, *arguments: str) -> tuple[int, str, str]:
    with Command(folder, *arguments) as command:
        return command.end()


def text(kind: str) -> list[str]:
    """Name the data of a run: the toy language would do for lines, and take longer."""
    return ["text.txt", f"--kind={kind}"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for kind in ("lines", "stream"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        (folders[kind] / "text.txt").write_text(TEXT * 3)
        code, _, error = autolm(folders[kind], "train", *text(kind), *OPTIONS, "-o", "run")
        assert (code, error) == (0, "")
    return folders


@pytest.mark.table(3)
@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        ("lines", signal.SIGINT, 130),
        ("stream", signal.SIGTERM, 130),
        ("stream", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_interrupted_and_resumed_a_run_leaves_the_same_bytes_as_uninterrupted(
    uninterrupted: dict[str, Path], kind: str, number: signal.Signals, code: int
) -> None:
    folder = uninterrupted[kind]
    name = number.name.lower()
    with Command(folder, "train", *text(kind), *OPTIONS, "-o", name) as command:
        command.wait_for("step 4/75")
        command.process.send_signal(number)
        ended, out, error = command.end()
    assert (ended, error) == (code, "")
    step = RunFolder.open(folder / name).load().state["step"]
    assert 4 <= step < 75
    if number != signal.SIGKILL:
        assert f"stopped after step {step} of 75; all is saved" in out
        assert f"go on   autolm train --resume {name}" in out
    code, out, error = autolm(folder, "train", "--resume", name)
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == f"next    autolm sample {name}     autolm step {name}"
    assert contents(folder / name) == contents(folder / "run")


LIMITED = """
import resource
import sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.dont_write_bytecode = True  # CPython 3.11 would keep a part of it
from autolm.cli import main
main()
"""


def test_a_write_that_the_system_refuses_leaves_the_last_checkpoint_readable(
    uninterrupted: dict[str, Path],
) -> None:
    folder = uninterrupted["stream"]
    with Command(folder, "train", *text("stream"), *OPTIONS, "-o", "full") as command:
        command.wait_for("step 4/75")
        command.process.send_signal(signal.SIGTERM)
        command.end()
    files = contents(folder / "full")
    before = RunFolder.open(folder / "full").load().state["step"]
    program = ("-c", LIMITED.format(size=len(files["checkpoint.safetensors"]) - 1))
    with Command(folder, "train", "--resume", "full", program=program) as command:
        code, _, error = command.end()
    assert code == 1
    assert re.fullmatch(r"autolm: full/\S+: cannot be written: File too large\n", error)
    assert RunFolder.open(folder / "full").load().state["step"] == before
    assert autolm(folder, "train", "--resume", "full")[0] == 0
    assert contents(folder / "full") == contents(folder / "run")


def test_a_reader_that_goes_away_ends_a_sample_quietly(uninterrupted: dict[str, Path]) -> None:
    arguments = ("sample", "run", "--tokens=100000", "--prompt=a\n")
    with Command(uninterrupted["lines"], *arguments) as command:
        command.wait_for("a")
        assert command.process.stdout is not None
        command.process.stdout.close()
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""
        assert command.process.wait(timeout=60) == 0


def test_a_reader_that_goes_away_ends_a_run_quietly_as_interrupted_and_a_prompt_as_done(
    uninterrupted: dict[str, Path],
) -> None:
    folder = uninterrupted["stream"]
    (folder / "p.py").write_text("from autolm import Value\n(Value(2.0) * 3).backward()\n" * 9)
    train = ("train", *text("stream"), *OPTIONS, "-o", "unread")
    for words, start, code in ((train, "step 4/75", 130), (("step", "p.py"), "backward of", 0)):
        program = "import sys\nfrom autolm.cli import main\nmain()"
        if words[0] == "step":
            program = f"import io, sys\nsys.stdin = io.StringIO('l\\n' * 99999)\n{program}"
        with Command(folder, *words, program=("-c", program)) as command:
            command.wait_for(start)
            assert command.process.stdout is not None
            command.process.stdout.close()
            assert command.process.stderr is not None
            assert command.process.stderr.read() == b""
            assert command.process.wait(timeout=60) == code
    assert autolm(folder, "train", "--resume", "unread")[0] == 0
    assert contents(folder / "unread") == contents(folder / "run")


def test_what_is_closed_is_empty_or_swallows_all(uninterrupted: dict[str, Path]) -> None:
    folder = uninterrupted["stream"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    (folder / "p.py").write_text("from autolm import Value\n(Value(2.0) * 3).backward()\n")
    for words in (
        "step p.py <&-",
        "step p.py >&-",
        "info run >&- 2>&- <&-",
        "draw p.py -o p.dot >&-",
    ):
        command = ["sh", "-c", f"exec {sys.executable} -m autolm {words}"]
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, input=b"s\n"
        )
        assert (ended.returncode, ended.stderr) == (0, b""), words
    command = ["sh", "-c", f"exec {sys.executable} -m autolm train - <&-"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert ended.returncode == 2
    assert ended.stderr == b"autolm: standard input: empty: there is nothing to train on\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device of a full disk")
def test_an_output_that_is_full_is_named(uninterrupted: dict[str, Path]) -> None:
    commands = ["info"], ["sample", "run", "--tokens=9", "--prompt=a"]
    for words, unbuffered in product(commands, ("", "1")):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "autolm", *words],
                cwd=uninterrupted["stream"],
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
                stdout=full,
                stderr=subprocess.PIPE,
            )
        assert ended.returncode == 1
        assert ended.stderr == b"autolm: standard output: No space left on device\n"


def test_a_sample_is_interrupted_in_one_line(uninterrupted: dict[str, Path]) -> None:
    arguments = ("sample", "run", "--tokens=100000", "--prompt=a\n")
    with Command(uninterrupted["lines"], *arguments) as command:
        command.wait_for("a")
        command.process.send_signal(signal.SIGINT)
        code, _, error = command.end()
    assert (code, error) == (130, "autolm: interrupted\n")


def test_in_a_terminal_a_run_shows_a_bar(uninterrupted: dict[str, Path]) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "autolm", "train", *text("stream"), *OPTIONS, "--steps=6"]
    process = subprocess.Popen(
        [*command, "-o", "shown"],
        cwd=uninterrupted["stream"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "150"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # a terminal whose other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0
    words = shown.decode()
    assert "━" in words
    assert "6/6" in words
    assert "\x1b[" in words
    assert re.search(r"val \d\.\d+  ppl \d+", words)
    assert "done    val " in words
