"""GPT-2, GPT-Neo and Llama, written from autolm's parts as a user would: PyTorch's to 1e-12.

Each model stands here twice: of autolm's parts, and of PyTorch's own modules, with the same weights
in float64. Logits, loss and the gradient of every parameter must agree.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autolm import Module, Tensor, attention, cross_entropy, native, no_grad, rope, swiglu
from autolm.nn import Embedding, KeyValueCache, LayerNorm, Linear, RMSNorm
from tests.compiled.tapes import needs_numba

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch
from torch.nn import functional as F

VOCABULARY, WIDTH, HEADS, TIME, LAYERS = 11, 8, 4, 7, 2
TOKENS = np.random.default_rng(0).integers(VOCABULARY, size=(2, TIME))
TARGETS = np.roll(TOKENS, -1, axis=-1)
TARGETS[1, -2:] = -100  # padding
REAL = np.ones((2, TIME), bool)
REAL[1, -2:] = False


# autolm's


class MLP(Module):
    def __init__(self, d_model: int) -> None:
        self.up = Linear(d_model, 4 * d_model)
        self.down = Linear(4 * d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x).gelu(approximate="tanh"))


class GPT2Attention(Module):
    def __init__(self, d_model: int) -> None:
        self.qkv = Linear(d_model, 3 * d_model)
        self.output = Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Any) -> Tensor:
        d = x.shape[-1]
        qkv = self.qkv(x)
        q, k, v = qkv[..., :d], qkv[..., d : 2 * d], qkv[..., 2 * d :]
        return self.output(attention(q, k, v, num_heads=HEADS, causal=True, mask=mask))


class GPTNeoAttention(Module):
    def __init__(self, d_model: int, window: int | None) -> None:
        self.q, self.k, self.v = (Linear(d_model, d_model, bias=False) for _ in range(3))
        self.output = Linear(d_model, d_model)
        self.window = window

    def forward(self, x: Tensor, mask: Any) -> Tensor:
        how: dict[str, Any] = {"causal": True, "window": self.window, "mask": mask, "scale": 1.0}
        return self.output(attention(self.q(x), self.k(x), self.v(x), num_heads=HEADS, **how))


class GPTBlock(Module):
    def __init__(self, d_model: int, attend: Module) -> None:
        self.norm_1, self.norm_2 = LayerNorm(d_model), LayerNorm(d_model)
        self.attention, self.mlp = attend, MLP(d_model)

    def forward(self, x: Tensor, mask: Any) -> Tensor:
        x = x + self.attention(self.norm_1(x), mask)
        return x + self.mlp(self.norm_2(x))


class GPT(Module):
    """GPT-2; with windows, GPT-Neo, whose layers attend to all and to neighbours in turn."""

    def __init__(self, windows: list[int | None] | None = None) -> None:
        self.tokens, self.positions = Embedding(VOCABULARY, WIDTH), Embedding(TIME, WIDTH)
        attends: list[Module] = (
            [GPT2Attention(WIDTH) for _ in range(LAYERS)]
            if windows is None
            else [GPTNeoAttention(WIDTH, window) for window in windows]
        )
        self.blocks = [GPTBlock(WIDTH, attend) for attend in attends]
        self.norm = LayerNorm(WIDTH)

    def forward(self, token_ids: Any, mask: Any = None) -> Tensor:
        x = self.tokens(token_ids) + self.positions(np.arange(token_ids.shape[-1]))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.tokens.weight.T


class LlamaBlock(Module):
    def __init__(self, d_model: int, kv_heads: int, interleaved: bool) -> None:
        of_kv = d_model * kv_heads // HEADS
        self.norm_1, self.norm_2 = RMSNorm(d_model), RMSNorm(d_model)
        self.q, self.output = (Linear(d_model, d_model, bias=False) for _ in range(2))
        self.k, self.v = (Linear(d_model, of_kv, bias=False) for _ in range(2))
        self.gate, self.up = (Linear(d_model, 3 * d_model, bias=False) for _ in range(2))
        self.down = Linear(3 * d_model, d_model, bias=False)
        self.kv_heads, self.interleaved = kv_heads, interleaved

    def forward(self, x: Tensor, cache: KeyValueCache | None) -> Tensor:
        first = 0 if cache is None else cache.length
        how: dict[str, Any] = {
            "positions": np.arange(first, first + x.shape[-2]),
            "interleaved": self.interleaved,
        }
        h = self.norm_1(x)
        q = rope(self.q(h), num_heads=HEADS, **how)
        k = rope(self.k(h), num_heads=self.kv_heads, **how)
        v = self.v(h)
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = attention(q, k, v, num_heads=HEADS, num_kv_heads=self.kv_heads, causal=True)
        x = x + self.output(mixed)
        h = self.norm_2(x)
        return x + self.down(swiglu(self.gate(h), self.up(h)))


class Llama(Module):
    def __init__(self, kv_heads: int, interleaved: bool) -> None:
        self.tokens = Embedding(VOCABULARY, WIDTH)
        self.blocks = [LlamaBlock(WIDTH, kv_heads, interleaved) for _ in range(LAYERS)]
        self.norm = RMSNorm(WIDTH)
        self.head = Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, token_ids: Any, caches: list[KeyValueCache] | None = None) -> Tensor:
        x = self.tokens(token_ids)
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i])
        return self.head(self.norm(x))


# PyTorch's


def gelu(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


def torch_heads(x: torch.Tensor) -> torch.Tensor:
    """(batch, time, heads · d) -> (batch, heads, time, d)."""
    return x.unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2)


class TorchMLP(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(WIDTH, 4 * WIDTH)
        self.down = torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(gelu(self.up(x)))


class TorchGPTNeoBlock(torch.nn.Module):
    def __init__(self, window: int | None) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.q, self.k, self.v = (torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.output, self.mlp, self.window = torch.nn.Linear(WIDTH, WIDTH), TorchMLP(), window

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen = torch.ones(TIME, TIME, dtype=torch.bool).tril()
        if self.window is not None:
            seen = seen ^ seen.tril(-self.window)
        h = self.norm_1(x)
        q, k, v = (torch_heads(part(h)) for part in (self.q, self.k, self.v))
        scores = q @ k.mT
        scores = scores.masked_fill(~(seen & mask[:, None, None, :]), -torch.inf)
        x = x + self.output((scores.softmax(-1) @ v).movedim(1, 2).flatten(-2))
        return x + self.mlp(self.norm_2(x))


class TorchGPT(torch.nn.Module):
    def __init__(self, windows: list[int | None] | None = None) -> None:
        super().__init__()
        self.tokens = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.positions = torch.nn.Embedding(TIME, WIDTH)
        self.windows = windows
        self.blocks = torch.nn.ModuleList(
            [TorchGPTNeoBlock(window) for window in windows]
            if windows is not None
            else [
                torch.nn.TransformerEncoderLayer(
                    WIDTH, HEADS, 4 * WIDTH, 0.0, gelu, batch_first=True, norm_first=True
                )
                for _ in range(LAYERS)
            ]
        )
        self.norm = torch.nn.LayerNorm(WIDTH)

    def forward(self, token_ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x = self.tokens(token_ids) + self.positions(torch.arange(TIME))
        for block in self.blocks:
            if self.windows is not None:
                x = block(x, real)
            else:
                ahead = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
                x = block(x, src_mask=ahead, src_key_padding_mask=~real)
        return self.norm(x) @ self.tokens.weight.T


def turned(x: torch.Tensor, interleaved: bool) -> torch.Tensor:
    """Turn (batch, heads, time, d), as Llama's first code does, or as HF's."""
    d = x.shape[-1]
    angles = torch.arange(TIME)[:, None] / 10_000 ** (torch.arange(0, d, 2).double() / d)
    if interleaved:
        pairs = torch.view_as_complex(x.contiguous().unflatten(-1, (d // 2, 2)))
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)
    angles = torch.cat((angles, angles), dim=-1)
    half = torch.cat((-x[..., d // 2 :], x[..., : d // 2]), dim=-1)
    return x * angles.cos() + half * angles.sin()


class TorchLlamaBlock(torch.nn.Module):
    def __init__(self, kv_heads: int, interleaved: bool) -> None:
        super().__init__()

        def linear(d_in: int, d_out: int) -> torch.nn.Linear:
            return torch.nn.Linear(d_in, d_out, bias=False)

        self.norm_1, self.norm_2 = (torch.nn.RMSNorm(WIDTH, eps=1e-5) for _ in range(2))
        self.q, self.output = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.k, self.v = (linear(WIDTH, WIDTH * kv_heads // HEADS) for _ in range(2))
        self.gate, self.up = linear(WIDTH, 3 * WIDTH), linear(WIDTH, 3 * WIDTH)
        self.down, self.interleaved = linear(3 * WIDTH, WIDTH), interleaved

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm_1(x)
        q, k, v = (torch_heads(part(h)) for part in (self.q, self.k, self.v))
        q, k = turned(q, self.interleaved), turned(k, self.interleaved)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.output(mixed.transpose(1, 2).flatten(-2))
        h = self.norm_2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class TorchLlama(torch.nn.Module):
    def __init__(self, kv_heads: int, interleaved: bool) -> None:
        super().__init__()
        self.tokens = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = torch.nn.ModuleList(
            [TorchLlamaBlock(kv_heads, interleaved) for _ in range(LAYERS)]
        )
        self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-5)
        self.head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, token_ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x = self.tokens(token_ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


# Side by side


RENAMED = {  # what TransformerEncoderLayer and the norms call their parameters
    "self_attn.in_proj_": "attention.qkv.",
    "self_attn.out_proj": "attention.output",
    "linear1": "mlp.up",
    "linear2": "mlp.down",
    "norm1": "norm_1",
    "norm2": "norm_2",
}


def as_ours(model: torch.nn.Module, ours: Module) -> dict[str, NDArray[Any]]:
    """Return the arrays of PyTorch's parameters, or gradients, by our paths and in our layout."""
    paths = dict(ours.named_parameters())
    found = {}
    for name, parameter in model.named_parameters():
        for theirs, own in RENAMED.items():
            name = name.replace(theirs, own)
        array = (parameter if parameter.grad is None else parameter.grad).detach().numpy()
        if "norm" in name:
            name = name.replace("weight", "gain")
        elif name not in paths:
            head, _, rest = name.partition("blocks.")
            number, _, part = rest.partition(".")
            name = f"{head}blocks.{number}.attention.{part}"
        is_linear = array.ndim == 2 and not name.startswith(("tokens", "positions"))
        found[name] = array.T.copy() if is_linear else array.copy()
    return found


MODELS: dict[str, tuple[Any, Any, bool]] = {
    "GPT-2": (GPT, TorchGPT, True),
    "GPT-Neo": (lambda: GPT([None, 3]), lambda: TorchGPT([None, 3]), True),
    "GPT-Neo without padding": (lambda: GPT([2, 3]), lambda: TorchGPT([2, 3]), False),
    **{
        f"Llama, {kv} heads of keys, {'neighbours' if near else 'halves'} turned": (
            lambda kv=kv, near=near: Llama(kv, near),
            lambda kv=kv, near=near: TorchLlama(kv, near),
            False,
        )
        for kv in (4, 2, 1)
        for near in (False, True)
    },
}


def pair(name: str) -> tuple[Any, Any, bool]:
    make_ours, make_theirs, padded = MODELS[name]
    torch.manual_seed(0)
    ours, theirs = make_ours(), make_theirs().double()
    with torch.no_grad():
        for parameter in theirs.parameters():  # norms and biases too are to be told apart
            parameter += torch.randn_like(parameter) * 0.3
    ours.load_state(as_ours(theirs, ours))
    return ours, theirs, padded


@needs_numba
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("name", MODELS)
def test_logits_loss_and_all_gradients_are_pytorchs(name: str, compiled: bool) -> None:
    ours, theirs, padded = pair(name)
    real = REAL if padded else np.ones_like(REAL)
    how = {"ignore_index": -100, "label_smoothing": 0.1}
    with native(compiled):
        logits = ours(TOKENS, real[:, None, None, :]) if padded else ours(TOKENS)
        loss = cross_entropy(logits, TARGETS, **how)
        loss.backward()
    expected = theirs(torch.tensor(TOKENS), torch.tensor(real))
    their_loss = F.cross_entropy(expected.mT, torch.tensor(TARGETS), **how)
    their_loss.backward()
    np.testing.assert_allclose(logits.data, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    assert math.isclose(loss.item(), their_loss.item(), rel_tol=1e-12)
    gradients = as_ours(theirs, ours)
    assert gradients.keys() == dict(ours.named_parameters()).keys()
    for path, parameter in ours.named_parameters():
        assert abs(gradients[path]).max() > 1e-4, path
        np.testing.assert_allclose(
            parameter.grad, gradients[path], rtol=1e-12, atol=1e-13, err_msg=path
        )


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("Llama")])
def test_llama_goes_on_from_a_cache_of_turned_keys(name: str) -> None:
    ours, *_ = pair(name)
    width = ours.blocks[0].k.weight.shape[1]
    caches = [KeyValueCache(TIME, width) for _ in range(LAYERS)]
    with no_grad():
        whole = ours(TOKENS[0]).data
        parts = [
            ours(TOKENS[0][some], caches).data for some in (slice(3), slice(3, 4), slice(4, 7))
        ]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12, atol=1e-12)
