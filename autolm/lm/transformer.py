"""The model that a `Design` describes, of autolm's own parts: GPT-2, GPT-Neo or Llama.

It is made of arrays that are there already, as they come from a file: none is drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.graph import named
from autolm.lm.design import Design
from autolm.lm.language_model import LanguageModel
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.layers import Embedding, LayerNorm, Linear, RMSNorm
from autolm.nn.module import Module
from autolm.tensor.tensor import Tensor

Arrays = Mapping[str, NDArray[Any]]


class Attention(Module):
    """Causal attention, with a window, shared keys, turned positions or biases as designed."""

    def __init__(self, design: Design, arrays: Arrays, layer: int) -> None:
        at = f"blocks.{layer}.attention"
        self.q, self.k, self.v = (_linear(arrays, f"{at}.{name}") for name in "qkv")
        self.output = _linear(arrays, f"{at}.output")
        self.num_heads, self.num_kv_heads = design.num_heads, design.num_kv_heads
        self.rope_base = design.rope_base
        shared = {} if self.num_kv_heads == self.num_heads else {"num_kv_heads": self.num_kv_heads}
        self.how: dict[str, Any] = {
            "num_heads": design.num_heads,
            "causal": True,
            "window": design.windows[layer],
            "scale": design.scale,
            **shared,
        }

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(…, time, d_model) -> (…, time, d_model); with a cache, x are the positions after it."""
        q, k, v = self.q(x), self.k(x), self.v(x)
        if self.rope_base is not None:
            first = 0 if cache is None else cache.length
            how: dict[str, Any] = {
                "positions": np.arange(first, first + x.shape[-2]),
                "base": self.rope_base,
            }
            q = ops.rope(q, num_heads=self.num_heads, **how)
            k = ops.rope(k, num_heads=self.num_kv_heads, **how)
        q, k, v = named(q, "q"), named(k, "k"), named(v, "v")
        if cache is not None:
            k, v = cache.extend(k, v)
        return self.output(named(ops.attention(q, k, v, **self.how), "attention"))


class FeedForward(Module):
    """Two matrices with an activation between them; or three, of which one is a gate."""

    def __init__(self, design: Design, arrays: Arrays, layer: int) -> None:
        at = f"blocks.{layer}.feed_forward"
        self.gate = _linear(arrays, f"{at}.gate") if design.is_gated else None
        self.up, self.down = _linear(arrays, f"{at}.up"), _linear(arrays, f"{at}.down")
        self.activation = design.activation

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        up = self.up(x)
        if self.gate is None:
            hidden = self._activated(up)
        elif self.activation == "silu":
            hidden = ops.swiglu(self.gate(x), up)
        else:
            hidden = self._activated(self.gate(x)) * up
        return self.down(named(hidden, "hidden"))

    def _activated(self, x: Tensor) -> Tensor:
        if self.activation == "gelu_tanh":
            return ops.gelu(x, approximate="tanh")
        return {"gelu": ops.gelu, "relu": ops.relu, "silu": ops.silu}[self.activation](x)


class Block(Module):
    """One layer: attention, then feed-forward, each reading a normalized input."""

    def __init__(self, design: Design, arrays: Arrays, layer: int) -> None:
        self.norm_1 = _norm(design, arrays, f"blocks.{layer}.norm_1")
        self.attention = Attention(design, arrays, layer)
        self.norm_2 = _norm(design, arrays, f"blocks.{layer}.norm_2")
        self.feed_forward = FeedForward(design, arrays, layer)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(…, time, d_model) -> (…, time, d_model); the cache is for the attention."""
        x = named(x + self.attention(self.norm_1(x), cache), "after_attention")
        return named(x + self.feed_forward(self.norm_2(x)), "after_feed_forward")


class Transformer(LanguageModel):
    """A decoder of one of the known families.

    Parameters
    ----------
    design
        What it is.
    arrays
        Its numbers, by the paths of `design.parameter_shapes()`, in one dtype; they are not copied.

    Notes
    -----
    Sources: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section
    2.3; Black et al., GPT-Neo (2021); Touvron et al., LLaMA (2023), section 2.2.
    """

    def __init__(self, design: Design, arrays: Arrays) -> None:
        self.design = design
        self.vocab_size, self.max_len = design.vocab_size, design.max_len
        self.embedding = Embedding.of(arrays["embedding.weight"])
        self.position_embedding = (
            Embedding.of(arrays["position_embedding.weight"]) if design.rope_base is None else None
        )
        self.blocks = [Block(design, arrays, layer) for layer in range(design.num_layers)]
        self.norm = _norm(design, arrays, "norm")
        self.head = None if design.is_tied else _linear(arrays, "head")

    def __repr__(self) -> str:
        design = self.design
        return (
            f"Transformer({design.name}, {design.vocab_size} tokens, {design.num_layers} layers, "
            f"{design.num_heads} heads, d_model {design.d_model}, {self.num_parameters()} "
            f"parameters, {self.embedding.weight.dtype})"
        )

    def begin(self, token_ids: NDArray[np.integer[Any]], first: int) -> Tensor:
        """Begin the residual stream, (…, time, d_model), at position `first`."""
        rows = self.embedding(token_ids)
        if self.position_embedding is None:
            return rows
        positions = self.position_embedding.weight[first : first + token_ids.shape[-1]]
        return rows + named(positions, "positions")

    def unembed(self, x: Tensor) -> Tensor:
        """End it: (…, d_model) -> logits (…, vocab_size)."""
        x = self.norm(x)
        return named(x @ self.embedding.weight.T if self.head is None else self.head(x), "logits")

    def caches(self) -> list[KeyValueCache]:
        """Make an empty cache for each layer."""
        width = self.design.num_kv_heads * self.design.head_size
        dtype = self.embedding.weight.dtype
        return [KeyValueCache(self.max_len, width, dtype) for _ in self.blocks]


def _linear(arrays: Arrays, path: str) -> Linear:
    return Linear.of(arrays[f"{path}.weight"], arrays.get(f"{path}.bias"))


def _norm(design: Design, arrays: Arrays, path: str) -> LayerNorm | RMSNorm:
    dtype = arrays[f"{path}.gain"].dtype
    norm = (RMSNorm if design.is_gated else LayerNorm)(design.d_model, eps=design.eps, dtype=dtype)
    norm.load_state({own: arrays[f"{path}.{own}"] for own in norm.state()})
    return norm
