"""Operations that reduce axes: sum, product, mean, variance, largest, smallest, norm, log-sum-exp.

As in NumPy, `axis` is None (all axes), an int or a tuple, negative from the end, and `keepdims`
keeps a reduced axis with length 1. A 0-d array may be reduced along axis 0, as if it were a row.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, SupportsIndex

import numpy as np

from autolm.engine.graph import named
from autolm.engine.value import Value
from autolm.ops import definitions
from autolm.ops.array_arguments import Axis, read_axes, read_axis
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Axis as AnyAxis
from autolm.ops.call_patterns import OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.primitive import Backward, primitive
from autolm.outside.arguments import read_bool, read_number
from autolm.outside.message import message

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
VARIATIONS = {"axis": AnyAxis(several=True), "keepdims": OneOf(False, True)}
PATTERNS = (Pattern(("…",), VARIATIONS),)


def spread(reduced: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """Give a reduced array its axes back, with length 1, so that it broadcasts to `shape`."""
    return reduced.reshape([1 if i in axes else n for i, n in enumerate(shape)])


def floating(a: Array) -> Array:
    """Convert integers to floats: sums and exponentials of int8 would overflow."""
    return a.astype(np.float64) if a.dtype.kind in "biu" else a


def accumulating(a: Array) -> Array:
    """Convert numbers to the dtype of their sums: float32 for float16.

    float16 ends at 65 504 and has 11 bits, so neither a long sum nor a count fits into it. NumPy's
    `mean` and PyTorch compute in float32, too. Every operation that adds up numbers, here and in
    the other files of the package, passes its operands and its upstream gradient to this function,
    and its result to `rounded_as`.
    """
    return a.astype(np.float32) if a.dtype.char == "e" else a


def rounded_as(y: Array, *operands: Array) -> Array:
    """Round a result to the dtype of the operands before `accumulating`."""
    for operand in operands:
        if operand.dtype.char == "e":
            return y.astype(np.result_type(*operands), copy=False)
    return y


def sign(a: Array) -> Array:
    """Return −1, 0 or 1 for each number; 0 for nan, as PyTorch's slope of |a| is."""
    signs = np.sign(a.real)
    return np.where(signs == signs, signs, 0)


def sum_along(a: Array, axis: int = -1) -> Array:
    """Sum along one axis and keep it; a product with ones is the fastest for the last axis."""
    if axis in (-1, a.ndim - 1):
        total: Array = a @ _ones(a.shape[-1], a.dtype)
        return total[..., None]
    return a.sum(axis=axis, keepdims=True)


def dot_along(a: Array, b: Array, axis: int = -1) -> Array:
    """Sum products along one axis and keep it."""
    if axis in (-1, a.ndim - 1):
        total: Array = np.vecdot(a.conj(), b)  # vecdot takes the conjugate of complex numbers
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


def _order(ndim: int, axes: Axes) -> list[int]:
    """List all axes, with the reduced ones last."""
    return [*(i for i in range(ndim) if i not in axes), *axes]


def _as_rows(a: Array, axes: Axes) -> Array:
    """Move the elements that are reduced to one element into a row, along the last axis."""
    return a.transpose(_order(a.ndim, axes)).reshape(
        [*_without(a.shape, axes), _count(a.shape, axes)]
    )


def _from_rows(rows: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """Undo `_as_rows`."""
    order = _order(len(shape), axes)
    return rows.reshape([shape[i] for i in order]).transpose(np.argsort(order))


def fold(function: Callable[[Sequence[Value]], Any]) -> Callable[..., Array]:
    """Make a function of a list of Values a reduction over the axes of an object array."""

    def scalar(a: Array, *, axis: Axis = None, keepdims: bool = False, **attributes: Any) -> Array:
        axes = read_axes("fold", axis, a.shape)
        rows = _as_rows(a, axes)
        result = np.empty(rows.shape[:-1], dtype=object)
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

    return rounded_as(accumulating(a).sum(axis=axes, keepdims=keepdims), a), backward


@primitive(
    symbol="Π",
    formula="Πᵢ aᵢ",
    rule=("ḡ · Πⱼ aⱼ of all others, j ≠ i",),
    places=("axis", "keepdims"),
    cases=CASES,
    patterns=PATTERNS,
)
def prod(a: Array, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Backward]:
    """Multiply along axes; the product of nothing is 1.

    The gradient is not computed as y / aᵢ, so it is right where elements are 0.
    """
    shape, axes = a.shape, read_axes("prod", axis, a.shape)
    factors = accumulating(a)

    def backward(grad: Array) -> tuple[Array]:
        rows = _as_rows(factors, axes)
        slopes = _before(rows) * _before(rows[..., ::-1])[..., ::-1]
        return (spread(grad, axes, shape) * _from_rows(slopes, axes, shape),)

    y = factors.prod(axis=axes, keepdims=read_bool("prod", "keepdims", keepdims))
    return rounded_as(y, a), backward


def _before(rows: Array) -> Array:
    """Return, for each element of a row, the product of those before it."""
    shifted = np.ones_like(rows)
    shifted[..., 1:] = rows[..., :-1]
    return np.cumprod(shifted, axis=-1)


@primitive(
    symbol="Σ≤",
    formula="yᵢ = Σⱼ aⱼ of all j ≤ i",
    rule=("Σⱼ ḡⱼ of all j ≥ i",),
    places=("axis",),
    cases=(
        Case(((3,),)),
        Case(((2, 3),)),
        Case(((2, 3),), {"axis": 0}),
        Case(((2, 3, 2),), {"axis": -2}),
    ),
    patterns=(
        Pattern(("… n",), {"axis": AnyAxis()}),
        Pattern(("…",), {"axis": None}),
    ),
)
def cumsum(a: Array, /, *, axis: SupportsIndex | None = None) -> tuple[Array, Backward]:
    """Sum from the start of an axis to each element; without an axis, a is flattened first.

    Both as in NumPy.
    """
    if axis is not None:
        place = read_axis("cumsum", axis, a.shape)
        if a.ndim == 0:
            raise ValueError(
                message("cumsum: a is (): NumPy makes it a row, and PyTorch does not; reshape")
            )
    shape = a.shape

    def backward(grad: Array) -> tuple[Array]:
        grad = accumulating(grad)
        if axis is None:
            return (np.cumsum(grad[::-1])[::-1].reshape(shape),)
        return (np.flip(np.cumsum(np.flip(grad, place), axis=place), place),)

    y = np.cumsum(accumulating(a), axis=None if axis is None else place)
    return rounded_as(y, a), backward


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
        return (np.broadcast_to(spread(accumulating(grad), axes, shape) / count, shape),)

    return rounded_as(accumulating(a).sum(axis=axes, keepdims=keepdims) / count, a), backward


def _read_ddof(name: str, ddof: float) -> float:
    """Return `ddof`, which is subtracted from a count."""
    ddof = read_number(name, "ddof", ddof)
    if not math.isfinite(ddof):
        raise ValueError(message("{name}: ddof must be finite, not {ddof}", name=name, ddof=ddof))
    return ddof


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
    patterns=(Pattern(("…",), {**VARIATIONS, "ddof": OneOf(0, 0.5, -1)}),),
)
def var(
    a: Array, /, *, axis: Axis = None, keepdims: bool = False, ddof: float = 0
) -> tuple[Array, Backward]:
    """Compute the variance along axes; `ddof` is subtracted from the count, as in NumPy.

    If the count minus `ddof` is not above 0, the variance is inf, or nan for equal numbers.
    """
    shape, axes = a.shape, read_axes("var", axis, a.shape)
    keepdims, ddof = read_bool("var", "keepdims", keepdims), _read_ddof("var", ddof)
    count = _count(shape, axes)
    divisor = builtins.max(count - ddof, 0)
    numbers = accumulating(a)
    deviation = numbers - spread(numbers.sum(axis=axes) / count, axes, shape)
    y = (deviation * deviation).sum(axis=axes, keepdims=keepdims) / divisor

    def backward(grad: Array) -> tuple[Array]:
        upstream = spread(accumulating(grad), axes, shape)
        if divisor:
            return (upstream * (2 / divisor) * deviation,)
        return (np.where(upstream == 0, 0, upstream * math.inf * deviation),)

    return rounded_as(y, a), backward


def _choose(
    name: str, choose: Callable[..., Array], a: Array, axis: Axis, keepdims: bool
) -> tuple[Array, Backward]:
    """Return the largest or smallest; elements that tie share its gradient equally."""
    shape, axes = a.shape, read_axes(name, axis, a.shape)
    reduced = _without(shape, axes)
    if _count(shape, axes) == 0 and 0 not in reduced:
        raise ValueError(
            message(
                "{name}: a is {shape}: there is nothing to choose from along axis={axis!r}",
                name=name,
                shape=shape,
                axis=axis,
            )
        )
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
    """Take the largest along axes; nan if one is nan, and an error for no elements."""
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
    """Take the smallest along axes; nan if one is nan, and an error for no elements."""
    return _choose("min", np.min, a, axis, keepdims)


def _norm(values: Sequence[Value], ord: float = 2) -> Any:
    magnitudes = [value.abs() for value in values]
    largest = builtins.max((value.data for value in magnitudes), default=0.0)
    if not largest:
        return Value.sum(magnitudes) * 0
    if ord == math.inf:
        return _average_of_ties(magnitudes, builtins.max)
    return Value.sum([(value / largest) ** ord for value in magnitudes]) ** (1 / ord) * largest


@primitive(
    symbol="‖·‖",
    formula="(Σᵢ |aᵢ|ᵖ)¹ᐟᵖ,  p = ord; maxᵢ |aᵢ| of p = ∞",
    rule=("ḡ · sign a · (|a| / y)ᵖ⁻¹; of p = ∞ as of max |a|",),
    kinks="a = 0: the slope is 0; of p = ∞, where several are largest: they share equally",
    scalar=fold(_norm),
    places=("ord", "axis", "keepdims"),
    cases=(*CASES, Case(((2, 3),), {"ord": 1}), Case(((2, 3),), {"ord": math.inf, "axis": 1})),
    patterns=(Pattern(("…",), {**VARIATIONS, "ord": OneOf(2, 1, math.inf, 3, 1.5)}),),
)
def norm(
    a: Array, /, *, ord: float = 2, axis: Axis = None, keepdims: bool = False
) -> tuple[Array, Backward]:
    """Compute the vector norm along axes, by default of all elements as one vector.

    `ord` is 2 (the Euclidean norm), 1 (the sum of magnitudes), ∞ (the largest magnitude), or any
    other number of at least 1, as in `numpy.linalg.vector_norm`.
    """
    floats, shape, axes = floating(a), a.shape, read_axes("norm", axis, a.shape)
    a = accumulating(floats)
    keepdims, ord = read_bool("norm", "keepdims", keepdims), read_number("norm", "ord", ord)
    if not ord >= 1:
        raise ValueError(
            message("norm: ord must be at least 1, not {ord}, of which there is no norm", ord=ord)
        )
    magnitudes = np.where(a.real < 0, -a, a)
    largest = magnitudes.max(axis=axes, keepdims=True, initial=0)
    if ord == math.inf:
        y = largest
        chosen = (magnitudes == largest) | (magnitudes != magnitudes)
        slopes = chosen / np.maximum(chosen.sum(axis=axes, keepdims=True), 1)
    else:
        # A power of two divides without an error, and no square overflows or vanishes.
        scale = np.ldexp(np.ones_like(largest.real), np.frexp(largest.real)[1] - 1)
        powers = ((magnitudes / scale) ** ord).sum(axis=axes, keepdims=True)
        y = scale * powers ** (1 / ord)
        slopes = (magnitudes / np.where(y == 0, 1, y)) ** (ord - 1)

    def backward(grad: Array) -> tuple[Array]:
        return (spread(grad, axes, shape) * sign(a) * slopes,)

    y = rounded_as(y, floats)
    return y if keepdims else y.reshape(_without(shape, axes)), backward


@composed(
    symbol="std",
    formula="√(Σᵢ (aᵢ − mean a)² / (n − ddof))",
    rule=("ḡ · (a − mean a) / ((n − ddof) · y)",),
    kinks="where all are equal: the slope is 0",
    places=("axis",),
    cases=(*CASES[1:-1], Case(((2, 3),), {"axis": 1, "ddof": 1})),
    patterns=(Pattern(("…",), {**VARIATIONS, "ddof": OneOf(0, 0.5, -1)}),),
)
def std(a: Any, /, *, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """Compute the standard deviation along axes; `ddof` is subtracted from the count.

    It is the norm of the deviations, which has PyTorch's slope of 0 if all elements are equal.
    """
    if a.dtype.char == "e":
        single = named(a.astype(np.float32), "in_float32")
        return std(single, axis=axis, keepdims=keepdims, ddof=ddof).astype(a.dtype)
    ddof = _read_ddof("std", ddof)
    divisor = builtins.max(_count(a.shape, read_axes("std", axis, a.shape)) - ddof, 0)
    deviations = named(a - named(mean(a, axis=axis, keepdims=True), "mean"), "deviations")
    length = named(norm(deviations, axis=axis, keepdims=keepdims), "length")
    return length / math.sqrt(divisor)


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
    """Compute ln Σ exp a along axes without overflow; −inf if all elements are −inf."""
    floats, shape, axes = floating(a), a.shape, read_axes("logsumexp", axis, a.shape)
    a = accumulating(floats)
    keepdims = read_bool("logsumexp", "keepdims", keepdims)
    shift = a.real.max(axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(shift), shift, 0)  # the value cancels, and so has no gradient
    exponentials = np.exp(a - shift)
    total = exponentials.sum(axis=axes, keepdims=True)
    y = rounded_as(np.log(total) + shift, floats)

    def backward(grad: Array) -> tuple[Array]:
        return (spread(grad, axes, shape) * (exponentials / total),)

    return y if keepdims else y.reshape(_without(shape, axes)), backward
