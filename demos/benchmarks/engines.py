"""Workload: steps of `autolm train` by each engine: the batch, forward, backward, clipping, AdamW.

Each engine trains in its own process, on the same batches from the same weights, in float32. The
default size learns lines; only its predicted tokens are counted, without padding.
"""

import statistics
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from autolm.cli.runs import corpus_of
from autolm.lm.batches import IGNORE_INDEX
from autolm.lm.config import PYTHON_DOCUMENTATION, TrainingConfig
from autolm.lm.training import Training, train_tokenizer
from autolm.lm.training_engine import NumPyEngine
from benchmarks.race import Contestant, Outcome, Race, enter

ENGINES = ("numpy", "numpy --native", "torch", "torch --compile")
TEXT: dict[str, Any] = {"data": PYTHON_DOCUMENTATION}
LARGE = {"num_layers": 6, "d_model": 384, "num_heads": 6, "batch_size": 16, "block_size": 128}
SIZES: dict[str, dict[str, Any]] = {
    "2 × 64, 12 × 64 tokens, the default": {},
    "4 × 128, 12 × 64 tokens": TEXT | {"num_layers": 4, "d_model": 128},
    "6 × 384, 16 × 128 tokens": TEXT | LARGE,
}
FIRST = 50  # number of batches in which tokens are counted


def build(size: str, threads: list[int], apart: bool = True) -> Race:
    """Prepare the race at one size."""
    contestants, absent = [], []
    for engine in ENGINES:
        try:
            contestants += [
                enter("engines", "contestant", engine, size, count, apart=apart)
                for count in threads
            ]
        except (ImportError, RuntimeError, ValueError) as error:
            absent.append(f"{engine} cannot run: {error}")
    return Race(f"autolm train, {size}", contestants, tolerance=1e-3, absent=absent)


def contestant(engine: str, size: str, threads: int) -> Contestant:
    """Make a contestant, which keeps the thread limits of its process while it exists."""
    library, _, how = engine.partition(" ")
    compiled, native = how == "--compile", how == "--native"
    training = training_of(size, compiled, engine=library, native=native, threads=threads)
    running = ExitStack()
    running.enter_context(training.engine.running())
    training.engine.validate(training.batches.next_batch())  # if it cannot compile, it says so here
    return Contestant(
        named(engine, threads), lambda: training.advance().loss, prepare=lambda: running
    )


def training_of(size: str, compiled: bool = False, **choices: Any) -> Training:
    """Begin the training of a size."""
    config = TrainingConfig.of(**SIZES[size], **choices, steps=10**6)
    corpus = corpus_of(config, bytes)
    engine: Any = NumPyEngine
    if config.engine == "torch":
        import torch

        from autolm.torch.torch_engine import TorchEngine
        from autolm.torch.workers import Workers

        engine = partial(TorchEngine, workers=Workers(torch.device("cpu")), compiled=compiled)
    return Training(config, corpus, train_tokenizer(config, corpus), engine)


def named(engine: str, threads: int) -> str:
    """Name a contestant.

    >>> named("torch --compile", 1)
    'torch --compile, 1 thread'
    """
    return f"{engine}, {threads} thread{'s' * (threads > 1)}"


def tokens_of(size: str) -> float:
    """Return how many tokens a batch has to predict, on the average of the first."""
    batches = training_of(size).batches
    return statistics.mean(
        int(np.count_nonzero(batches.next_batch()[1] != IGNORE_INDEX)) for _ in range(FIRST)
    )


def table(outcome: Outcome, tokens: float, threads: list[int]) -> Table:
    """Lay out one race: tokens a second, medians with their quartiles."""
    title = "\n".join([f"{outcome.race.title}: tokens a second", *outcome.race.absent])
    grid = Table("", title=title, title_justify="left", box=SIMPLE_HEAD)
    for count in threads:
        grid.add_column(named("", count).removeprefix(", "), justify="right", no_wrap=True)
    raced = {contestant.name for contestant in outcome.race.contestants}
    for engine in ENGINES:
        names = [named(engine, count) for count in threads]
        if raced.issuperset(names):
            grid.add_row(engine, *(_speed(outcome.quartiles(name), tokens) for name in names))
    return grid


def _speed(quartiles: tuple[float, float, float], tokens: float) -> str:
    slow, usual, quick = (tokens / seconds / 1000 for seconds in reversed(quartiles))
    return f"{usual:.3g} k ({slow:.3g}–{quick:.3g})"
