"""The layers of a transformer: linear ones, embeddings, norms, attention, feed-forward, blocks.

Shapes are (batch, time, d_model), or (time, d_model) for one sequence: every layer takes both.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autolm import ops
from autolm.engine.graph import named
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.module import Module
from autolm.ops.arguments import read_bool, read_choice, told
from autolm.tensor.arguments import (
    read_finite,
    read_floating,
    read_integers,
    read_kind,
    read_rng,
    read_size,
)
from autolm.tensor.tensor import Tensor

Norm = Literal["pre", "post"] | None


def matrix(
    rng: np.random.Generator, rows: int, columns: int, dtype: DTypeLike, scale: float = 1.0
) -> Tensor:
    """Draw a matrix that keeps the size of what it is applied to: N(0, scale² / rows).

    Source: LeCun et al., Efficient BackProp (1998), section 4.6.
    """
    return Tensor((rng.normal(size=(rows, columns)) * (scale / math.sqrt(rows))).astype(dtype))


def with_width(name: str, x: Any, size: int, *, ndim: int = 1, width: str = "d_model") -> Tensor:
    """Take what is to go through a layer: a Tensor or an array of at least `ndim` axes."""
    x = x if isinstance(x, Tensor | np.ndarray) else read_kind(name, "x", x, Tensor, "a Tensor")
    shape = x.shape
    if len(shape) < ndim or shape[-1] != size:
        axes = f"time, {width}" if ndim == 2 else width
        raise ValueError(f"{name}: x must be (…, {axes}) with {width} {size}, not {shape}")
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: x must be floating point numbers, not {x.dtype}")
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)


def _given(name: str, argument: str, array: Any, axes: tuple[str, ...]) -> Tensor:
    """Take an array for a parameter, without a copy."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise TypeError(f"{name}: {argument} must be an array of floats, not {told(array)}")
    if array.ndim != len(axes) or not array.size:
        raise ValueError(f"{name}: {argument} must be ({', '.join(axes)}), not {array.shape}")
    return Tensor(array)


class Linear(Module):
    """One matrix at each position, and a bias: x W + b.

    Parameters
    ----------
    d_in, d_out
        Widths of what goes in and comes out. `weight` is (d_in, d_out): PyTorch's, transposed.
    bias
        Whether there is a `bias`, (d_out,), which begins at 0; else it is None.
    rng
        Draws the first weights, N(0, 1 / d_in); None draws others each time.

    Examples
    --------
    >>> layer = Linear(2, 1, rng=np.random.default_rng(0))
    >>> layer.weight.data, layer.bias.data = [[2.0], [-1.0]], [0.5]
    >>> layer(Tensor([[1.0, 1.5]])).data
    array([[1.]])
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = "float64",
    ) -> None:
        d_in, d_out = read_size("Linear", "d_in", d_in), read_size("Linear", "d_out", d_out)
        dtype = read_floating("Linear", "dtype", dtype)
        rng = np.random.default_rng() if rng is None else read_rng("Linear", "rng", rng)
        self.weight = matrix(rng, d_in, d_out, dtype)
        self.bias = Tensor(np.zeros(d_out, dtype)) if read_bool("Linear", "bias", bias) else None

    @classmethod
    def of(cls, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Self:
        """Make a layer of a matrix (d_in, d_out), and a bias (d_out,), that are there already."""
        layer = cls.__new__(cls)
        layer.weight = _given("Linear", "weight", weight, ("d_in", "d_out"))
        layer.bias = None if bias is None else _given("Linear", "bias", bias, ("d_out",))
        if layer.bias is not None and layer.bias.size != layer.weight.shape[1]:
            shapes = f"weight is {layer.weight.shape} and bias is {layer.bias.shape}"
            raise ValueError(f"Linear: {shapes}: d_out differs")
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_in) -> (…, d_out)."""
        y = with_width("Linear", x, self.weight.shape[0], width="d_in") @ self.weight
        return named(y if self.bias is None else named(y, "weighted") + self.bias, "output")


class Embedding(Module):
    """A row of `weight`, (vocab_size, d_model), for each token; or for each position.

    It is drawn from N(0, 1), by `rng`; None draws others each time. Where the same table serves
    for the logits, they are `x @ embedding.weight.T`.
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = "float64",
    ) -> None:
        rows = read_size("Embedding", "vocab_size", vocab_size)
        columns = read_size("Embedding", "d_model", d_model)
        dtype = read_floating("Embedding", "dtype", dtype)
        rng = np.random.default_rng() if rng is None else read_rng("Embedding", "rng", rng)
        self.weight = Tensor(rng.normal(size=(rows, columns)).astype(dtype))

    @classmethod
    def of(cls, weight: NDArray[Any]) -> Self:
        """Make an embedding of a table (vocab_size, d_model) that is there already."""
        layer = cls.__new__(cls)
        layer.weight = _given("Embedding", "weight", weight, ("vocab_size", "d_model"))
        return layer

    def forward(self, token_ids: ArrayLike) -> Tensor:
        """Integers (…) -> (…, d_model)."""
        ids = read_integers("Embedding", "token_ids", token_ids)
        return named(ops.embedding(self.weight, token_ids=ids), "embeddings")


class LayerNorm(Module):
    """Normalize each position to mean 0 and variance 1, then scale by `gain`, shift by `bias`."""

    def __init__(self, d_model: int, *, eps: float = 1e-5, dtype: DTypeLike = "float64") -> None:
        d_model = read_size("LayerNorm", "d_model", d_model)
        dtype = read_floating("LayerNorm", "dtype", dtype)
        self.gain = Tensor(np.ones(d_model, dtype))
        self.bias = Tensor(np.zeros(d_model, dtype))
        self.eps = read_finite("LayerNorm", "eps", eps, low=0)

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        x = with_width("LayerNorm", x, self.gain.size)
        return named(ops.layer_norm(x, self.gain, self.bias, eps=self.eps), "normalized")


class RMSNorm(Module):
    """Divide each position by its root mean square, then scale by `gain`."""

    def __init__(self, d_model: int, *, eps: float = 1e-5, dtype: DTypeLike = "float64") -> None:
        d_model = read_size("RMSNorm", "d_model", d_model)
        self.gain = Tensor(np.ones(d_model, read_floating("RMSNorm", "dtype", dtype)))
        self.eps = read_finite("RMSNorm", "eps", eps, low=0)

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        x = with_width("RMSNorm", x, self.gain.size)
        return named(ops.rms_norm(x, self.gain, eps=self.eps), "normalized")


class MultiHeadAttention(Module):
    """Several attentions side by side: softmax(QKᵀ/√d_k)V in each head, then a projection.

    Parameters
    ----------
    d_model
        Width; `num_heads` divides it, and each head is d_k = d_model / num_heads wide.
    num_heads
        Number of heads.
    causal
        Whether a position sees only itself and those before it.
    output_scale
        Factor on the initial W_O, the matrix whose result is added to the residual stream.

    Notes
    -----
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        causal: bool = True,
        rng: np.random.Generator,
        output_scale: float = 1.0,
        dtype: DTypeLike = "float64",
    ) -> None:
        name = "MultiHeadAttention"
        d_model = read_size(name, "d_model", d_model)
        self.num_heads = read_size(name, "num_heads", num_heads)
        if d_model % self.num_heads:
            raise ValueError(f"{name}: d_model {d_model} is not divisible by num_heads {num_heads}")
        self.causal = read_bool(name, "causal", causal)
        rng, dtype = read_rng(name, "rng", rng), read_floating(name, "dtype", dtype)
        output_scale = read_finite(name, "output_scale", output_scale)
        self.W_Q = matrix(rng, d_model, d_model, dtype)
        self.W_K = matrix(rng, d_model, d_model, dtype)
        self.W_V = matrix(rng, d_model, d_model, dtype)
        self.W_O = matrix(rng, d_model, d_model, dtype, output_scale)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(…, time, d_model) -> (…, time, d_model); with a cache, x are the positions after it."""
        x = with_width("MultiHeadAttention", x, self.W_Q.shape[0], ndim=2)
        q, k, v = named(x @ self.W_Q, "q"), named(x @ self.W_K, "k"), named(x @ self.W_V, "v")
        if cache is not None:
            read_kind("MultiHeadAttention", "cache", cache, KeyValueCache, "a KeyValueCache")
            k, v = cache.extend(k, v)
        mixed = ops.attention(q, k, v, num_heads=self.num_heads, causal=self.causal)
        return named(named(mixed, "attention") @ self.W_O, "output")


class FeedForward(Module):
    """Two matrices at each position, with what is negative between them cut off: ReLU(x W₁) W₂.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.3, without biases.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        rng: np.random.Generator,
        output_scale: float = 1.0,
        dtype: DTypeLike = "float64",
    ) -> None:
        d_model = read_size("FeedForward", "d_model", d_model)
        d_ff = read_size("FeedForward", "d_ff", d_ff)
        rng = read_rng("FeedForward", "rng", rng)
        dtype = read_floating("FeedForward", "dtype", dtype)
        output_scale = read_finite("FeedForward", "output_scale", output_scale)
        self.W_1 = matrix(rng, d_model, d_ff, dtype)
        self.W_2 = matrix(rng, d_ff, d_model, dtype, output_scale)

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        x = with_width("FeedForward", x, self.W_1.shape[0])
        hidden = named(named(x @ self.W_1, "before_relu").relu(), "hidden")
        return named(hidden @ self.W_2, "output")


class Block(Module):
    """One layer of a transformer: attention, then feed-forward, each added to what it was given.

    With `norm="pre"` each part reads a normalized input, x + f(norm(x)); with "post" each sum is
    normalized, norm(x + f(x)); with None there is no norm.

    Source: Xiong et al., On Layer Normalization in the Transformer Architecture (2020), figure 1.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        norm: Norm = "pre",
        causal: bool = True,
        rng: np.random.Generator,
        output_scale: float = 1.0,
        dtype: DTypeLike = "float64",
    ) -> None:
        self.norm = read_choice("Block", "norm", norm, ("pre", "post", None))
        shared: Any = {"rng": rng, "output_scale": output_scale, "dtype": dtype}
        self.attention = MultiHeadAttention(d_model, num_heads, causal=causal, **shared)
        self.feed_forward = FeedForward(d_model, d_ff, **shared)
        if norm is not None:
            self.norm_1 = LayerNorm(d_model, dtype=dtype)
            self.norm_2 = LayerNorm(d_model, dtype=dtype)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(…, time, d_model) -> (…, time, d_model); the cache is for the attention."""
        if self.norm == "pre":
            x = named(x + self.attention(self.norm_1(x), cache), "after_attention")
            x = named(x + self.feed_forward(self.norm_2(x)), "after_feed_forward")
        elif self.norm == "post":
            x = self.norm_1(named(x + self.attention(x, cache), "after_attention"))
            x = self.norm_2(named(x + self.feed_forward(x), "after_feed_forward"))
        else:
            x = named(x + self.attention(x, cache), "after_attention")
            x = named(x + self.feed_forward(x), "after_feed_forward")
        return x


def sinusoidal_positions(max_len: int, d_model: int, dtype: DTypeLike = "float64") -> NDArray[Any]:
    """Tabulate the sinusoidal positional encoding, (max_len, d_model).

    PE(t, 2i) = sin(t / 10000^(2i/d_model)) and PE(t, 2i+1) = cos of the same: each pair of columns
    is a clock hand, and each hand slower than the one before.

    Examples
    --------
    >>> sinusoidal_positions(2, 4).round(4)
    array([[0.    , 1.    , 0.    , 1.    ],
           [0.8415, 0.5403, 0.01  , 1.    ]])

    Notes
    -----
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.5.
    """
    max_len = read_size("sinusoidal_positions", "max_len", max_len)
    d_model = read_size("sinusoidal_positions", "d_model", d_model)
    dtype = read_floating("sinusoidal_positions", "dtype", dtype)
    pair = np.arange(d_model) // 2 * 2
    angle = np.arange(max_len)[:, None] / np.power(10_000.0, pair / d_model)
    return np.where(np.arange(d_model) % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)
