"""A run folder is always whole: old checkpoint or new, and what is damaged is said in one line."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from autolm.lm import run_folder, saved_state
from autolm.lm.config import TrainingConfig
from autolm.lm.run_folder import Checkpoint, NotSaved, RunError, RunFolder
from autolm.lm.tokenizers import CharacterTokenizer
from tests.runs import assert_same_checkpoint, contents

CONFIG, TOKENIZER = TrainingConfig(), CharacterTokenizer("ab\n")
OTHER = CONFIG.changed(steps=99)
CHECKPOINT_FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def checkpoint(step: int) -> Checkpoint:
    rng = np.random.default_rng(step)
    return Checkpoint(
        model={"W": rng.normal(size=(3, 2)).astype(np.float32), "gain": rng.normal(size=2)},
        optimizer={"steps": np.array(step), "first_moment/W": rng.normal(size=(2, 3)).T},
        state={"step": step, "data": {"batch": step}, "data_sha256": "of the text"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", CONFIG, TOKENIZER, checkpoint(1))


def test_a_new_folder_is_a_whole_run(folder: RunFolder) -> None:
    opened = RunFolder.open(folder.path)
    assert opened.config() == CONFIG
    assert opened.tokenizer().to_json() == TOKENIZER.to_json()
    assert_same_checkpoint(opened.load(), checkpoint(1))


def test_a_run_shows_the_plot_of_its_losses_in_a_notebook(folder: RunFolder) -> None:
    assert folder._repr_mimebundle_() == {}
    folder.write("loss.png", b"\x89PNG")
    shown = folder._repr_mimebundle_()
    assert shown == {"image/png": b"\x89PNG", "text/plain": f"<run {folder.path}>"}


def test_a_checkpoint_comes_back_bit_for_bit(folder: RunFolder) -> None:
    folder.save(checkpoint(2))
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(2))


def test_no_file_is_pickled_and_none_is_left_half_written(folder: RunFolder) -> None:
    folder.save(checkpoint(2))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", *CHECKPOINT_FILES}
    assert not any(content.startswith(b"\x80") for content in contents(folder.path).values())


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


EACH = 4  # operations on a file in a save: two syncs and a rename, and a last rename
FULL = OSError(errno.ENOSPC, "No space left on device")


def save_of(files: int, folder: RunFolder) -> None:
    """Save so many files: the choices too, if they have changed."""
    if files == 4:
        folder.change(OTHER)
    folder.save(checkpoint(2))


@pytest.mark.parametrize("files", [3, 4])
def test_a_save_is_as_many_operations_as_these_tests_believe(
    folder: RunFolder, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = Dying(monkeypatch, EACH * files, Killed())
    save_of(files, folder)
    assert dying.left == 0


@pytest.mark.parametrize(("files", "survived"), [(n, i) for n in (3, 4) for i in range(EACH * n)])
@pytest.mark.parametrize("error", [Killed(), FULL], ids=["killed", "full disk"])
def test_a_save_cut_off_anywhere_leaves_the_old_checkpoint_or_the_new_one_whole(
    folder: RunFolder, files: int, survived: int, error: BaseException
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, survived, error)
        with pytest.raises(NotSaved if error is FULL else Killed):
            save_of(files, folder)
    # From state.json.new on, the new one is all there; but who lives takes back what failed.
    complete = survived >= 3 * files - (error is not FULL)
    again = RunFolder.open(folder.path)
    now = OTHER if complete and files == 4 else CONFIG
    assert again.config() == now
    assert_same_checkpoint(again.load(), checkpoint(2 if complete else 1))
    assert again.config() == RunFolder.open(folder.path).config() == now
    again.save(checkpoint(3))
    assert_same_checkpoint(RunFolder.open(folder.path).load(), checkpoint(3))
    assert set(contents(folder.path)) == {"config.json", "tokenizer.json", *CHECKPOINT_FILES}


@pytest.mark.parametrize("survived", range(EACH * 3))
def test_reading_what_a_cut_off_save_left_gives_whole_weights_and_changes_nothing(
    folder: RunFolder, survived: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        Dying(patch, survived, Killed())
        folder.save(checkpoint(2))
    before = contents(folder.path)
    weights = RunFolder.open(folder.path).weights()
    assert any(np.array_equal(weights["W"], checkpoint(step).model["W"]) for step in (1, 2))
    assert contents(folder.path) == before


def test_choices_that_are_not_as_they_were_saved_are_not_believed(folder: RunFolder) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        Dying(patch, 3 * 4, Killed())  # all is written, and nothing has taken its place
        save_of(4, folder)
    (folder.path / "config.json.new").write_text(CONFIG.changed(steps=77).to_json())
    again = RunFolder.open(folder.path)
    assert again.config() == CONFIG
    assert_same_checkpoint(again.load(), checkpoint(1))


def test_weights_are_read_only_as_they_were_saved(folder: RunFolder) -> None:
    path = folder.path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # as little as can be
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"model\.safetensors: damaged: it has not the checksum"):
        RunFolder.open(folder.path).weights()


@pytest.mark.parametrize("kind", ["int32", "uint8", "bool"])
def test_weights_of_another_kind_are_refused_by_name(folder: RunFolder, kind: str) -> None:
    weights = checkpoint(1).model["W"].astype(kind)
    save_file({"W": weights}, folder.path / "model.safetensors", metadata={"step": "1"})
    (folder.path / "state.json").write_text(json.dumps(checkpoint(1).state))  # without checksums
    with pytest.raises(RunError, match=f"'W' holds {kind}, and no floating point"):
        RunFolder.open(folder.path).weights()


def test_a_state_of_a_newer_format_is_refused(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(saved_state, "FORMAT", 2)
        folder.save(checkpoint(2))
    with pytest.raises(RunError, match="format 2 is not 1, the newest that is known here"):
        RunFolder.open(folder.path).load()


def test_a_failed_save_says_which_file_and_why(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dying(monkeypatch, 0, FULL)
    with pytest.raises(NotSaved, match=r"model\.safetensors\.new: cannot be written: No space"):
        folder.save(checkpoint(2))


@pytest.mark.parametrize("survived", [0, 3, 7, 10, 14])
def test_a_new_folder_that_cannot_be_written_whole_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    Dying(monkeypatch, survived, FULL)
    with pytest.raises(NotSaved):
        RunFolder.create(tmp_path / "run", CONFIG, TOKENIZER, checkpoint(0))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_was_there_is_kept_when_a_run_cannot_begin_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    Dying(monkeypatch, 5, FULL)
    with pytest.raises(NotSaved):
        RunFolder.create(tmp_path, CONFIG, TOKENIZER, checkpoint(0))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "config.json").exists()


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


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_a_missing_file_is_named(folder: RunFolder, name: str) -> None:
    (folder.path / name).unlink()
    with pytest.raises(RunError, match=f"{name}: is missing"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_damaged(folder: RunFolder, name: str, share: float) -> None:
    content = (folder.path / name).read_bytes()
    (folder.path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RunError, match=f"{name}: damaged"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_a_file_of_something_else_is_damaged(folder: RunFolder, name: str) -> None:
    for content in (b"\xff" * 500, b"[1, 2]", b'{"step": "one"}'):
        (folder.path / name).write_bytes(content)
        with pytest.raises(RunError, match=f"{name}: damaged"):
            RunFolder.open(folder.path).load()


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_a_folder_in_the_place_of_a_file_cannot_be_read(folder: RunFolder, name: str) -> None:
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    with pytest.raises(RunError, match=f"{name}: cannot be read: Is a directory"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_files_of_different_checkpoints_do_not_go_together(
    folder: RunFolder, name: str, tmp_path: Path
) -> None:
    other = RunFolder.create(tmp_path / "other", CONFIG, TOKENIZER, checkpoint(2))
    shutil.copy(other.path / name, folder.path / name)
    with pytest.raises(RunError, match="they do not belong together"):
        RunFolder.open(folder.path).load()


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", b"{"), ("config.json", b"\xff"), ("config.json", b'{"steps": 0}')],
)
def test_a_damaged_config_is_named(folder: RunFolder, name: str, content: bytes) -> None:
    (folder.path / name).write_bytes(content)
    with pytest.raises(RunError, match=r"config\.json: "):
        RunFolder.open(folder.path).config()


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"kind": "words"}', None])
def test_a_damaged_or_missing_tokenizer_is_named(folder: RunFolder, content: bytes | None) -> None:
    path = folder.path / "tokenizer.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RunError, match=r"tokenizer\.json: "):
        RunFolder.open(folder.path).tokenizer()


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no such folder; a run is a folder such as runs/"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"not a run: it has no config\.json"):
        RunFolder.open(tmp_path)


def test_metrics_are_lines_of_json_in_the_order_they_came(folder: RunFolder) -> None:
    assert list(folder.metrics()) == []
    folder.append_metrics([{"step": 1, "loss": 0.1}, {"step": 2, "loss": 1 / 3}])
    folder.append_metrics([{"step": 2, "validation_loss": 2.0}])
    assert [record["step"] for record in folder.metrics()] == [1, 2, 2]
    assert list(folder.metrics())[1]["loss"] == 1 / 3


def test_metrics_after_a_step_are_forgotten_and_the_others_keep_their_bytes(
    folder: RunFolder,
) -> None:
    records: list[dict[str, Any]] = [{"step": n, "loss": 1 / (n + 1)} for n in range(6)]
    folder.append_metrics(records[:4])
    before = (folder.path / "metrics.jsonl").read_bytes()
    folder.append_metrics(records[4:])
    folder.forget_metrics_after(3)
    assert (folder.path / "metrics.jsonl").read_bytes() == before


def test_a_line_of_metrics_that_was_cut_off_is_not_read_and_goes_at_resume(
    folder: RunFolder,
) -> None:
    folder.append_metrics([{"step": 1, "loss": 0.5}])
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 1, "loss": 0.25})[:12])
    assert [record["loss"] for record in folder.metrics()] == [0.5]
    folder.forget_metrics_after(1)
    assert (folder.path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 0.5}\n'
