"""Loops of the fused operations and of AdamW, which numba compiles (extra `fast`).

NumPy passes over memory once per operation. These loops read a row once, and do all arithmetic
while it is in the cache. Every loop works on rows, (n, d), and writes into arrays of the caller.
The mathematics is explained in `ops/neural.py`, `ops/probability.py` and `nn/optimizers.py`.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from autolm.compiled.disk_cache import compiled
from autolm.engine.value import _erfinv

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))  # the dtypes that loops are compiled for

# Sums may be reordered, as in NumPy, so that the processor adds several numbers at once; nan and
# inf keep their meaning.
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
    "nogil": True,
}

# No fused multiply-add where nearly equal products are subtracted: it rounds only one of them, and
# the rounding error that remains is divided by the deviation of the row.
ROUNDED_OPTIONS: dict[str, Any] = {**OPTIONS, "fastmath": {"reassoc", "nsz"}}


def layer_norm(x: Any, gain: Any, bias: Any, eps: float, y: Any, means: Any, scales: Any) -> None:
    """Fill y, (n, d), and each row's mean and the reciprocal of its deviation, (n,)."""
    n, d = x.shape
    number = x.dtype.type
    for i in range(n):
        total = number(0)
        for j in range(d):
            total += x[i, j]
        mean = number(total / d)
        squares = number(0)
        for j in range(d):
            squares += (x[i, j] - mean) * (x[i, j] - mean)
        scale = number(1 / np.sqrt(squares / d + eps))
        means[i], scales[i] = mean, scale
        for j in range(d):
            y[i, j] = (x[i, j] - mean) * scale * gain[j] + bias[j]


def layer_norm_backward(
    grad: Any,
    x: Any,
    gain: Any,
    means: Any,
    scales: Any,
    to_x: Any,
    to_gain: Any,
    to_bias: Any,
) -> None:
    """Fill to_x, (n, d), to_gain and to_bias, (d,)."""
    n, d = grad.shape
    number = grad.dtype.type
    for j in range(d):
        to_gain[j] = to_bias[j] = number(0)
    for i in range(n):
        mean, scale = means[i], scales[i]
        total, along = number(0), number(0)
        for j in range(d):
            normal = (x[i, j] - mean) * scale
            total += grad[i, j] * gain[j]
            along += grad[i, j] * gain[j] * normal
            to_gain[j] += grad[i, j] * normal
            to_bias[j] += grad[i, j]
        center, slope = number(total / d), number(along / d)
        for j in range(d):
            normal = (x[i, j] - mean) * scale
            to_x[i, j] = (grad[i, j] * gain[j] - center - normal * slope) * scale


def rms_norm(x: Any, gain: Any, eps: float, y: Any, scales: Any) -> None:
    """Fill y, (n, d), and the reciprocal of each row's size, (n,)."""
    n, d = x.shape
    number = x.dtype.type
    for i in range(n):
        squares = number(0)
        for j in range(d):
            squares += x[i, j] * x[i, j]
        scale = number(1 / np.sqrt(squares / d + eps))
        scales[i] = scale
        for j in range(d):
            y[i, j] = x[i, j] * scale * gain[j]


def rms_norm_backward(grad: Any, x: Any, gain: Any, scales: Any, to_x: Any, to_gain: Any) -> None:
    """Fill to_x, (n, d), and to_gain, (d,)."""
    n, d = grad.shape
    number = grad.dtype.type
    for j in range(d):
        to_gain[j] = number(0)
    for i in range(n):
        scale = scales[i]
        along = number(0)
        for j in range(d):
            normal = x[i, j] * scale
            along += grad[i, j] * gain[j] * normal
            to_gain[j] += grad[i, j] * normal
        slope = number(along / d)
        for j in range(d):
            to_x[i, j] = (grad[i, j] * gain[j] - x[i, j] * scale * slope) * scale


def shift_rows(scores: Any, scale: float, queries: int, causal: bool, window: int) -> None:
    """Scale, subtract each row's maximum, so that no exponential overflows, and hide the future.

    The rows are those of consecutive matrices, (queries, keys). With `causal` a query sees the
    last `window` of the keys up to its own position, where the last query has the position of the
    last key; the others become −inf.
    """
    n, keys = scores.shape
    number = scores.dtype.type
    factor = number(scale)
    for i in range(n):
        first, end = 0, keys
        if causal:
            end = max(0, keys - queries + i % queries + 1)
            first = max(0, end - window)
        for j in range(first, end):
            scores[i, j] *= factor
        largest = _largest(scores[i, first:end])
        for j in range(first, end):
            scores[i, j] -= largest
        for j in range(first):
            scores[i, j] = -np.inf
        for j in range(end, keys):
            scores[i, j] = -np.inf


def _largest(row: Any) -> Any:
    """Return the maximum of a row, or 0 if that is −inf.

    Four maxima are computed in parallel, because each comparison has to wait for the one before.
    """
    a = b = c = d = row.dtype.type(-np.inf)
    whole = len(row) - len(row) % 4
    for j in range(0, whole, 4):
        a, b = max(a, row[j]), max(b, row[j + 1])
        c, d = max(c, row[j + 2]), max(d, row[j + 3])
    for j in range(whole, len(row)):
        a = max(a, row[j])
    largest = max(max(a, b), max(c, d))
    return row.dtype.type(0) if largest == -np.inf else largest


def divide_by_sums(rows: Any) -> None:
    """Divide each row by its sum, unless that is 0."""
    n, d = rows.shape
    number = rows.dtype.type
    for i in range(n):
        total = number(0)
        for j in range(d):
            total += rows[i, j]
        if total != 0:
            factor = number(1 / total)
            for j in range(d):
                rows[i, j] *= factor


def softmax_backward(grad: Any, y: Any, scale: float) -> None:
    """Replace grad, (n, d), by the gradient in x of y = softmax(scale · x): s · y · (ḡ − Σ ḡ·y)."""
    n, d = grad.shape
    number = grad.dtype.type
    factor = number(scale)
    for i in range(n):
        along = number(0)
        for j in range(d):
            along += grad[i, j] * y[i, j]
        for j in range(d):
            grad[i, j] = factor * y[i, j] * (grad[i, j] - along)


def shift_to_targets(logits: Any, targets: Any, ignores: bool, ignored: int, chosen: Any) -> int:
    """Subtract each row's maximum, (n, d), and store each target's logit in `chosen`, (n,).

    Return the number of targets that count: all, or if `ignores`, those that differ from `ignored`.
    Return 0 if a target is not the index of a column.
    """
    n, d = logits.shape
    count = 0
    for i in range(n):
        largest = _largest(logits[i])
        for j in range(d):
            logits[i, j] -= largest
        target = targets[i]
        if not ignores or target != ignored:
            if target < 0 or target >= d:
                return 0
            count += 1
            chosen[i] = logits[i, target]
    return count


def mean_cross_entropy(
    exponentials: Any, targets: Any, ignores: bool, ignored: int, chosen: Any, count: int
) -> float:
    """Return the mean cross entropy, and replace the rows by its gradient in the logits.

    `exponentials`, (n, d), are exp of the logits that `shift_to_targets` shifted.
    """
    n, d = exponentials.shape
    number = exponentials.dtype.type
    total_loss = 0.0
    for i in range(n):
        if ignores and targets[i] == ignored:
            for j in range(d):
                exponentials[i, j] = number(0)
            continue
        total = number(0)
        for j in range(d):
            total += exponentials[i, j]
        total_loss += np.log(total) - chosen[i]
        share = number(1 / count)
        factor = number(share / total)
        for j in range(d):
            exponentials[i, j] *= factor
        exponentials[i, targets[i]] -= share
    return total_loss / count


def take_rows(table: Any, ids: Any, rows: Any) -> bool:
    """Fill rows, (n, d), with rows of a table, (vocabulary, d); False if an id has none."""
    n, d = rows.shape
    for i in range(n):
        row = ids[i]
        if row < 0 or row >= len(table):
            return False
        for j in range(d):
            rows[i, j] = table[row, j]
    return True


def add_rows(rows: Any, ids: Any, table: Any) -> None:
    """Fill the table, (vocabulary, d), with the sums of the rows, (n, d), that have each id."""
    n, d = rows.shape
    table[:] = 0
    for i in range(n):
        row = ids[i]
        for j in range(d):
            table[row, j] += rows[i, j]


def erfinv(a: Any, y: Any) -> None:
    """Fill y, (n,), with the inverse of the error function, in double precision."""
    for i in range(len(a)):
        y[i] = _erfinv(float(a[i]))


def attend_to_cache(
    q: Any,
    k: Any,
    v: Any,
    keys: Any,
    values: Any,
    position: Any,
    heads: int,
    kv_heads: int,
    window: int,
    scale: float,
    weights: Any,
    y: Any,
) -> None:
    """Append k and v to the caches, and fill y with the attention of q to the last `window` rows.

    Shapes: q, k, v and y are (batch, width); keys and values (batch, length, width of k or v);
    weights, which is scratch memory, (length,); position, the row to write, (1,).
    """
    at = position[0]
    d_k, d_v, shares = k.shape[1] // kv_heads, v.shape[1] // kv_heads, heads // kv_heads
    number = q.dtype.type
    factor, first = number(scale), max(0, at + 1 - window)
    for b in range(len(q)):
        keys[b, at], values[b, at] = k[b], v[b]
        for head in range(heads):
            query = q[b, head * d_k : (head + 1) * d_k]
            group = head // shares
            for t in range(first, at + 1):
                key = keys[b, t, group * d_k : (group + 1) * d_k]
                score = number(0)
                for i in range(d_k):
                    score += query[i] * key[i]
                weights[t] = score * factor
            largest = _largest(weights[first : at + 1])
            total = number(0)
            for t in range(first, at + 1):
                weights[t] = np.exp(weights[t] - largest)
                total += weights[t]
            mixed = y[b, head * d_v : (head + 1) * d_v]
            mixed[:] = 0
            if total == 0:
                continue
            for t in range(first, at + 1):
                share, value = weights[t] / total, values[b, t, group * d_v : (group + 1) * d_v]
                for i in range(d_v):
                    mixed[i] += share * value[i]


def adamw(data: Any, grad: Any, first: Any, second: Any, betas: Any, rates: Any) -> None:
    """Update both moments, and replace `grad`, (n,), by the updated parameters.

    `betas` are β₁ and β₂; `rates` are η / (1 − β₁ᵗ), 1 / (1 − β₂ᵗ), ε and η·λ.
    """
    number = data.dtype.type
    beta1, beta2 = number(betas[0]), number(betas[1])
    other1, other2 = number(1 - betas[0]), number(1 - betas[1])
    step, correction = number(rates[0]), number(rates[1])
    eps, decay = number(rates[2]), number(rates[3])
    for i in range(data.size):
        first[i] = beta1 * first[i] + other1 * grad[i]
        second[i] = beta2 * second[i] + other2 * (grad[i] * grad[i])
        change = step * first[i] / (np.sqrt(second[i] * correction) + eps)
        grad[i] = data[i] - (change + decay * data[i])


@cache
def kernels() -> SimpleNamespace:
    """Return the loops by name; each is compiled at its first call, or loaded from disk."""
    from numba.extending import register_jitable

    register_jitable(_largest)
    register_jitable(_erfinv)
    options = {loop: ROUNDED_OPTIONS if loop in ROUNDED else OPTIONS for loop in LOOPS}
    return SimpleNamespace(**{loop.__name__: compiled(loop, **options[loop]) for loop in LOOPS})


ROUNDED = (layer_norm_backward, rms_norm_backward, erfinv)
LOOPS = (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    shift_rows,
    divide_by_sums,
    softmax_backward,
    shift_to_targets,
    mean_cross_entropy,
    take_rows,
    add_rows,
    erfinv,
    attend_to_cache,
    adamw,
)
