"""What is no file, elsewhere, or too long is not read; any JSON is read, or refused in a line."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.outside.untrusted_file import parse_json, read_own, read_untrusted


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_untrusted(path) == read_untrusted(path, 5, within=tmp_path) == b"12345"
    with pytest.raises(OSError, match="larger than the 4 bytes"):
        read_untrusted(path, 4)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "a pipe, and not a file"),
        (os.mkdir, "Is a directory"),
        (lambda path: os.symlink("/dev/zero", path), "a device, and not a file"),
        (lambda path: os.symlink("nowhere", path), "No such file"),
        (lambda path: os.symlink("file", path), "symbolic links"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make, why: str) -> None:
    make(tmp_path / "file")
    with pytest.raises(OSError, match=why):
        read_untrusted(tmp_path / "file")


def test_a_link_may_lead_to_a_neighbour_and_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "folder"
    inside.mkdir()
    (inside / "file").write_bytes(b"inside")
    (tmp_path / "out").write_bytes(b"outside")
    os.symlink("file", inside / "near")
    os.symlink("../out", inside / "far")
    assert read_untrusted(inside / "near", within=inside) == b"inside"
    assert read_untrusted(inside / "far") == b"outside"
    with pytest.raises(OSError, match="a link that leads out of its folder"):
        read_untrusted(inside / "far", within=inside)


@given(st.binary() | st.sampled_from([b"[" * 99_999, b"9" * 5000, b'{"a": NaN}', b"\xff\xfe1\x00"]))
def test_any_bytes_are_json_or_an_error_of_one_line(content: bytes) -> None:
    try:
        parse_json(content)
    except ValueError as error:
        assert str(error).startswith("not JSON")
        assert "\n" not in str(error)


def test_a_name_that_stands_twice_and_a_number_that_nobody_means_are_no_json() -> None:
    with pytest.raises(ValueError, match=r"^not JSON: 'a' stands there twice$"):
        parse_json('[{"b": {"a": 1, "b": 2, "a": 1}}]')
    with pytest.raises(ValueError, match=r"^not JSON: Exceeds the limit .* has 5000 digits$"):
        parse_json("9" * 5000)
    assert parse_json('{"a": {"a": 1}}') == {"a": {"a": 1}}


def test_a_file_of_this_user_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_bytes(b"12345")
    assert read_own(path, 5) == b"12345"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "a pipe, and not a file"),
        (os.mkdir, "Is a directory"),
        (lambda path: os.symlink("/dev/zero", path), "it is a link"),
        (lambda path: os.symlink(__file__, path), "it is a link"),  # also to a file of this user
        (lambda path: os.symlink("nowhere", path), "it is a link"),
        (lambda path: path.write_bytes(b"12345678"), "it has more than 7 bytes"),
        (lambda path: path.touch() or path.chmod(0o620), "other users may write to it"),
        (lambda path: path.touch() or path.chmod(0o602), "other users may write to it"),
    ],
)
def test_a_file_that_others_can_have_made_is_not_trusted(tmp_path: Path, make, why: str) -> None:
    make(tmp_path / "file")
    with pytest.raises(OSError, match=why):
        read_own(tmp_path / "file", 7)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    os.chown(path, 12345, 12345)
    with pytest.raises(PermissionError, match="another user owns it"):
        read_own(path, 7)


def test_a_file_put_in_place_after_the_check_is_not_read(tmp_path, monkeypatch) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"own")
    other.write_bytes(b"other")
    fstat = os.fstat

    def swap(descriptor: int) -> os.stat_result:
        if other.exists():
            other.replace(path)
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", swap)
    assert read_own(path, 9) == b"own"
