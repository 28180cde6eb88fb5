"""The layers of transformers: linear, embedding, norms, attention, feed-forward, block.

Shapes are (batch, time, d_model), or (time, d_model) for one sequence: every layer takes both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autolm import ops
from autolm.engine.graph import named
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.module import Module
from autolm.ops.array_arguments import read_floating, read_integers, read_rng
from autolm.outside.arguments import read_bool, read_choice, read_finite, read_kind, read_size
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor

Norm = Literal["pre", "post"] | None
Arrays = Mapping[str, NDArray[Any]]


def draw_matrix(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike, scale: float = 1.0
) -> NDArray[Any]:
    """Draw a matrix from N(0, scale² / rows): with scale 1 it keeps the size of its input.

    Source: LeCun et al., Efficient BackProp (1998), section 4.6.
    """
    return (rng.normal(size=shape) * (scale / math.sqrt(shape[0]))).astype(dtype)


def with_width(name: str, x: Any, size: int, *, ndim: int = 1, width: str = "d_model") -> Tensor:
    """Check the input of a layer: a Tensor or an array of at least `ndim` axes."""
    x = x if isinstance(x, Tensor | np.ndarray) else read_kind(name, "x", x, Tensor, "a Tensor")
    shape = x.shape
    if len(shape) < ndim or shape[-1] != size:
        axes = f"time, {width}" if ndim == 2 else width
        raise ValueError(
            message(
                "{name}: x must be (…, {axes}) with {width} {size}, not {shape}",
                name=name,
                axes=axes,
                width=width,
                size=size,
                shape=shape,
            )
        )
    if x.dtype.kind != "f":
        raise TypeError(
            message(
                "{name}: x must be floating point numbers, not {dtype}", name=name, dtype=x.dtype
            )
        )
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)


class Linear(Module):
    """A linear layer: x W + b at each position.

    Parameters
    ----------
    d_in, d_out
        Widths of input and output. `weight` is (d_in, d_out), the transpose of PyTorch's.
    bias
        Whether there is a `bias`, (d_out,), initially 0; else it is None.
    rng
        Draws the initial weights from N(0, 1 / d_in); with None they differ each time.

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
        self.weight = Tensor(draw_matrix(rng, (d_in, d_out), dtype))
        self.bias = Tensor(np.zeros(d_out, dtype)) if read_bool("Linear", "bias", bias) else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_in) -> (…, d_out)."""
        y = with_width("Linear", x, self.weight.shape[0], width="d_in") @ self.weight
        return named(y if self.bias is None else named(y, "weighted") + self.bias, "output")


class Embedding(Module):
    """A table of vectors: the row of `weight`, (vocab_size, d_model), for each token id.

    `rng` draws the weights from N(0, 1); with None they differ each time. If the output matrix is
    tied to them, the logits are `x @ embedding.weight.T`.
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
    """Several attention heads in parallel, each softmax(QKᵀ/√d_k)V, and a projection.

    Parameters
    ----------
    d_model
        The width of input and output; each head has the width d_k = d_model / num_heads.
    num_heads
        The number of heads; it must divide `d_model`.
    causal
        Whether a position sees only itself and the positions before it.
    output_scale
        A factor on the initial W_O, whose output is added to the residual stream.

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
        num_heads = read_size(name, "num_heads", num_heads)
        if d_model % num_heads:
            raise ValueError(
                message(
                    "{name}: d_model {d_model} is not divisible by num_heads {num_heads}",
                    name=name,
                    d_model=d_model,
                    num_heads=num_heads,
                )
            )
        causal = read_bool(name, "causal", causal)
        rng, dtype = read_rng(name, "rng", rng), read_floating(name, "dtype", dtype)
        scales = {
            "Q": 1.0,
            "K": 1.0,
            "V": 1.0,
            "O": read_finite(name, "output_scale", output_scale),
        }
        arrays = {
            f"W_{matrix}": draw_matrix(rng, (d_model, d_model), dtype, scale)
            for matrix, scale in scales.items()
        }
        self._set_up(arrays, num_heads, causal)

    def _set_up(
        self,
        arrays: Arrays,
        num_heads: int,
        causal: bool,
        rope_base: float | None = None,
        **options: Any,
    ) -> None:
        self.W_Q, self.W_K, self.W_V, self.W_O = (
            Tensor(arrays[f"W_{letter}"]) for letter in "QKVO"
        )
        self.b_Q, self.b_K, self.b_V, self.b_O = (_bias(arrays, f"b_{letter}") for letter in "QKVO")
        self.num_heads, self.causal, self.rope_base = num_heads, causal, rope_base
        self.num_kv_heads = num_heads * self.W_K.shape[1] // self.W_Q.shape[1]
        if self.num_kv_heads != num_heads:
            options["num_kv_heads"] = self.num_kv_heads
        self._options = {name: value for name, value in options.items() if value is not None}

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(…, time, d_model) -> (…, time, d_model); x follows the positions in a cache."""
        x = with_width("MultiHeadAttention", x, self.W_Q.shape[0], ndim=2)
        q = _affine(x, self.W_Q, self.b_Q, "q")
        k = _affine(x, self.W_K, self.b_K, "k")
        v = _affine(x, self.W_V, self.b_V, "v")
        if cache is not None:
            read_kind("MultiHeadAttention", "cache", cache, KeyValueCache, "a KeyValueCache")
        if self.rope_base is not None:
            first = 0 if cache is None else cache.length
            rope: dict[str, Any] = {
                "positions": np.arange(first, first + x.shape[-2]),
                "base": self.rope_base,
            }
            q = named(ops.rope(q, num_heads=self.num_heads, **rope), "rotated_q")
            k = named(ops.rope(k, num_heads=self.num_kv_heads, **rope), "rotated_k")
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = ops.attention(
            q, k, v, num_heads=self.num_heads, causal=self.causal, **self._options
        )
        return _affine(named(mixed, "attention"), self.W_O, self.b_O, "output")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": ops.gelu,
    "gelu_tanh": partial(ops.gelu, approximate="tanh"),
    "relu": ops.relu,
    "silu": ops.silu,
}


class FeedForward(Module):
    """A feed-forward network at each position: ReLU(x W₁) W₂.

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
        first = draw_matrix(rng, (d_model, d_ff), dtype)
        self._set_up(
            {"W_1": first, "W_2": draw_matrix(rng, (d_ff, d_model), dtype, output_scale)}, "relu"
        )

    def _set_up(self, arrays: Arrays, activation: str) -> None:
        self.W_1, self.W_2 = Tensor(arrays["W_1"]), Tensor(arrays["W_2"])
        self.b_1, self.b_2 = _bias(arrays, "b_1"), _bias(arrays, "b_2")
        self.W_gate = Tensor(arrays["W_gate"]) if "W_gate" in arrays else None
        self.b_gate = _bias(arrays, "b_gate")
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        x = with_width("FeedForward", x, self.W_1.shape[0])
        before, activate = f"before_{self.activation}", ACTIVATIONS[self.activation]
        if self.W_gate is None:
            hidden = activate(_affine(x, self.W_1, self.b_1, before))
        else:
            up = _affine(x, self.W_1, self.b_1, "up")
            gate = _affine(x, self.W_gate, self.b_gate, before)
            is_swiglu = self.activation == "silu"
            hidden = ops.swiglu(gate, up) if is_swiglu else activate(gate) * up
        return _affine(named(hidden, "hidden"), self.W_2, self.b_2, "output")


class Block(Module):
    """A transformer block: attention, then feed-forward, each with a residual connection.

    `norm="pre"` normalizes the input of each part, x + f(norm(x)); "post" normalizes each sum,
    norm(x + f(x)); None leaves the norms out.

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
        norm = read_choice("Block", "norm", norm, ("pre", "post", None))
        shared: Any = {"rng": rng, "output_scale": output_scale, "dtype": dtype}
        attention = MultiHeadAttention(d_model, num_heads, causal=causal, **shared)
        feed_forward = FeedForward(d_model, d_ff, **shared)
        norms = () if norm is None else [LayerNorm(d_model, dtype=dtype) for _ in range(2)]
        self._set_up(attention, feed_forward, norm, norms)

    def _set_up(
        self,
        attention: MultiHeadAttention,
        feed_forward: FeedForward,
        norm: Norm,
        norms: Sequence[LayerNorm | RMSNorm],
    ) -> None:
        self.norm = norm
        self.attention, self.feed_forward = attention, feed_forward
        if norm is not None:
            self.norm_1, self.norm_2 = norms

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


def attention_from(
    arrays: Arrays,
    num_heads: int,
    *,
    causal: bool,
    window: int | None = None,
    scale: float | None = None,
    rope_base: float | None = None,
) -> MultiHeadAttention:
    """Make a layer from existing arrays, which are not copied.

    Parameters
    ----------
    arrays
        W_Q (d_model, num_heads · d_k), W_K and W_V (d_model, num_kv_heads · d_k), and W_O
        (num_heads · d_k, d_model); for each matrix that has a bias also b_Q, b_K, b_V or b_O.
    num_heads
        Number of query heads. If there are fewer key heads, several query heads share one.
    window, scale
        See `autolm.ops.attention`.
    rope_base
        Base of the rotation angles, for rotary position embedding; None for none.
    """
    layer = MultiHeadAttention.__new__(MultiHeadAttention)
    layer._set_up(arrays, num_heads, causal, rope_base, window=window, scale=scale)
    return layer


def feed_forward_from(arrays: Arrays, activation: str) -> FeedForward:
    """Make a layer from existing arrays, which are not copied.

    Parameters
    ----------
    arrays
        W_1 (d_model, d_ff) and W_2 (d_ff, d_model); W_gate (d_model, d_ff) if the activation of a
        gate multiplies x W₁; for each matrix that has a bias also b_1, b_2 or b_gate.
    activation
        A name in `ACTIVATIONS`.
    """
    layer = FeedForward.__new__(FeedForward)
    layer._set_up(arrays, activation)
    return layer


def block_from(
    attention: MultiHeadAttention,
    feed_forward: FeedForward,
    norm: Norm,
    norms: Sequence[LayerNorm | RMSNorm],
) -> Block:
    """Make a block from existing parts: two norms, or none if `norm` is None."""
    block = Block.__new__(Block)
    block._set_up(attention, feed_forward, norm, norms)
    return block


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None, name: str) -> Tensor:
    """Return x W + b, or x W without a bias, under a name."""
    if bias is None:
        return named(x @ weight, name)
    return named(named(x @ weight, f"{name}_before_bias") + bias, name)


def _bias(arrays: Arrays, name: str) -> Tensor | None:
    return Tensor(arrays[name]) if name in arrays else None


def sinusoidal_positions(max_len: int, d_model: int, dtype: DTypeLike = "float64") -> NDArray[Any]:
    """Return the sinusoidal positional encoding, (max_len, d_model).

    PE(t, 2i) = sin(t / 10000^(2i/d_model)) and PE(t, 2i+1) = cos of the same angle. Each pair of
    columns rotates with the position, more slowly than the pair before.

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
