"""The fused primitives once more, with their inner loops compiled by numba (extra `fast`).

Each function here has the signature of a primitive, takes its place inside `with native():`, and is
proved equal to it. Products of matrices stay with NumPy, whose BLAS nothing beats, and so do
exponentials. What is not of float32 or float64 throughout is left to the primitive itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.backend import Native, backend
from autolm.ops import neural, probability
from autolm.ops.loops import native_loops
from autolm.ops.primitive import Array, Backward, Primitive

Forward = Callable[..., tuple[Array, Backward]]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

NO_ID = int(np.iinfo(np.intp).min)  # what no target can be

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


def _as_ids(integers: Array) -> NDArray[np.intp] | None:
    """Return integers as one row, (n,); None if they are none."""
    if integers.dtype.kind not in "iu" and integers.size:
        return None
    return np.ascontiguousarray(integers, np.intp).reshape(-1)


@twin(neural.layer_norm)
def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalize row by row; a row costs two numbers to remember."""
    neural.require_width("layer_norm", x, gain=gain, bias=bias)
    rows = _rows(x)
    y, (means, scales) = np.empty_like(rows), np.empty((2, len(rows)), x.dtype)
    native_loops().layer_norm(rows, gain, bias, eps, y, means, scales)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        to_x, to_gain, to_bias = np.empty_like(rows), np.zeros_like(gain), np.zeros_like(gain)
        native_loops().layer_norm_backward(
            _rows(grad), rows, gain, means, scales, to_x, to_gain, to_bias
        )
        return to_x.reshape(grad.shape), to_gain, to_bias

    return y.reshape(x.shape), backward


@twin(neural.rms_norm)
def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Divide row by row; a row costs one number to remember."""
    neural.require_width("rms_norm", x, gain=gain)
    rows = _rows(x)
    y, scales = np.empty_like(rows), np.empty(len(rows), x.dtype)
    native_loops().rms_norm(rows, gain, eps, y, scales)

    def backward(grad: Array) -> tuple[Array, Array]:
        to_x, to_gain = np.empty_like(rows), np.zeros_like(gain)
        native_loops().rms_norm_backward(_rows(grad), rows, gain, scales, to_x, to_gain)
        return to_x.reshape(grad.shape), to_gain

    return y.reshape(x.shape), backward


@twin(neural.embedding)
def embedding(weight: Array, *, token_ids: NDArray[np.integer]) -> tuple[Array, Backward]:
    """Look up rows; add gradients to them one by one, without sorting."""
    if weight.ndim != 2:
        return neural.embedding.forward(weight, token_ids=token_ids)
    token_ids, table = np.asarray(token_ids), _rows(weight)
    shape, dtype = table.shape, table.dtype
    ids, y = _as_ids(token_ids), np.empty((token_ids.size, shape[1]), dtype)
    if ids is None or not native_loops().take_rows(table, ids, y):
        neural.checked_ids("embedding", token_ids, shape[0])  # says what is wrong

    def backward(grad: Array) -> tuple[Array]:
        scattered = np.zeros(shape, dtype)
        native_loops().add_rows(_rows(grad), ids, scattered)
        return (scattered,)

    return y.reshape(*token_ids.shape, shape[1]), backward


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
    """Scale, mask and normalize scores where they lie, one row after another."""
    probability.require_that_heads_fit(q, k, v, num_heads)
    split, join = probability.split_heads, probability.join_heads
    factor = 1 / math.sqrt(q.shape[-1] // num_heads) if scale is None else float(scale)
    queries, keys, values = split(q, num_heads), split(k, num_heads), split(v, num_heads)
    scores = queries @ keys.swapaxes(-1, -2)
    rows = _rows(scores)
    native_loops().shift_rows(rows, factor, scores.shape[-2], causal)
    np.exp(rows, out=rows)
    native_loops().divide_by_sums(rows)
    weights = rows.reshape(scores.shape)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split(grad, num_heads)
        to_rows = _rows(upstream @ values.swapaxes(-1, -2))
        native_loops().softmax_backward(to_rows, rows, factor)
        to_scores = to_rows.reshape(weights.shape)
        to_q = to_scores @ keys
        to_k = to_scores.swapaxes(-1, -2) @ queries
        to_v = weights.swapaxes(-1, -2) @ upstream
        return join(to_q, num_heads), join(to_k, num_heads), join(to_v, num_heads)

    return join(weights @ values, num_heads), backward


@twin(probability.cross_entropy)
def cross_entropy(
    logits: Array, *, targets: NDArray[np.integer], ignore_index: int | None = None
) -> tuple[Array, Backward]:
    """Compute the slope together with the loss, in the memory of the exponentials."""
    targets, slope = np.asarray(targets), _rows(logits).copy()
    ids, ignored = _as_ids(targets), NO_ID if ignore_index is None else ignore_index
    chosen, count = np.empty(len(slope), slope.dtype), 0
    if ids is not None and targets.shape == logits.shape[:-1]:
        count = native_loops().shift_to_targets(slope, ids, ignored, chosen)
    if count == 0:
        probability.checked_targets(logits, targets, ignore_index)  # says what is wrong
    np.exp(slope, out=slope)
    loss = native_loops().surprise(slope, ids, ignored, chosen, count)

    def backward(grad: Array) -> tuple[Array]:
        return ((slope * grad).reshape(logits.shape),)

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
    """Run fused primitives and optimizers as machine code, in a `with` block or a function.

    The first call of each compiles it, which takes a second or less, and keeps it on disk.

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
    token = backend.set(_compiled() if enabled else None)
    try:
        yield
    finally:
        backend.reset(token)
