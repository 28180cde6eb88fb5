"""A run on disk: a folder that always holds a whole run, and nothing pickled.

The checkpoint is one file. A new one is written beside it, brought to the disk, and renamed over
the old one: so a crash at any moment, a power loss too, leaves either the old checkpoint or the new
one. A new folder gets its `config.json` last: with it, the folder is a run.

A folder may come from anywhere. Whatever is not a regular file, leads out of the folder, is damaged
or does not fit the rest is refused in one line, before memory is allocated for it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

from autolm.lm.checkpoint_file import (
    MODEL,
    OPTIMIZER,
    StoredCheckpoint,
    checkpoint_to_bytes,
    damaged,
    open_checkpoint,
    reading,
)
from autolm.lm.config import TrainingConfig
from autolm.lm.old_checkpoint import LEFTOVERS, OLD_FILES, open_old_checkpoint
from autolm.lm.saved_state import Arrays, Checkpoint, Invariants, RunError, SavedState, checksum
from autolm.lm.tokenizers import Tokenizer, tokenizer_from_json
from autolm.nn import AdamW
from autolm.outside.given_file import (
    LONGEST_JSON,
    LONGEST_TOKENIZER,
    open_given,
    parse_json,
    read_given,
    require_file,
)
from autolm.outside.lock import Busy, NoLocks, locked
from autolm.outside.memory import physical_memory
from autolm.outside.message import message, plain_message
from autolm.outside.whole_file import PARTIAL, NotSaved, sync_folder, write_whole

__all__ = ["Checkpoint", "NotSaved", "RunError", "RunFolder"]

CONFIG, TOKENIZER, CHECKPOINT = "config.json", "tokenizer.json", "checkpoint.safetensors"
METRICS, PLOT, SAMPLES, TEXT = "metrics.jsonl", "loss.png", "samples.txt", "data.txt"
LOCK = "process.lock"
COPIES_OF_TEXT = 4  # at least: its bytes, its characters, and two bytes for each token
EVERY_FILE = (CONFIG, TOKENIZER, CHECKPOINT, METRICS, PLOT, SAMPLES, TEXT)
ITS_CHECKSUM = "it does not match the checksum in the checkpoint"


class RunFolder:
    """A folder with one run.

    Raises
    ------
    RunError
        From every method, where the folder or a file in it is missing or damaged.
    NotSaved
        From every method that writes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._invariants: Invariants | None = None  # known once the run is created or loaded
        self._new_config: bytes | None = None  # written with the next checkpoint
        self._has_warned = False  # that it cannot be locked
        self._is_old = False  # its checkpoint was read from the files of an earlier version

    def __repr__(self) -> str:
        return f"<run {self.path}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show a run in a notebook as the plot of its losses."""
        plot = self.path / PLOT
        return {"image/png": plot.read_bytes(), "text/plain": repr(self)} if plot.is_file() else {}

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        config: TrainingConfig,
        tokenizer: Tokenizer,
        checkpoint: Checkpoint,
        text: bytes | None = None,
    ) -> RunFolder:
        """Make the folder of a new run: by default `runs/<today>-a`, or the next free letter.

        `text` is data that cannot be read again. A folder that cannot be written whole is removed.
        """
        existed = path is not None and Path(path).exists()
        folder = cls(_made(path))
        try:
            with folder.held():
                folder._require_unused()
                if text is not None:
                    folder.write(TEXT, text)
                words = (json.dumps(tokenizer.to_json()) + "\n").encode()
                folder.write(TOKENIZER, words)
                folder._invariants = Invariants(checksum(words), config.fixed())
                folder.save(checkpoint)
                folder.write(CONFIG, config.to_json().encode())
                for parent in folder.path.absolute().parents:  # in which its name may be new
                    with suppress(OSError):
                        sync_folder(parent)
        except BaseException:
            if not existed:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return folder

    def _require_unused(self) -> None:
        if (self.path / CONFIG).exists():
            raise RunError(
                message(
                    "{path}: holds a run already; name another folder, or go on with "
                    "autolm train --resume {path}",
                    path=self.path,
                )
            )
        for name in (METRICS, PLOT, SAMPLES):  # which only a whole run has
            if os.path.lexists(self.path / name):
                raise RunError(
                    message(
                        "{path}: holds a {name} of something else; name another folder",
                        path=self.path,
                        name=name,
                    )
                )

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a folder that holds a run; nothing in it is changed."""
        folder = cls(path)
        if not folder.path.is_dir():
            raise RunError(
                message(
                    "{path}: no such folder; a run is a folder such as runs/2026-11-24-a", path=path
                )
            )
        if not os.path.lexists(folder.path / CONFIG):
            raise RunError(
                message("{path}: not a run: it has no {CONFIG}", path=path, CONFIG=CONFIG)
            )
        return folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from writing into the folder; of several workers, one does.

        The lock ends with the block, and with the process, however that ends. A file of the run
        that is not a regular file is refused before anything is written over it or into it.
        """
        for name in EVERY_FILE:
            if os.path.lexists(self.path / name):
                with reading(self.path / name):
                    require_file(self.path / name, within=self.path)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / LOCK))
            except Busy as busy:
                holder = "another process" if busy.holder is None else f"process {busy.holder}"
                raise RunError(
                    message(
                        "{path}: belongs to {holder}, which trains in it: wait for its end, or "
                        "end it",
                        path=self.path,
                        holder=holder,
                    )
                ) from None
            except NoLocks as error:
                if not self._has_warned:
                    logging.getLogger("autolm").warning(
                        f"{self.path}: cannot be locked: {error.strerror}: make sure that no other "
                        "process trains in it"
                    )
                self._has_warned = True
            except OSError as error:
                raise NotSaved(self.path / LOCK, error) from None
            yield

    def config(self) -> TrainingConfig:
        """Read the choices of the run."""
        try:
            return TrainingConfig.from_json(self._read(CONFIG, LONGEST_JSON))
        except ValueError as error:
            raise error if isinstance(error, RunError) else self._damaged(CONFIG, error) from None

    def change(self, config: TrainingConfig) -> None:
        """Replace the choices of the run when the next checkpoint is saved."""
        self._new_config = config.to_json().encode()

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer."""
        content = self._read(TOKENIZER, LONGEST_TOKENIZER)
        invariants = None
        with suppress(RunError):  # the tokenizer of a damaged checkpoint can still be read
            invariants = self._saved().invariants
        if invariants and checksum(content) != invariants.tokenizer:
            raise self._damaged(TOKENIZER, ITS_CHECKSUM)
        try:
            return tokenizer_from_json(parse_json(content))
        except ValueError as error:
            raise self._damaged(TOKENIZER, error) from None

    def text(self) -> bytes:
        """Read the data that was stored because it could not be read again."""
        memory = physical_memory()
        return self._read(TEXT, None if memory is None else memory // COPIES_OF_TEXT)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint, in one step.

        Changed choices are written first: any of them can continue from the old checkpoint too.
        """
        content = checkpoint_to_bytes(checkpoint, self._invariants or self._current_invariants())
        if self._new_config is not None:
            self.write(CONFIG, self._new_config)
            self._new_config = None
        self.write(CHECKPOINT, content)
        if self._is_old:
            self._remove(*OLD_FILES, *LEFTOVERS)
            self._is_old = False

    def load(self) -> Checkpoint:
        """Read the last checkpoint and verify it; then remove what an interrupted write left."""
        with self._checkpoint() as stored:
            self._require_invariants(stored.saved.invariants)
            shapes = stored.shapes(MODEL)
            memory = {f"{s}/{path}": shape for s in AdamW.slots for path, shape in shapes.items()}
            stored.require_shapes(OPTIMIZER, {"steps": (), **memory}.items(), "the model")
            arrays = stored.arrays(MODEL), stored.arrays(OPTIMIZER)
            self._invariants = stored.saved.invariants or self._current_invariants()
        self._is_old = not os.path.lexists(self.path / CHECKPOINT)
        self._remove_leftovers()
        return Checkpoint(*arrays, stored.saved.state)

    def _remove_leftovers(self) -> None:
        self._remove(*(path.name for path in self.path.glob(PARTIAL)))

    def _remove(self, *names: str) -> None:
        """Remove files as far as that is possible: none of them is ever read again."""
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    @contextmanager
    def _checkpoint(self) -> Iterator[StoredCheckpoint]:
        """Open the checkpoint of any version: only this method knows which files hold it."""
        is_old = not os.path.lexists(self.path / CHECKPOINT) and any(
            os.path.lexists(self.path / name) for name in OLD_FILES
        )
        with (
            open_old_checkpoint(self.path) if is_old else open_checkpoint(self.path / CHECKPOINT)
        ) as stored:
            yield stored

    def _require_invariants(self, saved: Invariants | None) -> None:
        """Refuse a tokenizer or fixed choices that are not those with which the run began."""
        if saved is None:
            return
        now = self._current_invariants()
        if now.tokenizer != saved.tokenizer:
            raise self._damaged(TOKENIZER, ITS_CHECKSUM)
        for choice, value in saved.choices.items():
            if now.choices.get(choice) != value:
                raise RunError(
                    message(
                        "{x}: {choice} is {choice2!r}, and the run began with {value!r}: give "
                        "that back, or start a new run",
                        x=self.path / CONFIG,
                        choice=choice,
                        choice2=now.choices.get(choice),
                        value=value,
                    )
                )

    def _current_invariants(self) -> Invariants:
        tokenizer = checksum(self._read(TOKENIZER, LONGEST_TOKENIZER))
        return Invariants(tokenizer, self.config().fixed())

    def require_shapes(self, expected: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        """Refuse weights that are not those of a model; only the header of the file is read."""
        with self._checkpoint() as stored:
            stored.require_shapes(MODEL, expected, f"{CONFIG} with {TOKENIZER}")

    def weights(self) -> Arrays:
        """Read the parameters of the model, by path, also while another process trains."""
        with self._checkpoint() as stored:
            return stored.arrays(MODEL)

    def state(self) -> dict[str, Any]:
        """Read where the run is."""
        return self._saved().state

    def _saved(self) -> SavedState:
        with self._checkpoint() as stored:
            return stored.saved

    def _read(self, name: str, limit: int | None = None) -> bytes:
        with reading(self.path / name):
            return read_given(self.path / name, limit, within=self.path)

    def _damaged(self, name: str, why: object) -> RunError:
        return damaged(self.path / name, why)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; a new one gets the permissions of the checkpoint."""
        write_whole(self.path / name, content, mode=self._mode())

    def _mode(self) -> int | None:
        """Return the permissions of the checkpoint; of several files, those that all have."""
        names = [CHECKPOINT] if (self.path / CHECKPOINT).exists() else OLD_FILES
        modes = [(self.path / n).stat().st_mode for n in names if (self.path / n).exists()]
        return reduce(and_, map(stat.S_IMODE, modes)) if modes else None

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `metrics.jsonl`."""
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        if not (self.path / METRICS).exists():
            self.write(METRICS, lines)
            return
        try:
            with (self.path / METRICS).open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotSaved(self.path / METRICS, error) from None

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `metrics.jsonl`; a last one that was cut off ends it."""
        if not os.path.lexists(self.path / METRICS):
            return
        with reading(self.path / METRICS):
            opened = open_given(self.path / METRICS, within=self.path)
        with opened as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_JSON), b""), 1):
                try:
                    yield _metrics_record(line)
                except ValueError as error:
                    if not line.endswith(b"\n") and not file.read(1):
                        return
                    raise RunError(
                        message(
                            "{x}: line {number} is damaged: {error}; mend it, or take it out: a "
                            "run can do without it",
                            x=self.path / METRICS,
                            number=number,
                            error=error,
                        )
                    ) from None

    def forget_metrics_after(self, step: int) -> None:
        """Drop what was measured after the checkpoint to which a run returns."""
        kept = [record for record in self.metrics() if record["step"] <= step]
        self.write(METRICS, "".join(json.dumps(record) + "\n" for record in kept).encode())


def _metrics_record(line: bytes) -> dict[str, Any]:
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError(message("it is not a JSON object"))
    if type(record.get("step")) is not int or record["step"] < 0:
        raise ValueError(message("it names no step"))
    for name in ("loss", "validation_loss"):
        if name in record and not _is_finite(record[name]):
            raise ValueError(message("its {name} is no finite number", name=name))
    return record


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _made(path: str | Path | None) -> Path:
    """Make the folder of a run: without a path runs/<today>-a, -b, … -z, -aa, …, the first free."""
    if path is not None:
        return _folder(Path(path), may_be_there=True)
    number = 0
    while True:
        try:
            return _folder(Path("runs") / f"{date.today().isoformat()}-{_letters(number)}")
        except FileExistsError:
            number += 1


def _folder(path: Path, *, may_be_there: bool = False) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=may_be_there)
    except OSError as error:
        if isinstance(error, FileExistsError) and not may_be_there:
            raise
        raise RunError(
            message(
                "{path}: cannot be made: {strerror}",
                path=path,
                strerror=plain_message(error.strerror or ""),
            )
        ) from None
    return path


def _letters(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, remainder = divmod(number - 1, 26)
        letters = chr(ord("a") + remainder) + letters
    return letters
