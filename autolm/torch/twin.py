"""TinyLM once more, as one writes it in PyTorch: the same numbers under the same names.

Between the two only layouts differ: a `Linear` keeps its matrix as (out, in), and calls it
`weight`; so do a norm its gain and an embedding its table. `arrays` turns all of that back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from autolm.lm import tinylm
from autolm.lm.run_folder import RunFolder
from autolm.lm.trained import trained_model
from autolm.nn.layers import Norm


class Attention(nn.Module):
    """Several causal attentions side by side, then a projection."""

    def __init__(self, d_model: int, num_heads: int, causal: bool) -> None:
        super().__init__()
        self.num_heads, self.causal = num_heads, causal
        self.W_Q = nn.Linear(d_model, d_model, bias=False)
        self.W_K = nn.Linear(d_model, d_model, bias=False)
        self.W_V = nn.Linear(d_model, d_model, bias=False)
        self.W_O = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, time, d_model) -> (…, time, d_model)."""
        q, k, v = (
            projected.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
            for projected in (self.W_Q(x), self.W_K(x), self.W_V(x))
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.W_O(mixed.transpose(-3, -2).flatten(-2))


class FeedForward(nn.Module):
    """ReLU(x W₁) W₂."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.W_1 = nn.Linear(d_model, d_ff, bias=False)
        self.W_2 = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, d_model) -> (…, d_model)."""
        return self.W_2(F.relu(self.W_1(x)))


class Block(nn.Module):
    """One layer: attention and feed-forward, each added to what it was given."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int, norm: Norm, causal: bool) -> None:
        super().__init__()
        self.norm = norm
        self.attention = Attention(d_model, num_heads, causal)
        self.feed_forward = FeedForward(d_model, d_ff)
        if norm is not None:
            self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, time, d_model) -> (…, time, d_model)."""
        if self.norm == "pre":
            x = x + self.attention(self.norm_1(x))
            return x + self.feed_forward(self.norm_2(x))
        if self.norm == "post":
            x = self.norm_1(x + self.attention(x))
            return self.norm_2(x + self.feed_forward(x))
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class TinyLM(nn.Module):
    """The mathematics of `autolm.lm.TinyLM`, which it is made of, with the numbers it has now."""

    def __init__(self, ours: tinylm.TinyLM) -> None:
        super().__init__()
        vocab_size, d_model = ours.embedding.shape
        blocks = [
            Block(
                d_model,
                block.attention.num_heads,
                block.feed_forward.W_1.shape[1],
                block.norm,
                ours.causal,
            )
            for block in ours.blocks
        ]
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Identity() if ours.norm is None else nn.LayerNorm(d_model)
        self.W_out = nn.Linear(d_model, vocab_size, bias=False)
        self.positions: torch.Tensor
        self.register_buffer("positions", torch.tensor(ours.positions), persistent=False)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Integers (…, time) -> logits (…, time, vocab_size)."""
        x = self.embedding(token_ids) + self.positions[: token_ids.shape[-1]]
        for block in self.blocks:
            x = block(x)
        return self.W_out(self.norm(x))


def twin_of(ours: tinylm.TinyLM) -> TinyLM:
    """Make the twin of a model. No random number of PyTorch's is drawn for it."""
    with torch.device("meta"):  # where nothing has numbers, and so none are drawn
        twin = TinyLM(ours)
    twin.positions = torch.tensor(ours.positions)
    state = ours.state()
    weights = {place.name: as_tensor(state[place.path], place) for place in places(twin)}
    twin.load_state_dict(weights, assign=True)
    return twin


def load(run: str | Path) -> nn.Module:
    """Return the model of a run folder as a module of PyTorch, on the processor.

    Parameters
    ----------
    run
        The folder, whichever engine has trained it.

    Returns
    -------
    Token ids (…, time) -> logits (…, time, vocab_size), in the dtype of the run.

    Raises
    ------
    RunError
        When the folder is missing or damaged.
    """
    return twin_of(trained_model(RunFolder.open(run)))


def arrays(module: nn.Module, grad: bool = False) -> dict[str, NDArray[Any]]:
    """Return a twin's parameters as autolm names and lays them out, as copies.

    Parameters
    ----------
    module
        What `load` returned; compiled or distributed, too. If its parameters are sharded, all
        workers must call this.
    grad
        Return their gradients instead; a parameter that has none is left out.

    Returns
    -------
    By path, such as "blocks.0.attention.W_Q": what `model.load_state` takes.
    """
    module = getattr(module, "_orig_mod", module)  # compiled
    if isinstance(module, nn.parallel.DistributedDataParallel):
        module = module.module
    found = ((place, place.parameter.grad if grad else place.parameter) for place in places(module))
    return {place.path: as_array(tensor, place) for place, tensor in found if tensor is not None}


class Place(NamedTuple):
    """A parameter: what PyTorch calls it, what autolm does, and whether one lies turned."""

    name: str
    path: str
    parameter: nn.Parameter
    is_turned: bool


def places(module: nn.Module) -> Iterator[Place]:
    """Yield the parameters in the order of the model, which is the same at every worker."""
    for name, part in module.named_modules():
        for own, parameter in part.named_parameters(recurse=False):
            path = f"{name}.{own}"
            if own == "weight" and isinstance(part, nn.Linear | nn.Embedding):
                path = name
            elif own == "weight" and isinstance(part, nn.LayerNorm):
                path = f"{name}.gain"
            yield Place(f"{name}.{own}", path, parameter, isinstance(part, nn.Linear))


def as_tensor(array: NDArray[Any], place: Place) -> torch.Tensor:
    """Lay an array out as PyTorch does, as a copy."""
    return torch.tensor(np.ascontiguousarray(array.T) if place.is_turned else array)


def as_array(tensor: torch.Tensor, place: Place) -> NDArray[Any]:
    """Lay a tensor, whole or sharded, out as autolm does, as a copy."""
    whole = getattr(tensor, "full_tensor", lambda: tensor)()
    array = whole.detach().cpu().numpy()
    return np.array(array.T if place.is_turned else array, order="C")
