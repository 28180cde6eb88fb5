"""The operations that a transformer is made of, each fused into one node with its own rule.

Matrix product, softmax and its logarithm, the norms, embedding, masking, dropout, attention and
cross entropy. Each has a scalar definition in `on_values.py`, against which it is proved.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops import on_values
from autolm.ops.primitive import Array, Backward, Case, primitive


@primitive(
    symbol="@",
    formula="yᵢⱼ = Σₖ aᵢₖ · bₖⱼ",
    rule=("ḡ · bᵀ", "aᵀ · ḡ"),
    scalar=on_values.matmul,
    cases=(
        Case(((2, 3), (3, 4))),
        Case(((3, 3), (3, 3))),
        Case(((3,), (3,))),
        Case(((2, 3), (3,))),
        Case(((3,), (3, 2))),
        Case(((5, 2, 3), (3, 4))),
        Case(((2, 1, 2, 3), (3, 3, 2))),
        Case(((3,), (2, 3, 4))),
        Case(((2, 3, 4), (4,))),
    ),
)
def matmul(a: Array, b: Array) -> tuple[Array, Backward]:
    """Multiply matrices over the last two axes; the axes before them broadcast, as in NumPy.

    ``(…, n, k) @ (…, k, m) -> (…, n, m)``; a vector counts as one row on the left and as one column
    on the right, and its axis is dropped from the result.
    """
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul: a number has no rows and columns; use * to scale")
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    if rows.shape[-1] != columns.shape[-2]:
        raise ValueError(
            f"matmul: a is {a.shape} and b is {b.shape}: "
            f"inner sizes {rows.shape[-1]} and {columns.shape[-2]} differ"
        )
    product = _product(rows, columns)
    y = product
    if a.ndim == 1:
        y = y[..., 0, :]
    if b.ndim == 1:
        y = y[..., 0]

    def backward(grad: Array) -> tuple[Array, Array]:
        grad = grad.reshape(product.shape)
        to_rows = _product(grad, columns.swapaxes(-1, -2))
        if columns.ndim == 2:  # one matrix for the whole batch: one product, not a sum of many
            k, m = columns.shape
            to_columns = rows.reshape(-1, k).swapaxes(0, 1) @ grad.reshape(-1, m)
        else:
            to_columns = rows.swapaxes(-1, -2) @ grad
        return to_rows, to_columns[..., 0] if b.ndim == 1 else to_columns

    return y, backward


def _product(a: Array, b: Array) -> Array:
    """Multiply matrices; by one matrix, all rows of a batch at once."""
    if b.ndim == 2 and a.ndim > 2:
        return (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
    return a @ b


def _sum(a: Array, axis: int = -1) -> Array:
    """Add up along one axis, and keep it; einsum does the last one several times faster."""
    if axis in (-1, a.ndim - 1):
        total: Array = np.einsum("...i->...", a)[..., None]
        return total
    return a.sum(axis=axis, keepdims=True)  # type: ignore[no-any-return]


def _dot(a: Array, b: Array, axis: int = -1) -> Array:
    """Add up products along one axis, and keep it."""
    if axis in (-1, a.ndim - 1):
        total: Array = np.einsum("...i,...i->...", a, b)[..., None]
        return total
    return _sum(a * b, axis)


def _exponentials(a: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return exp(a − shift), its sum and the shift, the largest along the axis; no overflow."""
    shift = a.real.max(axis=axis, keepdims=True)
    shift = np.where(np.isfinite(shift), shift, 0)
    exponentials = a - shift
    np.exp(exponentials, out=exponentials)
    return exponentials, _sum(exponentials, axis), shift


def _probabilities(a: Array, axis: int) -> Array:
    """Take the softmax; a row of nothing but −inf has no probability to give, and gets zeros."""
    exponentials, total, _ = _exponentials(a, axis)
    exponentials /= np.where(total == 0, 1, total)
    return exponentials


def _softmax_gradient(grad: Array, y: Array, axis: int) -> Array:
    """Return y · (ḡ − Σ ḡ · y)."""
    gradient = grad - _dot(grad, y, axis)
    gradient *= y
    return gradient


ROWS = (
    Case(((3,),)),
    Case(((2, 3),), {"axis": -1}),
    Case(((2, 3),), {"axis": 0}),
    Case(((2, 3, 4),), {"axis": 1}),
)


@primitive(
    symbol="softmax",
    formula="yᵢ = exp aᵢ / Σⱼ exp aⱼ",
    rule=("y · (ḡ − Σⱼ ḡⱼ · yⱼ)",),
    scalar=on_values.softmax,
    cases=ROWS,
)
def softmax(a: Array, *, axis: int = -1) -> tuple[Array, Backward]:
    """Turn scores into probabilities along an axis; a row of −inf alone becomes zeros."""
    y = _probabilities(a, axis)

    def backward(grad: Array) -> tuple[Array]:
        return (_softmax_gradient(grad, y, axis),)

    return y, backward


@primitive(
    symbol="ln softmax",
    formula="yᵢ = aᵢ − ln Σⱼ exp aⱼ",
    rule=("ḡ − softmax a · Σⱼ ḡⱼ",),
    scalar=on_values.log_softmax,
    cases=ROWS,
)
def log_softmax(a: Array, *, axis: int = -1) -> tuple[Array, Backward]:
    """Take the logarithm of the softmax along an axis, exact where the softmax rounds to 0."""
    exponentials, total, shift = _exponentials(a, axis)
    probabilities = exponentials / np.where(total == 0, 1, total)

    def backward(grad: Array) -> tuple[Array]:
        return (grad - probabilities * _sum(grad, axis),)

    return (a - shift) - np.log(total), backward


@primitive(
    symbol="norm",
    formula="y = n · gain + bias,  n = (x − mean x) / √(var x + ε)",
    rule=(
        "(h − mean h − n · mean(h · n)) / √(var x + ε),  h = ḡ · gain",
        "ḡ · n",
        "ḡ",
    ),
    scalar=on_values.layer_norm,
    cases=(
        Case(((4,), (4,), (4,)), {"eps": 1e-5}),
        Case(((2, 3), (3,), (3,)), {"eps": 1e-5}),
        Case(((2, 3, 4), (4,), (4,)), {"eps": 1e-3}),
    ),
)
def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalize the last axis to mean 0 and variance 1, then scale and shift it.

    Source: Ba, Kiros and Hinton, Layer Normalization (2016), section 3.
    """
    size = x.shape[-1]
    normal = x - _sum(x) / size
    inverse = 1 / np.sqrt(_dot(normal, normal) / size + eps)
    normal *= inverse

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        h = grad * gain
        to_gain = grad * normal
        to_x = h - normal * (_dot(h, normal) / size)
        to_x -= _sum(h) / size
        to_x *= inverse
        return to_x, to_gain, grad

    return normal * gain + bias, backward


@primitive(
    symbol="rms norm",
    formula="y = n · gain,  n = x / √(mean x² + ε)",
    rule=("(h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain", "ḡ · n"),
    scalar=on_values.rms_norm,
    cases=(
        Case(((4,), (4,)), {"eps": 1e-5}),
        Case(((2, 3, 4), (4,)), {"eps": 1e-3}),
    ),
)
def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Divide the last axis by its root mean square, then scale it.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019), equation 4.
    """
    size = x.shape[-1]
    inverse = 1 / np.sqrt(_dot(x, x) / size + eps)
    normal = x * inverse

    def backward(grad: Array) -> tuple[Array, Array]:
        h = grad * gain
        to_x = (h - normal * (_dot(h, normal) / size)) * inverse
        return to_x, grad * normal

    return normal * gain, backward


@primitive(
    symbol="E[ ]",
    formula="row of E for each token id",
    rule=("ḡ added to the row of each id",),
    cases=(
        Case(((4, 3),), {"token_ids": np.array([1, 3, 1])}),
        Case(((5, 2),), {"token_ids": np.array([[0, 4], [4, 4]])}),
        Case(((3, 2),), {"token_ids": np.array(2)}),
    ),
)
def embedding(weight: Array, *, token_ids: NDArray[np.integer]) -> tuple[Array, Backward]:
    """Look up the row of `weight`, (vocabulary, d_model), for each id: (…) -> (…, d_model)."""
    shape = weight.shape
    ids = _checked_ids("embedding", token_ids, shape[0])

    def backward(grad: Array) -> tuple[Array]:
        rows = grad.reshape(-1, shape[1])
        scattered = np.zeros(shape, dtype=grad.dtype)
        if ids.size:
            order = np.argsort(ids, axis=None, kind="stable")
            found, starts = np.unique(ids.reshape(-1)[order], return_index=True)
            scattered[found] = np.add.reduceat(rows[order], starts, axis=0)
        return (scattered,)

    return weight[ids], backward


def _checked_ids(name: str, ids: NDArray[np.integer], vocab_size: int) -> NDArray[np.integer]:
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" and ids.size:
        raise TypeError(f"{name}: token ids are integers, not {ids.dtype}")
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        wrong = ids[(ids < 0) | (ids >= vocab_size)].flat[0]
        raise ValueError(f"{name}: token id {wrong} is outside the vocabulary of {vocab_size}")
    return ids.astype(np.intp, copy=False)


@primitive(
    symbol="mask",
    formula="value where mask, else a",
    rule=("ḡ where not mask",),
    cases=(
        Case(((2, 2),), {"mask": np.array([[False, True], [False, False]]), "value": -1.0}),
        Case(((2, 2, 2),), {"mask": np.array([[False, True], [False, False]]), "value": 0.0}),
    ),
)
def masked_fill(a: Array, *, mask: NDArray[np.bool_], value: float) -> tuple[Array, Backward]:
    """Put `value` wherever the mask, which broadcasts to `a`, is true."""

    def backward(grad: Array) -> tuple[Array]:
        return (np.where(mask, 0, grad),)

    return np.where(mask, value, a), backward


@primitive(
    symbol="dropout",
    formula="a · keep / (1 − rate),  keep drawn by the seed",
    rule=("ḡ · keep / (1 − rate)",),
    cases=(Case(((3, 4),), {"rate": 0.5, "seed": 1}), Case(((5,),), {"rate": 0.0, "seed": 2})),
)
def dropout(a: Array, *, rate: float, seed: int) -> tuple[Array, Backward]:
    """Set a random share of elements to 0 and scale the others so that the mean stays.

    The seed decides which, so that the operation is a function: run again, it drops the same.

    Source: Srivastava et al., Dropout (2014), section 10, in its inverted form.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate is {rate}; it must be at least 0 and below 1")
    keep = (np.random.default_rng(seed).random(a.shape) >= rate) / (1 - rate)
    if a.dtype.kind == "f":
        keep = keep.astype(a.dtype, copy=False)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * keep,)

    return a * keep, backward


@lru_cache(maxsize=16)
def _causal_mask(queries: int, keys: int, dtype: np.dtype[Any]) -> Array:
    """Tabulate what to add to scores, (queries, keys): 0 where a query may look, −inf elsewhere."""
    seen = np.tri(queries, keys, keys - queries, dtype=bool)
    mask = np.where(seen, 0, -np.inf).astype(dtype)
    mask.flags.writeable = False
    return mask


@primitive(
    symbol="attention",
    formula="y = w · v,  w = softmax(q · kᵀ · scale)",
    rule=("s · k · scale", "sᵀ · q · scale,  s = w · (ḡ vᵀ − Σ ḡ vᵀ w)", "wᵀ · ḡ"),
    scalar=on_values.attention,
    cases=(
        Case(((3, 2), (3, 2), (3, 2)), {"causal": True, "scale": None}),
        Case(((3, 2), (4, 2), (4, 3)), {"causal": False, "scale": 0.5}),
        Case(((2, 2, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2)), {"causal": True, "scale": None}),
        Case(((1, 2), (3, 2), (3, 2)), {"causal": True, "scale": None}),
    ),
)
def attention(
    q: Array, k: Array, v: Array, *, causal: bool = False, scale: float | None = None
) -> tuple[Array, Backward]:
    """Let each position look at others: softmax(q kᵀ · scale) v.

    Shapes: ``(…, queries, d_k)``, ``(…, keys, d_k)``, ``(…, keys, d_v) -> (…, queries, d_v)``.
    With `causal`, a query sees no key after it; the last query is beside the last key. `scale` is
    1/√d_k if it is not given.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1.
    """
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scaled = q * factor
    scores = scaled @ k.swapaxes(-1, -2)
    if causal:
        scores += _causal_mask(*scores.shape[-2:], scores.real.dtype)  # faster than choosing
    weights = _probabilities(scores, -1)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        to_scores = _softmax_gradient(grad @ v.swapaxes(-1, -2), weights, -1)
        to_k = to_scores.swapaxes(-1, -2) @ scaled
        return (to_scores @ k) * factor, to_k, weights.swapaxes(-1, -2) @ grad

    return weights @ v, backward


@primitive(
    symbol="CE",
    formula="mean over targets t of −ln softmax(logits)ₜ",
    rule=("ḡ · (softmax logits − one-hot t) / n",),
    scalar=on_values.cross_entropy,
    cases=(
        Case(((3,),), {"targets": np.array(1), "ignore_index": None}),
        Case(((2, 4),), {"targets": np.array([3, 0]), "ignore_index": None}),
        Case(((2, 2, 3),), {"targets": np.array([[0, -1], [2, 2]]), "ignore_index": -1}),
    ),
)
def cross_entropy(
    logits: Array, *, targets: NDArray[np.integer], ignore_index: int | None = None
) -> tuple[Array, Backward]:
    """Take the mean surprise, in nats, at the targets: logits (…, vocabulary), targets (…).

    Targets equal to `ignore_index` do not count. Source: Goodfellow, Bengio and Courville, Deep
    Learning (2016), section 6.2.2.3.
    """
    targets = np.asarray(targets)
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: logits are {logits.shape}, so targets must be {logits.shape[:-1]}, "
            f"not {targets.shape}"
        )
    counted = np.ones(targets.shape, bool) if ignore_index is None else targets != ignore_index
    count = int(np.count_nonzero(counted))
    if count == 0:
        raise ValueError("cross_entropy: there is no target to predict")
    ids = np.where(counted, targets, 0)
    rows = np.arange(ids.size), _checked_ids("cross_entropy", ids, logits.shape[-1]).reshape(-1)
    shape = logits.shape
    exponentials, total, shift = _exponentials(logits, -1)
    chosen = logits.reshape(-1, shape[-1])[rows].reshape(ids.shape) - shift[..., 0]
    surprise = np.where(counted, np.log(total[..., 0]) - chosen, 0)

    def backward(grad: Array) -> tuple[Array]:
        slope = (exponentials / np.where(total == 0, 1, total)).reshape(-1, shape[-1])
        slope[rows] -= 1
        slope *= counted.reshape(-1, 1) * (grad / count)
        return (slope.reshape(shape),)

    return surprise.sum() / count, backward
