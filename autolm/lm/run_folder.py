"""A run on disk: a folder in which a training run can always be found whole, and never pickled.

A checkpoint is three files that must belong together, and a fourth with the choices of the run, if
those have changed with it. They are written beside the old ones first;
`state.json.new`, written last, says that the new ones are complete, and names the checksum of each.
Whoever loads it next finishes what it says, if all of that is so, and else forgets it: so a kill or
a full disk at any moment leaves either the old checkpoint or the new one, and never a mixture. A
new folder gets its `config.json` last: with it, it is a whole run.

A folder may come from anywhere. What is no file, leads out of the folder, is damaged or does not
fit the rest is refused in one line, and before memory is taken for it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from autolm.lm.config import TrainingConfig
from autolm.lm.saved_state import Kept, Saved, checksum
from autolm.lm.tokenizers import Tokenizer, tokenizer_from_json
from autolm.outside.given_file import (
    LONGEST_HEADER,
    LONGEST_JSON,
    LONGEST_TOKENIZER,
    open_given,
    parse_json,
    read_given,
    require_file,
)
from autolm.outside.lock import Busy, NoLocks, locked
from autolm.outside.whole_file import PARTIAL, NotSaved, write_whole

Arrays = Mapping[str, NDArray[Any]]

CONFIG, TOKENIZER, STATE = "config.json", "tokenizer.json", "state.json"
MODEL, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
METRICS, PLOT, SAMPLES, TEXT = "metrics.jsonl", "loss.png", "samples.txt", "data.txt"
LOCK = "process.lock"
CHECKPOINT = (MODEL, OPTIMIZER, STATE)  # the state last: while it is new, all is new
SAVED = (CONFIG, *CHECKPOINT)  # the first only where it has changed
NEW = tuple(f"{name}.new" for name in SAVED)
EVERY_FILE = (CONFIG, TOKENIZER, *CHECKPOINT, *NEW, METRICS, PLOT, SAMPLES, TEXT)
NOT_SAVED = f"it has not the checksum that {STATE} names"


class RunError(ValueError):
    """A run folder cannot be used; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on: weights, the optimizer's memory, and where it is."""

    model: Arrays
    optimizer: Arrays
    state: dict[str, Any]  # step, data cursor, digest of the data


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
        self._kept: Kept | None = None  # as it was when it was last found whole
        self._changed: bytes | None = None  # choices, until they are saved
        self._has_warned = False  # that it cannot be locked

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
                folder._kept = Kept(checksum(words), config.fixed())
                folder.save(checkpoint)
                folder.write(CONFIG, config.to_json().encode())
        except BaseException:
            if not existed:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return folder

    def _require_unused(self) -> None:
        if (self.path / CONFIG).exists():
            raise RunError(
                f"{self.path}: holds a run already; name another folder, or go on with "
                f"autolm train --resume {self.path}"
            )
        for name in (METRICS, PLOT, SAMPLES):  # which only a whole run has
            if os.path.lexists(self.path / name):
                raise RunError(
                    f"{self.path}: holds a {name} of something else; name another folder"
                )

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a folder that holds a run; nothing in it is changed."""
        folder = cls(path)
        if not folder.path.is_dir():
            raise RunError(f"{path}: no such folder; a run is a folder such as runs/2026-11-24-a")
        if not os.path.lexists(folder.path / CONFIG):
            raise RunError(f"{path}: not a run: it has no {CONFIG}")
        return folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from writing into the folder; of several workers, one does.

        It ends with the block, and with the process, however that dies. What is no file of the
        folder's own is refused, before anything is written over it or into it.
        """
        for name in EVERY_FILE:
            if os.path.lexists(self.path / name):
                with self._reading(name):
                    require_file(self.path / name, within=self.path)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / LOCK))
            except Busy as busy:
                holder = "another process" if busy.holder is None else f"process {busy.holder}"
                raise RunError(
                    f"{self.path}: belongs to {holder}, which trains in it: wait for its end, or "
                    "end it"
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
        """Read the choices of the run, also where a save of others only has to be finished."""
        if os.path.lexists(self.path / f"{CONFIG}.new") and CONFIG in self._unfinished():
            with suppress(RunError):  # whoever writes here may finish it meanwhile
                return self._config_in(f"{CONFIG}.new")
        return self._config_in(CONFIG)

    def _config_in(self, name: str) -> TrainingConfig:
        try:
            return TrainingConfig.from_json(self._read(name, LONGEST_JSON))
        except ValueError as error:
            raise error if isinstance(error, RunError) else self._damaged(name, error) from None

    def change(self, config: TrainingConfig) -> None:
        """Let the run have other choices from the next checkpoint on, and not before."""
        self._changed = config.to_json().encode()

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer."""
        content = self._read(TOKENIZER, LONGEST_TOKENIZER)
        if not self._is_as_saved(TOKENIZER, content):
            raise self._damaged(TOKENIZER, NOT_SAVED)
        try:
            return tokenizer_from_json(parse_json(content))
        except ValueError as error:
            raise self._damaged(TOKENIZER, error) from None

    def text(self) -> bytes:
        """Read the data that was kept because it could not be read again."""
        return self._read(TEXT)

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint; until it is complete, the one before stays what can be read."""
        from safetensors.numpy import save

        kept = self._kept or self._kept_now()
        step = {"step": str(checkpoint.state["step"])}
        checksums = {}
        try:
            for name, arrays in ((MODEL, checkpoint.model), (OPTIMIZER, checkpoint.optimizer)):
                content = save(_contiguous(arrays), metadata=step)
                checksums[name] = checksum(content)
                self.write(f"{name}.new", content)
            if self._changed is not None:
                checksums[CONFIG] = checksum(self._changed)
                self.write(f"{CONFIG}.new", self._changed)
            self.write(f"{STATE}.new", Saved(checkpoint.state, checksums, kept).to_json())
        except NotSaved:
            with suppress(OSError):
                self._forget_new()  # a full disk wants its room back
            raise
        self._finish((*checksums, STATE))
        self._changed = None

    def _finish(self, names: Iterable[str]) -> None:
        """Let new files take the place of the old; the state is the last."""
        try:
            for name in names:
                (self.path / f"{name}.new").replace(self.path / name)
        except OSError as error:
            raise NotSaved(self.path, error) from None

    def _forget_new(self) -> None:
        for name in reversed(NEW):  # the state first: while it is there, it believes in the others
            (self.path / name).unlink(missing_ok=True)

    def _unfinished(self) -> list[str]:
        """List what is still to be finished of a save that was cut off when all was written."""
        try:
            saved = self._require_whole(f"{STATE}.new")
        except RunError:
            return []
        those = [name for name in SAVED if name in saved.checksums or name != CONFIG]
        return [name for name in those if os.path.lexists(self.path / f"{name}.new")]

    def load(self) -> Checkpoint:
        """Read the last checkpoint, having finished or tidied up a save that was cut off.

        Nothing is tidied before what is there has been found whole.
        """
        if unfinished := self._unfinished():
            self._finish(unfinished)
        else:
            self._require_whole(STATE)
        self._forget_new()
        for partial in self.path.glob(PARTIAL):
            partial.unlink()
        saved = self._saved(STATE)
        self._kept = saved.kept or self._kept_now()
        return Checkpoint(self._arrays(MODEL), self._arrays(OPTIMIZER), saved.state)

    def _require_whole(self, name: str) -> Saved:
        """Return a state; refuse what is not as it was when that was saved, and what stays."""
        saved = self._saved(name)

        def belonging(file: str) -> str:
            is_new = name != STATE and os.path.lexists(self.path / f"{file}.new")
            return f"{file}.new" if is_new else file

        for file in (MODEL, OPTIMIZER):
            self._require_of(saved, file, belonging(file))
        if name != STATE:  # which may be edited later
            self._require_checksum(saved, CONFIG, belonging(CONFIG))
        if saved.kept is None:
            return saved
        now = self._kept_now()
        if now.tokenizer != saved.kept.tokenizer:
            raise self._damaged(TOKENIZER, NOT_SAVED)
        for choice, value in saved.kept.choices.items():
            if now.choices.get(choice) != value:
                raise RunError(
                    f"{self.path / CONFIG}: {choice} is {now.choices.get(choice)!r}, and the run "
                    f"began with {value!r}: give that back, or start a new run"
                )
        return saved

    def _kept_now(self) -> Kept:
        tokenizer = checksum(self._read(TOKENIZER, LONGEST_TOKENIZER))
        return Kept(tokenizer, self._config_in(CONFIG).fixed())

    def _require_of(self, saved: Saved, file: str, name: str) -> None:
        """Refuse a file of arrays that is not the one which a state was saved with."""
        if (step := self._step_of(name)) != str(saved.state["step"]):
            raise RunError(
                f"{self.path / name}: is of step {step}, and {STATE} of step "
                f"{saved.state['step']}: they do not belong together"
            )
        self._require_checksum(saved, file, name)

    def _require_checksum(self, saved: Saved, file: str, name: str) -> None:
        if file in saved.checksums and checksum(self._read(name)) != saved.checksums[file]:
            raise self._damaged(name, NOT_SAVED)

    def require_shapes(self, expected: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        """Refuse weights that are not those of a model, having read no more than their header."""
        found = self._shapes(MODEL)
        for name, shape in expected:
            if name not in found:
                raise RunError(f"{self.path / MODEL}: {name} is missing: {CONFIG} asks for it")
            if (given := found.pop(name)) != shape:
                raise RunError(
                    f"{self.path / MODEL}: {name} has shape {given}, and {CONFIG} and {TOKENIZER} "
                    f"ask for {shape}"
                )
        for name in found:
            raise RunError(
                f"{self.path / MODEL}: {name!r} is unknown: {CONFIG} does not ask for it"
            )

    def weights(self) -> Arrays:
        """Read the parameters of the model, by path, also while another process trains."""
        for last in (False, False, True):  # a save in between may replace them
            content = self._read(MODEL)
            if self._is_as_saved(MODEL, content):
                break
            if last:
                raise self._damaged(MODEL, NOT_SAVED)
        return self._arrays(MODEL, content)

    def _is_as_saved(self, file: str, content: bytes) -> bool:
        """Whether a state, old or new, names the checksum of a file; or none names any."""
        known = set()
        for name in (STATE, f"{STATE}.new"):
            with suppress(RunError):  # to read what a model is, one needs no state
                saved = self._saved(name)
                tokenizer = {} if saved.kept is None else {TOKENIZER: saved.kept.tokenizer}
                known.add((saved.checksums | tokenizer).get(file))
        known.discard(None)
        return not known or checksum(content) in known

    def state(self) -> dict[str, Any]:
        """Read where the run is."""
        return self._saved(STATE).state

    def _saved(self, name: str) -> Saved:
        try:
            return Saved.from_json(self._read(name, LONGEST_JSON))
        except ValueError as error:
            raise error if isinstance(error, RunError) else self._damaged(name, error) from None

    def _shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Read the header of a file of arrays: its length, and what it says of each array."""
        with self._opened(name) as file:
            length = int.from_bytes(file.read(8), "little")
            content = file.read(length) if length <= LONGEST_HEADER else b""
            size = os.fstat(file.fileno()).st_size
        try:
            header = parse_json(content)
            described = {k: v for k, v in header.items() if k != "__metadata__"}
            ends = [int(each["data_offsets"][1]) for each in described.values()]
            shapes = {key: tuple(map(int, each["shape"])) for key, each in described.items()}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            ends, shapes = [-1], {}
        if 8 + length + max(ends, default=0) != size:
            raise self._damaged(name, "it is not a whole safetensors file")
        return shapes

    def _arrays(self, name: str, content: bytes | None = None) -> Arrays:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        self._shapes(name)
        try:
            arrays = dict(load(self._read(name) if content is None else content))
        except (SafetensorError, KeyError, TypeError, AttributeError):  # also of a dtype unknown
            raise self._damaged(
                name, "it is not a whole safetensors file of NumPy's dtypes"
            ) from None
        for key, array in arrays.items():
            if array.dtype.kind not in "fi" or (array.dtype.kind == "i" and array.ndim):
                raise self._damaged(
                    name, f"{key!r} holds {array.dtype}, and no floating point numbers"
                )
            if not np.isfinite(array).all():
                raise self._damaged(name, f"{key!r} has a number that is not finite")
        return arrays

    def _step_of(self, name: str) -> str | None:
        from safetensors import SafetensorError, safe_open

        self._shapes(name)
        try:
            with safe_open(self.path / name, "numpy") as file:
                return (file.metadata() or {}).get("step")
        except SafetensorError:
            raise self._damaged(name, "it is not a whole safetensors file") from None

    def _read(self, name: str, limit: int | None = None) -> bytes:
        with self._reading(name):
            return read_given(self.path / name, limit, within=self.path)

    def _opened(self, name: str) -> BinaryIO:
        with self._reading(name):
            return open_given(self.path / name, within=self.path)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Say in one line why a file cannot be read."""
        try:
            yield
        except FileNotFoundError:
            raise RunError(f"{self.path / name}: is missing") from None
        except MemoryError:
            raise RunError(f"{self.path / name}: is larger than the memory here") from None
        except OSError as error:
            raise RunError(f"{self.path / name}: cannot be read: {error.strerror}") from None

    def _damaged(self, name: str, why: object) -> RunError:
        return RunError(f"{self.path / name}: damaged: {why}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        write_whole(self.path / name, content)

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `metrics.jsonl`."""
        try:
            with (self.path / METRICS).open("a", encoding="ascii", newline="\n") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotSaved(self.path / METRICS, error) from None

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `metrics.jsonl`; a last one that was cut off ends it."""
        if not os.path.lexists(self.path / METRICS):
            return
        with self._opened(METRICS) as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_JSON), b""), 1):
                try:
                    yield _metrics_record(line)
                except ValueError as error:
                    if not line.endswith(b"\n") and not file.read(1):
                        return
                    raise RunError(
                        f"{self.path / METRICS}: line {number} is damaged: {error}; mend it, or "
                        "take it out: a run can do without it"
                    ) from None

    def forget_metrics_after(self, step: int) -> None:
        """Drop what was measured after the checkpoint to which a run returns."""
        kept = [record for record in self.metrics() if record["step"] <= step]
        self.write(METRICS, "".join(json.dumps(record) + "\n" for record in kept).encode())


def _metrics_record(line: bytes) -> dict[str, Any]:
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    if type(record.get("step")) is not int or record["step"] < 0:
        raise ValueError("it names no step")
    for name in ("loss", "validation_loss"):
        if name in record and not _is_finite(record[name]):
            raise ValueError(f"its {name} is no finite number")
    return record


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _contiguous(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


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
        raise RunError(f"{path}: cannot be made: {error.strerror}") from None
    return path


def _letters(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, remainder = divmod(number - 1, 26)
        letters = chr(ord("a") + remainder) + letters
    return letters
