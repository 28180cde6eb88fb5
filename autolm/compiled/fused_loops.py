"""The inner loops of the fused primitives, written out so that numba can compile them.

NumPy makes a pass over memory for every operation, and each of its calls costs a microsecond. Here
a row is read once, while it is at hand, and all is done with it. Every loop works on rows, (n, d),
and writes into arrays that it is given; `compiled.py` calls them, and says what they are for. The
mathematics is that of `neural.py`, `probability.py` and `optimizers.py`, where it is explained.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

# Sums may be taken in any order, as NumPy does, so that several numbers are added at once; but nan
# and inf count.
FASTMATH = {"reassoc", "contract", "nsz"}


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
    grad: Any, x: Any, gain: Any, means: Any, scales: Any, to_x: Any, to_gain: Any, to_bias: Any
) -> None:
    """Fill to_x, (n, d), and add to to_gain and to_bias, (d,)."""
    n, d = grad.shape
    number = grad.dtype.type
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
    """Fill to_x, (n, d), and add to to_gain, (d,)."""
    n, d = grad.shape
    number = grad.dtype.type
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
    """Scale, take the largest from each row, so that no exponential overflows, and hide the future.

    The rows are those of matrices, (queries, keys), one after another. With `causal` a query sees
    the keys up to its own, which for the last query is the last, and of these the last `window`;
    the others become −inf.
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
    """Return the largest of a row, or 0 if that is not finite."""
    largest = row.dtype.type(-np.inf)
    for element in row:
        largest = max(largest, element)
    return largest if np.isfinite(largest) else row.dtype.type(0)


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
    """Make of grad, (n, d), what it is before y = softmax(scale · x): scale · y · (ḡ − Σ ḡ · y)."""
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
    """Take the largest from each row, (n, d), and note in `chosen`, (n,), what its target has then.

    Return how many targets count: all, or if it `ignores`, those that are not `ignored`. It is 0,
    too, if one of them is no column.
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


def surprise(
    exponentials: Any, targets: Any, ignores: bool, ignored: int, chosen: Any, count: int
) -> float:
    """Return the mean surprise at the targets, and turn the rows into its slope in the logits.

    `exponentials`, (n, d), are those of what `shift_to_targets` left.
    """
    n, d = exponentials.shape
    number = exponentials.dtype.type
    total_surprise = 0.0
    for i in range(n):
        if ignores and targets[i] == ignored:
            for j in range(d):
                exponentials[i, j] = number(0)
            continue
        total = number(0)
        for j in range(d):
            total += exponentials[i, j]
        total_surprise += np.log(total) - chosen[i]
        share = number(1 / count)
        factor = share
        if total != 0:
            factor = number(share / total)
        for j in range(d):
            exponentials[i, j] *= factor
        exponentials[i, targets[i]] -= share
    return total_surprise / count


def take_rows(table: Any, ids: Any, rows: Any) -> None:
    """Fill rows, (n, d), with those of the table, (vocabulary, d), that the ids name."""
    n, d = rows.shape
    for i in range(n):
        row = ids[i]
        for j in range(d):
            rows[i, j] = table[row, j]


def add_rows(rows: Any, ids: Any, table: Any) -> None:
    """Add each row, (n, d), to the row of the table, (vocabulary, d), that its id names."""
    n, d = rows.shape
    for i in range(n):
        row = ids[i]
        for j in range(d):
            table[row, j] += rows[i, j]


def adamw(data: Any, grad: Any, first: Any, second: Any, betas: Any, rates: Any) -> None:
    """Bring both moments up to date, and put where the parameters go in place of `grad`, (n,).

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


def fold(words: Any) -> int:
    """Mix each word with its place, and add up: any change of one shows, and others all but surely.

    A plain weighted sum would not do, since doubling or negating a whole array of floats adds the
    same to every word, and that can cancel. Mixing loses nothing, so two different words at one
    place stay different; and each bit of a word changes about half of the bits of the mixed one.

    Source of the constants: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators
    (2014).
    """
    total = np.uint64(0)
    for i in range(words.size):
        mixed = np.uint64(words[i]) ^ (np.uint64(i) * np.uint64(0x9E3779B97F4A7C15))
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        total += mixed ^ (mixed >> np.uint64(31))
    return total  # type: ignore[return-value]


@cache
def native_loops() -> SimpleNamespace:
    """Compile every loop, each at its first call, or load it from the cache that numba keeps."""
    from numba import njit
    from numba.extending import register_jitable

    register_jitable(_largest)
    compile_loop = njit(cache=True, error_model="numpy", fastmath=FASTMATH, nogil=True)
    return SimpleNamespace(**{loop.__name__: compile_loop(loop) for loop in LOOPS})


LOOPS = (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    shift_rows,
    divide_by_sums,
    softmax_backward,
    shift_to_targets,
    surprise,
    take_rows,
    add_rows,
    adamw,
    fold,
)
