"""Compare a gradient with that of the oracle, and conclude a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node
from autolm.testing import ridders
from autolm.testing.kinks import BEND, range_nearby, two_sides, unit_direction
from autolm.testing.oracle import Derivative

Array = NDArray[Any]
Arrays = Sequence[Array | None]  # one per operand; None where there is nothing to differentiate

RELATIVE, OF_SCALE = 1e-9, 1e-10  # of the numeric gradient, and of the scale of the problem
TOO_UNSURE = 1e-7  # an error of the oracle, relative to the scale, that would hide a mistake
ROUGH_STEP, MOST_ROUGH = 2.0**-14, 64.0  # how far it is looked for; and what it may be
ROUGH = 1e3  # times the roughness of a forward, per input, is left to its rule
SINGLE = 1e5  # what tolerances are multiplied by where numbers are of single precision
MOST_DIGITS = 16.0
FEW = 64  # elements of an operand up to which each is differentiated by itself


class Verdict(Enum):
    """The result of a check of a gradient."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Row:
    """One element of a gradient: its actual and its expected value."""

    operand: str
    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def error(self) -> float:
        """How much too large the analytic gradient is."""
        return self.analytic - self.numeric


@dataclass(frozen=True)
class Comparison:
    """The comparison of a gradient with that of the oracle."""

    verdict: Verdict
    digits: float  # to how many they agree
    rows: tuple[Row, ...]  # the elements that are wrong
    method: str
    reason: str = ""
    vacuous: bool = False  # undecided because any rule would have passed

    @property
    def oracle(self) -> str:
        """The method with its article, as a sentence says it."""
        named = {"complex step": "the complex step", "Ridders": "Ridders' extrapolation"}
        return named.get(self.method, self.method)


def gradient(jacobians: Arrays, upstream: Array) -> list[Array | None]:
    """Return Σ upstream · ∂result/∂operand for every operand."""
    return [None if j is None else np.tensordot(upstream, j, upstream.ndim) for j in jacobians]


def gradient_scale(
    numeric: Arrays, point: Sequence[Array], result: Array, upstream: Array
) -> float:
    """Return the size by which errors are measured: of the gradients, or of result per input."""
    steepest = max(map(largest, numeric), default=0.0)
    inputs = max((largest(x) for x in point if x.dtype.kind == "f"), default=0.0)
    return max(steepest, float(np.sum(np.abs(upstream * result))) / max(inputs, 1e-3))


def compare(
    names: Sequence[str],
    analytic: Arrays,
    derivative: Derivative,
    upstream: Array,
    slack: float = 1.0,
    floor: float = 0.0,
) -> Comparison:
    """Compare a gradient with a derivative: element by element, or in part where there are many.

    An element is wrong if it is off by more than 10⁻⁹ of itself plus 10⁻¹⁰ of the scale, plus what
    the oracle may be wrong by; on a kink, if it is not between the slopes of the two sides. `slack`
    multiplies the tolerance, and `floor` is the least that the scale is taken for.
    """
    comparison = _compare_elements(names, analytic, derivative, upstream, slack, floor)
    reason = proves_nothing(derivative.point, upstream)
    if reason and comparison.verdict is not Verdict.WRONG:
        return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason, vacuous=True)
    return comparison


def proves_nothing(point: Sequence[Array], upstream: Array) -> str:
    """Say why any rule would pass here; empty if a wrong one would be found out."""
    numbers = [x for x in point if x.dtype.kind == "f"]
    if not numbers:
        return "no input is differentiated, so nothing is proved"
    if not any(x.size for x in numbers):
        return "the inputs have no elements, so nothing is proved"
    if not upstream.size:
        return "the result has no elements, so nothing is proved"
    return "" if upstream.any() else "the upstream gradient is 0, so nothing is proved"


def _compare_elements(
    names: Sequence[str],
    analytic: Arrays,
    derivative: Derivative,
    upstream: Array,
    slack: float,
    floor: float,
) -> Comparison:
    if np.isnan(derivative.result).any():  # a complex step goes where real numbers do not
        reason = "the result is not a number here"
        return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason)
    with np.errstate(all="ignore"):
        if max((x.size for x in derivative.point), default=0) > FEW:
            return _compare_projections(names, analytic, derivative, upstream, slack, floor)
        jacobians, errors = derivative.jacobians()
        numeric = gradient(jacobians, upstream)
        unsure = gradient(errors, np.abs(upstream))
        scale = gradient_scale(numeric, derivative.point, derivative.result, upstream)
        scale = max(scale, floor)
    if not np.isfinite(scale):
        reason = "the result is not finite here"
        return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason)
    rows: list[Row] = []
    worst = doubt = 0.0
    for operand, (a, n, error) in enumerate(zip(analytic, numeric, unsure, strict=True)):
        if n is None or error is None:
            continue
        e = np.array(error)
        if not np.all(np.isfinite(n)) or not np.all(np.isfinite(e)):
            reason = f"the derivative is not finite here, by {derivative.method}"
            return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason)
        actual = np.zeros(n.shape) if a is None else np.asarray(a, dtype=float)
        off = np.array(np.abs(actual - n))
        wrong = ~(off <= slack * (RELATIVE * np.abs(n) + OF_SCALE * scale) + e)
        if wrong.any():
            wrong &= ~(
                off <= slack * allowed_rounding(derivative.function, derivative.point, upstream)
            )
        for place in np.argwhere(wrong | (e > TOO_UNSURE * scale)):
            index = tuple(map(int, place))
            if _on_a_kink(derivative, upstream, operand, index, float(actual[index])):
                off[index] = e[index] = 0
            elif wrong[index]:
                rows.append(Row(names[operand], index, float(actual[index]), float(n[index])))
        worst, doubt = max(worst, largest(off)), max(doubt, largest(e))
    return _concluded(tuple(rows), worst, doubt, scale, derivative.method)


def allowed_rounding(
    function: Callable[..., Array], point: Sequence[Array], upstream: Array
) -> float:
    """Return what a rule may be off by because the forward itself is rounded, in doubles.

    Where it subtracts what is almost equal, as in 1 + tanh of a large negative number, its values
    are rough; a rule that uses the same parts cannot be smoother.
    """
    direction = [np.ones(x.shape) for x in point]
    try:
        rough = ridders.noise(
            lambda *arrays: function(*map(_in_double, arrays)), point, direction, ROUGH_STEP
        )
    except Exception:  # so far from the point that the forward refuses
        return 0.0
    size = max([1.0, *(largest(x) for x in point if x.dtype.kind == "f")])
    most = MOST_ROUGH * np.finfo(float).eps * size  # and no kink passes for roughness
    rough = np.where(rough <= most, rough, 0)
    return ROUGH * float(np.sum(np.abs(upstream) * rough)) / size


def _in_double(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _concluded(
    rows: tuple[Row, ...], worst: float, doubt: float, scale: float, method: str
) -> Comparison:
    if rows:
        return Comparison(Verdict.WRONG, 0.0, rows, method)
    digits = digits_of(max(worst, doubt), scale)
    if doubt > TOO_UNSURE * scale:
        reason = f"{method} is sure of {digits:.0f} digits only"
        return Comparison(Verdict.UNDECIDED, digits, (), method, reason)
    return Comparison(Verdict.CORRECT, digits, (), method)


def _on_a_kink(
    derivative: Derivative, upstream: Array, operand: int, index: tuple[int, ...], analytic: float
) -> bool:
    """Whether there is a kink here, and the slope found is between those of its two sides.

    On a jump the slope is undefined, and any finite number is accepted.
    """
    direction = unit_direction(derivative.point, operand, index)
    sides = two_sides(derivative.function, derivative.point, direction)
    if sides.jumps[upstream != 0].any():
        return bool(np.isfinite(analytic))
    if not np.all(sides.finite) or not sides.bends.any():
        return False
    low, high = sides.range(upstream)
    room = BEND * max(abs(low), abs(high))
    if not low - room <= analytic <= high + room:
        low, high = range_nearby(derivative.function, derivative.point, direction, upstream)
    return low - room <= analytic <= high + room


def _compare_projections(
    names: Sequence[str],
    analytic: Arrays,
    derivative: Derivative,
    upstream: Array,
    slack: float,
    floor: float,
) -> Comparison:
    """Compare derivatives along random directions, and look for the element where they differ."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    worst = doubt = biggest = 0.0
    for operand, x in enumerate(derivative.point):
        if x.dtype.kind != "f" or not x.size:
            continue
        a = analytic[operand]
        actual = np.zeros(x.shape) if a is None else np.asarray(a, dtype=float)
        weights = rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1.0, x.shape)
        off, unsure, scale, numeric = _along(derivative, operand, weights, actual, upstream)
        scale = max(scale, floor)
        if not np.isfinite(numeric) or not np.isfinite(unsure):
            reason = f"the derivative is not finite here, by {derivative.method}"
            return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason)
        if not off <= slack * (RELATIVE * abs(numeric) + OF_SCALE * scale) + unsure:
            rows.append(_located(names[operand], derivative, operand, weights, actual, upstream))
        worst, doubt, biggest = max(worst, off), max(doubt, unsure), max(biggest, scale)
    return _concluded(tuple(rows), worst, doubt, biggest, derivative.method)


def _along(
    derivative: Derivative, operand: int, weights: Array, actual: Array, upstream: Array
) -> tuple[float, float, float, float]:
    """Return how far off the gradient is along a direction, the doubt, the scale, and the truth."""
    direction = [np.zeros(x.shape) for x in derivative.point]
    direction[operand] = weights
    slope, error = derivative.along(direction)
    numeric = float(np.sum(upstream * slope))
    scale = float(np.sum(np.abs(upstream * slope))) + float(np.sum(np.abs(actual * weights)))
    off = abs(float(np.sum(actual * weights)) - numeric)
    return off, float(np.sum(np.abs(upstream) * error)), scale, numeric


def _located(
    name: str, derivative: Derivative, operand: int, weights: Array, actual: Array, upstream: Array
) -> Row:
    """Halve the direction again and again, keeping the half that is off by more."""
    places = np.arange(weights.size)
    while places.size > 1:
        halves = np.array_split(places, 2)
        errors = []
        for half in halves:
            half_weights = np.zeros(weights.size)
            half_weights[half] = weights.flat[half]
            errors.append(
                _along(derivative, operand, half_weights.reshape(weights.shape), actual, upstream)[
                    0
                ]
            )
        places = halves[int(np.argmax(errors))]
    index = tuple(map(int, np.unravel_index(places[0], weights.shape)))
    one = np.zeros(weights.shape)
    one[index] = 1
    numeric = _along(derivative, operand, one, actual, upstream)[3]
    return Row(name, index, float(actual[index]), numeric)


def digits_of(error: float, scale: float) -> float:
    """Return to how many digits two numbers of this scale agree."""
    if error == 0 or scale == 0:
        return MOST_DIGITS
    if not math.isfinite(error) or not math.isfinite(scale):
        return 0.0
    return max(0.0, min(MOST_DIGITS, -math.log10(error / scale)))


def largest(array: Array | None) -> float:
    """Return the largest magnitude in an array; 0 in none."""
    return 0.0 if array is None else float(np.max(np.abs(array), initial=0.0))


def largest_contribution(root: Node, upstream: Any) -> float:
    """Return the largest number that a backward pass sends from a node to a parent."""
    magnitudes = [
        np.abs(contribution.value)
        for step in root.steps(upstream)
        for contribution in step.contributions
        if contribution.value is not None
    ]
    return max(
        (float(np.max(s, initial=0.0, where=np.isfinite(s))) for s in magnitudes), default=0.0
    )
