"""The fused primitives once more, with their inner loops compiled by numba (extra `fast`).

Each function here has the signature of a primitive, takes its place inside `with native():`, and is
proved equal to it. Products of matrices stay with NumPy, whose BLAS nothing beats, and so do
exponentials. What is not of float32 or float64 throughout is left to the primitive itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops import neural, probability
from autolm.ops.loops import compiled
from autolm.ops.primitive import Array, Backward, Primitive

Forward = Callable[..., tuple[Array, Backward]]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

#: The compiled twin of each primitive that has one.
FORWARDS: dict[Primitive, Forward] = {}


def twin(primitive: Primitive) -> Callable[[Forward], Forward]:
    """Let a function take the place of a primitive's forward, where it can."""

    def decorate(function: Forward) -> Forward:
        def forward(*arrays: Array, **attributes: Any) -> tuple[Array, Backward]:
            dtype = arrays[0].dtype
            for array in arrays:
                if array.dtype is not dtype or dtype not in FLOATS or not array.size:
                    return primitive.forward(*arrays, **attributes)
            return function(*arrays, **attributes)

        FORWARDS[primitive] = forward
        return function

    return decorate


def _rows(array: Array) -> Array:
    """Return an array as rows, (n, d), that lie side by side in memory."""
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


@twin(neural.layer_norm)
def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalize rows in two passes over each, forward and backward."""
    neural.require_width("layer_norm", x, gain=gain, bias=bias)
    loops, rows = compiled(), _rows(x)
    y, normal, inverse = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), x.dtype)
    loops.layer_norm(rows, gain, bias, eps, y, normal, inverse)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        to_x, to_gain, to_bias = np.empty_like(normal), np.zeros_like(gain), np.zeros_like(gain)
        loops.layer_norm_backward(_rows(grad), gain, normal, inverse, to_x, to_gain, to_bias)
        return to_x.reshape(grad.shape), to_gain, to_bias

    return y.reshape(x.shape), backward


@twin(neural.rms_norm)
def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Divide rows by their size in two passes over each, forward and backward."""
    neural.require_width("rms_norm", x, gain=gain)
    loops, rows = compiled(), _rows(x)
    y, normal, inverse = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), x.dtype)
    loops.rms_norm(rows, gain, eps, y, normal, inverse)

    def backward(grad: Array) -> tuple[Array, Array]:
        to_x, to_gain = np.empty_like(normal), np.zeros_like(gain)
        loops.rms_norm_backward(_rows(grad), gain, normal, inverse, to_x, to_gain)
        return to_x.reshape(grad.shape), to_gain

    return y.reshape(x.shape), backward


@twin(neural.embedding)
def embedding(weight: Array, *, token_ids: NDArray[np.integer]) -> tuple[Array, Backward]:
    """Look up rows; add gradients to them one by one, without sorting."""
    ids = neural.checked_ids("embedding", token_ids, len(weight))
    loops, shape = compiled(), weight.shape

    def backward(grad: Array) -> tuple[Array]:
        scattered = np.zeros(shape, dtype=grad.dtype)
        loops.add_rows(_rows(grad), np.ascontiguousarray(ids).reshape(-1), scattered)
        return (scattered,)

    return weight[ids], backward


@twin(probability.attention)
def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    num_heads: int = 1,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Array, Backward]:
    """Mask and normalize scores where they lie, one row after another."""
    probability.require_that_heads_fit(q, k, v, num_heads)
    loops, split, join = compiled(), probability.split_heads, probability.join_heads
    factor = 1 / math.sqrt(q.shape[-1] // num_heads) if scale is None else float(scale)
    queries = split(q * factor, num_heads)
    keys, values = split(k, num_heads), split(v, num_heads)
    scores = queries @ keys.swapaxes(-1, -2)
    rows = _rows(scores)
    loops.shift_rows(rows, scores.shape[-2], causal)
    np.exp(rows, out=rows)
    loops.divide_by_sums(rows)
    weights = rows.reshape(scores.shape)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split(grad, num_heads)
        to_rows = _rows(upstream @ values.swapaxes(-1, -2))
        loops.softmax_backward(to_rows, rows)
        to_scores = to_rows.reshape(scores.shape)
        to_q = to_scores @ keys
        to_q *= factor
        to_k = to_scores.swapaxes(-1, -2) @ queries
        to_v = weights.swapaxes(-1, -2) @ upstream
        return join(to_q, num_heads), join(to_k, num_heads), join(to_v, num_heads)

    return join(weights @ values, num_heads), backward


@twin(probability.cross_entropy)
def cross_entropy(
    logits: Array, *, targets: NDArray[np.integer], ignore_index: int | None = None
) -> tuple[Array, Backward]:
    """Compute the slope together with the loss, in the memory of the exponentials."""
    ids, counted = probability.checked_targets(logits, targets, ignore_index)
    loops = compiled()
    slope = _rows(logits).copy()
    loops.shift_rows(slope, 1, False)
    chosen = slope[np.arange(len(slope)), ids]
    np.exp(slope, out=slope)
    loss = loops.surprise(slope, ids, counted, chosen)

    def backward(grad: Array) -> tuple[Array]:
        return ((slope * grad).reshape(logits.shape),)

    return np.asarray(loss, logits.dtype), backward
