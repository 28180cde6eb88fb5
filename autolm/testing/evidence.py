"""Evidence for a diagnosis: calls in which different mistakes give different gradients.

A shrunk counterexample is easy to read but ambiguous: for a single element a transpose, a sum and a
copy are the same. The diagnosis therefore uses other calls, of several shapes, in which all numbers
differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.operation_runner import OperationError
from autolm.testing.oracle import differentiate
from autolm.testing.strategies import REALS, choices
from autolm.testing.subject import Subject
from autolm.testing.verdict import gradient, gradient_scale, largest

Array = NDArray[Any]

FIT = 1e-8  # relative distance up to which a predicted gradient fits
NEARER = 1e-2  # and relative to the distance of the true gradient
WRONG = 1e-9
ROUNDED = 1e-15  # of Σ |ḡ · y| per input: gradients near this size are rounding errors
SMALLER = 0.25  # scale of numbers at which exponentials differ less

# Shapes for an elementwise operation, of one operand and of several, plain and stretched.
PLAIN: tuple[tuple[int, ...], ...] = ((3, 3), (2, 4), (5,), (4,))
STRETCHED: tuple[tuple[tuple[int, ...], ...], ...] = (
    *(((3, 3), (3,)), ((2, 4), (2, 1)), ((3,), (3, 3)), ((2, 1), (2, 4))),
    *(((2, 3, 2), (2, 1, 2)), ((2, 1, 2), (2, 3, 2))),
)


@dataclass(frozen=True)
class Evidence:
    """One call with the actual and the expected gradient of one operand."""

    subject: Subject
    call: Call
    operand: int
    result: Array
    jacobians: tuple[Array | None, ...]  # of every operand: (*result, *operand)
    analytic: Array
    numeric: Array

    @property
    def wrong(self) -> bool:
        """Whether the gradients differ."""
        size = max(largest(self.numeric), 1e-300)
        return not largest(self.analytic - self.numeric) <= WRONG * size

    @property
    def x(self) -> Array:
        """The operand."""
        return self.call.inputs[self.operand]

    @property
    def upstream(self) -> Array:
        """The upstream gradient."""
        return self.call.given_upstream

    @property
    def jacobian(self) -> Array:
        """∂result/∂operand: (*result, *operand)."""
        jacobian = self.jacobians[self.operand]
        assert jacobian is not None
        return jacobian

    def paths(self, jacobian: Array) -> Array:
        """Return the contribution of each element of the result to each element of an operand."""
        inner = jacobian.ndim - self.upstream.ndim
        return self.upstream.reshape((*self.upstream.shape, *[1] * inner)) * jacobian

    def sent_by_result(self, jacobian: Array) -> Array:
        """Return the contribution of each element of the result, summed over an operand."""
        inner = tuple(range(self.upstream.ndim, jacobian.ndim))
        return np.asarray(self.paths(jacobian).sum(axis=inner))

    def fits(self, predicted: Any) -> bool:
        """Whether a predicted gradient is the actual one."""
        if predicted is None:
            return False
        predicted = np.asarray(predicted)
        if predicted.shape != self.analytic.shape or not np.all(np.isfinite(predicted)):
            return False
        size = largest(self.analytic) + largest(self.numeric)
        most = FIT * size
        if self.wrong:
            most = min(most, NEARER * largest(self.numeric - self.analytic))
        return largest(predicted - self.analytic) <= most

    @cached_property
    def matrices(self) -> tuple[Array, Array]:
        """The Jacobian by the rule and by the oracle, as matrices.

        Their shape is ``(elements of the result, elements of the operand)``.
        """
        node, size = self.subject.node(self.call), self.result.size
        actual = np.zeros((size, self.x.size))
        for i, unit in enumerate(np.eye(size)):
            row = self.subject.node_contributions(node, unit.reshape(self.result.shape))[
                self.operand
            ]
            actual[i] = np.ravel(row) if row is not None else 0
        return actual, self.jacobian.reshape(actual.shape)

    def gradient_at(
        self,
        inputs: Sequence[Array],
        upstream: Array,
        attributes: Mapping[str, Any] | None = None,
    ) -> Array | None:
        """Return the gradient of this operand at another call by the oracle; None if undefined."""
        attributes = self.call.attributes if attributes is None else attributes
        try:
            derivative = differentiate(self.subject.function(attributes), inputs)
            if derivative.result.shape != upstream.shape:
                return None
            result = gradient(derivative.jacobians()[0], upstream)[self.operand]
        except Exception:  # the forward may raise anything on other operands
            return None
        return result if result is not None and np.all(np.isfinite(result)) else None


def gather(subject: Subject, example: Call | None) -> list[Evidence]:
    """Compare gradients of rich calls; of the counterexample if none of them is wrong."""
    evidence = [e for call in _rich_calls(subject, example) for e in _gradients(subject, call)]
    if not any(e.wrong for e in evidence) and example is not None:
        evidence = _gradients(subject, example)
    return evidence


def _rich_calls(subject: Subject, example: Call | None) -> list[Call]:
    rng = np.random.default_rng(7)
    operands = len(subject.operands)
    if not subject.elementwise:
        ways = [(case.shapes, case.attributes) for case in subject.cases]
        if example is not None:
            ways.append((tuple(x.shape for x in example.inputs), example.attributes))
        ways += [
            (tuple(map(_longer, shapes)), attributes_of_way) for shapes, attributes_of_way in ways
        ]
        ways = [way for way in ways if sum(map(math.prod, way[0])) > 1]
        wanted = [(size, *way) for size in (1.0, SMALLER) for way in ways]
    else:
        every = [(shape,) * operands for shape in PLAIN]
        every += [
            stretched + stretched[:1] * (operands - 2) for stretched in STRETCHED if operands > 1
        ]
        attributes = subject.attributes if example is None else example.attributes
        wanted = [(1.0, shapes, attributes) for shapes in every]
    calls = []
    for size, shapes, attributes in wanted:
        call = Call(*_generic(subject, shapes, rng, size), **attributes)
        try:
            result = subject.run(call.copy())[0]
        except OperationError:
            continue
        call.upstream = _distinct((-np.inf, np.inf), result.shape, rng)
        calls.append(call)
    return calls


def _longer(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Make axes longer; equal lengths stay equal, in all operands.

    A factor that depends on a number of elements differs for other lengths.
    """
    return tuple(n + 1 if n > 1 else n for n in shape)


def _generic(
    subject: Subject, shapes: Sequence[tuple[int, ...]], rng: Any, size: float
) -> list[Array]:
    return [
        rng.random(shape) < 0.5
        if domain is None
        else _distinct(domain, shape, rng) * (size if domain == REALS else 1)
        for shape, domain in zip(shapes, subject.domains_for(len(shapes)), strict=True)
    ]


def _distinct(domain: tuple[float, float], shape: tuple[int, ...], rng: Any) -> Array:
    """Draw distinct numbers with many digits."""
    size = math.prod(shape)
    grid = np.array(choices("generic", domain, size + 8))
    picked = rng.choice(grid, size, replace=False)
    return np.asarray((picked * (1 + 1e-3 * rng.random(size))).reshape(shape))


def _gradients(subject: Subject, call: Call) -> list[Evidence]:
    if call.upstream is None:
        return []
    try:
        contributions = subject.contributions(call)
    except OperationError:
        return []
    function = subject.function(call.attributes)
    derivative = differentiate(function, call.inputs, domains=subject.domains_of(call))
    jacobians = derivative.jacobians()[0]
    numeric = gradient(jacobians, call.upstream)
    evidence = []
    for operand, (a, n, j) in enumerate(zip(contributions, numeric, jacobians, strict=True)):
        if n is None or j is None or a is None or not n.size:
            continue
        if not np.all(np.isfinite(n)):  # the gradient is undefined here
            continue
        scale = gradient_scale((), call.inputs, derivative.result, call.upstream)
        if 0 < FIT * max(largest(n), largest(a)) < ROUNDED * scale:
            continue  # rounding is a part of it
        evidence.append(Evidence(subject, call, operand, derivative.result, tuple(jacobians), a, n))
    return evidence
