"""From scores to probabilities: softmax, its logarithm, attention, and the loss.

Each is fused into one node, and has a scalar definition in `on_values.py`, against which it is
proved. The largest score is taken from all before they are exponentiated, so that none overflows.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops import definitions, on_values
from autolm.ops.arguments import (
    read_axis,
    read_bool,
    read_int,
    read_integers,
    read_number,
    require_broadcast,
)
from autolm.ops.array_operation import Array, Case
from autolm.ops.neural import require_known
from autolm.ops.primitive import Backward, primitive
from autolm.ops.reduce import dot_along, floating, sum_along
from autolm.ops.varied import Axis, Ids, Length, OneOf, Pattern


def _exponentials(a: Array, axis: int, out: Array | None = None) -> tuple[Array, Array, Array]:
    """Return exp(a − shift), its sum and the shift, the largest along the axis; no overflow."""
    shift = a.real.max(axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(shift), shift, 0)
    exponentials = np.asarray(np.subtract(a, shift, out=out))
    np.exp(exponentials, out=exponentials)
    return exponentials, sum_along(exponentials, axis), shift


def _probabilities(a: Array, axis: int) -> Array:
    """Take the softmax; a row of nothing but −inf has no probability to give, and gets zeros."""
    exponentials, total, _ = _exponentials(a, axis)
    exponentials /= np.where(total == 0, 1, total)
    return exponentials


def _softmax_gradient(grad: Array, y: Array, axis: int) -> Array:
    """Return y · (ḡ − Σ ḡ · y)."""
    gradient = grad - dot_along(grad, y, axis)
    gradient *= y
    return gradient


ROWS = (
    Case(((3,),)),
    Case(((2, 3),), {"axis": -1}),
    Case(((2, 3),), {"axis": 0}),
    Case(((2, 3, 4),), {"axis": 1}),
)
ANY_ROWS = (Pattern(("…",), {"axis": Axis()}),)


@primitive(
    symbol="softmax",
    formula="yᵢ = exp aᵢ / Σⱼ exp aⱼ",
    places=("axis",),
    rule=("y · (ḡ − Σⱼ ḡⱼ · yⱼ)",),
    scalar=on_values.softmax,
    definition=definitions.softmax,
    cases=ROWS,
    patterns=ANY_ROWS,
)
def softmax(a: Array, /, *, axis: int = -1) -> tuple[Array, Backward]:
    """Turn scores into probabilities along an axis; a row of −inf alone becomes zeros."""
    axis = read_axis("softmax", axis, a.shape)
    y = _probabilities(floating(a), axis)

    def backward(grad: Array) -> tuple[Array]:
        return (_softmax_gradient(grad, y, axis),)

    return y, backward


@primitive(
    symbol="ln softmax",
    formula="yᵢ = aᵢ − ln Σⱼ exp aⱼ",
    places=("axis",),
    rule=("ḡ − softmax a · Σⱼ ḡⱼ",),
    scalar=on_values.log_softmax,
    definition=definitions.log_softmax,
    cases=ROWS,
    patterns=ANY_ROWS,
)
def log_softmax(a: Array, /, *, axis: int = -1) -> tuple[Array, Backward]:
    """Take the logarithm of the softmax along an axis, exact where the softmax rounds to 0."""
    a, axis = floating(a), read_axis("log_softmax", axis, a.shape)
    exponentials, total, shift = _exponentials(a, axis)
    probabilities = exponentials / np.where(total == 0, 1, total)

    def backward(grad: Array) -> tuple[Array]:
        return (grad - probabilities * sum_along(grad, axis),)

    return (a - shift) - np.log(total), backward


MODEST = 30.0  # e³⁰ is 10¹³: far from the ends of float32


@lru_cache(maxsize=16)
def _causal_mask(queries: int, keys: int, dtype: np.dtype[Any]) -> Array:
    """Tabulate what to add to scores, (queries, keys): 0 where a query may look, −inf elsewhere."""
    seen = np.tri(queries, keys, keys - queries, dtype=bool)
    mask = np.where(seen, 0, -np.inf).astype(dtype)
    mask.flags.writeable = False
    return mask


@primitive(
    symbol="attention",
    formula="y = w · v,  w = softmax(q · kᵀ · scale), in each head",
    rule=("s · k · scale", "sᵀ · q · scale,  s = w · (ḡ vᵀ − Σ ḡ vᵀ w)", "wᵀ · ḡ"),
    scalar=on_values.attention,
    definition=definitions.attention,
    cases=(
        Case(((3, 2), (3, 2), (3, 2)), {"num_heads": 1, "causal": True, "scale": None}),
        Case(((3, 2), (4, 2), (4, 3)), {"num_heads": 1, "causal": False, "scale": 0.5}),
        Case(((2, 3, 4), (2, 3, 4), (2, 3, 4)), {"num_heads": 2, "causal": True, "scale": None}),
        Case(((3, 2), (3, 2), (2, 3, 2)), {"num_heads": 1, "causal": False, "scale": None}),
        Case(((2, 1, 4), (3, 4), (3, 6)), {"num_heads": 2, "causal": False, "scale": 0.5}),
        Case(((1, 2), (3, 2), (3, 2)), {"num_heads": 2, "causal": True, "scale": None}),
    ),
    patterns=(
        Pattern(
            ("… q h·d", "… k h·d", "… k h·e"),
            {
                "num_heads": Length("h"),
                "causal": OneOf(False, True),
                "scale": OneOf(None, 1.0, 0.25, -0.5),
            },
        ),
    ),
)
def attention(
    q: Array,
    k: Array,
    v: Array,
    /,
    *,
    num_heads: int = 1,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Array, Backward]:
    """Let each position look at others: softmax(q kᵀ · scale) v, in several heads side by side.

    Shapes: ``(…, queries, width)``, ``(…, keys, width)``, ``(…, keys, width of v) -> (…, queries,
    width of v)``. Head h reads and writes the h-th of `num_heads` equal parts of the widths, which
    are d_k and d_v wide. With `causal`, a query sees no key after it; the last query is beside the
    last key. `scale` is 1/√d_k if it is not given.

    Source: Vaswani et al., Attention Is All You Need (2017), sections 3.2.1 and 3.2.2.
    """
    num_heads, causal, factor = read_attention(q, k, v, num_heads, causal, scale)
    queries = split_heads(q * factor, num_heads)
    keys, values = split_heads(k, num_heads), split_heads(v, num_heads)
    scores = queries @ keys.swapaxes(-1, -2)
    modest = _are_modest(scores)
    if causal:
        mask = _causal_mask(*scores.shape[-2:], scores.real.dtype)
        if modest:
            scores += mask  # faster than choosing
        else:
            np.copyto(scores, mask, where=mask != 0)  # ∞ − ∞ would leak from what is hidden
    if modest:
        exponentials = np.exp(scores, out=scores)
        total = sum_along(exponentials)
    else:
        exponentials, total, _ = _exponentials(scores, -1, out=scores)
    total[total == 0] = 1  # a query that sees nothing
    # Weights are exponentials / total. There are fewer numbers to divide in the result than there.
    mixed = exponentials @ values
    mixed /= total
    y = join_heads(mixed, num_heads)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split_heads(grad, num_heads) / total
        to_scores = upstream @ values.swapaxes(-1, -2)
        to_scores -= dot_along(upstream, split_heads(y, num_heads))  # Σ ḡ vᵀ w = ḡ · y
        to_scores *= exponentials
        to_q = to_scores @ keys
        to_q *= factor
        to_k = to_scores.swapaxes(-1, -2) @ queries
        to_v = exponentials.swapaxes(-1, -2) @ upstream
        return (
            join_heads(to_q, num_heads),
            join_heads(to_k, num_heads),
            join_heads(to_v, num_heads),
        )

    return y, backward


def _are_modest(scores: Array) -> bool:
    """Whether exponentials neither overflow nor vanish: then no shift is needed, and time saved."""
    real = scores.real
    return real.size > 0 and real.min() > -MODEST and real.max() < MODEST


def read_attention(
    q: Array, k: Array, v: Array, num_heads: int, causal: bool, scale: float | None
) -> tuple[int, bool, float]:
    """Return the attributes, `scale` as a number; refuse operands that do not fit, or split."""
    num_heads = read_int("attention", "num_heads", num_heads, low=1)
    causal = read_bool("attention", "causal", causal)
    for name, array in (("q", q), ("k", k), ("v", v)):
        if array.ndim < 2:
            raise ValueError(f"attention: {name} is {array.shape}; it must be (…, time, width)")
        if array.shape[-1] % num_heads:
            raise ValueError(
                f"attention: {name} is {array.shape}: its width {array.shape[-1]} is not divisible "
                f"by num_heads {num_heads}"
            )
    if q.shape[-1] != k.shape[-1]:
        widths = f"widths {q.shape[-1]} and {k.shape[-1]} differ"
        raise ValueError(f"attention: q is {q.shape} and k is {k.shape}: {widths}")
    if k.shape[-2] != v.shape[-2]:
        counts = f"{k.shape[-2]} keys and {v.shape[-2]} values do not pair up"
        raise ValueError(f"attention: k is {k.shape} and v is {v.shape}: {counts}")
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        batches = {"the batch of q": q.shape[:-2], "of k": k.shape[:-2], "of v": v.shape[:-2]}
        require_broadcast("attention", batches)
    if scale is None:  # without any width all scores are 0, whatever the scale
        return num_heads, causal, 1 / math.sqrt(q.shape[-1] // num_heads or 1)
    factor = read_number("attention", "scale", scale)
    if not math.isfinite(factor):
        raise ValueError(f"attention: scale must be finite, not {factor}")
    return num_heads, causal, float(factor)


def split_heads(a: Array, num_heads: int) -> Array:
    """View the width as heads: (…, time, width) -> (…, num_heads, time, width / num_heads)."""
    if num_heads == 1:
        return a
    *batch, time, width = a.shape
    return a.reshape(*batch, time, num_heads, width // num_heads).swapaxes(-3, -2)


def join_heads(a: Array, num_heads: int) -> Array:
    """Lay heads side by side again: (…, num_heads, time, d) -> (…, time, num_heads · d)."""
    if num_heads == 1:
        return a
    *batch, heads, time, width = a.shape
    return a.swapaxes(-3, -2).reshape(*batch, time, heads * width)


@primitive(
    symbol="CE",
    formula="mean over targets t of −ln softmax(logits)ₜ",
    places=("targets",),
    rule=("ḡ · (softmax logits − one-hot t) / n",),
    scalar=on_values.cross_entropy,
    definition=definitions.cross_entropy,
    cases=(
        Case(((3,),), {"targets": np.array(1), "ignore_index": None}),
        Case(((2, 4),), {"targets": np.array([3, 0]), "ignore_index": None}),
        Case(((2, 2, 3),), {"targets": np.array([[0, -1], [2, 2]]), "ignore_index": -1}),
    ),
    patterns=(Pattern(("… n",), {"targets": Ids("n", "…"), "ignore_index": OneOf(None, -1, 9)}),),
)
def cross_entropy(
    logits: Array, /, *, targets: NDArray[np.integer], ignore_index: int | None = None
) -> tuple[Array, Backward]:
    """Take the mean surprise, in nats, at the targets: logits (…, vocabulary), targets (…).

    Targets equal to `ignore_index` do not count. Source: Goodfellow, Bengio and Courville, Deep
    Learning (2016), section 6.2.2.3.
    """
    targets, ignore_index = read_targets(logits, targets, ignore_index)
    logits, (ids, counted) = floating(logits), _counted(logits, targets, ignore_index)
    rows, count, shape = (np.arange(ids.size), ids), int(np.count_nonzero(counted)), logits.shape
    exponentials, total, shift = _exponentials(logits.reshape(-1, shape[-1]), -1)
    chosen = logits.reshape(-1, shape[-1])[rows] - shift[:, 0]
    surprise = np.where(counted, np.log(total[:, 0]) - chosen, 0)

    def backward(grad: Array) -> tuple[Array]:
        slope = exponentials / np.where(total == 0, 1, total)
        slope[rows] -= 1
        slope *= counted[:, None] * (grad / count)
        return (slope.reshape(shape),)

    return surprise.sum() / count, backward


def read_targets(
    logits: Array, targets: Any, ignore_index: int | None
) -> tuple[NDArray[np.integer], int | None]:
    """Return targets as an array of integers, one for each row, and `ignore_index`."""
    targets = read_integers("cross_entropy", "targets", targets)
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits is (); it must be (…, vocabulary)")
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: logits are {logits.shape}, so targets must be {logits.shape[:-1]}, "
            f"not {targets.shape}"
        )
    if ignore_index is not None:
        ignore_index = read_int("cross_entropy", "ignore_index", ignore_index)
    return targets, ignore_index


def _counted(
    logits: Array, targets: NDArray[np.integer], ignore_index: int | None
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Return the targets as one row, (n,), 0 where they do not count, and whether each counts."""
    targets = targets.reshape(-1)
    counted = np.ones(targets.size, bool) if ignore_index is None else targets != ignore_index
    if not counted.any():
        raise ValueError("cross_entropy: targets: there is no target to predict")
    ids = np.where(counted, targets, 0)
    return require_known("cross_entropy", "targets", ids, logits.shape[-1]), counted
