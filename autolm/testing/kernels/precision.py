"""The law of precision: the error in a lower precision is bounded by rounding.

With ε the rounding unit of the dtype, inputs have a relative error of ε, which is amplified by the
condition of the gradient; and each sum in the rule has an error of a few ε · Σ |∂y/∂x| · |ḡ|, which
is large relative to the gradient if its terms cancel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.kernels.kernel import split_like
from autolm.testing.kernels.kernel_laws import base_gradient, filled, of_examples, pull
from autolm.testing.kernels.kernel_subject import KernelSubject
from autolm.testing.laws.law import Law, Tally, broken
from autolm.testing.oracle import differentiate
from autolm.testing.verdict import Row, largest

Array = NDArray[Any]

ROUNDINGS = 24.0  # allowed, in ε of the terms of a gradient
FEW_ROUNDINGS = 8.0  # allowed in the factor of a whole gradient
FACTOR = 0.01  # relative error of a factor below which only elements are compared
RESOLVED = 0.25  # of the bound of an element: in a smaller gradient a factor cannot be measured
MOVES = 8.0  # allowed, in changes of the gradient by rounding its inputs
DRAWS = 3


def _check_precision(subject: KernelSubject, call: Call, tally: Tally) -> None:
    for precision in subject.precisions:
        _check_one(subject, call, precision, tally)


def _check_one(subject: KernelSubject, call: Call, precision: str, tally: Tally) -> None:
    kernel = subject.kernel
    low = [kernel.cast(x, precision) for x in call.inputs]
    exact = Call(*(kernel.numbers(x).astype(float) for x in low), **call.attributes)
    upstream = kernel.numbers(kernel.cast(call.given_upstream, precision)).astype(float)
    exact.upstream = upstream
    try:
        run = kernel.run(low, call.attributes)
    except Exception:  # it refuses this precision
        return
    if not all(np.all(np.isfinite(x)) for x in run.results):
        return
    parts = split_like(upstream, run.results)
    coarse = filled(pull(run, parts, f"in {precision}"), exact)
    fine, _ = base_gradient(subject, exact)
    allowed, of_all = _allowed(subject, exact, fine, precision)
    names = subject.names_of(call)
    for name, a, b, most, bound in zip(names, coarse, fine, of_all, allowed, strict=True):
        if largest(b) <= RESOLVED * bound:
            continue
        factor = _factor(a, b)
        if not abs(factor - 1) <= max(most, FACTOR) and np.all(np.isfinite(a)):
            message = (
                f"in {precision} the gradient of {name} is {factor:.2f} times what it should be"
            )
            diagnosis = f"precision: wrong in {precision}, and right in more digits"
            raise broken(subject, exact, message, diagnosis)
    for name, a, b, most in zip(names, coarse, fine, allowed, strict=True):
        off = np.abs(a - b)
        within = (off <= most) | ~np.isfinite(b) | (np.abs(b) > kernel.epsilon(precision)[1] / 4)
        rows = [
            Row(name, tuple(map(int, at)), float(a[tuple(at)]), float(b[tuple(at)]))
            for at in np.argwhere(~within)
        ]
        if rows:
            finite = np.all(np.isfinite(a))
            message = (
                f"in {precision} the gradient of {name} is off by up to {np.max(off):.2g}, and "
                f"rounding explains {most:.2g}"
                if finite
                else f"in {precision} the gradient of {name} is not finite, and the true one is"
            )
            diagnosis = f"precision: wrong in {precision}, and right in more digits"
            raise broken(subject, exact, message, diagnosis, rows)
    tally.exercised[precision] += 1


def _factor(a: Array, b: Array) -> float:
    """Return the least-squares factor between two gradients; 1 if the second is 0."""
    square = float(np.sum(b * b))
    return float(np.sum(a * b)) / square if square and np.isfinite(square) else 1.0


def _allowed(
    subject: KernelSubject, exact: Call, fine: list[Array], precision: str
) -> tuple[list[float], list[float]]:
    """Return the error bound of each operand's gradient: of an element, and of all as a factor.

    Rounding errors of many elements have different signs, so the factor is known much better.
    """
    epsilon = subject.kernel.epsilon(precision)[0]
    function = subject.function(exact.attributes)
    derivative = differentiate(function, exact.inputs, domains=subject.domains_of(exact))
    upstream = np.abs(exact.given_upstream)
    inputs = max((largest(x) for x in exact.inputs), default=0.0)
    floor = float(np.sum(upstream * np.abs(derivative.result))) / max(inputs, 1.0)
    jacobians, _ = derivative.jacobians()
    terms = [
        np.zeros(1) if j is None else np.tensordot(upstream, np.abs(j), upstream.ndim)
        for j in jacobians
    ]
    changes = [np.zeros(b.shape) for b in fine]
    rng = np.random.default_rng(3)
    for _ in range(DRAWS):
        nearby = Call(
            *(x * (1 + epsilon * rng.uniform(-1, 1, x.shape)) for x in exact.inputs),
            **exact.attributes,
        )
        nearby.upstream = exact.given_upstream
        there, _ = base_gradient(subject, nearby)
        changes = [
            np.maximum(m, np.abs(a - b)) for m, a, b in zip(changes, there, fine, strict=True)
        ]
    of_elements = [
        ROUNDINGS * epsilon * max(largest(term), floor) + MOVES * largest(move)
        for term, move in zip(terms, changes, strict=True)
    ]
    together = floor / max(derivative.result.size, 1) ** 0.5
    of_all = []
    for b, term, move in zip(fine, terms, changes, strict=True):
        error = np.abs(b) * (FEW_ROUNDINGS * epsilon * (term + together) + MOVES * move)
        square = float(np.sum(b * b))
        of_all.append(float(np.sum(error)) / square if square else np.inf)
    return of_elements, of_all


precision = Law(
    "precision",
    "in fewer digits it is off by what rounding explains, and no more",
    lambda subject: of_examples(subject) if subject.precisions else None,
    _check_precision,
    most=2,
)
