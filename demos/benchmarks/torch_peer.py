"""TinyLM on PyTorch, eager, twice: as lean as it can be written, and as one usually writes it.

Lean is functions on bare weights, and the fused AdamW. Usual is modules, and AdamW as it comes.
Both have PyTorch's own attention, layer norm and cross entropy. This file needs PyTorch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from autolm.lm.tinylm import TinyLM
from benchmarks.race import Contestant

LEARNING_RATE, BETAS, DECAY = 1e-3, (0.9, 0.95), 0.1


def lean_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train the leanest."""
    weights = {path: torch.tensor(p.data) for path, p in model.named_parameters()}
    for weight in weights.values():
        weight.requires_grad_()
    optimizer = adamw(weights.values(), fused=True)
    return training(name, lean_forward(model, weights), optimizer, tokens, targets, threads)


def usual_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train the usual one."""
    module = TinyLMModule(model)
    return training(name, module, adamw(module.parameters()), tokens, targets, threads)


def adamw(weights: Iterable[Tensor], **options: Any) -> torch.optim.AdamW:
    """Let matrices decay, and vectors not."""
    weights = list(weights)
    decayed = {"params": [w for w in weights if w.ndim > 1], "weight_decay": DECAY}
    others = {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0}
    return torch.optim.AdamW([decayed, others], LEARNING_RATE, BETAS, **options)


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


class TinyLMModule(nn.Module):
    """The model as modules, with the names that its weights have in ours."""

    def __init__(self, model: TinyLM) -> None:
        super().__init__()
        vocab_size, d_model = model.embedding.shape
        num_heads = model.blocks[0].attention.num_heads
        d_ff = model.blocks[0].feed_forward.W_1.shape[1]
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.register_buffer("positions", torch.tensor(model.positions), persistent=False)
        self.blocks = nn.ModuleList(Block(d_model, num_heads, d_ff) for _ in model.blocks)
        self.norm = nn.LayerNorm(d_model)
        self.W_out = nn.Linear(d_model, vocab_size, bias=False)
        self.load_state_dict(dict(state_of(model)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (batch, time, vocab_size) of token ids (batch, time)."""
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.W_out(self.norm(x))


class Block(nn.Module):
    """Attention, then feed-forward, each added to what it reads normalized."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attention = Attention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        x = x + self.attention(self.norm_1(x))
        return x + self.feed_forward(self.norm_2(x))


class Attention(nn.Module):
    """Causal attention of several heads."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.W_Q = nn.Linear(d_model, d_model, bias=False)
        self.W_K = nn.Linear(d_model, d_model, bias=False)
        self.W_V = nn.Linear(d_model, d_model, bias=False)
        self.W_O = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        batch, time, d_model = x.shape
        q, k, v = (
            project(x).view(batch, time, self.num_heads, -1).transpose(1, 2)
            for project in (self.W_Q, self.W_K, self.W_V)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.W_O(mixed.transpose(1, 2).reshape(batch, time, d_model))


class FeedForward(nn.Module):
    """Two matrices, with what is negative between them cut off."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.W_1 = nn.Linear(d_model, d_ff, bias=False)
        self.W_2 = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        return self.W_2(functional.relu(self.W_1(x)))


def state_of(model: TinyLM) -> Iterator[tuple[str, Tensor]]:
    """Yield our weights by PyTorch's names; a Linear keeps its matrix transposed."""
    for path, parameter in model.named_parameters():
        weight = torch.tensor(parameter.data)
        owner, _, name = path.rpartition(".")
        if name in ("gain", "bias"):
            yield f"{owner}.{'weight' if name == 'gain' else name}", weight
        else:
            yield f"{path}.weight", weight if name == "embedding" else weight.T
