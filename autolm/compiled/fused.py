"""The fused primitives once more, with their inner loops compiled by numba (extra `fast`).

Each function here has the signature of a primitive, takes its place inside `with native():`, and is
proved equal to it. Products of matrices stay with NumPy, whose BLAS nothing beats, and so do
exponentials. What is not of float32 or float64 throughout is left to the primitive itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.compiled.fused_loops import native_loops
from autolm.ops import neural, probability
from autolm.ops.arguments import read_bool
from autolm.ops.array_operation import Array
from autolm.ops.attention import (
    join_heads,
    join_queries,
    read_attention,
    split_heads,
    split_queries,
)
from autolm.ops.backend import FLOATS, Native, backend
from autolm.ops.primitive import Backward, Primitive

Forward = Callable[..., tuple[Array, Backward]]
#: The compiled twin of each primitive that has one.
FORWARDS: dict[Primitive, Forward] = {}


def twin(primitive: Primitive) -> Callable[[Forward], Forward]:
    """Let a function take the place of a primitive's forward, where it can."""

    def decorate(function: Forward) -> Forward:
        def forward(*arrays: Array, **attributes: Any) -> tuple[Array, Backward]:
            dtype = arrays[0].dtype
            suits = dtype in FLOATS
            for array in arrays:
                suits = suits and array.dtype == dtype and array.size > 0
            return (function if suits else primitive.forward)(*arrays, **attributes)

        FORWARDS[primitive] = forward
        return function

    return decorate


def _rows(array: Array) -> Array:
    """Return an array as rows, (n, d), that lie side by side in memory."""
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def _as_ids(integers: Array) -> NDArray[np.intp]:
    """Return signed integers as one row, (n,)."""
    return np.ascontiguousarray(integers, np.intp).reshape(-1)


@twin(neural.layer_norm)
def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalize row by row; a row costs two numbers to remember."""
    eps = neural.read_norm("layer_norm", x, eps, gain=gain, bias=bias)
    rows = _rows(x)
    y, (means, scales) = np.empty_like(rows), np.empty((2, len(rows)), x.dtype)
    native_loops().layer_norm(rows, gain, bias, eps, y, means, scales)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        to_x, to_gain, to_bias = np.empty_like(rows), np.zeros_like(gain), np.zeros_like(gain)
        native_loops().layer_norm_backward(
            _rows(grad), rows, gain, means, scales, to_x, to_gain, to_bias, False
        )
        return to_x.reshape(grad.shape), to_gain, to_bias

    return y.reshape(x.shape), backward


@twin(neural.rms_norm)
def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Divide row by row; a row costs one number to remember."""
    eps = neural.read_norm("rms_norm", x, eps, gain=gain)
    rows = _rows(x)
    y, scales = np.empty_like(rows), np.empty(len(rows), x.dtype)
    native_loops().rms_norm(rows, gain, eps, y, scales)

    def backward(grad: Array) -> tuple[Array, Array]:
        to_x, to_gain = np.empty_like(rows), np.zeros_like(gain)
        native_loops().rms_norm_backward(_rows(grad), rows, gain, scales, to_x, to_gain, False)
        return to_x.reshape(grad.shape), to_gain

    return y.reshape(x.shape), backward


@twin(neural.embedding)
def embedding(weight: Array, *, token_ids: NDArray[np.integer]) -> tuple[Array, Backward]:
    """Look up rows; add gradients to them one by one, without sorting."""
    token_ids, shape, dtype = neural.read_token_ids(weight, token_ids), weight.shape, weight.dtype
    if weight.ndim != 2:
        return neural.embedding.forward(weight, token_ids=token_ids)
    ids, y = _as_ids(token_ids), np.empty((token_ids.size, shape[1]), dtype)
    native_loops().take_rows(_rows(weight), ids, y)

    def backward(grad: Array) -> tuple[Array]:
        scattered = np.zeros(shape, dtype)
        native_loops().add_rows(_rows(grad), ids, scattered)
        return (scattered,)

    return y.reshape(*token_ids.shape, shape[1]), backward


@twin(ops.attention)
def attention(q: Array, k: Array, v: Array, **attributes: Any) -> tuple[Array, Backward]:
    """Scale, hide and normalize scores where they lie, one row after another."""
    how = read_attention(q, k, v, **attributes)
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2] or how.mask is not None:
        return ops.attention.forward(q, k, v, **attributes)
    queries = split_queries(q, how)
    keys, values = (split_heads(a, how.kv_heads) for a in (k, v))
    scores = queries @ keys.swapaxes(-1, -2)
    rows = _rows(scores)
    window = k.shape[-2] if how.window is None else how.window
    native_loops().shift_rows(rows, how.factor, q.shape[-2], how.causal, window)
    np.exp(rows, out=rows)
    native_loops().divide_by_sums(rows)
    weights = rows.reshape(scores.shape)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split_queries(grad, how)
        to_rows = _rows(upstream @ values.swapaxes(-1, -2))
        native_loops().softmax_backward(to_rows, rows, how.factor)
        to_scores = to_rows.reshape(weights.shape)
        to_q = to_scores @ keys
        to_k = to_scores.swapaxes(-1, -2) @ queries
        to_v = weights.swapaxes(-1, -2) @ upstream
        return (
            join_queries(to_q, how),
            join_heads(to_k, how.kv_heads),
            join_heads(to_v, how.kv_heads),
        )

    return join_queries(weights @ values, how), backward


@twin(probability.cross_entropy)
def cross_entropy(logits: Array, **attributes: Any) -> tuple[Array, Backward]:
    """Compute the slope together with the loss, in the memory of the exponentials."""
    how = probability.read_scoring(logits, **attributes)
    targets, shape, count = how.targets, logits.shape, 0
    ignored = how.ignore_index is not None, how.ignore_index or 0
    plain = how.weight is None and how.reduction == "mean" and not how.shares_out
    if plain and targets.dtype.kind == "i" and abs(ignored[1]) < 2**63:
        ids, slope = _as_ids(targets), _rows(logits).copy()
        chosen = np.empty(len(slope), slope.dtype)
        count = native_loops().shift_to_targets(slope, ids, *ignored, chosen)
    if count == 0:  # it does the others, too, and says what is wrong
        return probability.cross_entropy.forward(logits, **attributes)
    np.exp(slope, out=slope)
    loss = native_loops().surprise(slope, ids, *ignored, chosen, count)

    def backward(grad: Array) -> tuple[Array]:
        return ((slope * grad).reshape(shape),)

    return np.asarray(loss, logits.dtype), backward


def fingerprint(array: Array) -> int:
    """Return a number that changes when any element of an array in one piece does."""
    word = np.uint64 if array.nbytes % 8 == 0 else np.uint8
    return int(native_loops().fold(array.reshape(-1).view(word)))


@cache
def _compiled() -> Native:
    try:
        return Native(FORWARDS, fingerprint, native_loops())
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("native() needs numba: pip install 'autolm[fast]'") from error


@contextmanager
def native(enabled: bool = True) -> Iterator[None]:
    """Run layer_norm, rms_norm, embedding, attention, cross_entropy and AdamW as machine code.

    It holds in a `with` block, or in a function that it decorates (a generator would have left it
    before it begins), and in this thread. The first call of each operation compiles it, which takes
    a second or less, and keeps it on disk.

    Parameters
    ----------
    enabled
        False returns to NumPy, within a block that is native.

    Raises
    ------
    ModuleNotFoundError
        If numba is not installed.

    Examples
    --------
    >>> from autolm import Tensor, native, ops
    >>> x, gain, bias = Tensor([[1.0, 3.0]]), Tensor([1.0, 1.0]), Tensor([0.0, 0.0])
    >>> with native():  # doctest: +SKIP
    ...     y = ops.layer_norm(x, gain, bias)
    """
    token = backend.set(_compiled() if read_bool("native", "enabled", enabled) else None)
    try:
        yield
    finally:
        backend.reset(token)
