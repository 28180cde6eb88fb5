"""The options of a training run: one flat record, validated once, saved as `config.json`.

Each field declares the description, default and allowed values of an option; the command line, its
help and the errors use that declaration. This module does not import NumPy, so `--help` is fast.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from autolm.nn.schedule_name import ScheduleName
from autolm.outside.arguments import (
    read_bool,
    read_choice,
    read_finite,
    read_size,
    read_text,
)
from autolm.outside.message import message
from autolm.outside.untrusted_file import parse_json

TextKind = Literal["lines", "stream"]
TokenizerName = Literal["characters", "bpe"]
NormName = Literal["pre", "post", "none"]
DTypeName = Literal["float32", "float64"]
EngineName = Literal["numpy", "torch"]
DeviceName = Literal["cpu", "cuda", "mps"]
Parallel = Literal["ddp", "fsdp"]

TOY, PYTHON_DOCUMENTATION, STANDARD_INPUT = "toy", "python-docs", "-"


@dataclass(frozen=True)
class Choice:
    """The declaration of one option.

    Attributes
    ----------
    about
        The description, in one sentence.
    group
        The heading in the help: text, model, training or machine.
    known
        The allowed words; empty for any word and for other types.
    low, above, below
        Bounds of a number: `low` is inclusive, `above` and `below` are exclusive.
    changeable
        Whether a resumed run may use another value. Options that affect the steps already taken,
        such as the width or the learning rate, cannot change.
    """

    about: str
    group: str
    known: tuple[str, ...] = ()
    low: float | None = None
    above: float | None = None
    below: float | None = None
    changeable: bool = False

    @property
    def range(self) -> str:
        """The allowed values in words; empty if there are no bounds."""
        if self.known:
            return f"one of {', '.join(self.known)}"
        if self.below is not None:
            return f"in [{self.low}, {self.below})"
        if self.above is not None:
            return f"above {self.above}"
        return f"at least {self.low}" if self.low is not None else ""

    def read(self, name: str, value: Any, kind: type[Any]) -> Any:
        """Return a value of type `kind`; raise an error if it is not allowed."""
        if self.known:
            return read_choice("", name, value, self.known)
        if kind is int:
            return read_size("", name, value, self.low, high=2**63 - 1)
        if kind is float:
            return read_finite("", name, value, low=self.low, above=self.above, below=self.below)
        return (read_bool if kind is bool else read_text)("", name, value)


def choice(
    about: str, group: str, known: Any = None, *, changeable: bool = False, **bounds: float
) -> dict[str, Choice]:
    """Return the metadata of a field; `known` is a Literal of the allowed words."""
    return {"choice": Choice(about, group, get_args(known), changeable=changeable, **bounds)}


@dataclass(frozen=True)
class TrainingConfig:
    """The options of a training run; `TrainingConfig.choices()` returns their declarations.

    Raises
    ------
    ValueError
        If an option has an invalid value; one line names it and the allowed values.

    Examples
    --------
    >>> TrainingConfig(steps=100).steps, TrainingConfig.choices()["steps"].range
    (100, 'at least 1')
    """

    data: str = field(
        default=TOY,
        metadata=choice(
            message(
                "Text to train on: a file, - for standard input, toy (a generated language of "
                "known entropy), or python-docs (Python's documentation)."
            ),
            "text",
            changeable=True,
        ),
    )
    kind: TextKind = field(
        default="lines",
        metadata=choice(
            message("Split the text into one document per line, or read it as one stream."),
            "text",
            known=TextKind,
        ),
    )
    tokenizer: TokenizerName = field(
        default="characters",
        metadata=choice(
            message("Tokenizer: characters or byte-level BPE."), "text", known=TokenizerName
        ),
    )
    num_merges: int = field(
        default=512, metadata=choice(message("Number of BPE merges."), "text", low=0)
    )
    num_layers: int = field(
        default=2, metadata=choice(message("Number of Transformer layers."), "model", low=1)
    )
    num_heads: int = field(
        default=4, metadata=choice(message("Number of attention heads per layer."), "model", low=1)
    )
    d_model: int = field(
        default=64, metadata=choice(message("Width of the model."), "model", low=1)
    )
    d_ff: int = field(
        default=256,
        metadata=choice(message("Width of the feed-forward layers."), "model", low=1),
    )
    norm: NormName = field(
        default="pre",
        metadata=choice(message("Position of layer normalisation."), "model", known=NormName),
    )
    block_size: int = field(
        default=64, metadata=choice(message("Context length in tokens."), "model", low=1)
    )
    batch_size: int = field(
        default=12, metadata=choice(message("Sequences per batch."), "training", low=1)
    )
    steps: int = field(
        default=1800,
        metadata=choice(message("Number of training steps."), "training", low=1, changeable=True),
    )
    learning_rate: float = field(
        default=1.5e-2,
        metadata=choice(message("Peak learning rate, reached after warm-up."), "training", above=0),
    )
    final_learning_rate: float = field(
        default=0.0, metadata=choice(message("Learning rate at the last step."), "training", low=0)
    )
    schedule: ScheduleName = field(
        default="linear",
        metadata=choice(message("Learning-rate schedule."), "training", known=ScheduleName),
    )
    warmup_steps: int = field(
        default=50, metadata=choice(message("Warm-up steps."), "training", low=0)
    )
    beta1: float = field(
        default=0.9,
        metadata=choice(
            message("Decay rate of the mean gradient in Adam (β1)."), "training", low=0, below=1
        ),
    )
    beta2: float = field(
        default=0.95,
        metadata=choice(
            message("Decay rate of the mean squared gradient in Adam (β2)."),
            "training",
            low=0,
            below=1,
        ),
    )
    weight_decay: float = field(
        default=0.0, metadata=choice(message("Weight decay."), "training", low=0)
    )
    clip: float = field(
        default=1.0,
        metadata=choice(message("Clip the gradient norm to this value."), "training", above=0),
    )
    validate_every: int = field(
        default=300,
        metadata=choice(
            message("Validate and save a checkpoint every N steps."),
            "training",
            low=1,
            changeable=True,
        ),
    )
    seed: int = field(
        default=0,
        metadata=choice(
            message("Random seed of the initial weights and the batches."), "training", low=0
        ),
    )
    dtype: DTypeName = field(
        default="float32",
        metadata=choice(message("Data type of the parameters."), "machine", known=DTypeName),
    )
    threads: int = field(
        default=1,
        metadata=choice(
            message("CPU threads for matrix products; their number affects rounding."),
            "machine",
            low=1,
            changeable=True,
        ),
    )
    engine: EngineName = field(
        default="numpy",
        metadata=choice(
            message("Library that computes the training step."),
            "machine",
            known=EngineName,
            changeable=True,
        ),
    )
    native: bool = field(
        default=False,
        metadata=choice(
            message("Record and compile the training step: faster, with different rounding."),
            "machine",
            changeable=True,
        ),
    )

    @classmethod
    def choices(cls) -> dict[str, Choice]:
        """Return the declaration of each option, by name."""
        return {f.name: f.metadata["choice"] for f in dataclasses.fields(cls)}

    def __post_init__(self) -> None:
        for name, choice in self.choices().items():
            try:
                value = choice.read(name, getattr(self, name), type(getattr(type(self), name)))
            except TypeError as error:
                raise ValueError(str(error)) from None
            object.__setattr__(self, name, value)  # the class is frozen
        if self.d_model % self.num_heads:
            raise ValueError(
                message(
                    "d_model {d_model} is not divisible by num_heads {num_heads}",
                    d_model=self.d_model,
                    num_heads=self.num_heads,
                )
            )
        always = {TOY: "lines", PYTHON_DOCUMENTATION: "stream"}.get(self.data, self.kind)
        if self.kind != always:
            raise ValueError(
                message(
                    "kind is {kind!r}, but {data} is always {always}: choose that, or another text",
                    kind=self.kind,
                    data=self.data,
                    always=always,
                )
            )
        if self.num_merges != type(self).num_merges and self.tokenizer != "bpe":
            raise ValueError(message("num_merges is for the tokenizer bpe; choose that too"))
        if self.native and self.engine != "numpy":
            raise ValueError(
                message("native is for the engine numpy; choose that too, or leave it out")
            )

    @classmethod
    def of(cls, **choices: Any) -> TrainingConfig:
        """Create a record from some options, and derive dependent ones.

        By default `kind` is "lines" for the toy language and "stream" for any other text, `d_ff` is
        four times `d_model`, and the path of a file is made absolute.
        """
        data = choices.setdefault("data", TOY)
        choices.setdefault("kind", "lines" if data == TOY else "stream")
        if "d_model" in choices:
            choices.setdefault("d_ff", 4 * choices["d_model"])
        if "num_merges" in choices and choices.get("tokenizer") != "bpe":
            raise ValueError(message("num_merges is for the tokenizer bpe; choose that too"))
        return cls(**choices | {"data": _whole_path(data)})

    def to_json(self) -> str:
        """Write the record as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def fixed(self) -> dict[str, Any]:
        """Return the options that a resumed run cannot change."""
        choices = self.choices()
        return {k: v for k, v in dataclasses.asdict(self).items() if not choices[k].changeable}

    def changed(self, **choices: Any) -> TrainingConfig:
        """Return the record with other values of options that a run can change.

        `native` becomes False if the engine changes.

        Raises
        ------
        ValueError
            If an option cannot change, or its value is invalid.
        """
        for name, choice in choices.items():
            if not self.choices()[name].changeable and choice != getattr(self, name):
                free = ", ".join(n for n, option in self.choices().items() if option.changeable)
                raise ValueError(
                    message(
                        "{name} cannot change in a run: it is {x} in what is done; {free} can, "
                        "or start a new run",
                        name=name,
                        x=getattr(self, name),
                        free=free,
                    )
                )
        if choices.get("engine", self.engine) != self.engine:
            choices.setdefault("native", False)
        data = choices.get("data", self.data)
        return dataclasses.replace(self, **choices | {"data": _whole_path(data)})

    @classmethod
    def from_json(cls, text: str | bytes) -> TrainingConfig:
        """Read a record that `to_json` wrote; raise ValueError for invalid content."""
        content = parse_json(text)
        if not isinstance(content, dict):
            raise ValueError(message("not a JSON object with the choices of a run"))
        for name in content:
            if name not in cls.choices():
                raise ValueError(message("unknown choice {name!r}", name=name))
        return cls(**content)

    def architecture(self) -> dict[str, Any]:
        """Return the arguments of `TinyLM` other than the vocabulary size."""
        return {
            "d_model": self.d_model,
            "num_heads": self.num_heads,
            "d_ff": self.d_ff,
            "num_layers": self.num_layers,
            "max_len": self.block_size,
            "norm": None if self.norm == "none" else self.norm,
            "dtype": self.dtype,
            "seed": self.seed,
        }


def _whole_path(data: str) -> str:
    is_file = data not in (TOY, PYTHON_DOCUMENTATION, STANDARD_INPUT)
    return str(Path(data).resolve()) if is_file else data
