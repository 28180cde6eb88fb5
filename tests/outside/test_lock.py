"""A lock is held by one process, says by which, and ends with it however it ends."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autolm.outside.lock import Busy, NoLocks, locked

HOLD = """
import sys, pathlib
from autolm.outside.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


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
    with pytest.raises(Busy) as busy, locked(tmp_path / "lock"):
        pass
    assert busy.value.holder == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock"):
        assert int((tmp_path / "lock").read_text()) == os.getpid()
    assert not (tmp_path / "lock").exists()


def test_a_lock_is_held_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space_left(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space_left)
    with locked(tmp_path / "lock"), pytest.raises(Busy) as busy, locked(tmp_path / "lock"):
        pass
    assert busy.value.holder is None


def test_a_lock_that_is_released_can_be_held_again_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "lock"), pytest.raises(Busy), locked(tmp_path / "lock"):
        pass


def test_a_lock_is_not_written_into_what_has_another_name_too(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    os.link(tmp_path / "mine", tmp_path / "hard")
    os.symlink("mine", tmp_path / "soft")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("hard", "soft", "pipe", "folder"):
        with pytest.raises(OSError) as refused, locked(tmp_path / name):
            pass
        assert not isinstance(refused.value, Busy | NoLocks)
        assert os.path.lexists(tmp_path / name)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, NoLocks) for number in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)),
        *((number, OSError) for number in (errno.EIO, errno.EPERM)),
    ],
)
def test_an_error_of_locking_is_named_and_is_not_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OSError]
) -> None:
    def fails(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with pytest.raises(kind) as raised, locked(tmp_path / "lock"):
        pass
    assert not isinstance(raised.value, Busy)
    assert isinstance(raised.value, NoLocks) == (kind is NoLocks)
    assert raised.value.strerror == os.strerror(number)
