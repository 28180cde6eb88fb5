"""Sizes by formula are the sizes of the model itself, and of GPT-3 as published."""

import io
import re
from typing import Any

from rich.console import Console

from autolm.engine.graph import topological_order
from autolm.lm.config import TrainingConfig
from autolm.lm.design import tinylm_design
from autolm.lm.size import GPT3, parts, size_table, worker_table
from autolm.lm.tinylm import TinyLM

SIZES: dict[str, Any] = {"num_layers": 3, "num_heads": 2, "d_model": 8, "d_ff": 20, "block_size": 6}


def multiplications(model: TinyLM, time: int) -> int:
    """Count the multiply-adds of the matrix products in a forward pass, node by node."""
    total = 0
    for node in topological_order(model.forward([0] * time)[0]):
        if node.op is not None and node.op.name == "matmul":
            total += node.parents[0].size * node.parents[1].shape[-1]
        elif node.op is not None and node.op.name == "attention":
            q, k, _ = node.parents
            total += 2 * q.size * k.shape[-2]
    return total


def test_parameters_and_operations_are_those_of_the_model() -> None:
    config = TrainingConfig(**SIZES)
    sized, model = (
        parts(tinylm_design(11, **config.architecture())),
        TinyLM(11, **config.architecture()),
    )
    assert sum(part.parameters for part in sized) == model.num_parameters()
    assert sum(part.flops for part in sized) * 6 == 2 * multiplications(model, time=6)


def test_gpt3_has_the_published_number_of_parameters() -> None:
    total = sum(part.parameters for part in parts(GPT3))
    assert f"{total / 1e9:.1f}" == "174.6"  # "175B" in the paper's table 2.1


def test_the_table_shows_models_side_by_side_with_totals() -> None:
    console = Console(width=200, file=io.StringIO())
    model = tinylm_design(11, **TrainingConfig(**SIZES).architecture())
    console.print(size_table([model, GPT3]))
    lines = console.file.getvalue().splitlines()
    (total,) = (line for line in lines if " all " in line)
    assert "174.6 G" in total
    assert f"{sum(part.parameters for part in parts(model)) / 1000:.4g} k" in total
    assert "2.794 TB" in total  # 16 bytes per parameter


def test_workers_hold_and_send_what_they_must() -> None:
    console = Console(width=200, file=io.StringIO())
    console.print(worker_table([GPT3], workers=1024))
    rows = dict(re.findall(r"│ (.*?) *│ +(.*?) │", console.file.getvalue()))
    layer = 12 * 12_288**2 + 9 * 12_288  # weights; biases
    parameters = 96 * (layer + 4 * 12_288) + (50_257 + 2_048 + 2) * 12_288  # norms; outside
    assert rows == {
        "ddp: holds": f"{16 * parameters / 1e12:.4g} TB",
        "ddp: sends in a step": f"{8 * parameters * 1023 / 1024 / 1e12:.4g} TB",
        "fsdp: holds at least": f"{(16 * parameters / 1024 + 8 * layer) / 1e9:.4g} GB",
        "fsdp: sends in a step": f"{12 * parameters * 1023 / 1024 / 1e12:.4g} TB",
        "FLOPs for a token of the batch": "1.051 G",
    }
