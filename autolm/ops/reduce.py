"""Operations that reduce axes: sum, mean, variance, largest, smallest, log-sum-exp.

`axis` is None (all axes), an int or a tuple, negative from the end; with `keepdims` a reduced axis
stays, with length 1. Both as in NumPy.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from autolm.ops import varied
from autolm.ops.primitive import Array, Backward, Case, primitive
from autolm.value import Value

Axis = int | tuple[int, ...] | None

CASES = (
    Case(((3,),)),
    Case(((2, 3),), {"axis": 0}),
    Case(((2, 3),), {"axis": -1, "keepdims": True}),
    Case(((2, 3, 4),), {"axis": (0, 2)}),
    Case(((2, 3, 4),), {"axis": (-1, 0), "keepdims": True}),
    Case(((2, 1, 3),), {"axis": 1}),
    Case(((),)),
)
VARIED = {"axis": varied.Axis(several=True), "keepdims": varied.OneOf(False, True)}
PATTERNS = (varied.Pattern(("…",), VARIED),)


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """List the axes that `axis` names, each from 0 up."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(i % ndim for i in axes)


def spread(reduced: Array, axis: Axis, shape: tuple[int, ...]) -> Array:
    """Give an array of this shape, once reduced, its axes back, with length 1: it broadcasts."""
    axes = axes_of(axis, len(shape))
    return reduced.reshape([1 if i in axes else n for i, n in enumerate(shape)])


def sum_along(a: Array, axis: int = -1) -> Array:
    """Add up along one axis, and keep it; a product by ones does the last one the quickest."""
    if axis in (-1, a.ndim - 1):
        total: Array = a @ _ones(a.shape[-1], a.dtype)
        return total[..., None]
    return a.sum(axis=axis, keepdims=True)  # type: ignore[no-any-return]


def dot_along(a: Array, b: Array, axis: int = -1) -> Array:
    """Add up products along one axis, and keep it."""
    if axis in (-1, a.ndim - 1):
        total: Array = np.vecdot(a.conj(), b)  # of complex numbers it would take the conjugate
        return total[..., None]
    return sum_along(a * b, axis)


@lru_cache(maxsize=64)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones


def _count(a: Array, axis: Axis) -> int:
    """Count how many elements of `a` go into one element of the result."""
    return math.prod(a.shape[i] for i in axes_of(axis, a.ndim))


def fold(function: Callable[[Sequence[Value]], Any]) -> Callable[..., Array]:
    """Make a function of a list of Values a reduction over the axes of an object array."""

    def scalar(a: Array, *, axis: Axis = None, keepdims: bool = False, **attributes: Any) -> Array:
        axes = axes_of(axis, a.ndim)
        kept = [i for i in range(a.ndim) if i not in axes]
        rows = a.transpose([*kept, *axes]).reshape([*(a.shape[i] for i in kept), -1])
        result = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = function(list(rows[index]), **attributes)
        return spread(result, axis, a.shape) if keepdims else result

    return scalar


@primitive(
    symbol="Σ",
    formula="Σᵢ aᵢ",
    rule=("ḡ",),
    scalar=fold(Value.sum),
    cases=CASES,
    patterns=PATTERNS,
)
def sum(a: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Add up along axes."""
    shape = a.shape

    def backward(grad: Array) -> tuple[Array]:
        return (np.broadcast_to(spread(grad, axis, shape), shape),)

    return a.sum(axis=axis, keepdims=keepdims), backward


@primitive(
    symbol="mean",
    formula="Σᵢ aᵢ / n",
    rule=("ḡ / n",),
    scalar=fold(lambda values: Value.sum(values) / len(values)),
    cases=CASES,
    patterns=PATTERNS,
)
def mean(a: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Average along axes."""
    shape, count = a.shape, _count(a, axis)

    def backward(grad: Array) -> tuple[Array]:
        return (np.broadcast_to(spread(grad, axis, shape) / count, shape),)

    return a.sum(axis=axis, keepdims=keepdims) / count, backward


def _variance(values: Sequence[Value], ddof: int = 0) -> Any:
    center = Value.sum(values) / len(values)
    deviations = [value - center for value in values]
    return Value.dot(deviations, deviations) / (len(values) - ddof)


@primitive(
    symbol="var",
    formula="Σᵢ (aᵢ − mean a)² / (n − ddof)",
    rule=("ḡ · 2(a − mean a) / (n − ddof)",),
    scalar=fold(_variance),
    cases=(*CASES[1:-1], Case(((2, 3),), {"axis": 1, "ddof": 1})),
    patterns=(varied.Pattern(("…",), {**VARIED, "ddof": varied.OneOf(0, 0.5, -1)}),),
)
def var(
    a: Array, *, axis: Axis = None, keepdims: bool = False, ddof: int = 0
) -> tuple[Array, Backward]:
    """Take the variance along axes; `ddof` is subtracted from the count, as in NumPy."""
    shape, count = a.shape, _count(a, axis)
    deviation = a - spread(a.sum(axis=axis) / count, axis, shape)
    y = (deviation * deviation).sum(axis=axis, keepdims=keepdims) / (count - ddof)

    def backward(grad: Array) -> tuple[Array]:
        return (spread(grad, axis, shape) * (2 / (count - ddof)) * deviation,)

    return y, backward


def _share_of_ties(a: Array, y: Array, axis: Axis) -> Backward:
    """Give the gradient of the largest, or smallest, to all equal to it, in equal parts."""
    shape = a.shape
    chosen = a == spread(y, axis, shape)
    count = chosen.sum(axis=axes_of(axis, a.ndim), keepdims=True)

    def backward(grad: Array) -> tuple[Array]:
        return (np.where(chosen, spread(grad, axis, shape) / count, 0),)

    return backward


def _average_of_ties(values: Sequence[Value], best: float) -> Any:
    ties = [value for value in values if value.data == best]
    return Value.sum(ties) / len(ties)


@primitive(
    symbol="max",
    formula="maxᵢ aᵢ",
    rule=("ḡ at the largest; ties share it equally",),
    kinks="where several are largest: they share equally",
    scalar=fold(lambda values: _average_of_ties(values, builtins.max(v.data for v in values))),
    cases=CASES,
    patterns=PATTERNS,
)
def max(a: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the largest along axes."""
    y = a.max(axis=axis, keepdims=keepdims)
    return y, _share_of_ties(a, y, axis)


@primitive(
    symbol="min",
    formula="minᵢ aᵢ",
    rule=("ḡ at the smallest; ties share it equally",),
    kinks="where several are smallest: they share equally",
    scalar=fold(lambda values: _average_of_ties(values, builtins.min(v.data for v in values))),
    cases=CASES,
    patterns=PATTERNS,
)
def min(a: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the smallest along axes."""
    y = a.min(axis=axis, keepdims=keepdims)
    return y, _share_of_ties(a, y, axis)


def _logsumexp(values: Sequence[Value]) -> Any:
    shift = builtins.max(value.data for value in values)
    if not math.isfinite(shift):
        shift = 0.0
    return Value.sum([(value - shift).exp() for value in values]).log() + shift


@primitive(
    symbol="lse",
    formula="ln Σᵢ exp aᵢ",
    rule=("ḡ · softmax a",),
    scalar=fold(_logsumexp),
    cases=CASES,
    patterns=PATTERNS,
)
def logsumexp(a: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the logarithm of the sum of exponentials, without overflow; −inf of nothing but −inf."""
    shape = a.shape
    shift = a.real.max(axis=axes_of(axis, a.ndim), keepdims=True)
    shift = np.where(np.isfinite(shift), shift, 0)  # the value cancels, and so has no gradient
    exponentials = np.exp(a - shift)
    total = exponentials.sum(axis=axes_of(axis, a.ndim), keepdims=True)
    y = np.log(total) + shift

    def backward(grad: Array) -> tuple[Array]:
        return (spread(grad, axis, shape) * (exponentials / np.where(total == 0, 1, total)),)

    return y if keepdims else y.sum(axis=axis), backward
