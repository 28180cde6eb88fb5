"""Kills, Ctrl-C and second processes at any moment: nothing is lost, and one line says so."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autolm.lm.run_folder import LOCK, RunFolder
from tests.hostile.folders import OLD, edit_state
from tests.hostile.isolated import NIGHTLY, Running, autolm
from tests.runs import SMALL, TEXT, contents, to_old_format

CHOICES = {**SMALL, "steps": 15, "validate_every": 1}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in CHOICES.items()]
TRAIN = ("train", "text.txt", *OPTIONS, "-o", "run")
WANTED = 20 if NIGHTLY else 1


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, and a run that nothing has stopped."""
    home = tmp_path_factory.mktemp("faults")
    (home / "text.txt").write_text(TEXT * 3)
    assert autolm(home, *TRAIN).code == 0
    (home / "run").rename(home / "whole")
    return home


def stop_somewhere(home: Path, number: signal.Signals, rng: random.Random) -> Running:
    """Begin a run, and send it a signal at some moment after its first checkpoints."""
    shutil.rmtree(home / "run", ignore_errors=True)
    running = Running(home, TRAIN)
    metrics, deadline = home / "run" / "metrics.jsonl", time.monotonic() + 30
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.15))
    os.kill(running.pid, number)
    return running


def assert_goes_on_to_the_same_end(home: Path) -> None:
    went_on = autolm(home, "train", "--resume", "run")
    assert (went_on.code, went_on.error) == (0, b"")
    assert contents(home / "run") == contents(home / "whole")


KILLED_IN_A_WRITE = """
import os, signal, sys
left, fsync = int(sys.argv.pop(1)), os.fsync

def counted(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)

os.fsync = counted
from autolm.__main__ import main
main()
"""


def test_killed_in_the_middle_of_a_write_a_run_goes_on_to_the_same_bytes(home: Path) -> None:
    """A write is ended before the content is on the disk, or before the name in the folder is."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    partial = 0
    for number in range(20, 22 + WANTED):
        shutil.rmtree(home / "run", ignore_errors=True)
        words = [sys.executable, "-c", KILLED_IN_A_WRITE, str(number), *TRAIN]
        killed = subprocess.run(words, cwd=home, env=environment, capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        partial += any(".partial" in path.name for path in (home / "run").iterdir())
        assert_goes_on_to_the_same_end(home)
    assert 0 < partial < 2 + WANTED


def test_interrupted_anywhere_a_run_says_one_line_and_goes_on_to_the_same_bytes(home: Path) -> None:
    rng = random.Random(1)
    for _ in range(WANTED):
        ended = stop_somewhere(home, signal.SIGINT, rng).end()
        if ended.code == 0:  # it had come to its end
            continue
        assert ended.code in (130, -signal.SIGINT), ended
        lines = ended.error.splitlines()
        assert lines == ([] if b"stopped after step" in ended.out else [b"autolm: interrupted"])
        assert LOCK not in {path.name for path in (home / "run").iterdir()}
        assert_goes_on_to_the_same_end(home)


def test_interrupted_before_it_trains_a_run_leaves_no_folder_or_a_whole_one(home: Path) -> None:
    rng = random.Random(2)
    for _ in range(2 * WANTED):
        shutil.rmtree(home / "run", ignore_errors=True)
        running = Running(home, TRAIN)
        time.sleep(rng.uniform(0, 0.2))
        os.kill(running.pid, signal.SIGINT)
        ended = running.end()
        assert ended.code in (0, 130, -signal.SIGINT), ended
        assert ended.error in (b"", b"autolm: interrupted\n")
        if (home / "run").exists():
            assert_goes_on_to_the_same_end(home)


AS_IT_LOADS = """
import atexit, os, signal, sys
when = sys.argv[1]
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == when:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
if when == "the end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
from autolm.__main__ import main
sys.argv[1:] = ["info"]
main()
"""


@pytest.mark.parametrize("module", ["autolm.cli", "typer", "autolm.cli.train", "rich.console"])
def test_interrupted_as_a_module_is_loaded_a_command_says_one_line(module: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", AS_IT_LOADS, module]
    ended = subprocess.run(words, env=environment, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, b"autolm: interrupted\n")


def test_interrupted_when_all_is_done_a_command_has_done_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", AS_IT_LOADS, "the end"]
    ended = subprocess.run(words, env=environment, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"GPT-3" in ended.stdout


PROGRAM = "print('begun', flush=True)\nfrom autolm.__main__ import main\nmain()"


def test_interrupted_while_it_is_loaded_a_command_says_one_line() -> None:
    rng = random.Random(3)
    for _ in range(WANTED):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "info"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(rng.uniform(0.1, 0.6))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert process.returncode in (0, 130, -signal.SIGINT)  # in a shell, the last is 130 too
        assert error == (b"autolm: interrupted\n" if process.returncode else b"")


def test_a_second_process_is_told_whose_a_run_is_and_changes_nothing(home: Path) -> None:
    shutil.rmtree(home / "run", ignore_errors=True)
    shutil.copytree(home / "whole", home / "run")
    with RunFolder.open(home / "run").lock():
        before = contents(home / "run")
        ended = autolm(home, "train", "--resume", "run")
        assert ended.code == 2
        assert ended.error.decode() == (
            f"autolm: run: belongs to process {os.getpid()}, which trains in it: wait for its end, "
            "or end it\n"
        )
        assert autolm(home, "sample", "run").code == 0
        assert contents(home / "run") == before


def test_what_an_earlier_version_left_beside_its_files_does_not_change_the_end(home: Path) -> None:
    """A checkpoint with every mixture of old and new, whole and damaged files."""
    rng = random.Random(4)
    shutil.copytree(home / "whole", home / "old")
    to_old_format(home / "old")
    for _ in range(30 if NIGHTLY else 1):
        stopped = stop_somewhere(home, signal.SIGTERM, rng).end()
        if stopped.code != 130:
            continue
        to_old_format(home / "run")
        for name in rng.sample(OLD, rng.randint(1, 3)):
            new, content = home / "run" / f"{name}.new", (home / "old" / name).read_bytes()
            new.write_bytes(content[: rng.choice([0, 50, len(content) - 1, len(content)])])
        assert_goes_on_to_the_same_end(home)


STATES: tuple[dict[str, Any], ...] = (
    {"step": 14},
    {"data": {}},
    {"checksums": {}},
    {"format": 3},
    {"invariants": None},
)


def test_a_state_that_was_edited_is_refused(home: Path) -> None:
    for change in STATES:
        shutil.rmtree(home / "run", ignore_errors=True)
        shutil.copytree(home / "whole", home / "run")
        edit_state(**change)(home / "run")
        ended = autolm(home, "train", "--resume", "run")
        assert ended.code == 2
        assert re.fullmatch(rb"autolm: run/checkpoint\.safetensors: damaged: [^\n]+\n", ended.error)
