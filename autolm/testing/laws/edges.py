"""Laws at edges: kinks, ties, and numbers near overflow and underflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.message import message
from autolm.testing.call import Call, literal
from autolm.testing.kinks import BEND, range_nearby, two_sides, unit_direction
from autolm.testing.laws.law import Law, Tally, broken
from autolm.testing.oracle import UnsuitableError, complex_step, random_direction
from autolm.testing.subject import Subject
from autolm.testing.verdict import Row, largest

Array = NDArray[Any]
Function = Callable[..., Array]

MOST_ELEMENTS = 24  # elements of a call at most whose two sides are compared
DIVERGES = 1e-3  # relative doubt of a slope that grows without bound, as that of a root at 0
BIGGEST = 1e300  # what a double holds with ease
LIMITS: dict[type, tuple[float, float]] = {  # the smallest and the largest number to be tried
    np.float64: (1e-160, 1e160),
    np.float32: (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)),
}


def _check_kinks(subject: Subject, call: Call, tally: Tally) -> None:
    """Accept any slope between those of the two sides, if the shares of ties add up."""
    function, upstream = subject.function(call.attributes), call.given_upstream
    contributions = subject.contributions(call)
    finite = [a[np.isfinite(a)] for a in contributions if a is not None]
    scale = float(np.sum(np.abs(upstream))) + max(map(largest, finite), default=0.0)
    rows: list[Row] = []
    kinked, wrong_on_kinks = False, True
    smooth = _is_the_slope_in_all(function, call, contributions, scale)
    for operand, index, analytic in [] if smooth else _spread(contributions):
        direction = unit_direction(call.inputs, operand, index)
        sides = two_sides(function, call.inputs, direction)
        if sides.jumps[upstream != 0].any():
            tally.exercised["jump"] += 1
            continue
        if not np.all(sides.finite):
            tally.exercised["edge of the domain"] += 1
            continue
        if np.isinf(analytic) and np.any(sides.doubt > DIVERGES * np.abs(sides.slopes)):
            tally.exercised["infinite slope"] += 1
            continue
        bends = bool(sides.bends.any())
        kinked |= bends
        low, high = sides.range(upstream)
        room = BEND * max(scale, abs(low), abs(high))
        if not low - room <= analytic <= high + room:
            low, high = sides.blurred(function, call.inputs, direction).range(upstream)
        if not low - room <= analytic <= high + room:
            low, high = range_nearby(function, call.inputs, direction, upstream)
        if not low - room <= analytic <= high + room:
            nearest = min((low, high), key=lambda slope: abs(slope - analytic))
            rows.append(Row(subject.names_of(call)[operand], index, analytic, nearest))
            wrong_on_kinks &= bends
    tally.exercised["kink"] += kinked
    if rows:
        message = "the gradient differs from the slope, which is the same on both sides"
        if wrong_on_kinks:
            message = "the gradient is not between the slopes of the two sides"
        raise broken(subject, call, message, _of_rows(rows, wrong_on_kinks), rows)
    _check_shares(subject, call, tally, scale, kinked)


def _is_the_slope_in_all(
    function: Function, call: Call, contributions: Sequence[Array | None], scale: float
) -> bool:
    """Whether the function is smooth along one direction, and the gradient is its slope there.

    Then no single element needs to be checked.
    """
    direction = random_direction(call.inputs)
    sides = two_sides(function, call.inputs, direction)
    if not np.all(sides.finite) or sides.bends.any():
        return False
    pairs = zip(contributions, direction, strict=True)
    analytic = sum(float(np.sum(a * d)) for a, d in pairs if a is not None)
    low, high = sides.range(call.given_upstream)
    room = BEND / 2 * scale  # an element moves by a half at least
    return low - room <= analytic <= high + room


def _of_rows(rows: Sequence[Row], on_kinks: bool) -> str:
    """Name the mistake at simple inputs."""
    where = "on a kink" if on_kinks else "at a smooth point"
    if all(np.isnan(row.analytic) for row in rows):
        return f"not a number {where}: the backward rule computes 0/0 or 0 · inf"
    if on_kinks:
        return "wrong on a kink: what is sent there is the slope of neither side"
    return "wrong at a smooth point: some numbers, such as these, are treated apart"


def _spread(contributions: Sequence[Array | None]) -> list[tuple[int, tuple[int, ...], float]]:
    """List operand, index and value of all elements, or of evenly spaced ones."""
    places = [
        (operand, index, float(contribution[index]))
        for operand, contribution in enumerate(contributions)
        if contribution is not None
        for index in np.ndindex(contribution.shape)
    ]
    return places[:: -(-len(places) // MOST_ELEMENTS) or 1]


def _check_shares(subject: Subject, call: Call, tally: Tally, scale: float, kinked: bool) -> None:
    """Require that the shares of tied elements add up.

    If all inputs rise together, a maximum is smooth: along that direction the slope has one value,
    however it is divided.
    """
    rising = [np.ones(x.shape) for x in call.inputs]
    sides = two_sides(subject.function(call.attributes), call.inputs, rising)
    straight = sides.finite & ~sides.bends
    smooth_call = Call(*call.inputs, **call.attributes)
    smooth_call.upstream = np.where(straight, call.given_upstream, 0)
    shares = [a for a in subject.contributions(smooth_call) if a is not None]
    if any(np.isinf(share).any() for share in shares):
        return  # a slope without bound
    total = sum(float(np.sum(share)) for share in shares)
    expected = float(np.sum(np.where(straight, call.given_upstream * sides.slopes[0], 0)))
    doubt = float(np.sum(np.abs(smooth_call.given_upstream) * sides.doubt))
    tally.exercised["tie"] += bool(kinked and straight.any())
    room = BEND * max(scale, abs(expected)) + doubt
    if abs(total - expected) > room:
        blurred = sides.blurred(subject.function(call.attributes), call.inputs, rising)
        room += float(np.sum(np.abs(smooth_call.given_upstream) * blurred.doubt))
    if abs(total - expected) > room:
        raise broken(
            *(subject, call),
            message(
                "the shares of the gradient add up to {total:.6g}, and should to {expected:.6g}",
                total=total,
                expected=expected,
            ),
            message(
                "ties: those who tie do not share the upstream gradient; their parts "
                "must add up to it"
            ),
        )


def _check_extremes(subject: Subject, call: Call, tally: Tally) -> None:
    result, _ = subject.run(call)
    function = subject.function(call.attributes)
    if not np.all(np.isfinite(result)):
        tally.exercised["result overflows"] += 1
        _require_true_overflow(subject, call, result, _value(function, _wide(call)))
        return
    tally.exercised["finite result"] += 1
    for row, slope in _not_finite(subject, call):
        if np.all(np.abs(slope) < BIGGEST):
            raise broken(
                *(subject, call, "the gradient is not finite, and the true one is"),
                message("the backward rule overflows, or divides 0 by 0, on its way"),
                [row],
            )
    for dtype, limits in LIMITS.items():
        _note_limits(subject, _at_limits(call, dtype, limits), tally)


def _note_limits(subject: Subject, call: Call, tally: Tally) -> None:
    """Note a gradient that overflows at the limits of a dtype, where the forward does not.

    It breaks no law: squares overflow there, and most rules use some.
    """
    try:
        result, _ = subject.run(call)
        true = _value(subject.function(call.attributes), _wide(call))
        if not np.allclose(result, true, rtol=1e-3, atol=0):
            return  # the forward is lost itself
        rows = _not_finite(subject, call)
    except Exception:  # the forward refuses such numbers
        return
    tally.exercised["limits of the dtype"] += 1
    most = np.sqrt(BIGGEST if result.dtype == np.float64 else np.finfo(result.dtype).max)
    for row, slope in rows:
        if np.all(np.abs(slope) < most):
            where = f"at the limits of the dtype the gradient of {row.operand}"
            tally.noted[f"{where} is not finite in {result.dtype}"] += 1
            return


def _at_limits(call: Call, dtype: type, limits: tuple[float, float]) -> Call:
    """Return the call with its largest and smallest numbers at the limits of a dtype."""
    smallest, most = limits
    inputs = [
        np.where(
            np.abs(x) >= 1e8,
            np.sign(x) * most,
            np.where((x != 0) & (np.abs(x) <= 1e-8), np.sign(x) * smallest, x),
        ).astype(dtype)
        if x.dtype.kind == "f"
        else x
        for x in call.inputs
    ]
    scaled = Call(*inputs, **call.attributes)
    scaled.upstream = call.given_upstream.astype(dtype)
    return scaled


def _not_finite(subject: Subject, call: Call) -> list[tuple[Row, Array]]:
    """List elements of a gradient that are not finite, each with its true slope."""
    function, wide = subject.function(call.attributes), _wide(call)
    rows = []
    for operand, contribution in enumerate(subject.contributions(call)):
        if contribution is None:
            continue
        for place in np.argwhere(~np.isfinite(contribution)):
            index = tuple(map(int, place))
            slope = _slope(function, wide, operand, index)
            name, true = subject.names_of(call)[operand], np.sum(call.given_upstream * slope)
            rows.append((Row(name, index, float(contribution[index]), float(true)), slope))
    return rows


def _wide(call: Call) -> list[Array]:
    return [x.astype(np.longdouble) if x.dtype.kind == "f" else x for x in call.inputs]


def _require_true_overflow(subject: Subject, call: Call, result: Array, true: Array) -> None:
    if np.any(~np.isfinite(result) & (np.abs(true) < BIGGEST)):
        message = f"the result is {literal(result)}, and should be {literal(true.astype(float))}"
        cause = "the forward overflows on the way to a finite result"
        raise broken(subject, call, message, cause, about="forward")


def _value(function: Function, wide: Sequence[Array]) -> Array:
    """Evaluate in long double, of a wider range; infinite if the function refuses it."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*wide))
    except TypeError:
        return np.array(np.inf)


def _slope(
    function: Function, wide: Sequence[Array], operand: int, index: tuple[int, ...]
) -> Array:
    """Differentiate in long double; infinite if the function does not take complex numbers."""
    size = np.abs(wide[operand][index]) or np.longdouble(1)  # a step must be small relative to it
    direction = [size * d for d in unit_direction(wide, operand, index)]
    try:
        with np.errstate(all="ignore"):
            return complex_step(function, wide, direction) / size
    except UnsuitableError:
        return np.array(np.inf)


def _expected_kinks(subject: Subject) -> tuple[str, ...]:
    inside = subject.domains.count((-np.inf, np.inf)) == len(subject.domains)
    return ("kink" if inside else "edge of the domain",) if subject.op.kinks else ()


kinks = Law(
    "kinks",
    "on a kink the slope is between those of the two sides, and those who tie share",
    lambda subject: None if subject.slack > 1 else subject.calls("kinky"),
    _check_kinks,
    _expected_kinks,
    at_edges=True,
)
extremes = Law(
    "extremes",
    "result and gradient are finite where the true ones are",
    lambda subject: subject.calls("extreme"),
    _check_extremes,
    lambda subject: ("finite result", "limits of the dtype"),
    at_edges=True,
)
