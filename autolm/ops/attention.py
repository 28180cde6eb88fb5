"""Attention, fused into one node: heads, grouped queries, causal and other masks.

`definitions.py` composes it of smaller operations. Heads that share keys are computed as one head
with more queries, so grouped queries do not copy the keys.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from autolm.ops import definitions, on_values
from autolm.ops.array_arguments import require_broadcast
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Length, Mask, OneOf, Pattern
from autolm.ops.primitive import Backward, primitive
from autolm.ops.probability import shifted_exponentials
from autolm.ops.reduce import accumulating, dot_along, rounded_as, sum_along
from autolm.outside.arguments import quote, read_bool, read_int, read_number
from autolm.outside.message import message

MODEST = 30.0  # e³⁰ is 10¹³: far from the ends of float32


@lru_cache(maxsize=16)
def _ahead_or_too_far(
    queries: int, keys: int, shares: int, window: int | None, dtype: np.dtype[Any]
) -> Array:
    """Return the causal mask to add to scores: 0 where a query sees a key, −inf elsewhere.

    Its shape is (shares · queries, keys): it is repeated for heads that are stacked.
    """
    visible = np.tri(queries, keys, keys - queries, dtype=bool)
    if window is not None:
        visible &= ~np.tri(queries, keys, keys - queries - window, dtype=bool)
    table = np.tile(np.where(visible, 0, -np.inf).astype(dtype), (shares, 1))
    table.flags.writeable = False
    return table


HEADS: dict[str, Any] = {"num_heads": Length("h"), "num_kv_heads": None, "window": None}
SCALES = OneOf(None, 1.0, 0.25, -0.5)


@primitive(
    symbol="attention",
    formula="y = w · v,  w = softmax(q · kᵀ · scale + mask), in each head",
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
        Case(((2, 8), (3, 4), (3, 2)), {"num_heads": 4, "num_kv_heads": 2, "causal": True}),
        Case(((4, 2), (4, 2), (4, 1)), {"causal": True, "window": 2}),
        Case(
            ((2, 2), (3, 2), (3, 2)),
            {"num_heads": 2, "mask": np.array([[True, False, True], [False, False, False]])},
        ),
        Case(((2, 1), (2, 1), (2, 1)), {"mask": np.array([[0.5, -np.inf], [-1.0, 2.0]])}),
    ),
    patterns=(
        Pattern(
            ("… q h·d", "… k h·d", "… k h·e"),
            {**HEADS, "causal": OneOf(False, True), "mask": None, "scale": SCALES},
        ),
        Pattern(
            ("… q h·r·d", "… k h·d", "… k h·e"),
            {
                "num_heads": Length("h·r"),
                "num_kv_heads": Length("h"),
                "causal": True,
                "window": OneOf(1, 2, 3),
                "mask": None,
            },
        ),
        Pattern(("… q h·d", "… k h·d", "… k h·e"), {**HEADS, "mask": Mask("… h q k", added=True)}),
        Pattern(
            ("… q d", "… k d", "… k e"),
            {"causal": OneOf(False, True), "mask": Mask("… q k", added=True), "scale": SCALES},
        ),
    ),
)
def attention(
    q: Array,
    k: Array,
    v: Array,
    /,
    *,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    causal: bool = False,
    window: int | None = None,
    mask: Array | None = None,
    scale: float | None = None,
) -> tuple[Array, Backward]:
    """Compute attention, softmax(q kᵀ · scale + mask) v, in each head.

    Shapes: ``(…, queries, width)``, ``(…, keys, width)``, ``(…, keys, width of v) -> (…, queries,
    width of v)``; the axes before them broadcast.

    Parameters
    ----------
    num_heads
        The widths are split into this many equal parts, one per head, of widths d_k and d_v. By
        default the whole width is one head, and heads may be an axis before time, which is
        PyTorch's layout, ``(batch, heads, time, d_k)``.
    num_kv_heads
        The number of heads of k and v, if it is smaller; it must divide `num_heads`, and adjacent
        heads of q share one. (With heads as an axis, use broadcasting: q as ``(batch, kv heads,
        shares, queries, d_k)``, k as ``(batch, kv heads, 1, keys, d_k)``.)
    causal
        Whether a query sees no later key; the last query is aligned with the last key.
    window
        The number of keys that a query sees, up to its own; only for `causal` attention.
    mask
        Bools, true where a query sees a key, or floats that are added to the scaled scores, −inf
        where it does not. It broadcasts to the scores, ``(…, num_heads, queries, keys)``, without
        the axis of heads if `num_heads` is None. It gets no gradient.
    scale
        The factor of the scores, by default 1/√d_k.

    A query that sees no key has the result 0, and its gradients are 0.

    Sources: Vaswani et al., Attention Is All You Need (2017), sections 3.2.1 and 3.2.2; Ainslie et
    al., GQA (2023), section 2.2; Beltagy, Peters and Cohan, Longformer (2020), section 3.1.
    """
    how = read_attention(
        q,
        k,
        v,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        causal=causal,
        window=window,
        mask=mask,
        scale=scale,
    )
    operands = q, k, v
    q, k, v = map(accumulating, operands)
    queries = split_queries(q * how.factor, how)
    keys, values = split_heads(k, how.kv_heads), split_heads(v, how.kv_heads)
    scores = queries @ keys.swapaxes(-1, -2)
    modest = _are_modest(scores)
    if how.mask is not None:
        modest = modest and _hides_only(how.mask)
        scores = stack_heads(_masked(unstack_heads(scores, how), how.mask), how)
    if how.causal:
        sizes = q.shape[-2], k.shape[-2], how.heads // how.kv_heads
        table = _ahead_or_too_far(*sizes, how.window, scores.real.dtype)
        if modest:
            scores += table  # faster than np.copyto
        else:
            np.copyto(scores, table, where=table != 0)  # a hidden score of ∞ would become nan
    if modest:
        exponentials = np.exp(scores, out=scores)
        total = sum_along(exponentials)
    else:
        exponentials, total, _ = shifted_exponentials(scores, -1, out=scores)
    total[total == 0] = 1  # a query that sees no key; a softmax alone would give nan
    # Weights are exponentials / total. The result has fewer numbers to divide.
    mixed = exponentials @ values
    mixed /= total
    y = join_queries(mixed, how)

    def backward(grad: Array) -> tuple[Array, Array, Array]:
        upstream = split_queries(accumulating(grad), how) / total
        to_scores = upstream @ values.swapaxes(-1, -2)
        to_scores -= dot_along(upstream, split_queries(y, how))  # Σ ḡ vᵀ w = ḡ · y
        to_scores *= exponentials
        to_q = to_scores @ keys
        to_q *= how.factor
        to_k = to_scores.swapaxes(-1, -2) @ queries
        to_v = exponentials.swapaxes(-1, -2) @ upstream
        return (
            join_queries(to_q, how),
            join_heads(to_k, how.kv_heads),
            join_heads(to_v, how.kv_heads),
        )

    return rounded_as(y, *operands), backward


def _are_modest(scores: Array) -> bool:
    """Whether exponentials neither overflow nor vanish, so that the shift can be skipped."""
    real = scores.real
    return real.size > 0 and real.min() > -MODEST and real.max() < MODEST


def _hides_only(mask: Array) -> bool:
    """Whether a mask does not change the scores that it does not hide."""
    return mask.dtype == bool or bool(np.all((mask == 0) | (mask == -np.inf)))


def _masked(scores: Array, mask: Array) -> Array:
    """Add a mask to scores; a hidden score becomes −inf even if it was ∞, since ∞ − ∞ is nan."""
    if mask.dtype == bool:
        return np.where(mask, scores, -np.inf)
    mask = mask.astype(scores.real.dtype)
    return np.where(mask == -np.inf, -np.inf, scores + mask)


class Attributes(NamedTuple):
    """The attributes of a call, checked."""

    heads: int
    kv_heads: int
    causal: bool
    window: int | None
    mask: Array | None  # which broadcasts to the scores
    factor: float


def read_attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    causal: bool = False,
    window: int | None = None,
    mask: Any = None,
    scale: float | None = None,
) -> Attributes:
    """Check the attributes and the shapes of the operands."""
    heads = 1 if num_heads is None else read_int("attention", "num_heads", num_heads, low=1)
    kv_heads = heads
    if num_kv_heads is not None:
        kv_heads = read_int("attention", "num_kv_heads", num_kv_heads, low=1)
        if heads % kv_heads:
            raise ValueError(
                message(
                    "attention: num_heads {heads} is not divisible by num_kv_heads {kv_heads}",
                    heads=heads,
                    kv_heads=kv_heads,
                )
            )
    causal = read_bool("attention", "causal", causal)
    if window is not None:
        window = read_int("attention", "window", window, low=1)
        if not causal:
            raise ValueError(
                message("attention: a window ends at the query: give causal=True, or a mask")
            )
    for name, array, count in (("q", q, heads), ("k", k, kv_heads), ("v", v, kv_heads)):
        if array.ndim < 2:
            raise ValueError(
                message(
                    "attention: {name} is {shape}; it must be (…, time, width)",
                    name=name,
                    shape=array.shape,
                )
            )
        if array.shape[-1] % count:
            argument = "num_heads" if count == heads else "num_kv_heads"
            raise ValueError(
                message(
                    "attention: {name} is {shape}: its width {shape2} is not divisible by "
                    "{argument} {count}",
                    name=name,
                    shape=array.shape,
                    shape2=array.shape[-1],
                    argument=argument,
                    count=count,
                )
            )
    d_k = q.shape[-1] // heads
    if d_k != k.shape[-1] // kv_heads:
        widths = f"widths {q.shape[-1]} and {k.shape[-1]} differ"
        if heads != kv_heads:
            widths = f"widths of a head, {d_k} and {k.shape[-1] // kv_heads}, differ"
        raise ValueError(
            message(
                "attention: q is {shape} and k is {shape2}: {widths}",
                shape=q.shape,
                shape2=k.shape,
                widths=widths,
            )
        )
    if k.shape[-2] != v.shape[-2]:
        counts = f"{k.shape[-2]} keys and {v.shape[-2]} values do not pair up"
        raise ValueError(
            message(
                "attention: k is {shape} and v is {shape2}: {counts}",
                shape=k.shape,
                shape2=v.shape,
                counts=counts,
            )
        )
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        batches = {"the batch of q": q.shape[:-2], "of k": k.shape[:-2], "of v": v.shape[:-2]}
        require_broadcast("attention", batches)
    if window is not None:
        window = min(window, k.shape[-2])  # no loop needs to count to more
    if mask is not None:
        mask = _read_mask(mask, q, k, v, num_heads)
    if scale is None:  # without any width all scores are 0, for every scale
        return Attributes(heads, kv_heads, causal, window, mask, 1 / math.sqrt(d_k or 1))
    factor = read_number("attention", "scale", scale)
    if not math.isfinite(factor):
        raise ValueError(message("attention: scale must be finite, not {factor}", factor=factor))
    return Attributes(heads, kv_heads, causal, window, mask, float(factor))


def _read_mask(mask: Any, q: Array, k: Array, v: Array, num_heads: int | None) -> Array:
    """Return a mask that broadcasts to the scores."""
    try:
        read = np.asarray(mask)
    except ValueError:
        raise ValueError(message("attention: rows of mask are not of one length")) from None
    if read.dtype.kind not in "bf":
        what = read.dtype if read.dtype.kind in "iuc" else quote(mask)
        raise TypeError(
            message(
                "attention: mask must be bools, true where a query may look, or floats "
                "that are added to the scores, not {what}",
                what=what,
            )
        )
    heads = () if num_heads is None else (num_heads,)
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    scores = (*batch, *heads, q.shape[-2], k.shape[-2])
    try:
        np.broadcast_to(read, scores)
    except ValueError:
        raise ValueError(
            message(
                "attention: mask is {shape} and the scores are {scores}: it does not "
                "broadcast to them",
                shape=read.shape,
                scores=scores,
            )
        ) from None
    if num_heads == 1 and read.ndim > 2:
        read = read.squeeze(-3)  # as one head has no axis of its own here
    return read


def split_heads(a: Array, num_heads: int) -> Array:
    """View the width as heads: (…, time, width) -> (…, num_heads, time, width / num_heads)."""
    if num_heads == 1:
        return a
    *batch, time, width = a.shape
    return a.reshape(*batch, time, num_heads, width // num_heads).swapaxes(-3, -2)


def join_heads(a: Array, num_heads: int) -> Array:
    """Join heads along the width: (…, num_heads, time, d) -> (…, time, num_heads · d)."""
    if num_heads == 1:
        return a
    *batch, heads, time, width = a.shape
    return a.swapaxes(-3, -2).reshape(*batch, time, heads * width)


def stack_heads(a: Array, how: Attributes) -> Array:
    """Stack the queries of heads that share keys, as more queries of one head.

    ``(…, heads, queries, d) -> (…, kv_heads, shares · queries, d)``, without an axis of one head.
    """
    if how.heads == how.kv_heads:
        return a
    *batch, _, queries, width = a.shape
    head_axis = () if how.kv_heads == 1 else (how.kv_heads,)
    return a.reshape(*batch, *head_axis, how.heads // how.kv_heads * queries, width)


def unstack_heads(a: Array, how: Attributes) -> Array:
    """Give each head its own axis again; the inverse of `stack_heads`."""
    if how.heads == how.kv_heads:
        return a
    *batch, stacked, width = a.shape if how.kv_heads == 1 else (*a.shape[:-3], *a.shape[-2:])
    return a.reshape(*batch, how.heads, stacked // (how.heads // how.kv_heads), width)


def split_queries(a: Array, how: Attributes) -> Array:
    """Split the width into heads, and stack those that share keys."""
    return stack_heads(split_heads(a, how.heads), how)


def join_queries(a: Array, how: Attributes) -> Array:
    """Join the heads of queries along the width."""
    return join_heads(unstack_heads(a, how), how.heads)
