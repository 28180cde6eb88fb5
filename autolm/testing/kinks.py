"""Kinks: points where the slopes of the two sides differ, and any slope between is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing import ridders

Array = NDArray[Any]

STEP = 2.0**-20  # how far from the point its two sides are looked at
APART = 4 * STEP  # between numbers that tied, once they are moved apart
ORDERS = 24  # in which they are tried
BEND = 1e-4  # slopes of the two sides that differ by less belong to a smooth curve


def slopes_of_two_sides(
    function: Callable[..., Array], point: Sequence[Array], direction: Sequence[Array]
) -> Array:
    """Return, stacked, the slopes of a function before and after a point."""
    with np.errstate(all="ignore"):
        here, ahead, behind = (
            ridders.evaluate(function, point, direction, np.longdouble(step))
            for step in (0, STEP, -STEP)
        )
        sides = np.stack([(here - behind) / STEP, (ahead - here) / STEP]).astype(float)
        if bends(sides).any():  # unless that is noise
            blur = 16 * ridders.noise(function, point, direction).astype(float) / STEP
            sides = np.where(np.abs(sides[1] - sides[0]) <= blur, sides.mean(axis=0), sides)
        return sides


def bends(sides: Array) -> Array:
    """Return for each element whether the function has a kink there."""
    before, after = sides
    size = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1)
    return np.asarray(np.abs(after - before) > BEND * size)


def range_of_slopes(sides: Array, upstream: Array) -> tuple[float, float]:
    """Return the least and the greatest slope of Σ upstream · result that kinks leave open."""
    weighted = np.sort(upstream * sides, axis=0).reshape(2, -1)
    low, high = weighted.sum(axis=1)
    return float(low), float(high)


def range_nearby(
    function: Callable[..., Array],
    point: Sequence[Array],
    direction: Sequence[Array],
    upstream: Array,
) -> tuple[float, float]:
    """Return the range of slopes at points nearby where nothing ties.

    Where several tie in an operation such as a sort, each order of them has another slope, and a
    rule may choose any; the two sides along one element show two of them only.
    """
    size = sum(x.size for x in point)
    rng = np.random.default_rng(0)
    orders = [
        np.arange(size),
        np.arange(size)[::-1],
        *(rng.permutation(size) for _ in range(ORDERS)),
    ]
    slopes: list[float] = []
    for order in orders:
        parts = np.split(order * APART, np.cumsum([x.size for x in point])[:-1])
        moved = [
            x + part.reshape(x.shape) if x.dtype.kind == "f" else x
            for x, part in zip(point, parts, strict=True)
        ]
        slopes += range_of_slopes(slopes_of_two_sides(function, moved, direction), upstream)
    finite = [slope for slope in slopes if np.isfinite(slope)]
    return min(finite, default=0.0), max(finite, default=0.0)


def unit_direction(point: Sequence[Array], operand: int, index: tuple[int, ...]) -> list[Array]:
    """Return the direction along one element of one operand."""
    direction = [np.zeros(x.shape) for x in point]
    direction[operand][index] = 1
    return direction
