"""Kinks and jumps: points where a function has two slopes, or none.

On a *kink* the slopes of the two sides differ, and any slope between them is right. On a *jump* the
values of the two sides differ, so that the slope is undefined. Each side is differentiated
by extrapolation from several steps, with an estimate of the error: a function that bends sharply,
but smoothly, is not taken for one that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing import ridders

Array = NDArray[Any]

FIRST_STEP, SHRINK, STEPS = 2.0**-20, 2.0**4, 3  # of the extrapolation on each side
LAST_STEP = FIRST_STEP / SHRINK ** (STEPS - 1)
APART = 4 * FIRST_STEP  # between numbers that tied, once they are moved apart
ORDERS = 24  # in which they are tried
BEND = 1e-4  # slopes of the two sides that differ by less belong to a smooth curve
CLOSE = 0.1  # of the way to the point: so near to one another are values beyond a jump


@dataclass(frozen=True)
class Sides:
    """How a function leaves a point in one direction, before and after it.

    Attributes
    ----------
    slopes
        Slopes of the two sides, stacked; not finite where a side has none.
    doubt
        Error bound of the slopes, for each element of the result.
    jumps
        Where the values of the two sides do not meet.
    """

    slopes: Array
    doubt: Array
    jumps: Array

    @property
    def finite(self) -> Array:
        """Where both sides have a slope."""
        return np.asarray(np.isfinite(self.slopes).all(axis=0) & ~self.jumps)

    @property
    def bends(self) -> Array:
        """Where the two slopes differ by more than they may be wrong."""
        before, after = self.slopes
        size = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1)
        return np.asarray(~self.jumps & (np.abs(after - before) > BEND * size + 2 * self.doubt))

    def blurred(
        self, function: Callable[..., Array], point: Sequence[Array], direction: Sequence[Array]
    ) -> Sides:
        """Return the same with what noise in the function makes of slopes so near."""
        noise = ridders.noise(function, point, direction).astype(float)
        return Sides(self.slopes, self.doubt + 16 * noise / LAST_STEP, self.jumps)

    def range(self, upstream: Array) -> tuple[float, float]:
        """Return the least and the greatest slope of Σ upstream · result that kinks leave open."""
        with np.errstate(all="ignore"):
            weighted = np.sort(upstream * self.slopes, axis=0).reshape(2, -1)
            room = float(np.sum(np.abs(upstream) * self.doubt))
        low, high = weighted.sum(axis=1)
        return float(low) - room, float(high) + room


def two_sides(
    function: Callable[..., Array], point: Sequence[Array], direction: Sequence[Array]
) -> Sides:
    """Differentiate a function before and after a point."""
    with np.errstate(all="ignore"):
        here, *ahead = _values(function, point, direction, 1)
        _, *behind = _values(function, point, direction, -1, here)
        before, error_before = _one_side(here, behind, -1)
        after, error_after = _one_side(here, ahead, 1)
        doubt = np.maximum(error_before, error_after)
        jumps = _stays_apart(here, ahead) | _stays_apart(here, behind)
        sides = Sides(np.stack([before, after]), doubt, jumps)
        if sides.bends.any():  # unless that is noise
            return sides.blurred(function, point, direction)
        return sides


def _values(
    function: Callable[..., Array],
    point: Sequence[Array],
    direction: Sequence[Array],
    sign: int,
    here: Array | None = None,
) -> list[Array]:
    """Evaluate at the point, and at shrinking steps to one side; NaN where that is refused."""
    if here is None:
        here = ridders.evaluate(function, point, direction, np.longdouble(0))
    values = [here]
    for i in range(STEPS):
        step = np.longdouble(sign * FIRST_STEP / SHRINK**i)
        try:
            values.append(ridders.evaluate(function, point, direction, step))
        except Exception:  # out of the domain of a function that minds
            values.append(np.full(here.shape, np.nan))
    return values


def _one_side(here: Array, values: Sequence[Array], sign: int) -> tuple[Array, Array]:
    """Extrapolate the slope of one side to step 0; of each element take the surest."""
    epsilon = np.finfo(here.dtype).eps if here.dtype.kind == "f" else 0
    estimates: list[Array] = []
    errors: list[Array] = []
    row: list[Array] = []
    for i, value in enumerate(values):
        step = FIRST_STEP / SHRINK**i
        rounding = 4 * epsilon * np.maximum(np.abs(here), np.abs(value)) / step
        above, row = row, [np.asarray(sign * (value - here) / step)]
        for column, previous in enumerate(above, 1):
            better = row[-1] + (row[-1] - previous) / (SHRINK**column - 1)
            estimates.append(better)
            apart = np.maximum(np.abs(better - row[-1]), np.abs(row[-1] - previous) / SHRINK)
            errors.append(np.asarray(rounding + apart))
            row.append(better)
    ranked = np.where(np.isnan(errors), np.inf, np.stack(errors))
    at = ranked.argmin(axis=0)[None]
    slope = np.take_along_axis(np.stack(estimates), at, 0)[0].astype(float)
    error = np.take_along_axis(ranked, at, 0)[0].astype(float)
    diverges = ~np.isfinite(error)
    return np.where(diverges, np.nan, slope), np.where(diverges, 0, error)


def _stays_apart(here: Array, values: Sequence[Array]) -> Array:
    """Whether the values of a side agree with one another, and not with that of the point."""
    gap = np.abs(values[-1] - here)
    among = np.ptp(np.stack(values), axis=0)
    size = np.maximum(np.abs(here), np.abs(values[0]))
    return np.asarray((among < CLOSE * gap) & (gap > 1e3 * np.finfo(float).eps * size))


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
        separated = [
            x + part.reshape(x.shape) if x.dtype.kind == "f" else x
            for x, part in zip(point, parts, strict=True)
        ]
        slopes += two_sides(function, separated, direction).range(upstream)
    finite = [slope for slope in slopes if np.isfinite(slope)]
    return min(finite, default=0.0), max(finite, default=0.0)


def unit_direction(point: Sequence[Array], operand: int, index: tuple[int, ...]) -> list[Array]:
    """Return the direction along one element of one operand."""
    direction = [np.zeros(x.shape) for x in point]
    direction[operand][index] = 1
    return direction
