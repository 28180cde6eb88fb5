"""Parameters, operations and memory of a model, by the same formulas for every model.

Only matrix products count as operations, 2 for each multiplication and its addition, as in Kaplan
et al., Scaling Laws for Neural Language Models (2020), section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autolm.lm.config import TrainingConfig
from autolm.lm.design import Design, PretrainedError, design_of, tinylm_design
from autolm.outside.language import say
from autolm.outside.memory import physical_memory
from autolm.outside.message import message

if TYPE_CHECKING:
    from rich.table import Table

BYTES = 4  # of a float32
NUMBERS_TO_TRAIN = 4  # a parameter, its gradient, and Adam's two moments


GPT3 = replace(
    design_of(
        {
            "model_type": "gpt2",
            "n_layer": 96,
            "n_head": 96,
            "n_embd": 12_288,
            "n_positions": 2048,
        }
    ),
    name="GPT-3",
)
"""Brown et al., Language Models are Few-Shot Learners (2020), table 2.1."""

# The kind of module that a parameter is counted in, by the first word of its path.
MODULE_KINDS = {
    "embedding": "embedding",
    "position_embedding": "positions",
    "attention": "attention",
    "feed_forward": "feed_forward",
    "norm": "norms",
    "norm_1": "norms",
    "norm_2": "norms",
    "W_out": "W_out",
}


@dataclass(frozen=True)
class PartSize:
    """One kind of module of a model, all layers together.

    Attributes
    ----------
    parameters
        The number of parameters.
    flops
        Operations of a forward pass, per token of a full context.
    """

    name: str
    parameters: int
    flops: int


def parts(design: Design) -> list[PartSize]:
    """Count parameters and operations of each kind of module.

    Examples
    --------
    >>> sum(part.parameters for part in parts(GPT3)) / 1e9
    174.604...
    """
    parameters, flops = (
        dict.fromkeys(MODULE_KINDS.values(), 0),
        dict.fromkeys(MODULE_KINDS.values(), 0),
    )
    outside = replace(design, num_layers=0).parameter_shapes()
    shapes = [(path, shape, 1) for path, shape in outside]
    shapes += [(*item, design.num_layers) for item in design.block_shapes().items()]
    for path, shape, copies in shapes:
        kind, numbers = MODULE_KINDS[path.partition(".")[0]], copies * math.prod(shape)
        parameters[kind] += numbers
        if kind in ("attention", "feed_forward") and len(shape) == 2:
            flops[kind] += 2 * numbers
    visible = (
        sum(min(design.max_len, window or design.max_len) for window in design.windows)
        if design.windows
        else design.num_layers * design.max_len
    )
    flops["attention"] += 2 * 2 * visible * design.num_heads * design.head_size  # q·kᵀ, weights·v
    flops["W_out"] = 2 * design.vocab_size * design.d_model
    return [PartSize(kind, parameters[kind], flops[kind]) for kind in parameters]


def require_memory(config: TrainingConfig, vocab_size: int, *, training: bool) -> None:
    """Raise ValueError if a model does not fit into memory, before anything is allocated.

    The estimate is a lower bound: parameters, positions, and in training also gradients, moments
    and the activations that a step keeps for each token in each layer.

    Raises
    ------
    ValueError
        If it does not fit.
    """
    model, available = tinylm_design(vocab_size, **config.architecture()), physical_memory()
    parameters = sum(part.parameters for part in parts(model))
    tokens = config.batch_size * config.block_size if training else 0
    numbers = (
        (NUMBERS_TO_TRAIN if training else 1) * parameters
        + config.block_size * config.d_model
        + tokens * (vocab_size + config.num_layers * (config.d_ff + 4 * config.d_model))
    )
    needed = numbers * (8 if config.dtype == "float64" else 4)
    if available is not None and needed > available:
        raise ValueError(
            message(
                "{parameters} parameters and {tokens} tokens at once take at least "
                "{needed}B, and this machine has {available}B: choose fewer layers, a "
                "smaller width, or smaller batches",
                parameters=_short(parameters),
                tokens=_short(tokens),
                needed=_short(needed),
                available=_short(available),
            )
        )


def require_memory_to_load(design: Design, dtype: np.dtype[Any]) -> None:
    """Raise an error if the parameters of a pretrained model do not fit into memory.

    Raises
    ------
    PretrainedError
        If they do not fit.
    """
    parameters, available = sum(part.parameters for part in parts(design)), physical_memory()
    needed = parameters * dtype.itemsize
    if available is not None and needed > available:
        raise PretrainedError(
            message(
                "{parameters} parameters in {dtype} take {needed}B, and this machine "
                "has {available}B",
                parameters=_short(parameters),
                dtype=dtype,
                needed=_short(needed),
                available=_short(available),
            )
        )


def worker_table(models: Sequence[Design], workers: int) -> Table:
    """Tabulate the memory, traffic per step and operations of each of several workers.

    With DDP each worker holds weights, gradients and two moments of the whole model. With FSDP it
    holds its share, plus at least the weights and gradients of one whole layer at a time: PyTorch
    prefetches the next layer, keeps the weights outside the layers, and copies what it sends. In a
    ring all-reduce a worker sends each number twice, except its own share (Rajbhandari et al., ZeRO
    (2020), section 7). With FSDP it sends three times as much: weights are gathered in the forward
    and the backward pass, and gradients are reduced. Training takes three times the operations of
    the forward pass (Kaplan et al., Scaling Laws for Neural Language Models (2020), section 2.1).
    Activations are not counted.
    """
    from rich.table import Table

    table = Table(say("each worker"), title=say(f"{workers} workers, in float32"))
    rows: dict[str, list[str]] = {}
    for model in models:
        table.add_column(model.name, justify="right")
        for name, figure in _worker_figures(model, workers).items():
            rows.setdefault(name, []).append(figure)
    for name, figures in rows.items():
        table.add_row(say(name), *figures)
    return table


def _worker_figures(model: Design, workers: int) -> dict[str, str]:
    sized = {part.name: part for part in parts(model)}
    parameters = sum(part.parameters for part in sized.values())
    in_layers = sized["attention"].parameters + sized["feed_forward"].parameters
    outside = sized["embedding"].parameters + sized["positions"].parameters
    gathered = max(in_layers / model.num_layers, outside + sized["W_out"].parameters)
    flops = 3 * sum(part.flops for part in sized.values()) / workers
    total, remote = parameters * NUMBERS_TO_TRAIN * BYTES, 1 - 1 / workers
    return {
        "ddp: holds": _short(total) + "B",
        "ddp: sends in a step": _short(2 * remote * parameters * BYTES) + "B",
        "fsdp: holds at least": _short(total / workers + 2 * gathered * BYTES) + "B",
        "fsdp: sends in a step": _short(3 * remote * parameters * BYTES) + "B",
        "FLOPs for a token of the batch": _short(flops),
    }


def size_table(models: Sequence[Design]) -> Table:
    """Tabulate parameters, operations and memory of each part, models side by side."""
    from rich.table import Table

    title = say("parameters · forward FLOPs per token · memory to train")
    table = Table(say("module"), title=title)
    for model in models:
        table.add_column(f"{model.name}", justify="right")
        table.add_column("FLOPs", justify="right")
        table.add_column(say("memory"), justify="right")
    sized = [parts(model) for model in models]
    for rows in zip(*sized, strict=True):
        table.add_row(rows[0].name, *(cell for part in rows for cell in _cells(part)))
    table.add_section()
    totals = [
        PartSize(
            "all",
            sum(p.parameters for p in part),
            sum(p.flops for p in part),
        )
        for part in sized
    ]
    table.add_row(say("all"), *(cell for total in totals for cell in _cells(total)), style="bold")
    return table


def _cells(part: PartSize) -> tuple[str, str, str]:
    """Format parameters, operations and bytes to train (weights, gradient, moments)."""
    memory = part.parameters * NUMBERS_TO_TRAIN * BYTES
    return _short(part.parameters), _short(part.flops), _short(memory) + "B"


def _short(number: float) -> str:
    """Format a count with four digits and a unit: 174.6 G."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 1000:
            return f"{number:.4g} {unit}".strip() if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.4g} P"
