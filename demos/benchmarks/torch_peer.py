"""TinyLM on PyTorch in three versions: lean, compiled, and as usual.

The lean version consists of functions on plain weights with the fused AdamW; the compiled one is
the same under `torch.compile`; the usual one has modules and the default AdamW. All use PyTorch's
own attention, layer norm and cross entropy. This file needs PyTorch.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autolm.lm.tinylm import TinyLM
from autolm.torch.torch_model import torch_model
from benchmarks.race import Contestant

LEARNING_RATE, BETAS, DECAY = 1e-3, (0.9, 0.95), 0.1


def lean_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train the lean version."""
    weights = {path: torch.tensor(p.data) for path, p in model.named_parameters()}
    for weight in weights.values():
        weight.requires_grad_()
    optimizer = adamw(weights.values(), fused=True)
    return training(name, lean_forward(model, weights), optimizer, tokens, targets, threads)


def compiled_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train the compiled version, which needs a C++ compiler."""
    torch.set_num_threads(threads)
    weights = {path: torch.tensor(p.data) for path, p in model.named_parameters()}
    for weight in weights.values():
        weight.requires_grad_()
    optimizer = adamw(weights.values(), fused=True)
    forward = torch.compile(lean_forward(model, weights), dynamic=False)
    return training(name, forward, optimizer, tokens, targets, threads)


def usual_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train the usual version."""
    module = torch_model(model)
    return training(name, module, adamw(module.parameters()), tokens, targets, threads)


def adamw(weights: Iterable[Tensor], **options: Any) -> torch.optim.AdamW:
    """Return AdamW with weight decay for matrices only."""
    weights = list(weights)
    decayed = {"params": [w for w in weights if w.ndim > 1], "weight_decay": DECAY}
    not_decayed = {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0}
    return torch.optim.AdamW([decayed, not_decayed], LEARNING_RATE, BETAS, **options)


def training(
    name: str,
    forward: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    tokens: Any,
    targets: Any,
    threads: int,
) -> Contestant:
    """Train a function of token ids (batch, time)."""
    tokens, targets = torch.tensor(tokens), torch.tensor(targets)

    def run() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(forward(tokens).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return Contestant(name, run, prepare=lambda: torch.set_num_threads(threads))


def lean_forward(model: TinyLM, weights: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the model as a function of token ids (batch, time)."""
    num_layers, num_heads = len(model.blocks), model.blocks[0].attention.num_heads
    positions = torch.tensor(model.positions)
    width = positions.shape[1:]

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    def norm(x: Tensor, path: str) -> Tensor:
        return functional.layer_norm(x, width, weights[f"{path}.gain"], weights[f"{path}.bias"])

    def forward(tokens: Tensor) -> Tensor:
        x = functional.embedding(tokens, weights["embedding"]) + positions
        for block in (f"blocks.{i}" for i in range(num_layers)):
            normal = norm(x, f"{block}.norm_1")
            q, k, v = (heads(normal @ weights[f"{block}.attention.W_{part}"]) for part in "QKV")
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + mixed.transpose(1, 2).flatten(2) @ weights[f"{block}.attention.W_O"]
            hidden = norm(x, f"{block}.norm_2") @ weights[f"{block}.feed_forward.W_1"]
            x = x + functional.relu(hidden) @ weights[f"{block}.feed_forward.W_2"]
        return norm(x, "norm") @ weights["W_out"]

    return forward
