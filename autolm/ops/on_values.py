"""The neural operations on Values, one number at a time.

These are the scalar definitions of the fused primitives in `neural.py`, `probability.py` and
`attention.py`. They have fewer nodes than an expansion of `definitions.py` (attention 14 % fewer),
so a picture of a layer can show the names of its weights. They share no backward code with the
primitives, so tests can compare the two engines. Arrays here are object arrays of Values; operands
without a gradient (token ids, a mask) are plain arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autolm.engine.value import Value
from autolm.ops.array_operation import Array


def along(function: Callable[..., Sequence[Any]], a: Array, axis: int = -1) -> Array:
    """Apply a function from a list of Values to a list of Values to each row along an axis."""
    rows = np.moveaxis(a, axis, -1) if a.ndim else a.reshape(1)  # a number is a row of one
    result = np.empty(rows.shape, dtype=object)
    for index in np.ndindex(rows.shape[:-1]):
        result[index] = function(list(rows[index]))
    return np.moveaxis(result, -1, axis) if a.ndim else result.reshape(())


def matmul(a: Array, b: Array) -> Array:
    """Multiply matrices: every element of the result is one dot product of a row and a column."""
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    rows = np.broadcast_to(rows, (*batch, *rows.shape[-2:]))
    columns = np.broadcast_to(columns, (*batch, *columns.shape[-2:])).swapaxes(-1, -2)
    result = np.empty((*batch, rows.shape[-2], columns.shape[-2]), dtype=object)
    for *where, i, j in np.ndindex(result.shape):
        outer = tuple(where)
        result[*outer, i, j] = Value.dot(rows[*outer, i], columns[*outer, j])
    if a.ndim == 1:
        result = result[..., 0, :]
    return result[..., 0] if b.ndim == 1 else result


def _softmax(row: Sequence[Value]) -> list[Value]:
    exponentials = _shifted_exponentials(row)[0]
    total = Value.sum(exponentials)
    return [value / total for value in exponentials]


def _shifted_exponentials(row: Sequence[Value]) -> tuple[list[Value], float]:
    """Return exp(aᵢ − shift) and the shift, a number that keeps the largest at 1."""
    shift = max((value.data for value in row), default=0.0)
    shift = 0.0 if shift == -math.inf else shift
    return [(value - shift).exp() for value in row], shift


def softmax(a: Array, *, axis: int = -1) -> Array:
    """Divide exponentials by their sum."""
    return along(_softmax, a, axis)


def _log_softmax(row: Sequence[Value]) -> list[Value]:
    exponentials, shift = _shifted_exponentials(row)
    normalizer = Value.sum(exponentials).log() + shift
    return [value - normalizer for value in row]


def log_softmax(a: Array, *, axis: int = -1) -> Array:
    """Subtract the logarithm of the sum of exponentials."""
    return along(_log_softmax, a, axis)


def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> Array:
    """Normalize each row to mean 0 and variance 1, then scale and shift."""

    def normalize(row: Sequence[Value]) -> list[Value]:
        center = Value.sum(row) / len(row)
        deviations = [value - center for value in row]
        deviation = (Value.dot(deviations, deviations) / len(row) + eps).sqrt()
        return [value / deviation for value in deviations]

    return np.asarray(along(normalize, x) * gain + bias)


def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> Array:
    """Divide each row by its root mean square, then scale."""

    def normalize(row: Sequence[Value]) -> list[Value]:
        size = (Value.dot(row, row) / len(row) + eps).sqrt()
        return [value / size for value in row]

    return np.asarray(along(normalize, x) * gain)


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    causal: bool = False,
    window: int | None = None,
    mask: Array | None = None,
    scale: float | None = None,
) -> Array:
    """Weigh the values by the softmax of the scaled scores: head by head, position by position."""
    heads = num_heads or 1
    shares = heads // (num_kv_heads or heads)  # heads that read the same keys and values
    d_k, d_v = q.shape[-1] // heads, v.shape[-1] * shares // heads
    factor = 1 / math.sqrt(d_k or 1) if scale is None else scale
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(array, (*batch, *array.shape[-2:])) for array in (q, k, v))
    queries, keys = q.shape[-2], k.shape[-2]
    bias = np.zeros((*batch, heads, queries, keys))
    if mask is not None:
        scores_bias = bias if num_heads else bias[..., 0, :, :]
        scores_bias[...] = np.where(mask, 0, -np.inf) if np.asarray(mask).dtype == bool else mask
    result = np.empty((*batch, queries, heads * d_v), dtype=object)
    for *where, i, head in np.ndindex((*batch, queries, heads)):
        outer, end = tuple(where), keys - queries + i + 1 if causal else keys
        first = 0 if window is None else max(0, end - window)
        visible = [j for j in range(first, end) if bias[*outer, head, i, j] != -np.inf]
        q_part = slice(head * d_k, (head + 1) * d_k)
        k_part = slice(head // shares * d_k, (head // shares + 1) * d_k)
        scores = []
        for j in visible:
            score = Value.dot(q[*outer, i, q_part], k[*outer, j, k_part]) * factor
            added = float(bias[*outer, head, i, j])
            scores.append(score + added if added else score)
        if all(score.data == -math.inf for score in scores):  # the query sees no key
            visible, scores = [], []
        weights = _softmax(scores)
        for column in range(d_v):
            of_v = v[*outer, visible, head // shares * d_v + column]
            result[*outer, i, head * d_v + column] = Value.dot(weights, of_v)
    return result


def cross_entropy(
    logits: Array,
    *,
    targets: Array,
    weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Average the negative log-probabilities of the targets."""
    targets, classes = np.asarray(targets), logits.shape[-1]
    weights = [1.0] * classes if weight is None else [float(w) for w in weight]
    losses, count = np.empty(logits.shape[:-1], dtype=object), 0.0
    for index in np.ndindex(losses.shape):
        target = targets[index]
        if target.ndim == 0 and target == ignore_index:
            losses[index] = Value(0.0, requires_grad=False)
            continue
        log_probabilities = _log_softmax(list(logits[index]))
        count += 1 if target.ndim else weights[target]
        if target.ndim == 0 and not label_smoothing:
            loss = -log_probabilities[target]
            losses[index] = loss if weight is None else loss * weights[target]
            continue
        goal = target if target.ndim else np.eye(classes)[target]
        smooth = [float(p) * (1 - label_smoothing) + label_smoothing / classes for p in goal]
        shares = [p * w for p, w in zip(smooth, weights, strict=True)]
        losses[index] = -Value.dot(shares, log_probabilities)
    if reduction == "none":
        return losses
    total = Value.sum(list(losses.flat))
    return np.asarray(total / count if reduction == "mean" else total, dtype=object)
