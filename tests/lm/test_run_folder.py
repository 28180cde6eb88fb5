"""A run folder is always whole: old checkpoint or new, and what is damaged is said in one line."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from autolm.lm import run_folder, saved_state
from autolm.lm.checkpoint_file import ArrayFile
from autolm.lm.config import TrainingConfig
from autolm.lm.run_folder import Checkpoint, NotSaved, RunError, RunFolder
from autolm.lm.tokenizers import CharacterTokenizer
from tests.runs import assert_same_checkpoint, contents, to_old_format

CONFIG, TOKENIZER = TrainingConfig(), CharacterTokenizer("ab\n")
OTHER = CONFIG.changed(steps=99)
NEW = "checkpoint.safetensors"
OLD = ("model.safetensors", "optimizer.safetensors", "state.json")


def checkpoint(step: int) -> Checkpoint:
    rng = np.random.default_rng(step)
    return Checkpoint(
        model={"W": rng.normal(size=(3, 2)).astype(np.float32), "gain": rng.normal(size=2)},
        optimizer={
            "steps": np.array(step),
            "first_moment/W": rng.normal(size=(2, 3)).T,
            "second_moment/W": rng.normal(size=(3, 2)),
            "first_moment/gain": rng.normal(size=2),
            "second_moment/gain": rng.normal(size=2),
        },
        state={"step": step, "data": {"batch": step}, "data_sha256": "of the text"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", CONFIG, TOKENIZER, checkpoint(1))


def test_a_saved_run_is_read_back_bit_for_bit(folder: RunFolder) -> None:
    folder.save(checkpoint(2))
    opened = RunFolder.open(folder.path)
    assert opened.config() == CONFIG
    assert opened.tokenizer().to_json() == TOKENIZER.to_json()
    assert_same_checkpoint(opened.load(), checkpoint(2))
    assert not any(content.startswith(b"\x80") for content in contents(folder.path).values())


def test_a_run_shows_the_plot_of_its_losses_in_a_notebook(folder: RunFolder) -> None:
    assert folder._repr_mimebundle_() == {}
    folder.write("loss.png", b"\x89PNG")
    bundle = folder._repr_mimebundle_()
    assert bundle == {"image/png": b"\x89PNG", "text/plain": f"<run {folder.path}>"}


class Killed(BaseException):
    """The process ends here: nothing that would come after it is done."""


class Dying:
    """Lets so many operations on the disk succeed, and then raises at each that follows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, survived: int, error: BaseException):
        self.left, self.error = survived, error
        for owner, name in ((os, "fsync"), (Path, "replace")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))
        if isinstance(error, Killed):  # the dead do not tidy up
            monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)

    def counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def or_die(*arguments: Any) -> Any:
            if self.left == 0:
                raise self.error
            self.left -= 1
            return operation(*arguments)

        return or_die


EACH = 3  # operations to write a file: a sync, a rename, and a sync of the folder
FULL = OSError(errno.ENOSPC, "No space left on device")


def save_of(files: int, folder: RunFolder) -> None:
    """Save so many files: the choices too, if they have changed."""
    if files == 2:
        folder.change(OTHER)
    folder.save(checkpoint(2))


@pytest.mark.parametrize(("files", "survived"), [(n, i) for n in (1, 2) for i in range(EACH * n)])
@pytest.mark.parametrize("error", [Killed(), FULL], ids=["killed", "full disk"])
def test_a_save_cut_off_anywhere_leaves_the_old_checkpoint_or_the_new_one_whole(
    folder: RunFolder, files: int, survived: int, error: BaseException
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        dying = Dying(patch, survived, error)
        with pytest.raises(NotSaved if error is FULL else Killed):
            save_of(files, folder)
        dying.left = EACH * files
    before = contents(folder.path)
    again = RunFolder.open(folder.path)
    config = OTHER if files == 2 and survived >= EACH - 1 else CONFIG  # it is renamed first
    assert again.config() == config
    step = 2 if survived == EACH * files - 1 else 1
    np.testing.assert_array_equal(again.weights()["W"], checkpoint(step).model["W"])
    assert contents(folder.path) == before  # reading weights changes nothing
    assert_same_checkpoint(again.load(), checkpoint(step))
    again.save(checkpoint(3))
    assert RunFolder.open(folder.path).config() == config
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(3))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", NEW}


@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_an_array_with_one_changed_bit_is_refused(folder: RunFolder, part: str) -> None:
    path, name = folder.path / NEW, {"model": "W", "optimizer": "first_moment/W"}[part]
    saved = np.ascontiguousarray(getattr(checkpoint(1), part)[name]).tobytes()
    assert path.read_bytes().count(saved) == 1
    path.write_bytes(path.read_bytes().replace(saved, bytes([saved[0] ^ 1]) + saved[1:]))
    readers = [RunFolder.load, RunFolder.weights] if part == "model" else [RunFolder.load]
    for read in readers:
        with pytest.raises(RunError, match=f"damaged: '{name}' does not match its checksum"):
            read(RunFolder.open(folder.path))


def rewrite(path: Path, **changes: np.ndarray) -> None:
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    save_file(load_file(path) | changes, path, metadata=metadata)


@pytest.mark.parametrize("kind", ["int32", "uint8", "bool"])
def test_weights_of_another_kind_are_refused_by_name(folder: RunFolder, kind: str) -> None:
    rewrite(folder.path / NEW, **{"model/W": checkpoint(1).model["W"].astype(kind)})
    with pytest.raises(RunError, match=r"'model/W' has dtype (I32|U8|BOOL); supported are F16"):
        RunFolder.open(folder.path).weights()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("first_moment/W", np.zeros((3, 9)), r"first_moment/W has shape \(3, 9\), and the model"),
        ("third_moment/W", np.zeros((3, 2)), "'third_moment/W' is unknown"),
        ("steps", np.zeros(2), "steps has shape"),
    ],
)
@pytest.mark.parametrize("version", ["new", "old"])
def test_an_optimizer_of_other_shapes_is_refused_by_its_header(
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    array: np.ndarray,
    message: str,
    version: str,
) -> None:
    file, prefix = NEW, "optimizer/"
    if version == "old":
        to_old_format(folder.path)
        file, prefix = "optimizer.safetensors", ""
    rewrite(folder.path / file, **{f"{prefix}{name}": array})
    monkeypatch.setattr(ArrayFile, "read", lambda *_: pytest.fail("too late"))
    with pytest.raises(RunError, match=rf"{file}: {message}"):
        RunFolder.open(folder.path).load()


def test_a_state_of_a_newer_format_is_refused(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(saved_state, "FORMAT", 3)
        folder.save(checkpoint(2))
    with pytest.raises(RunError, match="format 3 is not 2, the newest that is known here"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize("survived", range(EACH * 3))
def test_where_a_run_cannot_be_written_whole_there_is_none(tmp_path: Path, survived: int) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("mine")
    for path in (used, tmp_path / "new"):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(NotSaved, match="No space left"):
            Dying(patch, survived, FULL)
            RunFolder.create(path, CONFIG, TOKENIZER, checkpoint(0))
    assert contents(used)["notes.txt"] == b"mine"
    is_whole = survived == EACH * 3 - 1  # only the last sync of the folder failed
    assert (used / "config.json").exists() == is_whole
    assert not (tmp_path / "new").exists()


def test_interrupted_after_its_folder_is_made_a_new_run_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def interrupted(path: Path, *args: Any, **kwargs: Any) -> None:
        mkdir(path, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", interrupted)
        with pytest.raises(KeyboardInterrupt):
            RunFolder.create(tmp_path / "run", CONFIG, TOKENIZER, checkpoint(0))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_not_written_over(folder: RunFolder) -> None:
    before = contents(folder.path)
    with pytest.raises(RunError, match=r"holds a run already; .* autolm train --resume"):
        RunFolder.create(folder.path, CONFIG, TOKENIZER, checkpoint(0))
    assert contents(folder.path) == before


def test_runs_of_a_day_take_the_next_free_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Today(date):
        @classmethod
        def today(cls) -> "Today":
            return cls(2026, 11, 24)

    monkeypatch.setattr(run_folder, "date", Today)
    monkeypatch.chdir(tmp_path)
    names = [RunFolder.create(None, CONFIG, TOKENIZER, checkpoint(0)).path.name for _ in range(28)]
    letters = [name.rpartition("-")[2] for name in names]
    assert letters == [*"abcdefghijklmnopqrstuvwxyz", "aa", "ab"]
    assert names[0] == "2026-11-24-a"


@pytest.fixture(params=[NEW, *OLD])
def file(folder: RunFolder, request: pytest.FixtureRequest) -> Path:
    """A file of the checkpoint, in a folder of the format that has it."""
    if request.param in OLD:
        to_old_format(folder.path)
    return folder.path / request.param


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
    **{
        f"{share} of it": (lambda path, share=share: cut_off(path, share), "damaged")  # type: ignore[misc]
        for share in (0.0, 0.1, 0.5, 0.9)
    },
    **{
        str(content[:9]): (lambda path, content=content: path.write_bytes(content), "damaged")  # type: ignore[misc]
        for content in (b"\xff" * 500, b"[1, 2]", b'{"step": "one"}')
    },
}


def cut_off(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_the_checkpoint_is_named(file: Path, damage: str) -> None:
    spoil, message = DAMAGES[damage]
    spoil(file)
    with pytest.raises(RunError, match=f"{file}: {message}"):
        RunFolder.open(file.parent).load()


@pytest.mark.parametrize("name", OLD)
def test_files_of_different_checkpoints_do_not_go_together(
    folder: RunFolder, name: str, tmp_path: Path
) -> None:
    other = RunFolder.create(tmp_path / "other", CONFIG, TOKENIZER, checkpoint(2))
    for path in (folder.path, other.path):
        to_old_format(path)
    shutil.copy(other.path / name, folder.path / name)
    with pytest.raises(RunError, match="they do not belong together"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize("version", [0, 1])
def test_a_run_of_an_earlier_version_continues_in_one_file(folder: RunFolder, version: int) -> None:
    to_old_format(folder.path, version)
    for name in OLD:
        (folder.path / name).chmod(0o600 if name == "optimizer.safetensors" else 0o644)
    opened = RunFolder.open(folder.path)
    assert_same_checkpoint(opened.load(), checkpoint(1))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", *OLD}
    opened.save(checkpoint(2))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", NEW}
    assert stat.S_IMODE((folder.path / NEW).stat().st_mode) == 0o600  # the strictest of them
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(2))


@pytest.mark.parametrize("renamed", [*product([False, True], repeat=3)])
def test_a_save_that_an_earlier_version_did_not_finish_is_read(
    folder: RunFolder, tmp_path: Path, renamed: tuple[bool, ...]
) -> None:
    """Its three renames could reach the disk in any order."""
    newer = RunFolder.create(tmp_path / "newer", CONFIG, TOKENIZER, checkpoint(2))
    for path in (folder.path, newer.path):
        to_old_format(path)
    for name, is_renamed in zip(OLD, renamed, strict=True):
        shutil.copy(newer.path / name, folder.path / (name if is_renamed else f"{name}.new"))
    opened = RunFolder.open(folder.path)
    step = opened.load().state["step"]
    assert step == (2 if any(renamed) else 1)
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(step))
    opened.save(checkpoint(3))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", NEW}


def test_files_of_others_are_left_alone_where_a_run_begins(tmp_path: Path) -> None:
    for name in OLD:
        (tmp_path / name).write_text("mine")
    RunFolder.create(tmp_path, CONFIG, TOKENIZER, checkpoint(1)).save(checkpoint(2))
    assert all((tmp_path / name).read_text() == "mine" for name in OLD)
    assert_same_checkpoint(RunFolder.open(tmp_path).load(), checkpoint(2))


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, os.mkfifo, lambda p: p.symlink_to("x")])
def test_a_stray_partial_file_or_folder_does_not_stop_a_run(
    folder: RunFolder, make: Callable[[Path], object]
) -> None:
    make(folder.path / ".autolm-1-ab.partial")
    for name in (*OLD, "config.json"):
        (folder.path / f"{name}.new").mkdir()
    with folder.lock():
        folder.load()
        folder.save(checkpoint(2))
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(2))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_every_file_that_a_resumed_run_writes_has_the_mode_of_its_checkpoint(
    folder: RunFolder, mode: int
) -> None:
    for path in folder.path.iterdir():
        path.chmod(mode)
    opened = RunFolder.open(folder.path)
    opened.load()
    opened.change(OTHER)
    opened.append_metrics([{"step": 1, "loss": 1.0}])
    opened.save(checkpoint(2))
    opened.drop_metrics_after(1)
    for name in ("loss.png", "samples.txt"):
        opened.write(name, b"")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()}
    assert len(modes) == 6
    assert set(modes.values()) == {mode}


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"kind": "words"}', b'{"steps": 0}', None])
@pytest.mark.parametrize("name", ["config", "tokenizer"])
def test_a_damaged_config_or_tokenizer_is_named(
    folder: RunFolder, name: str, content: bytes | None
) -> None:
    path, opened = folder.path / f"{name}.json", RunFolder.open(folder.path)
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RunError, match=rf"{name}\.json: "):
        getattr(opened, name)()


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no such folder; a run is a folder such as runs/"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"not a run: it has no config\.json"):
        RunFolder.open(tmp_path)


def test_metrics_are_read_in_order_and_cut_back_to_a_step_with_the_same_bytes(
    folder: RunFolder,
) -> None:
    assert list(folder.metrics()) == []
    records: list[dict[str, Any]] = [{"step": n, "loss": 1 / (n + 1)} for n in range(6)]
    folder.append_metrics(records[:4])
    path, before = folder.path / "metrics.jsonl", (folder.path / "metrics.jsonl").read_bytes()
    folder.append_metrics(records[4:])
    assert list(folder.metrics()) == records
    with path.open("a") as file:
        file.write(json.dumps(records[0])[:12])  # cut off
    assert list(folder.metrics()) == records
    folder.drop_metrics_after(3)
    assert path.read_bytes() == before


def test_a_text_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, TOKENIZER, checkpoint(1), b"abab\n")
    assert folder.text() == b"abab\n"
    os.truncate(folder.path / "data.txt", 1 << 43)
    with pytest.raises(RunError, match=r"data\.txt: cannot be read: larger than the \d+ bytes"):
        folder.text()
