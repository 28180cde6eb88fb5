"""The transformer that a `Design` describes: TinyLM, GPT-2, GPT-Neo or Llama."""

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
from autolm.nn.layers import (
    Block,
    LayerNorm,
    RMSNorm,
    attention_from,
    block_from,
    feed_forward_from,
    sinusoidal_positions,
    with_width,
)
from autolm.tensor.tensor import Tensor

Arrays = Mapping[str, NDArray[Any]]


class Transformer(LanguageModel):
    """A decoder with the given design and parameters.

    Parameters
    ----------
    design
        Its structure.
    arrays
        Its parameters, by the paths of `design.parameter_shapes()`, in one dtype. They are not
        copied, except those of the norms.

    Notes
    -----
    Sources: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section
    2.3; Black et al., GPT-Neo (2021); Touvron et al., LLaMA (2023), section 2.2.
    """

    def __init__(self, design: Design, arrays: Arrays) -> None:
        self.design = design
        self.vocab_size, self.max_len, self.causal = (
            design.vocab_size,
            design.max_len,
            design.causal,
        )
        self.embedding = Tensor(arrays["embedding"])
        self.position_embedding = (
            Tensor(arrays["position_embedding"]) if design.positions == "learned" else None
        )
        if design.positions == "sinusoidal":
            dtype = self.embedding.dtype
            self.positions = sinusoidal_positions(design.max_len, design.d_model, dtype)
        self.blocks = [_block(design, layer, arrays) for layer in range(design.num_layers)]
        self.norm = _norm(design, arrays, "norm") if design.norm == "pre" else None
        self.W_out = None if design.is_tied else Tensor(arrays["W_out"])

    def __repr__(self) -> str:
        design = self.design
        return (
            f"Transformer({design.name}, {design.vocab_size} tokens, {design.num_layers} layers, "
            f"{design.num_heads} heads, d_model {design.d_model}, {self.num_parameters()} "
            f"parameters, {self.embedding.dtype})"
        )

    def begin(self, token_ids: NDArray[np.integer[Any]], first: int) -> Tensor:
        """Return the start of the residual stream at position `first`: E[token] + PE(position)."""
        rows = named(ops.embedding(self.embedding, token_ids=token_ids), "embeddings")
        if self.design.positions == "rotary":
            return rows
        part = slice(first, first + token_ids.shape[-1])
        if self.position_embedding is not None:
            return rows + named(self.position_embedding[part], "positions")
        return rows + named(Tensor(self.positions[part], False), "positions")

    def unembed(self, x: Tensor) -> Tensor:
        """(…, d_model) -> logits (…, vocab_size)."""
        x = with_width(self._kind, x, self.design.d_model)
        x = x if self.norm is None else self.norm(x)
        return named(x @ (self.embedding.T if self.W_out is None else self.W_out), "logits")

    def caches(self) -> list[KeyValueCache]:
        """Make an empty cache for each layer."""
        width = self.design.num_kv_heads * self.design.head_size
        return [KeyValueCache(self.max_len, width, self.embedding.dtype) for _ in self.blocks]


def _block(design: Design, layer: int, arrays: Arrays) -> Block:
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for path in design.block_shapes():
        part, name = path.split(".")
        parts.setdefault(part, {})[name] = arrays[f"blocks.{layer}.{path}"]
    attention = attention_from(
        parts["attention"],
        design.num_heads,
        causal=design.causal,
        window=design.windows[layer] if design.windows else None,
        scale=design.scale,
        rope_base=design.rope_base,
    )
    feed_forward = feed_forward_from(parts["feed_forward"], design.activation)
    names = () if design.norm is None else ("norm_1", "norm_2")
    norms = [_norm(design, arrays, f"blocks.{layer}.{name}") for name in names]
    return block_from(attention, feed_forward, design.norm, norms)


def _norm(design: Design, arrays: Arrays, path: str) -> LayerNorm | RMSNorm:
    dtype = arrays[f"{path}.gain"].dtype
    norm = (RMSNorm if design.is_gated else LayerNorm)(design.d_model, eps=design.eps, dtype=dtype)
    norm.load_state({name: arrays[f"{path}.{name}"] for name in norm.state()})
    return norm
