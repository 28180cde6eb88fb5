"""The oracle: the derivative of a function, computed without its backward rule.

It uses the first of three methods that passes a test. The *complex step*, Im f(x + ih)/h with h =
10⁻³⁰, has no step to choose and no cancellation; it needs a forward that keeps the imaginary part.
*Dual numbers* need a forward made of NumPy functions with known derivatives. *Ridders'
extrapolation* needs values only, and estimates its error. The test of the two exact methods is one
derivative along a random direction by Ridders: it detects a forward that drops an imaginary part.

Source of the first: Squire and Trapp, Using complex variables to estimate derivatives of real
functions (1998).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import quote
from autolm.testing import ridders
from autolm.testing.dual_numbers import Dual

Array = NDArray[Any]
Function = Callable[..., Array]  # of raw arrays; what it returns is one array
Direction = Sequence[Array]  # one array per operand, of its shape
Domain = tuple[float, float] | None
Along = Callable[[Direction], tuple[Array, Array]]  # -> (derivative, its error)

STEP = 1e-30
OTHER_STEP = 0.7
AGREEMENT = 1e-10  # of the largest slope; an exact method that loses a part is off by more
REALS = (-np.inf, np.inf)


class UnsuitableError(Exception):
    """A method cannot differentiate this function."""


@dataclass(frozen=True)
class Derivative:
    """How to differentiate one function at one point."""

    function: Function  # of real arrays
    point: tuple[Array, ...]
    result: Array  # the value of the function there
    method: str  # "complex step", "dual numbers" or "Ridders"
    along: Along

    def jacobians(self) -> tuple[list[Array | None], list[Array | None]]:
        """Return ∂result/∂operand for every operand, of shape ``(*result, *operand)``; and errors.

        None stands for an operand that is not differentiated: a condition, or integers.
        """
        jacobians: list[Array | None] = []
        errors: list[Array | None] = []
        for operand, x in enumerate(self.point):
            if x.dtype.kind != "f":
                jacobians.append(None)
                errors.append(None)
                continue
            columns = [self.along(d) for d in _unit_directions(self.point, operand)]
            shape = (*x.shape, *self.result.shape)
            to_the_end = (*range(x.ndim, len(shape)), *range(x.ndim))
            for into, parts in zip((jacobians, errors), zip(*columns, strict=True), strict=False):
                into.append(np.reshape(parts, shape).transpose(to_the_end))
            if not columns:
                jacobians.append(np.zeros((*self.result.shape, *x.shape)))
                errors.append(np.zeros((*self.result.shape, *x.shape)))
        return jacobians, errors


def differentiate(
    function: Function,
    point: Sequence[Array],
    *,
    domains: Sequence[Domain] | None = None,
    judge: Function | None = None,
) -> Derivative:
    """Find a method that can be believed for `function` at `point`.

    `judge` is the same function where `function` is not to be trusted with real numbers either
    (such as a graph that was recorded once): the one that the derivative must agree with.
    """
    point = _read_point(function, point, domains, judge)
    judge = function if judge is None else judge
    reach = _reach(point, domains)

    def measured(direction: Direction) -> tuple[Array, Array]:
        derivative, error = ridders.central(judge, point, [d * reach for d in direction])
        return (derivative / reach).astype(float), (error / reach).astype(float)

    with np.errstate(all="ignore"):
        result = np.asarray(function(*(x.copy() for x in point)))
        direction = random_direction(point)
        truth, uncertainty = measured(direction)
        for method, step in (("complex step", complex_step), ("dual numbers", dual_step)):
            try:
                claim = step(function, point, direction)
            except UnsuitableError:
                continue
            if _agree(claim, truth, uncertainty):
                return Derivative(judge, point, result, method, _exactly(step, function, point))
    return Derivative(judge, point, result, "Ridders", _twice(measured))


def _read_point(function: Any, point: Any, domains: Any, judge: Any) -> tuple[Array, ...]:
    """Return the operands as arrays; raise for arguments of a wrong type."""
    for argument, value in (("function", function), ("judge", judge)):
        if not callable(value) and not (argument == "judge" and value is None):
            raise TypeError(f"differentiate: {argument} must be a function, not {quote(value)}")
    if not isinstance(point, tuple | list):
        raise TypeError(f"differentiate: point must be a list of arrays, not {quote(point)}")
    arrays = tuple(map(np.asarray, point))
    for x, value in zip(arrays, point, strict=True):
        if x.dtype.kind not in "biuf":
            raise TypeError(f"differentiate: point must hold real numbers, not {quote(value)}")
    if domains is not None and (
        not isinstance(domains, tuple | list) or len(domains) != len(arrays)
    ):
        expected = f"one (low, high) or None for each of {len(arrays)} operands"
        raise ValueError(f"differentiate: domains must be {expected}, not {quote(domains)}")
    return arrays


def complex_step(function: Function, point: Sequence[Array], direction: Direction) -> Array:
    """Differentiate along a direction by a step into the imaginary."""
    stepped = [
        np.asarray(x + 1j * (STEP * d)) if x.dtype.kind == "f" else x
        for x, d in zip(point, direction, strict=True)
    ]
    result = np.asarray(_attempt(function, stepped))
    if result.dtype.kind != "c":
        raise UnsuitableError("the forward drops the imaginary part")
    return np.asarray(result.imag / STEP)


def dual_step(function: Function, point: Sequence[Array], direction: Direction) -> Array:
    """Differentiate along a direction by dual numbers."""
    stepped = [
        Dual(x, d) if x.dtype.kind == "f" else x for x, d in zip(point, direction, strict=True)
    ]
    result = _attempt(function, stepped)
    if not isinstance(result, Dual):
        raise UnsuitableError("the forward drops the derivative")
    return result.tangent


def _attempt(function: Function, arguments: Sequence[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            return function(*arguments)
        except Exception as error:  # the forward may raise anything on complex or dual numbers
            raise UnsuitableError(str(error)) from error


def _exactly(step: Callable[..., Array], function: Function, point: Sequence[Array]) -> Along:
    def along(direction: Direction) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            derivative = step(function, point, direction)
        return derivative, np.zeros(derivative.shape)

    return along


def _twice(measured: Along) -> Along:
    """Measure with two sets of steps: a function with noise seldom fools both in the same way."""

    def along(direction: Direction) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            first, error = measured(direction)
            again, error_again = measured([OTHER_STEP * d for d in direction])
        difference = np.abs(first - again / OTHER_STEP)
        return first, np.maximum(np.maximum(error, error_again / OTHER_STEP), difference)

    return along


def _agree(claim: Array, truth: Array, uncertainty: Array) -> bool:
    """Whether an exact derivative is what was measured, as far as measuring goes."""
    if claim.shape != truth.shape or not np.all(np.isfinite(claim)):
        return False
    scale = np.max(np.abs(truth), initial=1e-3, where=np.isfinite(truth))
    close = np.abs(claim - truth) <= 10 * uncertainty + AGREEMENT * scale
    return bool(np.all(close | ~np.isfinite(uncertainty)))


def _unit_directions(point: Sequence[Array], operand: int) -> list[list[Array]]:
    directions = []
    for i in range(point[operand].size):
        direction = [np.zeros(x.shape) for x in point]
        direction[operand].flat[i] = 1.0
        directions.append(direction)
    return directions


def random_direction(point: Sequence[Array]) -> list[Array]:
    """Return a direction in which all elements move, each by another length."""
    rng = np.random.default_rng(0)
    return [rng.choice([-1, 1], x.shape) * rng.uniform(0.5, 1, x.shape) for x in point]


def _reach(point: Sequence[Array], domains: Sequence[Domain] | None) -> float:
    """Shorten steps so that half the way to the edge of the domain is not passed."""
    reach = 1.0
    for x, domain in zip(point, domains or [REALS] * len(point), strict=True):
        if domain is not None and x.dtype.kind == "f" and x.size:
            room = min(float(np.min(x)) - domain[0], domain[1] - float(np.max(x)))
            reach = min(reach, 16 * room) if room > 0 else reach
    return reach
