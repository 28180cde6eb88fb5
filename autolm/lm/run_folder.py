"""A run on disk: a folder in which a training run can always be found whole, and never pickled.

A checkpoint is three files that must belong together. They are written beside the old ones first;
`state.json.new`, written last, says that the new ones are complete. Whoever loads it next finishes
what it says: so a kill or a full disk at any moment leaves either the old checkpoint or the new
one, and never a mixture. A new folder gets its `config.json` last: with it, it is a whole run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.lm.atomic_write import write_atomically
from autolm.lm.config import TrainingConfig
from autolm.lm.tokenizers import Tokenizer, load_tokenizer

Arrays = dict[str, NDArray[Any]]

CONFIG, TOKENIZER, STATE = "config.json", "tokenizer.json", "state.json"
MODEL, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
METRICS, PLOT, SAMPLES, TEXT = "metrics.jsonl", "loss.png", "samples.txt", "data.txt"


class RunError(ValueError):
    """A run folder cannot be used; the message is one line that says why and what to do."""


class NotSaved(OSError):
    """A file could not be written, as on a full disk; what was saved before can still be read."""


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
        folder = cls(_next_free_path() if path is None else path)
        if (folder.path / CONFIG).exists():
            raise RunError(
                f"{folder.path}: holds a run already; name another folder, or go on with "
                f"autolm train --resume {folder.path}"
            )
        existed = folder.path.exists()
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder.path}: cannot be made: {error.strerror}") from None
        try:
            if text is not None:
                folder.write(TEXT, text)
            folder.write(TOKENIZER, (json.dumps(tokenizer.to_json()) + "\n").encode())
            folder.save(checkpoint)
            folder.write(CONFIG, config.to_json().encode())
        except BaseException:
            if not existed:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a folder that holds a run; nothing in it is changed."""
        folder = cls(path)
        if not folder.path.is_dir():
            raise RunError(f"{path}: no such folder; a run is a folder such as runs/2026-11-24-a")
        if not (folder.path / CONFIG).is_file():
            raise RunError(f"{path}: not a run: it has no {CONFIG}")
        return folder

    def config(self) -> TrainingConfig:
        """Read the choices of the run."""
        try:
            return TrainingConfig.from_json(self._read(CONFIG).decode())
        except ValueError as error:
            raise RunError(f"{self.path / CONFIG}: {error}") from None

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer."""
        try:
            return load_tokenizer(self.path / TOKENIZER)
        except (OSError, ValueError) as error:
            raise RunError(str(error)) from None

    def text(self) -> bytes:
        """Read the data that was kept because it could not be read again."""
        return self._read(TEXT)

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint; until it is complete, the one before stays what can be read."""
        from safetensors.numpy import save

        step = {"step": str(checkpoint.state["step"])}
        self.write(f"{MODEL}.new", save(_contiguous(checkpoint.model), metadata=step))
        self.write(f"{OPTIMIZER}.new", save(_contiguous(checkpoint.optimizer), metadata=step))
        self.write(f"{STATE}.new", (json.dumps(checkpoint.state, indent=2) + "\n").encode())
        self._finish_save()

    def _finish_save(self) -> None:
        try:
            for name in (MODEL, OPTIMIZER, STATE):  # the state last: while it is new, all is new
                new = self.path / f"{name}.new"
                if new.exists():
                    new.replace(self.path / name)
        except OSError as error:
            raise NotSaved(f"{self.path}: cannot be written: {error.strerror}") from None

    def load(self) -> Checkpoint:
        """Read the last checkpoint, having finished or tidied up a save that was cut off."""
        for partial in self.path.glob(".*.partial"):
            partial.unlink()
        if (self.path / f"{STATE}.new").exists():
            self._finish_save()
        checkpoint = Checkpoint(self.weights(), self._arrays(OPTIMIZER), self.state())
        for name in (MODEL, OPTIMIZER):
            if self._step_of(name) != str(checkpoint.state["step"]):
                raise RunError(
                    f"{self.path / name}: is of step {self._step_of(name)}, and {STATE} of step "
                    f"{checkpoint.state['step']}: they do not belong together"
                )
        return checkpoint

    def weights(self) -> Arrays:
        """Read the parameters of the model, by path."""
        return self._arrays(MODEL)

    def state(self) -> dict[str, Any]:
        """Read where the run is."""
        content = self._read(STATE)
        try:
            state = json.loads(content)
        except ValueError:
            raise RunError(f"{self.path / STATE}: damaged: it is not JSON") from None
        if not isinstance(state, dict) or not isinstance(state.get("step"), int):
            raise RunError(f"{self.path / STATE}: damaged: it names no step")
        return state

    def _arrays(self, name: str) -> Arrays:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return dict(load(self._read(name)))
        except SafetensorError:
            raise RunError(
                f"{self.path / name}: damaged: it is not a whole safetensors file"
            ) from None

    def _step_of(self, name: str) -> str | None:
        from safetensors import safe_open

        with safe_open(self.path / name, "numpy") as file:
            return (file.metadata() or {}).get("step")

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise RunError(f"{self.path / name}: is missing") from None
        except OSError as error:
            raise RunError(f"{self.path / name}: cannot be read: {error.strerror}") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        try:
            write_atomically(self.path / name, content)
        except OSError as error:
            raise NotSaved(f"{self.path / name}: cannot be written: {error.strerror}") from None

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `metrics.jsonl`."""
        try:
            with (self.path / METRICS).open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
        except OSError as error:
            raise NotSaved(f"{self.path / METRICS}: cannot be written: {error.strerror}") from None

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `metrics.jsonl`; one that was cut off ends it."""
        if not (self.path / METRICS).exists():
            return
        for line in self._read(METRICS).decode().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return

    def forget_metrics_after(self, step: int) -> None:
        """Drop what was measured after the checkpoint to which a run returns."""
        kept = [record for record in self.metrics() if record["step"] <= step]
        self.write(METRICS, "".join(json.dumps(record) + "\n" for record in kept).encode())


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _next_free_path() -> Path:
    """Return runs/<today>-a, -b, … -z, -aa, …: the first that does not exist."""
    number = 0
    while (path := Path("runs") / f"{date.today().isoformat()}-{_letters(number)}").exists():
        number += 1
    return path


def _letters(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, remainder = divmod(number - 1, 26)
        letters = chr(ord("a") + remainder) + letters
    return letters
