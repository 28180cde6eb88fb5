"""Hypothesis strategies for numbers, arrays and shapes that bring out wrong gradients.

Stock strategies seldom stretch an axis of length 1 and make arrays that tie almost always. Here
*generic* numbers are distinct, with a gap between them, and away from 0 and ±1, where rules agree
that should not; *kinky* ones tie and sit on kinks; *extreme* ones are huge and tiny.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from autolm.ops.array_arguments import read_shape
from autolm.outside.arguments import quote, read_int, read_number

Array = NDArray[Any]
Shape = tuple[int, ...]
Domain = tuple[float, float]
Kind = Literal["generic", "kinky", "extreme"]

REALS: Domain = (-math.inf, math.inf)
KINKY = (0.0, 1.0, -1.0, 2.0)
EXTREME = (800.0, -800.0, 40.0, -40.0, 1e8, -1e8, 1e-8, -1e-8, 1e-30, -1e-30, 0.5, -0.5)
GAP = 1 / 16  # distance of generic numbers from kinks and from the edges of a domain
MOST_ELEMENTS = 1 << 16  # of an array that is drawn, number by number
EIGHTHS = (*range(2, 8), *range(9, 34))  # 0.25 to 4.125, without 1


@lru_cache(maxsize=256)
def _generic_grid(domain: Domain, size: int) -> tuple[float, ...]:
    """List at least `size` numbers of a domain, the simplest first, at a distance from its edges.

    A number is simple if few binary digits write it, and if it is near 2.
    """
    low, high = domain
    if math.isfinite(low) and math.isfinite(high):
        count = 1 << max(5, size.bit_length())
        inner = [(2 * i + 1) / (2 * count) for i in range(count)]
        return tuple(low + (high - low) * part for part in _by_simplicity(inner, around=0.5))
    magnitudes = [eighth / 8 for eighth in (*EIGHTHS, *range(34, 34 + size))]
    if math.isfinite(low):
        return tuple(low + magnitude for magnitude in _by_simplicity(magnitudes, around=2))
    if math.isfinite(high):
        return tuple(high - magnitude for magnitude in _by_simplicity(magnitudes, around=2))
    both = [sign * magnitude for magnitude in magnitudes for sign in (1, -1)]
    return tuple(_by_simplicity(both, around=2))


def _by_simplicity(numbers: Sequence[float], around: float) -> list[float]:
    return sorted(numbers, key=lambda x: (x.as_integer_ratio()[1], abs(x - around), -x))


def read_domain(name: str, domain: Any) -> Domain:
    """Return an open interval (low, high); infinite ends are the usual ones."""
    pair = tuple(domain) if isinstance(domain, tuple | list) else ()
    edges = tuple(read_number(name, "an edge of domain", edge) for edge in pair)
    if len(edges) != 2 or not edges[0] < edges[1]:
        raise ValueError(f"{name}: domain is {quote(domain)}; it must be (low, high)")
    return float(edges[0]), float(edges[1])


def read_kind(name: str, kind: Any) -> Kind:
    """Return the name of a kind of numbers."""
    if not isinstance(kind, str) or kind not in ("generic", "kinky", "extreme"):
        raise ValueError(
            f'{name}: kind is {quote(kind)}; it must be "generic", "kinky" or "extreme"'
        )
    return kind  # type: ignore[return-value]


def read_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """Return a dtype of floating point."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old names of what is refused below
            read: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: dtype is {quote(dtype)}, which is none of NumPy's") from None
    if read.kind != "f":
        raise ValueError(f"{name}: dtype is {read}; it must be of floating point")
    return read


def choices(kind: Kind, domain: Domain, size: int) -> tuple[float, ...]:
    """List the numbers of one kind in a domain, the simplest first; `size` of them if generic."""
    if kind == "generic":
        return _generic_grid(domain, size)
    low, high = domain
    numbers = KINKY if kind == "kinky" else EXTREME
    inside = tuple(x for x in numbers if low < x < high)
    return inside or _generic_grid(domain, 2)[:2]


@st.composite
def _numbers(draw: st.DrawFn, numbers: Sequence[float], count: int, distinct: bool) -> list[float]:
    """Draw numbers by their place in a list, so that they shrink towards its start."""
    places: list[int] = []
    used: set[int] = set()
    any_place = st.integers(0, len(numbers) - 1)
    for _ in range(count):
        place = draw(any_place)
        while distinct and place in used:
            place = (place + 1) % len(numbers)
        used.add(place)
        places.append(place)
    return [numbers[place] for place in places]


def values(kind: Kind = "generic", domain: Domain = REALS) -> st.SearchStrategy[float]:
    """Numbers of one kind from an open interval.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(values("generic", domain=(0, 1)))
    ... def test_is_inside(x):
    ...     assert 0 < x < 1
    >>> test_is_inside()
    """
    kind = read_kind("values", kind)
    return st.sampled_from(choices(kind, read_domain("values", domain), 1))


def tensors(
    shape: Shape | int,
    kind: Kind = "generic",
    domain: Domain = REALS,
    dtype: DTypeLike = np.float64,
) -> st.SearchStrategy[Array]:
    """Arrays of one shape; `generic` ones hold no number twice."""
    whole, kind = read_shape("tensors", shape), read_kind("tensors", kind)
    if math.prod(whole) > MOST_ELEMENTS:
        raise ValueError(f"tensors: shape {whole} has more than {MOST_ELEMENTS} elements")
    domain, dtype = read_domain("tensors", domain), read_dtype("tensors", dtype)
    return arrays_together([whole], kind, [domain]).map(lambda arrays: arrays[0].astype(dtype))


@st.composite
def arrays_together(
    draw: st.DrawFn,
    shapes: Sequence[Shape],
    kind: Kind = "generic",
    domains: Sequence[Domain | None] | None = None,
    edges: Sequence[float] = (),
) -> tuple[Array, ...]:
    """Arrays for the operands of one operation: `generic` ones hold no number twice, all together.

    A domain of None asks for booleans. `edges` are numbers that only kinky ones may be.
    """
    domains = domains or [REALS] * len(shapes)
    total = sum(math.prod(shape) for shape in shapes)
    drawn: dict[Domain, list[float]] = {}
    for interval in dict.fromkeys(domain for domain in domains if domain is not None):
        numbers = choices(kind, interval, total + len(edges))
        if kind == "generic":
            numbers = tuple(x for x in numbers if all(abs(x - edge) > GAP for edge in edges))
        else:
            numbers += tuple(x for x in edges if interval[0] <= x <= interval[1])
        count = sum(math.prod(s) for s, d in zip(shapes, domains, strict=True) if d == interval)
        drawn[interval] = draw(_numbers(numbers, count, distinct=kind == "generic"))
    arrays = []
    for shape, domain in zip(shapes, domains, strict=True):
        size = math.prod(shape)
        if domain is None:
            flags = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            arrays.append(np.array(flags, dtype=bool).reshape(shape))
            continue
        numbers_of_operand, drawn[domain] = drawn[domain][:size], drawn[domain][size:]
        arrays.append(np.array(numbers_of_operand, dtype=np.float64).reshape(shape))
    return tuple(arrays)


def shapes(max_dims: int = 3, max_side: int = 3, min_dims: int = 0) -> st.SearchStrategy[Shape]:
    """Shapes without an empty axis; the simplest has one element."""
    sides = st.integers(1, max_side)
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


def broadcastable_shapes(
    count: int, *, max_dims: int = 3, max_side: int = 3
) -> st.SearchStrategy[tuple[Shape, ...]]:
    """`count` shapes that broadcast together, most of them by stretching an axis.

    They are made from the shape of the result: each loses some axes in front, and of the others
    some collapse to length 1, often one between two others. No axis collapses in all.

    Raises
    ------
    ValueError
        For less than one shape, and where no axis is long enough to stretch to; for more than NumPy
        takes, or than anybody looks through.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(broadcastable_shapes(3))
    ... def test_they_broadcast(shapes):
    ...     np.broadcast_shapes(*shapes)
    >>> test_they_broadcast()
    """
    numbers = ("count", count, 1, 64), ("max_dims", max_dims, 0, 32), ("max_side", max_side, 2, 999)
    for name, number, least, most in numbers:
        if read_int("broadcastable_shapes", name, number, low=least) > most:
            raise ValueError(f"broadcastable_shapes: {name} must be at most {most}, not {number}")
    return _broadcastable_shapes(count, max_dims, max_side)


@st.composite
def _broadcastable_shapes(
    draw: st.DrawFn, count: int, max_dims: int, max_side: int
) -> tuple[Shape, ...]:
    # In half of the draws an inner axis is stretched; in a quarter (1, n) broadcasts to (k, m, n),
    # where a rule may sum over too few axes.
    ways = (
        ["any", "between", "under", "between"] if min(max_side - 1, max_dims - 2) > 0 else ["any"]
    )
    way = draw(st.sampled_from(ways))
    wide, under = way != "any", way == "under"
    side = st.integers(2, max_side) | st.integers(1 + wide, max_side)
    result = tuple(draw(st.lists(side, min_size=3 * wide, max_size=3 if under else max_dims)))
    drawn = []
    for _ in range(count):
        trailing = result[under:] if wide else result[draw(st.integers(0, len(result))) :]
        last = len(trailing) - 1
        ones = [wide and (axis == 0 if under else 0 < axis < last) for axis in range(last + 1)]
        drawn.append(
            tuple(
                1 if one or draw(st.booleans()) else n
                for one, n in zip(ones, trailing, strict=True)
            )
        )
    whole = draw(st.integers(0, count - 1))  # one operand keeps all axes, so the result stays
    drawn[whole] = result
    return tuple(drawn)
