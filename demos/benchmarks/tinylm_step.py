"""Workload: one training step of TinyLM, float32: forward, backward, AdamW.

PyTorch runs the same model eagerly, written in the leanest way and in the usual way. autograd and
mygrad, which differentiate NumPy, run it as a NumPy user would write it; tinygrad compiles its own.
All start from the same weights.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from autolm import native
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW
from benchmarks.array_peers import autograd_step, mygrad_step
from benchmarks.race import Contestant, Race
from benchmarks.tinygrad_peer import tinygrad_step


class Size(NamedTuple):
    """A model and what it reads in a step."""

    title: str
    vocab_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    tokens: tuple[int, int]  # batch, time


SIZES = {
    "tinylm-microgpt": Size("microgpt's size", 27, 16, 4, 64, 1, (1, 8)),
    "tinylm-lesson": Size("one line of a lesson", 32, 64, 4, 256, 2, (1, 64)),
    "tinylm-lesson-batch": Size("a batch of a lesson", 32, 64, 4, 256, 2, (12, 64)),
    "tinylm-nanogpt-cpu": Size("nanoGPT's size for a CPU", 65, 128, 4, 512, 4, (12, 64)),
}
PEERS = {"autograd": autograd_step, "mygrad": mygrad_step, "tinygrad": tinygrad_step}
AUTOLM = ("autolm, native", "autolm")
TORCH = {"PyTorch, lean": "lean_step", "PyTorch, as usual": "usual_step"}  # in torch_peer
OPTIMIZER = {"betas": (0.9, 0.95), "weight_decay": 0.1}
LEARNING_RATE = 1e-3
BEYOND_PEERS = 20_000_000  # multiplications in a forward pass: the slowest peers take seconds there


def build(size: Size, threads: list[int]) -> Race:
    """Prepare the race at one size."""
    tokens, targets = reading(size)
    contestants, absent = [], []
    try:  # first, so that all are compared with it
        contestants += [threaded(library, size, count) for library in TORCH for count in threads]
    except ImportError:
        absent.append("PyTorch is not installed")
    for library in AUTOLM:
        try:
            contestants += [threaded(library, size, count) for count in threads]
        except ImportError:
            absent.append("numba is not installed")
    if tokens.size * size.num_layers * 12 * size.d_model**2 < BEYOND_PEERS:
        for name, peer in PEERS.items():
            try:
                contestants.append(peer(new_model(size), tokens, targets))
            except ImportError:
                absent.append(f"{name} is not installed")
            except RuntimeError as error:  # tinygrad without a compiler
                absent.append(f"{name} cannot run: {error}")
    shape = f"{size.num_layers} × {size.d_model}, {size.tokens[0]} × {size.tokens[1]} tokens"
    return Race(f"TinyLM, {size.title} ({shape})", contestants, tolerance=2e-4, absent=absent)


def new_model(size: Size) -> TinyLM:
    """Make the model, always with the same weights."""
    sizes = (size.vocab_size, size.d_model, size.num_heads, size.d_ff, size.num_layers)
    return TinyLM(*sizes, max_len=size.tokens[1], seed=0)


def reading(size: Size) -> Any:
    """Return token ids and their targets, always the same, each (batch, time)."""
    return np.random.default_rng(0).integers(size.vocab_size, size=(2, *size.tokens))


def threaded(library: str, size: Size, threads: int) -> Contestant:
    """Train with autolm or one of `TORCH`, on so many threads; ImportError without it."""
    train: Callable[..., Contestant] = partial(autolm_step, compiled=library == AUTOLM[0])
    if library in TORCH:
        train = getattr(import_module("benchmarks.torch_peer"), TORCH[library])
    return train(with_threads(library, threads), new_model(size), *reading(size), threads)


def with_threads(library: str, threads: int) -> str:
    """Name a contestant.

    >>> with_threads("autolm", 1), with_threads("autolm", 2)
    ('autolm, 1 thread', 'autolm, 2 threads')
    """
    return f"{library}, {threads} thread{'s' * (threads > 1)}"


def autolm_step(
    name: str, model: TinyLM, tokens: Any, targets: Any, threads: int, compiled: bool
) -> Contestant:
    """Train our own, as NumPy calls or with compiled loops."""
    with native(compiled):  # without numba it says so here
        optimizer = AdamW(model.named_parameters(), LEARNING_RATE, **OPTIMIZER)

    @native(compiled)
    def run() -> float:
        optimizer.zero_grad()
        loss = model.compute_loss(tokens, targets)
        loss.backward()
        optimizer.step()
        return float(loss)

    return Contestant(name, run, prepare=lambda: threadpool_limits(threads))
