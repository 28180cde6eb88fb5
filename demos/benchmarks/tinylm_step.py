"""Workload: one training step of TinyLM, float32: forward, backward, AdamW.

PyTorch runs the same model eagerly, with `scaled_dot_product_attention`, `layer_norm`,
`cross_entropy` and its fused AdamW. autograd and mygrad, which differentiate NumPy, run it as a
NumPy user would write it; tinygrad compiles its own. All start from the same weights.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW
from benchmarks.array_peers import autograd_step, mygrad_step
from benchmarks.race import Contestant, Race
from benchmarks.scalar_values import OURS
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
OPTIMIZER = {"betas": (0.9, 0.95), "weight_decay": 0.1}
LEARNING_RATE = 1e-3
BEYOND_PEERS = 20_000_000  # multiplications in a forward pass: the slowest peers take seconds there


def build(size: Size, threads: list[int]) -> Race:
    """Prepare the race at one size."""
    rng = np.random.default_rng(0)
    tokens, targets = rng.integers(size.vocab_size, size=(2, *size.tokens))
    contestants, absent = [], []
    try:  # first, so that all are compared with it
        contestants += [torch_step(size, tokens, targets, count) for count in threads]
    except ImportError:
        absent.append("PyTorch is not installed")
    contestants += [autolm_step(size, tokens, targets, count) for count in threads]
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


def autolm_step(size: Size, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train our own."""
    model = new_model(size)
    optimizer = AdamW(model.named_parameters(), LEARNING_RATE, **OPTIMIZER)

    def run() -> float:
        model.zero_grad()
        loss = model.compute_loss(tokens, targets)
        loss.backward()
        optimizer.step()
        return float(loss)

    return Contestant(
        f"autolm, {_threads(threads)}",
        run,
        prepare=lambda: threadpool_limits(threads),
        collector=OURS.collector,
    )


def torch_step(size: Size, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train PyTorch's."""
    torch: Any = import_module("torch")
    model = new_model(size)
    weights = {path: torch.tensor(p.data) for path, p in model.named_parameters()}
    for weight in weights.values():
        weight.requires_grad_()
    positions = torch.tensor(model.positions)
    tokens, targets = torch.tensor(tokens), torch.tensor(targets)
    decayed = {"params": [w for w in weights.values() if w.ndim > 1]}
    others = {"params": [w for w in weights.values() if w.ndim == 1], "weight_decay": 0.0}
    optimizer = torch.optim.AdamW([decayed, others], LEARNING_RATE, fused=True, **OPTIMIZER)
    forward = torch_forward(torch, size, weights, positions)

    def run() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(tokens).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return Contestant(
        f"PyTorch, {_threads(threads)}", run, prepare=lambda: torch.set_num_threads(threads)
    )


def torch_forward(
    torch: Any, size: Size, weights: Mapping[str, Any], positions: Any
) -> Callable[[Any], Any]:
    """Return the model as a function of token ids (batch, time)."""
    functional, width = torch.nn.functional, (size.d_model,)

    def heads(x: Any) -> Any:
        return x.unflatten(-1, (size.num_heads, -1)).transpose(1, 2)

    def norm(x: Any, path: str) -> Any:
        return functional.layer_norm(x, width, weights[f"{path}.gain"], weights[f"{path}.bias"])

    def forward(tokens: Any) -> Any:
        x = functional.embedding(tokens, weights["embedding"]) + positions
        for block in (f"blocks.{i}" for i in range(size.num_layers)):
            normal = norm(x, f"{block}.norm_1")
            q, k, v = (heads(normal @ weights[f"{block}.attention.W_{part}"]) for part in "QKV")
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + mixed.transpose(1, 2).flatten(2) @ weights[f"{block}.attention.W_O"]
            hidden = norm(x, f"{block}.norm_2") @ weights[f"{block}.feed_forward.W_1"]
            x = x + functional.relu(hidden) @ weights[f"{block}.feed_forward.W_2"]
        return norm(x, "norm") @ weights["W_out"]

    return forward


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"
