"""Small training runs, for the tests of training and of what it leaves behind."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from autolm.lm.config import TrainingConfig
from autolm.lm.corpora import Corpus
from autolm.lm.run_folder import Checkpoint, RunFolder
from autolm.lm.training import StepMetrics, Training, train_tokenizer

SMALL: dict[str, Any] = {
    "num_layers": 1,
    "num_heads": 2,
    "d_model": 8,
    "d_ff": 16,
    "block_size": 8,
    "batch_size": 3,
    "steps": 10,
    "warmup_steps": 3,
    "validate_every": 4,
}
TEXT = "".join(f"{a} {b} {c}\n" for a in "abc" for b in ("no", "on") for c in ("ja", "k", "ajo"))


def small_corpus(kind: Any) -> Corpus:
    return Corpus("small", train=TEXT * 3, validation=TEXT[:60], kind=kind)


def small_training(kind: str = "stream", **choices: Any) -> Training:
    config = TrainingConfig(**{**SMALL, "data": "small.txt", "kind": kind, **choices})
    corpus = small_corpus(kind)
    return Training(config, corpus, train_tokenizer(config, corpus))


class Silence:
    """A report that prints nothing."""

    def stepped(self, metrics: StepMetrics) -> None:
        pass

    def validated(self, step: int, loss: float) -> None:
        pass


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same_checkpoint(one: Checkpoint, other: Checkpoint) -> None:
    """Compare bit for bit."""
    assert one.state == other.state
    for arrays, expected in ((one.model, other.model), (one.optimizer, other.optimizer)):
        assert arrays.keys() == expected.keys()
        for name, array in arrays.items():
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name], err_msg=name, strict=True)


def to_old_format(folder: Path, version: int = 1) -> None:
    """Write the checkpoint of a run as earlier versions did: in three files."""
    run = RunFolder.open(folder)
    checkpoint, choices = run.load(), run.config().fixed()
    step, files = {"step": str(checkpoint.state["step"])}, {}
    for part in ("model", "optimizer"):
        path = folder / f"{part}.safetensors"
        arrays = {k: np.asarray(a, order="C") for k, a in getattr(checkpoint, part).items()}
        save_file(arrays, path, metadata=step)
        files[path.name] = sha256(path.read_bytes())
    tokenizer = sha256((folder / "tokenizer.json").read_bytes())
    digests = {"tokenizer": tokenizer, "choices": choices}
    state = {"format": 1, **checkpoint.state, "files": files, "kept": digests}
    state["sha256"] = sha256(json.dumps(state, sort_keys=True).encode())
    state = state if version == 1 else checkpoint.state
    (folder / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    (folder / "checkpoint.safetensors").unlink()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
