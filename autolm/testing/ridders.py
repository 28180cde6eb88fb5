"""Derivatives of a real function from its values alone, with an honest estimate of the error.

Ridders' method: differences at shrinking steps, extrapolated to step 0 by Neville's scheme. It
knows nothing of the function, so it also judges whether the exact methods may be believed. It runs
in long double where the function lets it.

Source: Ridders, Accurate computation of F'(x) and F'(x)F''(x) (1982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Array]
Difference = Callable[[np.longdouble], tuple[Array, Array]]  # step -> (quotient, its rounding)

FIRST_STEPS = (2.0**-5, 2.0**-10, 2.0**-16, 2.0**-24)  # a smaller one, where a larger meets a kink
SHRINK = 1.5
ROWS = 8
NOISE_STEP = 2.0**-40  # so small that only noise is left
NEAR = 2.0**-34  # so small that numbers of single precision stay the same, and doubles do not
RESOLVED = 1e-6  # of a step may be lost where it is added to the numbers of a point
GOOD = 1e-11  # an error, relative to the largest derivative, at which no smaller step is tried


def central(
    function: Function, point: Sequence[Array], direction: Sequence[Array]
) -> tuple[Array, Array]:
    """Return the derivative of `function` at `point` along `direction`, and its error."""
    smallest = _smallest_step(point, direction)

    def difference(step: np.longdouble) -> tuple[Array, Array]:
        if step < smallest:
            return np.full(roughness.shape, np.nan), np.full(roughness.shape, np.inf)
        try:
            ahead, behind = (evaluate(function, point, direction, s) for s in (step, -step))
        except Exception:  # a step out of the domain of a function that minds; a smaller may do
            return np.full(roughness.shape, np.nan), np.full(roughness.shape, np.inf)
        rounding = np.maximum(_rounding(ahead, behind), 4 * roughness) / step
        return (ahead - behind) / (2 * step), rounding

    with np.errstate(all="ignore"):
        # Beside large numbers a step must be longer, or no value changes and none is rough.
        roughness = noise(function, point, direction, max(NOISE_STEP, 8 * RESOLVED * smallest))
        slope, error, from_afar = _extrapolate(difference)
        steps = _is_stepped(function, point, direction, from_afar)
        return slope, np.where(steps, np.maximum(error, np.abs(from_afar)), error)


def _smallest_step(point: Sequence[Array], direction: Sequence[Array]) -> float:
    """Return the smallest step that doubles resolve at the numbers of the point."""
    steps = [
        np.finfo(float).eps * np.abs(x[d != 0]) / np.abs(d[d != 0]).astype(float)
        for x, d in zip(point, direction, strict=True)
        if x.dtype.kind == "f"
    ]
    return (
        max(
            (float(np.max(steps_of_operand, initial=0.0)) for steps_of_operand in steps),
            default=0.0,
        )
        / RESOLVED
    )


def _is_stepped(
    function: Function, point: Sequence[Array], direction: Sequence[Array], slope: Array
) -> Array:
    """Whether the values stay the same where the slope says that even doubles would differ.

    So they do if the function works in single precision inside: it has no slope, but only steps.
    """
    behind, ahead = (
        evaluate(function, point, direction, np.longdouble(step)) for step in (-NEAR, NEAR)
    )
    reals = [x for x in point if x.dtype.kind == "f"]
    farthest = max((float(np.max(np.abs(x), initial=0.0)) for x in reals), default=0.0)
    expected = 2 * NEAR * np.abs(slope)
    resolved = 64 * np.finfo(float).eps * (np.abs(ahead) + np.abs(slope) * farthest)
    return np.asarray((ahead == behind) & (expected > resolved))


def evaluate(
    function: Function, point: Sequence[Array], direction: Sequence[Array], step: np.longdouble
) -> Array:
    """Return `function` a step away from `point`, in long double if it can."""
    shifted = [
        np.asarray(x.astype(np.longdouble) + step * d) if x.dtype.kind == "f" else x
        for x, d in zip(point, direction, strict=True)
    ]
    try:
        return np.asarray(function(*shifted))
    except Exception:  # a function that knows no long doubles, such as np.linalg's
        doubles = [m.astype(float) if m.dtype.kind == "f" else m for m in shifted]
        return np.asarray(function(*doubles))


def _rounding(ahead: Array, behind: Array) -> Array:
    epsilon = np.finfo(ahead.dtype).eps if ahead.dtype.kind == "f" else 0
    return np.asarray(4 * epsilon * np.maximum(np.abs(ahead), np.abs(behind)))


def noise(
    function: Function,
    point: Sequence[Array],
    direction: Sequence[Array],
    step: float = NOISE_STEP,
) -> Array:
    """Return how rough the values are: in fourth differences all that is smooth is gone.

    Source: Moré and Wild, Estimating computational noise (2011).
    """
    steps = [np.longdouble(i) * step for i in range(-3, 4)]
    values = np.stack([evaluate(function, point, direction, each) for each in steps])
    differences = np.abs(np.diff(values, n=4, axis=0)) / np.sqrt(70)
    return np.asarray(differences.max(axis=0))


def _extrapolate(difference: Difference) -> tuple[Array, Array, Array]:
    """Extrapolate to step 0, from several first steps; of each element return the best.

    Besides, return what the largest first step says, or 0 where that is far from sure.
    """
    entries: list[tuple[Array, Array]] = []
    for first_step in FIRST_STEPS:
        entries += _tableau(difference, np.longdouble(first_step))
        best, error = _best(entries)
        if first_step == FIRST_STEPS[0]:
            from_afar = np.where(error < 0.1 * np.abs(best), best, 0)
        if np.all(error <= GOOD * np.max(np.abs(best), initial=1.0)):
            break
    return best, error, from_afar


def _tableau(difference: Difference, step: np.longdouble) -> list[tuple[Array, Array]]:
    """Return the extrapolated entries of one tableau, each with its error."""
    entries = []
    above: list[Array] = []
    for _ in range(ROWS):
        quotient, rounding = difference(step)
        row = [quotient]
        for column, previous in enumerate(above, 1):
            factor = np.longdouble(SHRINK) ** (2 * column)
            better = (row[-1] * factor - previous) / (factor - 1)
            error = rounding + np.maximum(np.abs(better - row[-1]), np.abs(better - previous))
            entries.append((better, np.where(np.isfinite(error), error, np.inf)))
            row.append(better)
        above = row
        step /= np.longdouble(SHRINK)
    return entries


def _best(entries: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    estimates, errors = (np.stack(parts) for parts in zip(*entries, strict=True))
    at = errors.argmin(axis=0)[None]
    return np.take_along_axis(estimates, at, 0)[0], np.take_along_axis(errors, at, 0)[0]
