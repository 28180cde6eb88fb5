"""Operations that reduce axes: sum, mean, variance, largest, smallest, log-sum-exp.

`axis` is None (all axes), an int or a tuple, negative from the end; with `keepdims` a reduced axis
stays, with length 1. Both as in NumPy; a number may be reduced along axis 0, as if it were a row.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from autolm.engine.value import Value
from autolm.ops import definitions, varied
from autolm.ops.arguments import Axis, read_axes, read_bool, read_number
from autolm.ops.array_operation import Array, Case
from autolm.ops.primitive import Backward, primitive

Axes = tuple[int, ...]  # each from 0 up, none twice

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


def spread(reduced: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """Give an array of this shape, once reduced, its axes back, with length 1: it broadcasts."""
    return reduced.reshape([1 if i in axes else n for i, n in enumerate(shape)])


def floating(a: Array) -> Array:
    """Return numbers that are not whole ones only: sums and exponentials of int8 would overflow."""
    return a.astype(np.float64) if a.dtype.kind in "biu" else a


def sum_along(a: Array, axis: int = -1) -> Array:
    """Add up along one axis, and keep it; a product by ones does the last one the quickest."""
    if axis in (-1, a.ndim - 1):
        total: Array = a @ _ones(a.shape[-1], a.dtype)
        return total[..., None]
    return a.sum(axis=axis, keepdims=True)


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


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    """Count how many elements go into one element of the result."""
    return math.prod([shape[i] for i in axes])


def _without(shape: tuple[int, ...], axes: Axes) -> list[int]:
    return [n for i, n in enumerate(shape) if i not in axes]


def fold(function: Callable[[Sequence[Value]], Any]) -> Callable[..., Array]:
    """Make a function of a list of Values a reduction over the axes of an object array."""

    def scalar(a: Array, *, axis: Axis = None, keepdims: bool = False, **attributes: Any) -> Array:
        axes = read_axes("fold", axis, a.shape)
        kept = [i for i in range(a.ndim) if i not in axes]
        shape = _without(a.shape, axes)
        rows = a.transpose([*kept, *axes]).reshape([*shape, _count(a.shape, axes)])
        result = np.empty(shape, dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = function(list(rows[index]), **attributes)
        return spread(result, axes, a.shape) if keepdims else result

    return scalar


@primitive(
    symbol="Σ",
    formula="Σᵢ aᵢ",
    places=("axis", "keepdims"),
    rule=("ḡ",),
    scalar=fold(Value.sum),
    cases=CASES,
    patterns=PATTERNS,
)
def sum(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Add up along axes; the sum of nothing is 0."""
    shape, axes = a.shape, read_axes("sum", axis, a.shape)
    keepdims = read_bool("sum", "keepdims", keepdims)

    def backward(grad: Array) -> tuple[Array]:
        return (np.broadcast_to(spread(grad, axes, shape), shape),)

    return a.sum(axis=axes, keepdims=keepdims), backward


@primitive(
    symbol="mean",
    formula="Σᵢ aᵢ / n",
    places=("axis", "keepdims"),
    rule=("ḡ / n",),
    scalar=fold(lambda values: Value.sum(values) / len(values)),
    definition=definitions.mean,
    cases=CASES,
    patterns=PATTERNS,
)
def mean(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Average along axes; the mean of nothing is nan."""
    shape, axes = a.shape, read_axes("mean", axis, a.shape)
    keepdims, count = read_bool("mean", "keepdims", keepdims), _count(a.shape, axes)

    def backward(grad: Array) -> tuple[Array]:
        return (np.broadcast_to(spread(grad, axes, shape) / count, shape),)

    return a.sum(axis=axes, keepdims=keepdims) / count, backward


def _variance(values: Sequence[Value], ddof: float = 0) -> Any:
    center = Value.sum(values) / len(values)
    deviations = [value - center for value in values]
    return Value.dot(deviations, deviations) / builtins.max(len(values) - ddof, 0)


@primitive(
    symbol="var",
    formula="Σᵢ (aᵢ − mean a)² / (n − ddof)",
    places=("axis",),  # then NumPy has a dtype, and PyTorch the switch of its own ddof
    rule=("ḡ · 2(a − mean a) / (n − ddof)",),
    scalar=fold(_variance),
    definition=definitions.var,
    cases=(*CASES[1:-1], Case(((2, 3),), {"axis": 1, "ddof": 1})),
    patterns=(varied.Pattern(("…",), {**VARIED, "ddof": varied.OneOf(0, 0.5, -1)}),),
)
def var(
    a: Array, /, *, axis: Axis = None, keepdims: bool = False, ddof: float = 0
) -> tuple[Array, Backward]:
    """Take the variance along axes; `ddof` is subtracted from the count, as in NumPy.

    Where nothing is left of the count it is 0, and the variance inf, or nan of equal numbers.
    """
    shape, axes = a.shape, read_axes("var", axis, a.shape)
    keepdims, ddof = read_bool("var", "keepdims", keepdims), read_number("var", "ddof", ddof)
    if not math.isfinite(ddof):
        raise ValueError(f"var: ddof must be finite, not {ddof}")
    count = _count(shape, axes)
    left = builtins.max(count - ddof, 0)
    deviation = a - spread(a.sum(axis=axes) / count, axes, shape)
    y = (deviation * deviation).sum(axis=axes, keepdims=keepdims) / left

    def backward(grad: Array) -> tuple[Array]:
        upstream = spread(grad, axes, shape)
        if left:
            return (upstream * (2 / left) * deviation,)
        return (np.where(upstream == 0, 0, upstream * math.inf * deviation),)

    return y, backward


def _choose(
    name: str, choose: Callable[..., Array], a: Array, axis: Axis, keepdims: bool
) -> tuple[Array, Backward]:
    """Return the largest or smallest; its gradient goes to all that are it, in equal parts."""
    shape, axes = a.shape, read_axes(name, axis, a.shape)
    reduced = _without(shape, axes)
    if _count(shape, axes) == 0 and 0 not in reduced:
        raise ValueError(f"{name}: a is {shape}: there is nothing to choose from along {axis=}")
    best = choose(a, axis=axes, keepdims=True)
    chosen = (a == best) | (a != a)  # where one is nan, so is the result, and is equal to none
    count = chosen.sum(axis=axes, keepdims=True)

    def backward(grad: Array) -> tuple[Array]:
        return (np.where(chosen, spread(grad, axes, shape) / count, 0),)

    return best if read_bool(name, "keepdims", keepdims) else best.reshape(reduced), backward


def _average_of_ties(values: Sequence[Value], choose: Callable[..., float]) -> Any:
    best = choose(value.data for value in values)
    ties = [v for v in values if v.data != v.data] or [v for v in values if v.data == best]
    return Value.sum(ties) / len(ties)


@primitive(
    symbol="max",
    formula="maxᵢ aᵢ",
    places=("axis", "keepdims"),
    rule=("ḡ at the largest; ties share it equally",),
    kinks="where several are largest: they share equally",
    scalar=fold(lambda values: _average_of_ties(values, builtins.max)),
    cases=CASES,
    patterns=PATTERNS,
)
def max(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the largest along axes; nan if one is nan, and of nothing there is none."""
    return _choose("max", np.max, a, axis, keepdims)


@primitive(
    symbol="min",
    formula="minᵢ aᵢ",
    places=("axis", "keepdims"),
    rule=("ḡ at the smallest; ties share it equally",),
    kinks="where several are smallest: they share equally",
    scalar=fold(lambda values: _average_of_ties(values, builtins.min)),
    cases=CASES,
    patterns=PATTERNS,
)
def min(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the smallest along axes; nan if one is nan, and of nothing there is none."""
    return _choose("min", np.min, a, axis, keepdims)


def _logsumexp(values: Sequence[Value]) -> Any:
    shift = builtins.max((value.data for value in values), default=-math.inf)
    if not math.isfinite(shift):
        shift = 0.0
    return Value.sum([(value - shift).exp() for value in values]).log() + shift


@primitive(
    symbol="lse",
    formula="ln Σᵢ exp aᵢ",
    places=("axis", "keepdims"),
    rule=("ḡ · softmax a",),
    scalar=fold(_logsumexp),
    definition=definitions.logsumexp,
    cases=CASES,
    patterns=PATTERNS,
)
def logsumexp(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Take the logarithm of the sum of exponentials, without overflow; −inf of nothing but −inf."""
    a, shape, axes = floating(a), a.shape, read_axes("logsumexp", axis, a.shape)
    keepdims = read_bool("logsumexp", "keepdims", keepdims)
    shift = a.real.max(axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(shift), shift, 0)  # the value cancels, and so has no gradient
    exponentials = np.exp(a - shift)
    total = exponentials.sum(axis=axes, keepdims=True)
    y = np.log(total) + shift

    def backward(grad: Array) -> tuple[Array]:
        return (spread(grad, axes, shape) * (exponentials / np.where(total == 0, 1, total)),)

    return y if keepdims else y.reshape(_without(shape, axes)), backward
