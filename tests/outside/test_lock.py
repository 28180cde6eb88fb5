"""A lock is held by one process, says by which, and ends with it however it dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autolm.outside.lock import Busy, held

HOLD = "import sys, pathlib\nfrom autolm.outside.lock import held\n"
HOLD += (
    "with held(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path: Path):
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path, holder) -> None:
    with pytest.raises(Busy) as busy, held(tmp_path / "lock"):
        pass
    assert busy.value.holder == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    with held(tmp_path / "lock"):
        assert int((tmp_path / "lock").read_text()) == os.getpid()
    assert not (tmp_path / "lock").exists()


def test_a_lock_is_held_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space_left(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space_left)
    with held(tmp_path / "lock"), pytest.raises(Busy) as busy, held(tmp_path / "lock"):
        pass
    assert busy.value.holder is None


def test_a_lock_that_is_released_can_be_held_again_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "lock"):
        raise ZeroDivisionError
    with held(tmp_path / "lock"), pytest.raises(Busy), held(tmp_path / "lock"):
        pass


def test_a_lock_is_not_written_into_what_has_another_name_too(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    os.link(tmp_path / "mine", tmp_path / "hard")
    os.symlink("mine", tmp_path / "soft")
    for name in ("hard", "soft"):
        with pytest.raises(OSError), held(tmp_path / name):
            pass
    assert (tmp_path / "mine").read_text() == "mine"
