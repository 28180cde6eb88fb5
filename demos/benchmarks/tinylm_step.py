"""Workload: one training step of TinyLM, float32: forward, backward, AdamW.

autolm runs it recorded, as `autolm train --native` does, and plainly.
PyTorch runs the same model eagerly, written in the leanest way and in the usual way, and the lean
one compiled; JAX compiles the whole step; C is written by hand for this one model. autograd and
mygrad, which differentiate NumPy, run it as a NumPy user would write it; tinygrad compiles its own.
All start from the same weights.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from autolm import recorded
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW
from benchmarks.array_peers import autograd_step, mygrad_step
from benchmarks.race import Contestant, Race, enter
from benchmarks.tinygrad_peer import tinygrad_step


class Size(NamedTuple):
    """The sizes of a model and of a batch."""

    title: str
    vocab_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    tokens: tuple[int, int]  # batch, time


SIZES = {
    "tinylm-microgpt": Size("microgpt's size", 27, 16, 4, 64, 1, (1, 7)),
    "tinylm-lesson": Size("one line of a lesson", 32, 32, 4, 128, 2, (1, 16)),
    "tinylm-lesson-batch": Size("a batch of a lesson", 32, 32, 4, 128, 2, (16, 16)),
    "tinylm-nanogpt-cpu": Size("nanoGPT's size for a CPU", 65, 128, 4, 512, 4, (12, 64)),
}
ALONE = {"autograd": autograd_step, "mygrad": mygrad_step, "tinygrad": tinygrad_step}  # one thread
JAX = "JAX, compiled"
IN_C = "by hand in C"
PEERS = (JAX, IN_C, *ALONE)
RECORDED = "autolm, recorded"
AUTOLM = (RECORDED, "autolm")
TORCH = {  # in torch_peer
    "PyTorch, lean": "lean_step",
    "PyTorch, as usual": "usual_step",
    "PyTorch, compiled": "compiled_step",
}
OPTIMIZER = {"betas": (0.9, 0.95), "weight_decay": 0.1}
LEARNING_RATE = 1e-3
BEYOND_PEERS = 20_000_000  # multiplications in a forward pass: the slowest peers take seconds there


def build(key: str, threads: list[int], apart: bool = True) -> Race:
    """Prepare the race at one size."""
    size, contestants, absent = SIZES[key], [], []
    for library in (*TORCH, *AUTOLM, *PEERS):  # PyTorch first, so that all are compared with it
        if library in ALONE and tokens_times_weights(size) > BEYOND_PEERS:
            continue
        for count in [1] if library in ALONE else threads:
            try:
                contestants.append(
                    enter("tinylm_step", "contestant", library, key, count, apart=apart)
                )
            except (ImportError, RuntimeError) as error:
                absent.append(f"{library} cannot run: {error}")
                break
    shape = f"{size.num_layers} × {size.d_model}, {size.tokens[0]} × {size.tokens[1]} tokens"
    title = f"TinyLM, {size.title} ({shape})"
    return Race(title, contestants, tolerance=2e-4, absent=absent, flops=flops(key))


def tokens_times_weights(size: Size) -> int:
    """Return how many multiplications of weights there are in a forward pass."""
    batch, time = size.tokens
    weights = size.num_layers * (4 * size.d_model**2 + 2 * size.d_model * size.d_ff)
    return batch * time * (weights + size.d_model * size.vocab_size)


def flops(key: str) -> int:
    """Return the floating-point operations of a step's products: 2 forward, and 4 backward."""
    return 6 * tokens_times_weights(SIZES[key])


def contestant(library: str, key: str, threads: int) -> Contestant:
    """Make a contestant; ImportError without what it needs."""
    size = SIZES[key]
    if library in (*TORCH, *AUTOLM):
        return threaded(library, size, threads)
    if library in (JAX, IN_C):
        peer = import_module("benchmarks.jax_peer" if library == JAX else "benchmarks.c_peer")
        make = peer.jax_step if library == JAX else peer.c_step
        return make(with_threads(library, threads), new_model(size), *reading(size), threads)
    return ALONE[library](new_model(size), *reading(size))


def new_model(size: Size) -> TinyLM:
    """Make the model, always with the same weights."""
    sizes = (size.vocab_size, size.d_model, size.num_heads, size.d_ff, size.num_layers)
    return TinyLM(*sizes, max_len=size.tokens[1], seed=0)


def reading(size: Size) -> Any:
    """Return token ids and their targets, always the same, each (batch, time)."""
    return np.random.default_rng(0).integers(size.vocab_size, size=(2, *size.tokens))


def threaded(library: str, size: Size, threads: int) -> Contestant:
    """Train with autolm or one of `TORCH`, on so many threads; ImportError without it."""
    train: Callable[..., Contestant] = partial(autolm_step, records=library == RECORDED)
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
    name: str, model: TinyLM, tokens: Any, targets: Any, threads: int, records: bool
) -> Contestant:
    """Train our own, recorded or plainly."""
    optimizer = AdamW(model.named_parameters(), LEARNING_RATE, **OPTIMIZER)
    if records:
        step = recorded(model.compute_loss, optimizer)
        for i in range(3):  # the batches that it is made of, before the first step
            step.compute((tokens + i) % model.vocab_size, (targets + i) % model.vocab_size)
        return Contestant(
            name, lambda: step(tokens, targets), prepare=lambda: threadpool_limits(threads)
        )

    def run() -> float:
        optimizer.zero_grad()
        loss = model.compute_loss(tokens, targets)
        loss.backward()
        optimizer.step()
        return float(loss)

    return Contestant(name, run, prepare=lambda: threadpool_limits(threads))
