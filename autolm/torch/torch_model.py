"""TinyLM as a PyTorch module: the same parameters under the same names, in PyTorch's layout.

The layouts differ in two ways: `nn.Linear` stores its matrix as (out, in), and PyTorch names the
matrix of a linear layer, the table of an embedding and the gain of a norm `weight`. `arrays`
converts back to autolm's layout.
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
from autolm.lm.design import Design
from autolm.lm.run_folder import RunFolder
from autolm.lm.trained import trained_model


class TorchAttention(nn.Module):
    """Multi-head attention, followed by a projection."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.num_heads, self.causal = design.num_heads, design.causal
        self.W_Q = nn.Linear(design.d_model, design.d_model, bias=False)
        self.W_K = nn.Linear(design.d_model, design.d_model, bias=False)
        self.W_V = nn.Linear(design.d_model, design.d_model, bias=False)
        self.W_O = nn.Linear(design.d_model, design.d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, time, d_model) -> (…, time, d_model)."""
        q, k, v = (
            projected.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
            for projected in (self.W_Q(x), self.W_K(x), self.W_V(x))
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.W_O(mixed.transpose(-3, -2).flatten(-2))


class TorchFeedForward(nn.Module):
    """ReLU(x W₁) W₂."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.W_1 = nn.Linear(design.d_model, design.d_ff, bias=False)
        self.W_2 = nn.Linear(design.d_ff, design.d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, d_model) -> (…, d_model)."""
        return self.W_2(F.relu(self.W_1(x)))


class TorchBlock(nn.Module):
    """One layer: attention, then feed-forward, each added to its input."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.norm = design.norm
        self.attention, self.feed_forward = TorchAttention(design), TorchFeedForward(design)
        if design.norm is not None:
            self.norm_1 = nn.LayerNorm(design.d_model, design.eps)
            self.norm_2 = nn.LayerNorm(design.d_model, design.eps)

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


class TorchTinyLM(nn.Module):
    """The model that a `Design` of `autolm.lm.TinyLM` describes."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.embedding = nn.Embedding(design.vocab_size, design.d_model)
        self.blocks = nn.ModuleList([TorchBlock(design) for _ in range(design.num_layers)])
        is_pre = design.norm == "pre"
        self.norm = nn.LayerNorm(design.d_model, design.eps) if is_pre else nn.Identity()
        self.W_out = nn.Linear(design.d_model, design.vocab_size, bias=False)
        self.positions: torch.Tensor
        self.register_buffer("positions", None, persistent=False)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Integers (…, time) -> logits (…, time, vocab_size)."""
        x = self.embedding(token_ids) + self.positions[: token_ids.shape[-1]]
        for block in self.blocks:
            x = block(x)
        return self.W_out(self.norm(x))


def torch_model(model: tinylm.TinyLM) -> TorchTinyLM:
    """Create a PyTorch module with the parameters of a model, without drawing random numbers."""
    with torch.device("meta"):  # parameters without memory, which nothing initializes
        module = TorchTinyLM(model.design)
    module.positions = torch.tensor(model.positions)
    state = model.state()
    module.load_state_dict(
        {
            parameter.name: as_tensor(state[parameter.path], parameter)
            for parameter in named_parameters(module)
        },
        assign=True,
    )
    return module


def load(run: str | Path) -> nn.Module:
    """Load the model of a run folder as a PyTorch module on the CPU.

    Parameters
    ----------
    run : str or Path
        A run folder of `autolm train`, trained with any engine.

    Returns
    -------
    torch.nn.Module
        Maps token ids (…, time) to logits (…, time, vocab_size), in the dtype of the run.

    Raises
    ------
    RunError
        If the folder is missing or damaged.

    Examples
    --------
    >>> model = autolm.torch.load("runs/shakespeare")  # doctest: +SKIP
    >>> model(torch.tensor([[1, 2, 3]])).shape  # doctest: +SKIP
    torch.Size([1, 3, 65])
    """
    return torch_model(trained_model(RunFolder.open(run)))


def arrays(module: nn.Module, grad: bool = False) -> dict[str, NDArray[Any]]:
    """Copy the parameters of a module to NumPy, with autolm's names and layout.

    Parameters
    ----------
    module : torch.nn.Module
        A module from `load`, which may be compiled or distributed. If its parameters are sharded,
        every worker must call this function.
    grad : bool
        Return gradients instead of parameters; a parameter without a gradient is omitted.

    Returns
    -------
    dict of str to ndarray
        Arrays by path, such as "blocks.0.attention.W_Q", as `TinyLM.load_state` takes them.

    Examples
    --------
    >>> model.load_state(autolm.torch.arrays(module))  # doctest: +SKIP
    """
    module = getattr(module, "_orig_mod", module)  # compiled
    if isinstance(module, nn.parallel.DistributedDataParallel):
        module = module.module
    return {
        parameter.path: as_array(tensor, parameter)
        for parameter in named_parameters(module)
        if (tensor := parameter.tensor.grad if grad else parameter.tensor) is not None
    }


class NamedParameter(NamedTuple):
    """A parameter of the module.

    Attributes
    ----------
    name, path
        Its names in PyTorch and in autolm.
    tensor
        The parameter of the PyTorch module.
    is_transposed
        Whether autolm stores the transpose.
    """

    name: str
    path: str
    tensor: nn.Parameter
    is_transposed: bool


def named_parameters(module: nn.Module) -> Iterator[NamedParameter]:
    """Yield the parameters in model order, which is the same on every worker."""
    for name, part in module.named_modules():
        for short_name, tensor in part.named_parameters(recurse=False):
            path = f"{name}.{short_name}"
            if short_name == "weight" and isinstance(part, nn.Linear | nn.Embedding):
                path = name
            elif short_name == "weight" and isinstance(part, nn.LayerNorm):
                path = f"{name}.gain"
            yield NamedParameter(f"{name}.{short_name}", path, tensor, isinstance(part, nn.Linear))


def as_tensor(array: NDArray[Any], parameter: NamedParameter) -> torch.Tensor:
    """Copy an array to PyTorch's layout."""
    return torch.tensor(np.ascontiguousarray(array.T) if parameter.is_transposed else array)


def as_array(tensor: torch.Tensor, parameter: NamedParameter) -> NDArray[Any]:
    """Copy a tensor, which may be sharded, to autolm's layout."""
    full = getattr(tensor, "full_tensor", lambda: tensor)()
    array = full.detach().cpu().numpy()
    return np.array(array.T if parameter.is_transposed else array, order="C")
