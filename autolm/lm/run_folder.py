"""A run on disk: a folder that always contains a complete run, without pickles.

The checkpoint is one file. A new one is written to a temporary file, synced to disk, and renamed
over the old one, so that a crash or a power loss leaves either the old checkpoint or the new one. A
new folder becomes a run when its `config.json` is written, as the last file.

Folders are untrusted. A file that is not regular, links out of the folder, is damaged or does not
match the others is refused with a one-line error, before memory is allocated for it.
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
from autolm.outside.lock import Busy, NoLocks, locked
from autolm.outside.memory import physical_memory
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import (
    MAX_JSON_BYTES,
    MAX_TOKENIZER_BYTES,
    open_untrusted,
    parse_json,
    read_untrusted,
    require_file,
)
from autolm.outside.whole_file import PARTIAL, NotSaved, sync_folder, write_whole

__all__ = ["Checkpoint", "NotSaved", "RunError", "RunFolder"]

CONFIG, TOKENIZER, CHECKPOINT = "config.json", "tokenizer.json", "checkpoint.safetensors"
METRICS, PLOT, SAMPLES, TEXT = "metrics.jsonl", "loss.png", "samples.txt", "data.txt"
LOCK = "process.lock"
COPIES_OF_TEXT = 4  # lower bound: bytes, characters, and two bytes per token
ALL_FILES = (CONFIG, TOKENIZER, CHECKPOINT, METRICS, PLOT, SAMPLES, TEXT)
CHECKSUM_MISMATCH = "it does not match the checksum in the checkpoint"


class RunFolder:
    """A folder with one run.

    Raises
    ------
    RunError
        From every method, if the folder or a file in it is missing or damaged.
    NotSaved
        From every method that writes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._invariants: Invariants | None = None  # set when the run is created or loaded
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
        """Create the folder of a new run, by default `runs/<today>-a` or the next free letter.

        `text` is stored if it cannot be read again. If writing fails, the folder is removed.
        """
        existed = path is not None and Path(path).exists()
        new = None if path is None else Path(path)
        try:
            folder = cls(_create_folder(path))
            new = folder.path
            with folder.lock():
                folder._require_unused()
                if text is not None:
                    folder.write(TEXT, text)
                words = (json.dumps(tokenizer.to_json()) + "\n").encode()
                folder.write(TOKENIZER, words)
                folder._invariants = Invariants(checksum(words), config.fixed())
                folder.save(checkpoint)
                folder.write(CONFIG, config.to_json().encode())
                for parent in folder.path.absolute().parents:  # their directory entries may be new
                    with suppress(OSError):
                        sync_folder(parent)
        except BaseException:
            if new and not existed:
                shutil.rmtree(new, ignore_errors=True)
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
        for name in (METRICS, PLOT, SAMPLES):  # only a complete run has them
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
        """Open the folder of a run, without changing anything in it."""
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
    def lock(self) -> Iterator[None]:
        """Lock the folder against writes by other processes; only the first worker does this.

        The lock ends with the block or the process. A file of the run that is not regular is
        refused before anything is written.
        """
        for name in ALL_FILES:
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
            return TrainingConfig.from_json(self._read(CONFIG, MAX_JSON_BYTES))
        except ValueError as error:
            raise error if isinstance(error, RunError) else self._damaged(CONFIG, error) from None

    def change(self, config: TrainingConfig) -> None:
        """Replace the choices of the run when the next checkpoint is saved."""
        self._new_config = config.to_json().encode()

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer."""
        content = self._read(TOKENIZER, MAX_TOKENIZER_BYTES)
        invariants = None
        with suppress(RunError):  # the tokenizer of a damaged checkpoint can still be read
            invariants = self._saved().invariants
        if invariants and checksum(content) != invariants.tokenizer:
            raise self._damaged(TOKENIZER, CHECKSUM_MISMATCH)
        try:
            return tokenizer_from_json(parse_json(content))
        except ValueError as error:
            raise self._damaged(TOKENIZER, error) from None

    def text(self) -> bytes:
        """Read the data that was stored because it could not be read again."""
        memory = physical_memory()
        return self._read(TEXT, None if memory is None else memory // COPIES_OF_TEXT)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint atomically.

        Changed options are written first: the old checkpoint is valid with them too.
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
        """Read and verify the last checkpoint; then remove the files of interrupted writes."""
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
        """Remove files that are no longer read; ignore errors."""
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    @contextmanager
    def _checkpoint(self) -> Iterator[StoredCheckpoint]:
        """Open the checkpoint, of this or an earlier version."""
        is_old = not os.path.lexists(self.path / CHECKPOINT) and any(
            os.path.lexists(self.path / name) for name in OLD_FILES
        )
        with (
            open_old_checkpoint(self.path) if is_old else open_checkpoint(self.path / CHECKPOINT)
        ) as stored:
            yield stored

    def _require_invariants(self, saved: Invariants | None) -> None:
        """Raise an error if the tokenizer or a fixed option differs from the start of the run."""
        if saved is None:
            return
        now = self._current_invariants()
        if now.tokenizer != saved.tokenizer:
            raise self._damaged(TOKENIZER, CHECKSUM_MISMATCH)
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
        tokenizer = checksum(self._read(TOKENIZER, MAX_TOKENIZER_BYTES))
        return Invariants(tokenizer, self.config().fixed())

    def require_shapes(self, expected: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        """Raise an error if the weights do not have these shapes; read only the header."""
        with self._checkpoint() as stored:
            stored.require_shapes(MODEL, expected, f"{CONFIG} with {TOKENIZER}")

    def weights(self) -> Arrays:
        """Read the parameters of the model by path; safe while another process trains."""
        with self._checkpoint() as stored:
            return stored.arrays(MODEL)

    def state(self) -> dict[str, Any]:
        """Read the step and the position in the data."""
        return self._saved().state

    def _saved(self) -> SavedState:
        with self._checkpoint() as stored:
            return stored.saved

    def _read(self, name: str, limit: int | None = None) -> bytes:
        with reading(self.path / name):
            return read_untrusted(self.path / name, limit, within=self.path)

    def _damaged(self, name: str, why: object) -> RunError:
        return damaged(self.path / name, why)

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically; a new file gets the permissions of the checkpoint."""
        write_whole(self.path / name, content, mode=self._mode())

    def _mode(self) -> int | None:
        """Return the permissions of the checkpoint; of several files, the common ones."""
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
        """Yield the records of `metrics.jsonl`; stop at an incomplete last line."""
        if not os.path.lexists(self.path / METRICS):
            return
        with reading(self.path / METRICS):
            opened = open_untrusted(self.path / METRICS, within=self.path)
        with opened as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_JSON_BYTES), b""), 1):
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

    def drop_metrics_after(self, step: int) -> None:
        """Drop the records after the step of the checkpoint that is resumed."""
        earlier = [record for record in self.metrics() if record["step"] <= step]
        self.write(METRICS, "".join(json.dumps(record) + "\n" for record in earlier).encode())


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


def _create_folder(path: str | Path | None) -> Path:
    """Create the folder of a run: without a path, the first free runs/<today>-a, -b, ….

    After -z comes -aa.
    """
    if path is not None:
        return _make_directory(Path(path), exist_ok=True)
    number = 0
    while True:
        try:
            return _make_directory(Path("runs") / f"{date.today().isoformat()}-{_letters(number)}")
        except FileExistsError:
            number += 1


def _make_directory(path: Path, *, exist_ok: bool = False) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
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
