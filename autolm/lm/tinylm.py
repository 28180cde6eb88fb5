"""TinyLM: a transformer language model in forty lines of mathematics, made of autolm's primitives.

x = E[token] + PE(position); then each layer adds attention and feed-forward; logits = x W_out. With
`num_heads=1, norm=None, causal=False` it is the simplified model of the published lesson. Its step
of training is not the lesson's: see `TinyLM.train_step`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autolm import ops
from autolm.engine.graph import named, no_grad
from autolm.lm.language_model import LanguageModel
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.layers import (
    Block,
    LayerNorm,
    Norm,
    matrix,
    sinusoidal_positions,
    with_width,
)
from autolm.nn.optimizers import SGD
from autolm.ops.arguments import read_bool, read_choice, read_int
from autolm.tensor.arguments import read_finite, read_floating, read_size
from autolm.tensor.tensor import Tensor

# Times this, the logits of a new model are nearly equal: its loss is ln(vocab_size).
FIRST_LOGITS = 0.01


def parameter_shapes(
    vocab_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    *,
    norm: Norm = "pre",
    **_: Any,
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield path and shape of each parameter that a `TinyLM` of these sizes has, and make none.

    Examples
    --------
    >>> next(parameter_shapes(5, 8, 2, 16, num_layers=10**12))
    ('embedding', (5, 8))
    """
    yield "embedding", (vocab_size, d_model)
    for layer in range(num_layers):
        block = f"blocks.{layer}"
        for name in ("W_Q", "W_K", "W_V", "W_O"):
            yield f"{block}.attention.{name}", (d_model, d_model)
        yield f"{block}.feed_forward.W_1", (d_model, d_ff)
        yield f"{block}.feed_forward.W_2", (d_ff, d_model)
        for name in ("norm_1", "norm_2") if norm is not None else ():
            yield from _norm_shapes(f"{block}.{name}", d_model)
    if norm == "pre":
        yield from _norm_shapes("norm", d_model)
    yield "W_out", (d_model, vocab_size)


def _norm_shapes(name: str, d_model: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.gain", (d_model,)
    yield f"{name}.bias", (d_model,)


class TinyLM(LanguageModel):
    """A small transformer that predicts the next token.

    Parameters
    ----------
    vocab_size
        Number of different tokens.
    d_model
        Width of the residual stream.
    num_heads
        Attention heads in each layer; they divide `d_model`.
    d_ff
        Width inside the feed-forward part.
    num_layers
        Number of blocks.
    max_len
        Longest sequence, in tokens.
    norm
        Layer norm before each part ("pre", with one more before the logits), after each ("post"),
        or none at all.
    causal
        Whether a position sees only itself and those before it; a model that is to generate must.
    dtype
        Of the parameters, and so of everything.
    seed
        Of the initial parameters; None draws others each time.

    Raises
    ------
    TypeError, ValueError
        For an argument that has no meaning; so do the methods. Nothing is changed then.

    Examples
    --------
    >>> model = TinyLM(vocab_size=5, d_model=8, num_heads=2, d_ff=16, num_layers=1, seed=0)
    >>> logits, activations = model.forward([0, 1, 2], store_activations=True)
    >>> logits.shape, sorted(activations)
    ((3, 5), ['input', 'layer_0'])
    >>> before, after = model.train_step([0, 1, 2], [1, 2, 3], learning_rate=0.1)
    >>> after < before
    True

    Notes
    -----
    Source: Vaswani et al., Attention Is All You Need (2017), section 3; decoder only, as in Radford
    et al., Improving Language Understanding by Generative Pre-Training (2018). W_out begins near 0,
    so a new model thinks all tokens equally likely, and its loss is ln(vocab_size). Yang et al.,
    Tensor Programs V (2022), advise 0 itself, from which no gradient would reach the
    layers in the first step.
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        *,
        max_len: int = 1000,
        norm: Norm = "pre",
        causal: bool = True,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        vocab_size = read_size("TinyLM", "vocab_size", vocab_size)
        d_model = read_size("TinyLM", "d_model", d_model)
        num_heads = read_size("TinyLM", "num_heads", num_heads)
        d_ff = read_size("TinyLM", "d_ff", d_ff)
        num_layers = read_size("TinyLM", "num_layers", num_layers, low=0)
        max_len = read_size("TinyLM", "max_len", max_len)
        if d_model % num_heads:
            raise ValueError(f"TinyLM: d_model {d_model} is not divisible by num_heads {num_heads}")
        norm = read_choice("TinyLM", "norm", norm, ("pre", "post", None))
        causal = read_bool("TinyLM", "causal", causal)
        dtype = read_floating("TinyLM", "dtype", dtype)
        seed = None if seed is None else read_int("TinyLM", "seed", seed, low=0)
        rng = np.random.default_rng(seed)
        self.vocab_size, self.max_len, self.causal = vocab_size, max_len, causal
        self.embedding = Tensor(rng.normal(size=(vocab_size, d_model)).astype(dtype))
        self.positions = sinusoidal_positions(max_len, d_model, dtype)
        # Every layer adds twice to the residual stream; scaled so, the sum keeps its size.
        output_scale = 1 / math.sqrt(2 * max(1, num_layers))
        self.blocks = [
            Block(
                d_model,
                num_heads,
                d_ff,
                norm=norm,
                causal=causal,
                rng=rng,
                output_scale=output_scale,
                dtype=dtype,
            )
            for _ in range(num_layers)
        ]
        self.norm = LayerNorm(d_model, dtype=dtype) if norm == "pre" else None
        self.W_out = matrix(rng, d_model, vocab_size, dtype, FIRST_LOGITS)

    def __repr__(self) -> str:
        words = [f"{self.vocab_size} tokens", f"{len(self.blocks)} layers"]
        for block in self.blocks[:1]:  # all are alike
            words += [f"{block.attention.num_heads} heads", f"norm {block.norm}"]
            words += [f"d_ff {block.feed_forward.W_1.shape[1]}"]
        words += [f"d_model {self.embedding.shape[1]}", f"{self.num_parameters()} parameters"]
        return f"TinyLM({', '.join(words)}, {self.embedding.dtype})"

    def begin(self, token_ids: NDArray[np.integer[Any]], first: int) -> Tensor:
        """Begin the residual stream, (…, time, d_model), at position `first`: E[token] + PE."""
        rows = named(ops.embedding(self.embedding, token_ids=token_ids), "embeddings")
        positions = Tensor(self.positions[first : first + token_ids.shape[-1]], False)
        return rows + named(positions, "positions")

    def unembed(self, x: Tensor) -> Tensor:
        """End it: (…, d_model) -> logits (…, vocab_size)."""
        x = with_width("TinyLM", x, self.W_out.shape[0])
        return named((x if self.norm is None else self.norm(x)) @ self.W_out, "logits")

    def train_step(
        self, token_ids: ArrayLike, target_ids: ArrayLike, learning_rate: float
    ) -> tuple[float, float]:
        """Do one step of plain gradient descent; return the loss before and after it.

        The gradient is exact. That of the published lesson's `train_step` is not: it goes through
        the tokens, takes forward differences (step ε) of the embedding of each, and moves it before
        it comes to the next, but measures them all against the one loss from before any moved. The
        first token's gradient g is right. What the first gained, about α‖g‖², is then taken for the
        second's doing, in each of its numbers: −α‖g‖²/ε is added to all of them (α = 0.001 and
        ε = 1e-5: −100‖g‖²), and so on; a cosine with the exact gradient of 1.000 for the first
        token was −0.003 for the second. The loss falls all the same.
        """
        learning_rate = read_finite("TinyLM", "learning_rate", learning_rate, low=0)
        loss = self.compute_loss(token_ids, target_ids)
        self.zero_grad()
        loss.backward()
        SGD(self.named_parameters(), learning_rate).step()
        with no_grad():
            return float(loss), float(self.compute_loss(token_ids, target_ids))

    def caches(self) -> list[KeyValueCache]:
        """Make an empty cache for each layer."""
        width, dtype = self.embedding.shape[1], self.embedding.dtype
        return [KeyValueCache(self.max_len, width, dtype) for _ in self.blocks]
