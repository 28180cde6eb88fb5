"""A failed write leaves what was there, and no debris."""

import os
import re
import stat
from pathlib import Path

import pytest

from autolm.outside.whole_file import NotSaved, write_whole


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_the_old_content_and_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space_left(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "state.json"
    write_whole(path, b"old")
    monkeypatch.setattr(os, "fsync", no_space_left)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_one_file_writes_files_but_for_lines_that_are_added() -> None:
    source = Path(__file__).parents[2] / "autolm"
    writes = re.compile(r"write_bytes|write_text|savefig\((?!buffer)|open\([^)]*[\"'][wax]b?[\"']")
    names = {path.name for path in source.rglob("*.py") if writes.search(path.read_text("utf-8"))}
    assert names == {"whole_file.py", "run_folder.py"}


def test_missing_folder_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "state.json"
    with pytest.raises(NotSaved, match=f"^{path}: cannot be written: No such file"):
        write_whole(path, b"new")


def test_a_link_leads_where_it_led_and_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o640)
    os.symlink("file", tmp_path / "link")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_that_any_other_has(tmp_path: Path) -> None:
    write_whole(tmp_path / "ours", b"")
    (tmp_path / "any").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_content_is_never_more_readable_than_the_file_that_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())
        sync(descriptor)

    write_whole(tmp_path / "old", b"old")
    (tmp_path / "old").chmod(0o600)
    monkeypatch.setattr(os, "fsync", noting)
    write_whole(tmp_path / "old", b"new")
    write_whole(tmp_path / "new", b"new", mode=0o600)
    assert set(modes) == {0o600}


def test_a_file_that_may_not_be_written_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for who is not root
    with pytest.raises(NotSaved, match="Permission denied"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
