"""The inner loops of the fused primitives, written out so that numba can compile them.

NumPy makes a pass over memory for every operation, and each of its calls costs a microsecond. Here
a row is read once, while it is at hand, and all is done with it. Every loop works on rows, (n, d),
and writes into arrays that it is given; `compiled.py` calls them, and says what they are for. The
mathematics is that of `neural.py`, `probability.py` and `optimizers.py`, where it is explained.
"""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from autolm.compiled.intrinsics import (
    call_gemm,
    call_gemv,
    exponential,
    integers_at,
    matrix_at,
    teach_numba,
    vector_at,
)
from autolm.compiled.kept import kept

# Sums may be taken in any order, as NumPy does, so that several numbers are added at once; but nan
# and inf count.
HOW: dict[str, Any] = {  # all are compiled
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
    "nogil": True,
}

# Where nearly equal products are subtracted, each is rounded: fused with the subtraction, one of
# them would not be, and its rounding error would remain, divided by the deviation of the row.
HOW_ROUNDED: dict[str, Any] = {**HOW, "fastmath": {"reassoc", "nsz"}}

# What an instruction does, and why a run of them ends.
WIDTH = 20
(MATMUL, BINARY, UNARY, UNARY_BACKWARD, SUM_OF_PARTS, SUM, EMBEDDING, EMBEDDING_BACKWARD) = range(8)
(LAYER_NORM, LAYER_NORM_BACKWARD, RMS_NORM, RMS_NORM_BACKWARD) = range(8, 12)
(ATTENTION, ATTENTION_BACKWARD, CROSS_ENTROPY, SQUARES, LIMIT, ADAMW, COPY, CACHED) = range(12, 20)
DONE, REFUSED, UNSCORED, NOT_FINITE = range(4)
# The operations of `binary` and `unary`.
ADD, SUB, MUL, DIV = range(4)
RELU, NEG, EXP, LOG, TANH, SIGMOID, GELU, GELU_TANH = range(8)
# The places in `state`: the learning rate and the rest of AdamW, with 1 − βᵗ; the length of the
# gradient, the longest that it may have, and what it is multiplied by for that; and the position of
# a token that is read.
STATE = 11
(RATE, BETA1, BETA2, BEGUN1, BEGUN2, EPS, DECAY, NORM, LONGEST, CLIP, POSITION) = range(STATE)
ROOT_HALF, GELU_SCALE, GELU_CUBIC = math.sqrt(0.5), math.sqrt(2 / math.pi), 0.044715


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
    keep: bool,
) -> None:
    """Fill to_x, (n, d), or add to it if it is to `keep`; add to to_gain and to_bias, (d,)."""
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
            sent = (grad[i, j] * gain[j] - center - normal * slope) * scale
            to_x[i, j] = to_x[i, j] + sent if keep else sent


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


def rms_norm_backward(
    grad: Any, x: Any, gain: Any, scales: Any, to_x: Any, to_gain: Any, keep: bool
) -> None:
    """Fill to_x, (n, d), or add to it if it is to `keep`; add to to_gain, (d,)."""
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
            sent = (grad[i, j] * gain[j] - x[i, j] * scale * slope) * scale
            to_x[i, j] = to_x[i, j] + sent if keep else sent


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
    """Return the largest of a row, or 0 if that is −inf.

    It is sought in four parts, as each comparison waits for the one before.
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
    from numba.extending import register_jitable

    register_jitable(_largest)
    how = {loop: HOW_ROUNDED if loop in ROUNDED else HOW for loop in LOOPS}
    return SimpleNamespace(**{loop.__name__: kept(loop, **how[loop]) for loop in LOOPS})


ROUNDED = (layer_norm_backward, rms_norm_backward)
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


# The loops of a recorded step, besides


def softmax_rows(scores: Any, factor: float, queries: int, causal: bool, window: int) -> None:
    """Make weights of scores, (n, keys): scaled, hidden as `shift_rows` does, and normalized.

    Exponentials are taken of all rows at once, the hidden ones too: so many at a time are quicker
    than fewer one by one, as at the end of every row.
    """
    shift_rows(scores, factor, queries, causal, window)
    flat = scores.reshape(-1)
    for i in range(len(flat)):
        flat[i] = exponential(flat[i])
    divide_by_sums(scores)


def binary(which: int, a: Any, b: Any, out: Any) -> None:
    """Fill out with a ∘ b, each of which is repeated as often as it takes."""
    i = 0
    while i < len(out):
        count = len(out) - i
        at_a, at_b = i % len(a), i % len(b)
        if len(a) > 1:
            count = min(count, len(a) - at_a)
        if len(b) > 1:
            count = min(count, len(b) - at_b)
        to = out[i : i + count]
        if len(a) > 1 and len(b) > 1:
            _with_both(which, a[at_a : at_a + count], b[at_b : at_b + count], to)
        elif len(a) > 1:
            _with_number_last(which, a[at_a : at_a + count], b[0], to)
        else:
            to[:] = a[0]
            if len(b) > 1:
                _with_both(which, to, b[at_b : at_b + count], to)
            else:
                _with_number_last(which, to, b[0], to)
        i += count


def _with_both(which: int, a: Any, b: Any, out: Any) -> None:
    if which == ADD:
        for i in range(len(out)):
            out[i] = a[i] + b[i]
    elif which == SUB:
        for i in range(len(out)):
            out[i] = a[i] - b[i]
    elif which == MUL:
        for i in range(len(out)):
            out[i] = a[i] * b[i]
    else:
        for i in range(len(out)):
            out[i] = a[i] / b[i]


def _with_number_last(which: int, a: Any, b: Any, out: Any) -> None:
    if which in (ADD, SUB):
        shift = b if which == ADD else -b
        for i in range(len(out)):
            out[i] = a[i] + shift
    elif which == MUL:
        for i in range(len(out)):
            out[i] = a[i] * b
    else:
        for i in range(len(out)):
            out[i] = a[i] / b


def copy(a: Any, out: Any, keep: bool) -> None:
    """Fill out with a, or add it; a number is repeated."""
    if len(a) < len(out):
        for i in range(len(out)):
            out[i] = out[i] + a[0] if keep else a[0]
    elif keep:
        for i in range(len(out)):
            out[i] += a[i]
    else:
        out[:] = a


def unary(which: int, a: Any) -> None:
    """Do the operation of that number in place.

    A loop over one array does several numbers at once, and one over two might not: nobody tells a
    compiler that two arrays are either apart or one.
    """
    number = a.dtype.type
    if which == RELU:
        for i in range(len(a)):
            a[i] = number(0) if a[i] < 0 else a[i]
    elif which == NEG:
        for i in range(len(a)):
            a[i] = -a[i]
    elif which == EXP:
        for i in range(len(a)):
            a[i] = math.exp(a[i])
    elif which == LOG:
        for i in range(len(a)):
            a[i] = np.log(a[i])
    elif which == TANH:
        for i in range(len(a)):
            a[i] = math.tanh(a[i])
    elif which == SIGMOID:
        for i in range(len(a)):
            a[i] = _sigmoid(a[i], number(1))
    elif which == GELU:
        for i in range(len(a)):
            a[i] *= number(0.5 * math.erfc(-a[i] * ROOT_HALF))
    else:
        for i in range(len(a)):
            inner = a[i] + number(GELU_CUBIC) * a[i] * a[i] * a[i]
            a[i] *= _sigmoid(number(2 * GELU_SCALE) * inner, number(1))


def unary_backward(which: int, grad: Any, a: Any, out: Any, keep: bool) -> None:
    """Fill out with grad · slope, or add it: `a` is the operand, or y: see `emitters.py`."""
    number = a.dtype.type
    if which == RELU and not keep:
        for i in range(len(out)):
            out[i] = number(0) if a[i] <= 0 else grad[i]
    elif which == RELU:
        for i in range(len(out)):
            out[i] += number(0) if a[i] <= 0 else grad[i]
    else:
        for i in range(len(out)):
            sent = grad[i] * number(_slope(which, a[i]))
            out[i] = out[i] + sent if keep else sent


def relu_backward_here(grad: Any, y: Any) -> None:
    """Do the backward of RELU in place, for the reason of `unary`."""
    for i in range(len(grad)):
        grad[i] = grad.dtype.type(0) if y[i] <= 0 else grad[i]


def _slope(which: int, a: Any) -> Any:
    if which == NEG:
        return -1.0
    if which == EXP:
        return a
    if which == LOG:
        return 1 / a
    if which == TANH:
        return 1 - a * a
    if which == SIGMOID:
        return a * (1 - a)
    if which == GELU:
        density = math.exp(-a * a / 2) * (ROOT_HALF / math.sqrt(math.pi))
        return 0.5 * math.erfc(-a * ROOT_HALF) + a * density
    gate = _sigmoid(2 * GELU_SCALE * (a + GELU_CUBIC * a**3), 1.0)
    steep = gate * (1 - gate)
    if steep == 0:  # though a² may be infinite
        return gate
    return gate + 2 * a * steep * GELU_SCALE * (1 + 3 * GELU_CUBIC * a * a)


def _sigmoid(a: Any, one: Any) -> Any:
    small = exponential(-abs(a))  # which cannot overflow; `one` keeps 32 bits what they are
    return (one if a >= 0 else small) / (one + small)


def sum_of_parts(parts: Any, out: Any, keep: bool) -> None:
    """Add up the rows of parts, (n, d), from the first to the last, as NumPy does."""
    if not keep:
        for j in range(len(out)):
            out[j] = 0
    for i in range(len(parts)):
        for j in range(len(out)):
            out[j] += parts[i, j]


def sum_of_numbers(a: Any, factor: float) -> float:
    """Return the sum, in double precision, times a factor."""
    total = 0.0
    for i in range(len(a)):
        total += a[i]
    return total * factor


def sum_of_squares(a: Any) -> float:
    """Return Σ a², in double precision, which has the range."""
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * np.float64(a[i])
    return total


def adamw_exactly(data: Any, grad: Any, first: Any, second: Any, state: Any, decays: bool) -> None:
    """Take a step of AdamW where the numbers lie, rounding as `AdamW.moved` does with NumPy."""
    number = data.dtype.type
    clip, rate, eps, decay = state[CLIP], state[RATE], number(state[EPS]), number(state[DECAY])
    beta1, beta2 = number(state[BETA1]), number(state[BETA2])
    other1, other2 = number(1 - state[BETA1]), number(1 - state[BETA2])
    begun1, begun2 = number(state[BEGUN1]), number(state[BEGUN2])
    clipped, step = number(clip), number(rate)
    decays = decays and state[DECAY] != 0
    for i in range(len(data)):
        slope = grad[i] * clipped
        first[i] = first[i] * beta1 + slope * other1
        second[i] = second[i] * beta2 + slope * slope * other2
        change = (first[i] / begun1) / (np.sqrt(second[i] / begun2) + eps)
        if decays:
            change += decay * data[i]
        data[i] = data[i] - change * step


def attend(
    blas: Any,
    operands: tuple[int, int, int, int],
    kept: int,
    sizes: tuple[int, int, int, int, int, int, int],
    factor: float,
    causal: bool,
    window: int,
    most: int,
    like: Any,
) -> None:
    """Fill the result with what each head sees, and `kept` with its weights.

    `operands` are the addresses of q, k, v and the result; `sizes` are batch, queries, keys, heads,
    heads of keys, and the widths of one head in keys and values. Of the keys, `most` are there.
    """
    gemm, is_wide = blas
    q, k, v, y = operands
    batch, queries, keys, heads, kv_heads, d_k, d_v = sizes
    byte = like.itemsize
    for i in range(batch):
        for h in range(heads):
            own = h // (heads // kv_heads)
            head_q = q + (i * queries * heads + h) * d_k * byte
            head_k = k + (i * keys * kv_heads + own) * d_k * byte
            head_v = v + (i * keys * kv_heads + own) * d_v * byte
            head_y = y + (i * queries * heads + h) * d_v * byte
            scores = kept + (i * heads + h) * queries * keys * byte
            at_q, at_k = (head_q, heads * d_k), (head_k, kv_heads * d_k)
            at_v, at_y = (head_v, kv_heads * d_v), (head_y, heads * d_v)
            to_scores = queries, most, d_k
            call_gemm(
                gemm, is_wide, False, True, to_scores, at_q, at_k, False, (scores, keys), like
            )
            rows = matrix_at(scores, queries, most, like)  # one query, or as many keys as there are
            softmax_rows(rows, factor, queries, causal, window)
            to_y = queries, d_v, most
            call_gemm(gemm, is_wide, False, False, to_y, (scores, keys), at_v, False, at_y, like)


def keep_row(
    row: int, cache: int, batch: int, length: int, width: int, position: int, like: Any
) -> None:
    """Copy a row of each of a batch, (batch, width), to its position, (batch, length, width)."""
    rows = matrix_at(row, batch, width, like)
    kept = matrix_at(cache, batch * length, width, like)
    for i in range(batch):
        kept[i * length + position] = rows[i]


def attend_backward(
    blas: Any,
    operands: tuple[int, int, int, int],
    kept: int,
    slopes: int,
    sent: tuple[int, int, int],
    keeps: tuple[bool, bool, bool],
    sizes: tuple[int, int, int, int, int, int, int],
    factor: float,
    like: Any,
) -> None:
    """Send ḡ, the first of the operands before q, k and v, on to q, k and v.

    `slopes` is room for the scores of one head; `keeps` tells which of the three to add to.
    """
    gemm, is_wide = blas
    up, q, k, v = operands
    to_q, to_k, to_v = sent
    batch, queries, keys, heads, kv_heads, d_k, d_v = sizes
    byte = like.itemsize
    shares = heads // kv_heads
    for i in range(batch):
        for h in range(heads):
            of_q = (i * queries * heads + h) * d_k * byte
            of_k = (i * keys * kv_heads + h // shares) * d_k * byte
            of_v = (i * keys * kv_heads + h // shares) * d_v * byte
            at_up = up + (i * queries * heads + h) * d_v * byte, heads * d_v
            weights = kept + (i * heads + h) * queries * keys * byte, keys
            at_slopes = slopes, keys
            wide_q, wide_k, wide_v = heads * d_k, kv_heads * d_k, kv_heads * d_v
            more = h % shares > 0
            call_gemm(
                gemm,
                is_wide,
                True,
                False,
                (keys, d_v, queries),
                weights,
                at_up,
                keeps[2] or more,
                (to_v + of_v, wide_v),
                like,
            )
            call_gemm(
                gemm,
                is_wide,
                False,
                True,
                (queries, keys, d_v),
                at_up,
                (v + of_v, wide_v),
                False,
                at_slopes,
                like,
            )
            softmax_backward(
                matrix_at(slopes, queries, keys, like),
                matrix_at(weights[0], queries, keys, like),
                factor,
            )
            call_gemm(
                gemm,
                is_wide,
                False,
                False,
                (queries, d_k, keys),
                at_slopes,
                (k + of_k, wide_k),
                keeps[0],
                (to_q + of_q, wide_q),
                like,
            )
            call_gemm(
                gemm,
                is_wide,
                True,
                False,
                (keys, d_k, queries),
                at_slopes,
                (q + of_q, wide_q),
                keeps[1] or more,
                (to_k + of_k, wide_k),
                like,
            )


def cross_entropy_with_slope(
    logits: Any, targets: Any, ignores: bool, ignored: int, slope: Any, chosen: Any, loss: Any
) -> bool:
    """Fill the loss and its slope in the logits; False if there is no target, or a wrong one."""
    n, d = logits.shape
    for i in range(n):
        for j in range(d):
            slope[i, j] = logits[i, j]
    count = shift_to_targets(slope, targets, ignores, ignored, chosen)
    if count == 0:
        return False
    for i in range(n):
        for j in range(d):
            slope[i, j] = exponential(slope[i, j])
    loss[0] = surprise(slope, targets, ignores, ignored, chosen, count)
    return True


def run(
    program: Any,
    factors: Any,
    state: Any,
    like: Any,
    gemm: int,
    gemv: int,
    is_wide: bool,
    again: bool,
) -> int:
    """Do one instruction after another, and return DONE, or why it stopped.

    Parameters
    ----------
    program
        Instructions, (n, WIDTH): a code, and what it says above each loop here; places in memory
        are addresses. A flag to keep is 0, 1, or 2 for "if this is done again".
    factors
        A number for each, (n,): of a norm ε, of an attention its scale.
    state
        What changes from step to step: see RATE and those beside it.
    like
        Any array of the dtype of all numbers.
    gemm, gemv, is_wide
        The products of matrices; see `call_gemm` and `call_gemv`.
    again
        Whether gradients are added to those of a run before.
    """
    for place in range(len(program)):
        o = program[place]
        code, factor = o[0], factors[place]
        if code == MATMUL:
            m, n, inner = o[4], o[5], o[6]
            if m == 1 and o[7] == 0:  # a row times a matrix, which is read once
                sizes = (n, inner) if o[8] else (inner, n)
                keeps = _keeps(o[9], again)
                call_gemv(gemv, is_wide, o[8] == 0, sizes, o[2], o[1], keeps, o[3], like)
                continue
            a_width = m if o[7] else inner
            b_width = inner if o[8] else n
            call_gemm(
                gemm,
                is_wide,
                o[7] != 0,
                o[8] != 0,
                (m, n, inner),
                (o[1], a_width),
                (o[2], b_width),
                _keeps(o[9], again),
                (o[3], n),
                like,
            )
        elif code == BINARY:
            a, b = vector_at(o[2], o[6], like), vector_at(o[3], o[7], like)
            binary(o[1], a, b, vector_at(o[4], o[5], like))
        elif code == COPY:
            a, to = vector_at(o[1], o[3], like), vector_at(o[2], o[4], like)
            copy(a, to, _keeps(o[5], again))
        elif code == UNARY:
            to = vector_at(o[3], o[4], like)
            if o[2] != o[3]:
                to[:] = vector_at(o[2], o[4], like)
            unary(o[1], to)
        elif code == UNARY_BACKWARD:
            n = o[5]
            keeps = _keeps(o[6], again)
            grad, a = vector_at(o[2], n, like), vector_at(o[3], n, like)
            if o[1] == RELU and o[2] == o[4] and not keeps:
                relu_backward_here(grad, a)
            else:
                unary_backward(o[1], grad, a, vector_at(o[4], n, like), keeps)
        elif code == SUM_OF_PARTS:
            parts = matrix_at(o[1], o[3], o[4], like)
            sum_of_parts(parts, vector_at(o[2], o[4], like), _keeps(o[5], again))
        elif code == SUM:
            vector_at(o[2], 1, like)[0] = sum_of_numbers(vector_at(o[1], o[3], like), factor)
        elif code == EMBEDDING:
            n, d, size = o[4], o[5], o[6]
            ids = integers_at(o[2], n)
            for i in range(n):
                if ids[i] < 0 or ids[i] >= size:
                    return REFUSED
            take_rows(matrix_at(o[1], size, d, like), ids, matrix_at(o[3], n, d, like))
        elif code == EMBEDDING_BACKWARD:
            n, d, size = o[4], o[5], o[6]
            table = matrix_at(o[3], size, d, like)
            if not _keeps(o[7], again):
                table[:] = 0
            add_rows(matrix_at(o[1], n, d, like), integers_at(o[2], n), table)
        elif code == LAYER_NORM:
            n, d = o[7], o[8]
            layer_norm(
                matrix_at(o[1], n, d, like),
                vector_at(o[2], d, like),
                vector_at(o[3], d, like),
                factor,
                matrix_at(o[4], n, d, like),
                vector_at(o[5], n, like),
                vector_at(o[6], n, like),
            )
        elif code == LAYER_NORM_BACKWARD:
            n, d = o[9], o[10]
            to_gain, to_bias = vector_at(o[7], d, like), vector_at(o[8], d, like)
            if not _keeps(o[12], again):
                to_gain[:] = 0
            if not _keeps(o[13], again):
                to_bias[:] = 0
            layer_norm_backward(
                matrix_at(o[1], n, d, like),
                matrix_at(o[2], n, d, like),
                vector_at(o[3], d, like),
                vector_at(o[4], n, like),
                vector_at(o[5], n, like),
                matrix_at(o[6], n, d, like),
                to_gain,
                to_bias,
                _keeps(o[11], again),
            )
        elif code == RMS_NORM:
            n, d = o[5], o[6]
            rms_norm(
                matrix_at(o[1], n, d, like),
                vector_at(o[2], d, like),
                factor,
                matrix_at(o[3], n, d, like),
                vector_at(o[4], n, like),
            )
        elif code == RMS_NORM_BACKWARD:
            n, d = o[7], o[8]
            to_gain = vector_at(o[6], d, like)
            if not _keeps(o[10], again):
                to_gain[:] = 0
            rms_norm_backward(
                matrix_at(o[1], n, d, like),
                matrix_at(o[2], n, d, like),
                vector_at(o[3], d, like),
                vector_at(o[4], n, like),
                matrix_at(o[5], n, d, like),
                to_gain,
                _keeps(o[9], again),
            )
        elif code == ATTENTION:
            attend(
                (gemm, is_wide),
                (o[1], o[2], o[3], o[4]),
                o[5],
                (o[6], o[7], o[8], o[9], o[10], o[11], o[12]),
                factor,
                o[13] != 0,
                o[14],
                o[8],
                like,
            )
        elif code == CACHED:
            keep_row(o[2], o[6], o[8], o[9], o[11] * o[12], int(state[POSITION]), like)
            keep_row(o[3], o[7], o[8], o[9], o[11] * o[13], int(state[POSITION]), like)
            operands = o[1], o[6], o[7], o[4]
            sizes_of_heads = o[8], 1, o[9], o[10], o[11], o[12], o[13]
            most = int(state[POSITION]) + 1
            attend((gemm, is_wide), operands, o[5], sizes_of_heads, factor, True, o[14], most, like)
        elif code == ATTENTION_BACKWARD:
            attend_backward(
                (gemm, is_wide),
                (o[1], o[2], o[3], o[4]),
                o[5],
                o[6],
                (o[7], o[8], o[9]),
                (_keeps(o[10], again), _keeps(o[11], again), _keeps(o[12], again)),
                (o[13], o[14], o[15], o[16], o[17], o[18], o[19]),
                factor,
                like,
            )
        elif code == CROSS_ENTROPY:
            n, d = o[6], o[7]
            if not cross_entropy_with_slope(
                matrix_at(o[1], n, d, like),
                integers_at(o[2], n),
                o[8] != 0,
                o[9],
                matrix_at(o[3], n, d, like),
                vector_at(o[4], n, like),
                vector_at(o[5], 1, like),
            ):
                return UNSCORED
        elif code == SQUARES:
            state[NORM] = math.sqrt(sum_of_squares(vector_at(o[1], o[2], like)))
        elif code == LIMIT:
            if not (np.isfinite(vector_at(o[1], 1, like)[0]) and np.isfinite(state[NORM])):
                return NOT_FINITE
            state[CLIP] = 1.0
            if state[NORM] > state[LONGEST]:
                state[CLIP] = state[LONGEST] / state[NORM]
        else:
            n = o[5]
            adamw_exactly(
                vector_at(o[1], n, like),
                vector_at(o[2], n, like),
                vector_at(o[3], n, like),
                vector_at(o[4], n, like),
                state,
                o[6] != 0,
            )
    return DONE


def _keeps(flag: int, again: bool) -> bool:
    return flag == 1 or (flag == 2 and again)


@cache
def machine() -> Any:
    """Compile `run`, which takes some seconds, or load it from the cache that numba keeps."""
    from numba.extending import register_jitable

    teach_numba()
    for loop in (*LOOPS, *LOOPS_OF_THE_MACHINE):
        if loop not in (*ROUNDED, adamw_exactly):
            register_jitable(loop)
    for loop in ROUNDED:
        register_jitable(fastmath=HOW_ROUNDED["fastmath"])(loop)
    register_jitable(fastmath=False)(adamw_exactly)
    return kept(run, **HOW)


LOOPS_OF_THE_MACHINE = (
    *(_largest, _slope, _sigmoid, _with_both, _with_number_last, copy),
    *(
        softmax_rows,
        binary,
        unary,
        unary_backward,
        relu_backward_here,
        sum_of_parts,
        sum_of_numbers,
        sum_of_squares,
    ),
    *(adamw_exactly, attend, attend_backward, keep_row, cross_entropy_with_slope, _keeps),
)
