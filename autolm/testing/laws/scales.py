"""Laws of scale: the rule is right for operands of any magnitude, and for arrays of any size.

A gradient is called wrong here only if the values of the forward alone contradict it too: an
exact method may fail far from where it was judged, and then the rule gets the benefit of the doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing import ridders
from autolm.testing.accepted_shapes import call_of_shapes
from autolm.testing.call import Call
from autolm.testing.kinks import unit_direction
from autolm.testing.laws.law import Law, LawBroken, Tally, broken
from autolm.testing.operation_runner import OperationError
from autolm.testing.oracle import differentiate
from autolm.testing.strategies import Domain, Shape
from autolm.testing.subject import Subject
from autolm.testing.verdict import Comparison, Row, Verdict, compare, largest

Array = NDArray[Any]

EXPONENTS = (  # decimal exponents of magnitudes, by turns; beyond 9 no small step is resolved
    *((-3.0, 3.0), (-12.0, 9.0), (-3.0, 3.0), (-40.0, -12.0)),
)
APART = 3.0  # decimal exponent by which one operand alone is scaled, at most
NEAREST = 6.0  # decimal exponent of the nearest distance to an edge of a domain
TRIES, FEW_TRIES = 8, 4  # magnitudes for each example of an elementwise operation, and of others
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, cover an interval evenly
ORDINARY = 1e-100, 1e100  # numbers between keep all their digits, and so do their products
REACHES = (1.0, 2.0**-3, 2.0**-12)  # of the sets of steps, relative to an element or to 1
SURE = 0.1  # of a difference: an error of measurement that cannot explain it
EPSILON = float(np.finfo(float).eps)
LAST_DIGITS = (-1999, -700, -31, -5, 3, 47, 811, 1487)  # changes of operands, in units of these
ROUGH = 64.0  # times its change by the last digits of its operands, a rule may be off
UNRESOLVED = 1e-6  # relative error of a slope whose steps are rounded as the operands are
REPEATED: tuple[Shape, ...] = (  # shapes in which the numbers of a small call are repeated
    *((), (1,), (31,), (32,), (33,), (127,), (128,), (129,), (1000,), (1025,)),
    *((17, 17), (2, 1, 3, 2), (3, 2, 2, 3), (2, 1, 2, 3, 2), (4, 300), (300, 4)),
)
LENGTHS = (3, 33, 131, 1025)  # what the length of an axis becomes, of an operation with cases
MOST_ELEMENTS = 1100  # of an operand of such a call
COSTLY = 1e6  # products of the lengths in a call, beyond which it is left out


def _check_magnitudes(subject: Subject, call: Call, tally: Tally) -> None:
    with suppress(OperationError):
        if _compared(subject, call) is None:
            return  # a forward that is rough at usual magnitudes is rougher at others
    tries = TRIES if subject.elementwise else FEW_TRIES
    for number in range(tally.examples * tries, (tally.examples + 1) * tries):
        one = _one_element(call, number) if subject.elementwise else call
        scaled, exponent = _scaled(subject, one, number)
        try:
            comparison = _compared(subject, scaled)
        except OperationError:  # it refuses such numbers
            continue
        if comparison is None:
            continue
        if comparison.rows:
            size = f"1e{exponent:+.0f}"
            oracle = comparison.oracle
            message = f"at operands of about {size} the gradient differs from that of {oracle}"
            cause = f"magnitudes: wrong where operands are about {size}"
            raise broken(subject, scaled, message, cause, comparison.rows)
        tally.exercised[_decades(exponent)] += 1


def _decades(exponent: float) -> str:
    """Name the range of magnitudes that an exponent belongs to."""
    high = next(edge for edge in (-12, -6, -3, 0, 3, 6, 9) if exponent <= edge)
    return f"up to 1e{high:+}"


def _one_element(call: Call, number: int) -> Call:
    """Keep one element of each operand: larger gradients of others cannot hide its error."""
    if not all(x.size for x in call.inputs):
        return call
    one = Call(*(x.reshape(-1)[[number % x.size]] for x in call.inputs), **call.attributes)
    one.upstream = call.given_upstream.reshape(-1)[:1]
    return one


def _scaled(subject: Subject, call: Call, number: int) -> tuple[Call, float]:
    """Return a call with its numbers at another magnitude, and the exponent of that.

    Every third call scales one operand only. Next to the edges of a domain it is the distance
    to the nearest edge that is scaled.
    """
    low, high = EXPONENTS[number % len(EXPONENTS)]
    exponent = round(low + (number // len(EXPONENTS) * GOLDEN) % 1 * (high - low), 2)
    alone = number // 3 % len(call.inputs) if number % 3 == 2 and len(call.inputs) > 1 else None
    if alone is not None:  # numbers far apart have waves that are shorter than any step
        exponent = min(max(exponent, -APART), APART)
    domains = subject.domains_of(call)
    inputs = [
        _at_magnitude(x, domain, exponent) if alone in (None, i) else x
        for i, (x, domain) in enumerate(zip(call.inputs, domains, strict=True))
    ]
    scaled = Call(*inputs, **call.attributes)
    scaled.upstream = call.given_upstream
    return scaled, exponent


def _at_magnitude(x: Array, domain: Domain | None, exponent: float) -> Array:
    if domain is None or x.dtype.kind != "f":
        return x
    low, high = domain
    if not math.isfinite(low) and not math.isfinite(high):
        return x * 10.0**exponent
    if low == 0 and not math.isfinite(high):
        return x * 10.0**exponent
    edge = np.where(x - low <= high - x, low, high)
    bounded = math.isfinite(low) and math.isfinite(high)
    exponent = -abs(exponent) if bounded else exponent
    return np.asarray(edge + (x - edge) * 10.0 ** max(exponent, -NEAREST))


def _compared(subject: Subject, call: Call) -> Comparison | None:
    """Compare with the oracle; keep the rows that the forward's values contradict too.

    None where results or gradients are not ordinary numbers, or nothing is decided.
    """
    result, _ = subject.run(call.copy())
    if not _is_ordinary(result):
        return None
    contributions = subject.contributions(call)
    if not all(c is None or _is_ordinary(c) for c in contributions):
        return None
    function, names = subject.function(call.attributes), subject.names_of(call)
    domains = [_around(x) for x in call.inputs]
    derivative = differentiate(function, call.inputs, domains=domains)
    upstream = call.given_upstream
    comparison = compare(names, contributions, derivative, upstream, subject.slack)
    if comparison.verdict is Verdict.UNDECIDED:
        return None
    if not comparison.rows:
        return comparison
    rough = _roughness(subject, call, contributions)
    rows = [row for row in comparison.rows if _is_contradicted(subject, call, row, rough)]
    return replace(comparison, rows=tuple(rows))


def _roughness(subject: Subject, call: Call, contributions: Sequence[Array | None]) -> list[float]:
    """Return by how much a rule changes where its operands change in their last digits.

    A rule that subtracts what is almost equal is right, and rough.
    """
    rough = [0.0 for _ in contributions]
    for digits in LAST_DIGITS:
        nearby = Call(*(x * (1 + digits * EPSILON) for x in call.inputs), **call.attributes)
        nearby.upstream = call.given_upstream
        for i, (a, b) in enumerate(zip(subject.contributions(nearby), contributions, strict=True)):
            if a is not None and b is not None:
                rough[i] = max(rough[i], largest(a - b))
    return [ROUGH * change for change in rough]


def _is_ordinary(array: Array) -> bool:
    """Whether numbers are finite, and 0 or far from underflow and overflow."""
    sizes = np.abs(array)
    low, high = ORDINARY
    return bool(np.all((sizes == 0) | ((low < sizes) & (sizes < high))))


def _around(x: Array) -> Domain | None:
    """Return an interval around numbers, so that no step is larger than a part of them."""
    if x.dtype.kind != "f" or not x.size:
        return None
    room = float(np.min(np.abs(x))) / 2 or 1.0
    return float(np.min(x)) - room, float(np.max(x)) + room


def _is_contradicted(subject: Subject, call: Call, row: Row, rough: Sequence[float]) -> bool:
    """Whether difference quotients of the forward exclude what the rule says of an element.

    At least two sets of steps that doubles resolve must exclude it, and none may be inconclusive: a
    step that is too long for a function with jumps or waves gives a meaningless slope.
    """
    operand = subject.names_of(call).index(row.operand)
    direction = unit_direction(call.inputs, operand, row.index)
    function, upstream = subject.function(call.attributes), call.given_upstream
    longest = min(float(np.abs(call.inputs[operand][row.index])) or 1.0, 1.0)
    sure = 0
    for reach in (longest * factor for factor in REACHES):
        try:
            slope, error = ridders.central(function, call.inputs, [reach * d for d in direction])
        except Exception:  # the forward may raise anything outside its domain
            return False
        doubt = float(np.sum(np.abs(upstream) * (error + UNRESOLVED * np.abs(slope)))) / reach
        if not math.isfinite(doubt):
            continue
        measured = float(np.sum(upstream * slope)) / reach
        off = abs(row.analytic - measured)
        if not doubt <= SURE * abs(measured) or not measured:
            return False  # noise, waves shorter than the steps, or a forward that loses its operand
        if not doubt + rough[operand] <= SURE * off:
            return False
        sure += 1
    return sure > 1


def _check_elements(subject: Subject, call: Call, tally: Tally) -> None:
    """Repeat the numbers of a call in other shapes: results and gradients repeat with them."""
    flat = Call(*(x.reshape(-1) for x in call.inputs), **call.attributes)
    flat.upstream = call.given_upstream.reshape(-1)
    if len({x.shape for x in (*flat.inputs, flat.upstream)}) > 1 or not flat.upstream.size:
        return  # it reduces
    try:
        result, expected = subject.run(flat.copy())[0], subject.contributions(flat)
    except OperationError:  # it refuses one axis
        return
    slack = subject.slack
    calls = []
    for shape in REPEATED:
        repeated = Call(*(np.resize(x, shape) for x in flat.inputs), **call.attributes)
        repeated.upstream = np.resize(flat.upstream, shape)
        with suppress(OperationError):  # it refuses this shape
            actual = subject.run(repeated.copy())[0]
            if actual.shape != shape or not _are_close(actual, np.resize(result, shape), slack):
                return  # not element by element
            calls.append((shape, repeated, subject.contributions(repeated)))
    for shape, repeated, gradients in calls:
        for name, a, b in zip(subject.names_of(call), gradients, expected, strict=True):
            if a is not None and b is not None and not _are_close(a, np.resize(b, shape), slack):
                text = "×".join(map(str, shape)) or "a number"
                message = f"the gradient of {name} is another in an array of {text}"
                cause = f"sizes: wrong at {text}, and right in small arrays"
                raise _broken_at(subject, repeated, message, cause)
        tally.exercised["size"] += 1


def _are_close(a: Array, b: Array, slack: float) -> bool:
    return np.allclose(a, b, rtol=1e-9 * slack, atol=1e-12 * slack * largest(b), equal_nan=True)


def _broken_at(subject: Subject, call: Call, message: str, cause: str) -> LawBroken:
    """Make the failure for a large call: its program names shapes, not numbers."""
    shapes = tuple(x.shape for x in call.inputs)
    if not subject.has_strategy:  # a kernel, whose program writes arrays
        return LawBroken(message, call, diagnosis=cause)
    attributes = f", {call.attributes!r}" if call.attributes else ""
    program = f"check_op({subject.op.name}, cases=[Case({shapes}{attributes})])"
    return LawBroken(message, call, program, diagnosis=cause)


def _check_sizes(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare calls of other lengths with the oracle, where forward and rule take them."""
    if any(isinstance(value, np.ndarray | list | tuple) for value in call.attributes.values()):
        return  # their lengths would have to change too
    for shapes in _resized(call):
        whole = replace(subject, attributes=call.attributes, cases=(), patterns=())
        try:
            resized = call_of_shapes(whole, shapes)
            spread = [x * (1 + 2.0**-10 * _fractions(x)) for x in resized.inputs]
            resized = Call(*spread, **call.attributes)
            result = subject.run(resized.copy())[0]
            if result.size > MOST_ELEMENTS:
                continue
            resized.upstream = _fractions(np.ones(result.shape)) - 0.5
            comparison = _compared(subject, resized)
        except OperationError:  # forward or rule is not made for these lengths
            continue
        if comparison is None:
            continue
        if comparison.rows:
            text = " with ".join("×".join(map(str, shape)) for shape in shapes)
            message = f"at {text} the gradient differs from that of {comparison.oracle}"
            cause = f"sizes: wrong at {text}, and right at the sizes of the cases"
            error = _broken_at(subject, resized, message, cause)
            error.rows = comparison.rows
            raise error
        tally.exercised["size"] += 1


def _fractions(x: Array) -> Array:
    """Return numbers between 0 and 1, one for each element, no two of them equal."""
    return np.asarray((np.arange(1, x.size + 1) * GOLDEN % 1).reshape(x.shape))


def _resized(call: Call) -> Iterator[tuple[Shape, ...]]:
    """Make all axes as long as each other, then each much longer; equal ones change together."""
    shapes: list[Shape] = [x.shape for x in call.inputs]
    lengths = sorted({n for shape in shapes for n in shape if n > 1})
    ways: list[dict[int, int]] = [dict.fromkeys(lengths, 3)] * (len(lengths) > 1)
    ways += [{n: other} for n in lengths for other in LENGTHS if other > n]
    for way in ways:
        changed = tuple(tuple(way.get(n, n) for n in shape) for shape in shapes)
        together = math.prod({n for shape in changed for n in shape})
        if all(math.prod(s) <= MOST_ELEMENTS for s in changed) and together <= COSTLY:
            yield changed


magnitudes = Law(
    "magnitudes",
    "it is so for operands from 1e-40 to 1e+9, and near the edges of a domain",
    lambda subject: None if subject.slack > 1 else subject.calls(stretched=False),
    _check_magnitudes,
    at_edges=True,
)
elements = Law(
    "elements",
    "element by element it is the same for a number, a thousand elements and five axes",
    lambda subject: subject.calls(stretched=False),
    _check_elements,
    most=2,
)
sizes = Law(
    "sizes",
    "it is so for square arrays and long axes",
    lambda subject: None if subject.elementwise else subject.calls(stretched=False),
    _check_sizes,
    at_edges=True,
    most=2,
)
