"""Definitions of the fused operations, composed of smaller ones as in a textbook.

A fused operation is one node with its own backward rule. Its definition computes the same in
several nodes, with a textbook's names; `autolm.walking.decomposition` runs it to open the node. It
uses operators and methods of its operands only, so it has no backward rule, and runs on tensors of
PyTorch as well (`autolm.torch.fused_functions`). Numbers that are not operands, such as a mask,
become constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import named
from autolm.ops.array_arguments import Axis, read_axes
from autolm.ops.array_operation import Array

GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


def constant(name: str, result: Any, operand: int) -> Any:
    """Name a number or an array that is an operand of `result`."""
    if result.parents:  # otherwise the result is itself a constant, which does not keep them
        named(result.parents[operand], name)
    return result


def _shifted(a: Any, axis: Axis, but: tuple[float, ...] = (-np.inf,)) -> tuple[Any, Array]:
    """Subtract the largest along the axes, unless it is one of `but`; return it as well.

    So no exponential overflows.
    """
    axes = read_axes("largest", axis, a.shape)
    largest = a.data.max(axis=axes, keepdims=True, initial=-np.inf)
    largest = np.where(np.isin(largest, but), 0, largest).astype(a.dtype)
    return named(constant("largest", a - largest, 1), "shifted"), largest


def softmax(a: Any, *, axis: int = -1) -> Any:
    """Divide exponentials by their sum."""
    shifted, _ = _shifted(a, axis)
    exponentials = named(shifted.exp(), "exponentials")
    total = named(exponentials.sum(axis=axis, keepdims=True), "total")
    return exponentials / total


def log_softmax(a: Any, *, axis: int = -1) -> Any:
    """Subtract the logarithm of the sum of exponentials."""
    shifted, _ = _shifted(a, axis)
    exponentials = named(shifted.exp(), "exponentials")
    total = named(exponentials.sum(axis=axis, keepdims=True), "total")
    return shifted - named(total.log(), "log_total")


def logsumexp(a: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Take the logarithm of the sum of exponentials."""
    shifted, largest = _shifted(a, axis, but=(-np.inf, np.inf))
    exponentials = named(shifted.exp(), "exponentials")
    total = named(exponentials.sum(axis=axis, keepdims=keepdims), "total")
    log_total = named(total.log(), "log_total")
    return constant("largest", log_total + largest.reshape(total.shape), 1)


def mean(a: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Divide the sum by the count."""
    total = named(a.sum(axis=axis, keepdims=keepdims), "total")
    return constant("count", total / _count(a, axis), 1)


def var(a: Any, *, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """Average the squares of the deviations from the mean."""
    centred = named(a - named(a.mean(axis=axis, keepdims=True), "mean"), "centred")
    squares = named(centred * centred, "squares")
    total = named(squares.sum(axis=axis, keepdims=keepdims), "total")
    return constant("count", total / max(_count(a, axis) - ddof, 0), 1)


def _count(a: Any, axis: Axis) -> int:
    """Count the elements along axes."""
    return math.prod(a.shape[i] for i in read_axes("count", axis, a.shape))


def layer_norm(
    x: Any, gain: Any = None, bias: Any = None, *, eps: float = 1e-5, axis: Axis = -1
) -> Any:
    """Normalize each row to mean 0 and variance 1, then scale and shift."""
    centred = named(x - named(x.mean(axis=axis, keepdims=True), "mean"), "centred")
    squares = named(centred * centred, "squares")
    variance = named(squares.mean(axis=axis, keepdims=True), "variance")
    y = centred / _root(variance, eps, "variance", "deviation")
    if gain is not None:
        y = named(named(y, "normalized") * gain, "scaled")
    return y if bias is None else y + bias


def rms_norm(x: Any, gain: Any = None, *, eps: float = 1e-5, axis: Axis = -1) -> Any:
    """Divide each row by its root mean square, then scale."""
    squares = named(x * x, "squares")
    mean_square = named(squares.mean(axis=axis, keepdims=True), "mean_square")
    y = x / _root(mean_square, eps, "mean_square", "root_mean_square")
    return y if gain is None else named(y, "normalized") * gain


def _root(square: Any, eps: float, name: str, root: str) -> Any:
    """Take the square root of a mean of squares, to which ε is added."""
    return named(named(constant("eps", square + eps, 1), f"{name}_plus_eps").sqrt(), root)


def gelu(a: Any, *, approximate: str = "none") -> Any:
    """Gate by the normal distribution, by its integral ½ erfc(−a/√2) or close to it by tanh."""
    if approximate == "none":
        twice_the_gate = named(
            named(a / -math.sqrt(2), "minus_a_by_root_2").erfc(), "twice_the_gate"
        )
        return a * named(twice_the_gate * 0.5, "gate")
    cubed = named(named(a * a, "squared") * a, "cubed")
    small = named(cubed * GELU_CUBIC, "cubic_term")
    twice_u = named(named(a + small, "bent") * (2 * GELU_SCALE), "twice_u")
    return a * named(twice_u.sigmoid(), "gate")  # equals ½(1 + tanh u)


def dropout(a: Any, *, rate: float, seed: int) -> Any:
    """Keep a share that the seed draws, and scale it so that the mean stays the same."""
    keep = np.random.default_rng(seed).random(a.shape) >= rate
    kept_elements = named(constant("keep", a * keep.astype(a.dtype), 1), "kept")
    return constant("share_kept", kept_elements / (1 - rate), 1)


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    causal: bool = False,
    window: int | None = None,
    mask: Any = None,
    scale: float | None = None,
    bias: Any = None,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    """Weigh the values by the softmax of the scaled scores, in each head.

    PyTorch's attention has two more parts: a `bias`, which is an operand that is added to the
    scores, and `dropout` of the weights.
    """
    heads = num_heads or 1
    kv_heads = num_kv_heads or heads
    factor = 1 / math.sqrt(q.shape[-1] // heads or 1) if scale is None else scale
    q = _split(q, heads, "q")
    k, v = (_shared(_split(a, kv_heads, name), heads, kv_heads) for a, name in ((k, "k"), (v, "v")))
    products = named(q @ named(k.swapaxes(-1, -2), "k_transposed"), "products")
    scores = named(constant("scale", products * factor, 1), "scores")
    if mask is not None:
        mask = np.asarray(mask)
        if num_heads == 1 and mask.ndim > 2:
            mask = mask.squeeze(-3)
        if mask.dtype != bool:
            finite = np.where(mask == -np.inf, 0, mask).astype(scores.dtype)
            scores = named(constant("bias", scores + finite, 1), "biased_scores")
            mask = mask != -np.inf
        scores = _hidden_unless(mask, scores)
    if bias is not None:
        scores = named(scores + bias, "biased_scores")
    if causal:
        queries, keys = scores.shape[-2:]
        ahead = np.arange(keys) - np.arange(keys - queries, keys)[:, None]
        visible = ahead <= 0 if window is None else (ahead <= 0) & (ahead > -window)
        scores = _hidden_unless(visible, scores)
    unseeing = (scores.data == -np.inf).all(axis=-1, keepdims=True)  # queries that see no key
    if unseeing.any():
        scores = named(scores.masked_fill(unseeing, 0.0), "defined_scores")
    weights = named(scores.softmax(axis=-1), "weights")
    if unseeing.any():
        weights = named(weights.masked_fill(unseeing, 0.0), "seeing_weights")
    if dropout is not None:
        weights = named(dropout(weights), "kept_weights")
    result = named(weights @ v, "heads")
    if heads == 1:
        return result
    *batch, count, time, width = result.shape
    joined = named(result.swapaxes(-3, -2), "heads_by_position")
    return joined.reshape((*batch, time, count * width))


def _hidden_unless(visible: NDArray[np.bool_], scores: Any) -> Any:
    """Replace scores of keys that are not visible by −∞."""
    return named(constant("mask", np.where(visible, scores, -np.inf), 0), "masked_scores")


def _shared(a: Any, heads: int, kv_heads: int) -> Any:
    """Repeat each head of keys or values for the heads of queries that share it."""
    if heads == kv_heads:
        return a
    *batch, time, width = a.shape if kv_heads == 1 else (*a.shape[:-3], *a.shape[-2:])
    alone = named(a.reshape((*batch, kv_heads, 1, time, width)), f"{a.name}_alone")
    shared = alone.broadcast_to((*batch, kv_heads, heads // kv_heads, time, width))
    return named(named(shared, f"{a.name}_shared").reshape((*batch, heads, time, width)), a.name)


def _split(a: Any, num_heads: int, name: str) -> Any:
    """View the width as heads: (…, time, width) -> (…, num_heads, time, width / num_heads)."""
    if num_heads == 1:
        return a
    *batch, time, width = a.shape
    parts = named(a.reshape((*batch, time, num_heads, width // num_heads)), f"{name}_by_position")
    return named(parts.swapaxes(-3, -2), f"{name}_heads")


def cross_entropy(
    logits: Any,
    *,
    targets: Any,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Average the negative log-probabilities of the targets."""
    rows, (*batch, classes) = logits, logits.shape
    if logits.ndim != 2:
        rows = named(logits.reshape((-1, classes)), "rows")
    targets = np.asarray(targets)
    weights = np.ones(classes) if weight is None else np.asarray(weight, float)
    soft = targets.dtype.kind == "f"
    ids = np.zeros(len(rows), int) if soft else targets.reshape(-1)
    ignored = np.zeros(len(rows), bool) if ignore_index is None else ids == ignore_index
    ids = np.where(ignored, 0, ids)
    log_probabilities = named(rows.log_softmax(axis=-1), "log_probabilities")
    if soft or label_smoothing:
        goal = targets.reshape(rows.shape) if soft else np.eye(classes)[ids]
        shares = (goal * (1 - label_smoothing) + label_smoothing / classes) * weights
        products = constant("shares", log_probabilities * shares.astype(rows.dtype), 1)
        chosen = named(named(products, "shared").sum(axis=-1), "chosen")
    else:
        chosen = named(log_probabilities[np.arange(len(ids)), ids], "chosen")
        if weight is not None:
            of_targets = weights[ids].astype(rows.dtype)
            chosen = named(constant("weights", chosen * of_targets, 1), "weighted")
    if ignored.any():
        chosen = named(chosen.masked_fill(ignored, 0.0), "counted")
    if reduction == "none":
        return named(-chosen, "surprises").reshape(tuple(batch))
    if reduction == "sum":
        return -named(chosen.sum(), "log_probability")
    if weight is None and not ignored.any():
        return -named(chosen.mean(), "mean_log_probability")
    count = float(len(rows) if soft else weights[ids[~ignored]].sum())
    mean = constant("count", named(chosen.sum(), "log_probability") / count, 1)
    return -named(mean, "mean_log_probability")
