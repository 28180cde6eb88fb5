"""Hold a gradient against the oracle: how far apart they are, and what to conclude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.oracle import Derivative

Array = NDArray[Any]
Arrays = Sequence[Array | None]  # one per operand; None where there is nothing to differentiate

RELATIVE, OF_SCALE = 1e-9, 1e-10  # of the numeric gradient, and of the scale of the problem
TOO_UNSURE = 1e-7  # an error of the oracle, relative to the scale, that would hide a mistake
MOST_DIGITS = 16


class Verdict(Enum):
    """What is known of a gradient after a check."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Row:
    """One element of a gradient: what the backward rule says, and what it should be."""

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
    """A gradient beside the oracle's."""

    verdict: Verdict
    digits: float  # to how many digits they agree
    rows: tuple[Row, ...]  # the elements that are wrong
    method: str
    reason: str = ""


def gradient(jacobians: Sequence[Array | None], upstream: Array) -> list[Array | None]:
    """Return Σ upstream · ∂result/∂operand for every operand."""
    return [None if j is None else np.tensordot(upstream, j, upstream.ndim) for j in jacobians]


def gradient_scale(
    numeric: Arrays, point: Sequence[Array], result: Array, upstream: Array
) -> float:
    """Return the size by which errors are measured: of the gradients, or of result per input."""
    largest = max((largest(n) for n in numeric if n is not None), default=0.0)
    inputs = max((largest(x) for x in point if x.dtype.kind == "f"), default=0.0)
    return max(largest, float(np.sum(np.abs(upstream * result))) / max(inputs, 1e-3))


def compare(
    names: Sequence[str],
    analytic: Arrays,
    derivative: Derivative,
    upstream: Array,
    slack: float = 1.0,
) -> Comparison:
    """Compare a gradient with a derivative, element by element.

    An element is wrong if it is off by more than 10⁻⁹ of itself plus 10⁻¹⁰ of the scale, plus what
    the oracle may be wrong by. `slack` multiplies the tolerance, for numbers of single precision.
    """
    with np.errstate(all="ignore"):
        jacobians, errors = derivative.jacobians()
        numeric = gradient(jacobians, upstream)
        unsure = gradient(errors, np.abs(upstream))
        scale = gradient_scale(numeric, derivative.point, derivative.result, upstream)
    rows: list[Row] = []
    worst = doubt = 0.0
    for name, a, n, e in zip(names, analytic, numeric, unsure, strict=True):
        if n is None or e is None or not n.size:
            continue
        found = np.zeros(n.shape) if a is None else np.asarray(a, dtype=float)
        if not np.all(np.isfinite(n)) or not np.all(np.isfinite(e)):
            reason = f"the derivative is not finite here, by {derivative.method}"
            return Comparison(Verdict.UNDECIDED, 0.0, (), derivative.method, reason)
        off = np.abs(found - n)
        wrong = ~(off <= slack * (RELATIVE * np.abs(n) + OF_SCALE * scale) + e)
        rows += [
            Row(name, tuple(map(int, i)), float(found[tuple(i)]), float(n[tuple(i)]))
            for i in np.argwhere(wrong)
        ]
        worst, doubt = max(worst, largest(off)), max(doubt, largest(e))
    if rows:
        return Comparison(Verdict.WRONG, 0.0, tuple(rows), derivative.method)
    digits = digits_of(max(worst, doubt), scale)
    if doubt > TOO_UNSURE * scale:
        reason = f"{derivative.method} is sure of {digits:.0f} digits only"
        return Comparison(Verdict.UNDECIDED, digits, (), derivative.method, reason)
    return Comparison(Verdict.CORRECT, digits, (), derivative.method)


def digits_of(error: float, scale: float) -> float:
    """Return to how many digits two numbers of this scale agree."""
    if error == 0 or scale == 0:
        return MOST_DIGITS
    return max(0.0, min(MOST_DIGITS, -math.log10(error / scale)))


def largest(array: Array | None) -> float:
    """Return the largest magnitude in an array; 0 in none."""
    if array is None:
        return 0.0
    return float(np.max(np.abs(array), initial=0.0))
