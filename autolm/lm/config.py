"""What a training run is: every choice in one flat record, checked once, saved as `config.json`."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from autolm.lm.tinylm import TinyLM
from autolm.nn.schedules import ScheduleName

Kind = Literal["lines", "stream"]
TokenizerName = Literal["characters", "bpe"]
NormName = Literal["pre", "post", "none"]
DTypeName = Literal["float32", "float64"]

TOY, PYTHON_DOCUMENTATION, STANDARD_INPUT = "toy", "python-docs", "-"


@dataclass(frozen=True)
class TrainingConfig:
    """Every choice of a training run.

    Attributes
    ----------
    data
        "toy", "python-docs", "-" (standard input), or the path of a text file.
    kind
        Whether each line of a file is a document of its own, or all of it is one stream.
    tokenizer, num_merges
        Characters, or byte-level BPE with so many merges.
    num_layers, num_heads, d_model, d_ff, norm
        The model, see `TinyLM`.
    block_size, batch_size
        Tokens in a row, which is the longest context; rows in a batch.
    steps, learning_rate, final_learning_rate, schedule, warmup_steps
        How long, and how fast; see `autolm.nn.schedule`.
    beta1, beta2, weight_decay, clip
        AdamW, and the largest length of the whole gradient.
    validate_every
        Steps between validations, each of which also saves.
    seed
        Of the initial weights and of the order of the data.
    dtype
        Of the parameters.
    threads
        Processor threads for matrix products. Another number rounds sums differently.
    native
        Whether `autolm train` runs in `autolm.native()`, whose loops round differently, too.

    Raises
    ------
    ValueError
        For a choice that makes no sense: one line that says which.
    """

    data: str = TOY
    kind: Kind = "lines"
    tokenizer: TokenizerName = "characters"
    num_merges: int = 512
    num_layers: int = 2
    num_heads: int = 4
    d_model: int = 64
    d_ff: int = 256
    norm: NormName = "pre"
    block_size: int = 64
    batch_size: int = 12
    steps: int = 1800
    learning_rate: float = 1.5e-2
    final_learning_rate: float = 0.0
    schedule: ScheduleName = "linear"
    warmup_steps: int = 50
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.0
    clip: float = 1.0
    validate_every: int = 300
    seed: int = 0
    dtype: DTypeName = "float32"
    threads: int = 1
    native: bool = False

    def __post_init__(self) -> None:
        choices = {
            "kind": Kind,
            "tokenizer": TokenizerName,
            "norm": NormName,
            "schedule": ScheduleName,
            "dtype": DTypeName,
        }
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                listed = ", ".join(get_args(known))
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {listed}")
        for field in dataclasses.fields(self):
            number = getattr(self, field.name)
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{field.name} is {number}; it must be a finite number")
        for name in (
            *("num_layers", "num_heads", "d_model", "d_ff", "block_size", "batch_size"),
            *("steps", "validate_every", "threads"),
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("num_merges", "warmup_steps", "weight_decay", "seed", "final_learning_rate"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it cannot be negative")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        if self.d_model % self.num_heads:
            raise ValueError(
                f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
            )

    @classmethod
    def of(cls, **choices: Any) -> TrainingConfig:
        """Make the record of some choices; where one calls for another, that is made too.

        The toy language is lines, Python's documentation a stream, and so is any other text unless
        it is said to be lines; a file is named by its whole path.
        """
        data = choices.setdefault("data", TOY)
        kind = choices.setdefault("kind", "lines" if data == TOY else "stream")
        if (data, kind) in ((TOY, "stream"), (PYTHON_DOCUMENTATION, "lines")):
            always = "lines" if data == TOY else "a stream"
            raise ValueError(f"kind is {kind!r}, but {data} is always {always}: leave it out")
        if "num_merges" in choices and choices.get("tokenizer") != "bpe":
            raise ValueError("num_merges is for the tokenizer bpe; choose that too")
        if data not in (TOY, PYTHON_DOCUMENTATION, STANDARD_INPUT):
            choices["data"] = str(Path(data).resolve())
        return cls(**choices)

    def to_json(self) -> str:
        """Write the record as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TrainingConfig:
        """Read a record that `to_json` wrote; ValueError says what is wrong with another."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(content, dict):
            raise ValueError("not a JSON object with the choices of a run")
        types = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        for name, value in content.items():
            if name not in types:
                raise ValueError(f"unknown choice {name!r}")
            if not _fits(value, types[name]):
                raise ValueError(f"{name} is {value!r}, which is not {types[name].__name__}")
        return cls(**content)

    def model(self, vocab_size: int) -> TinyLM:
        """Make the model with its initial weights."""
        return TinyLM(
            vocab_size,
            self.d_model,
            self.num_heads,
            self.d_ff,
            self.num_layers,
            max_len=self.block_size,
            norm=None if self.norm == "none" else self.norm,
            dtype=np.dtype(self.dtype),
            seed=self.seed,
        )


def _fits(value: Any, wanted: type) -> bool:
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
