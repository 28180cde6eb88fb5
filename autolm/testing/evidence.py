"""Evidence for a diagnosis: calls rich enough to tell one mistake from another.

A shrunk counterexample is easy to read and fits many stories: at a single element a transpose, a
sum and a copy are the same. So the diagnosis looks at other calls, of several shapes, in which all
numbers differ.
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

FIT = 1e-8  # of the size of a gradient: a hypothesis that is nearer than this fits
NEARER = 1e-2  # and it must be so much nearer to the gradient than the right one is
WRONG = 1e-9
ROUNDED = 1e-15  # of Σ |ḡ · y| per input: what is not far above it says nothing
SMALLER = 0.25  # times as large as usual are numbers at which exponentials differ less

# Shapes for an elementwise operation, of one operand and of several, plain and stretched.
PLAIN: tuple[tuple[int, ...], ...] = ((3, 3), (2, 4), (5,), (4,))
STRETCHED: tuple[tuple[tuple[int, ...], ...], ...] = (
    *(((3, 3), (3,)), ((2, 4), (2, 1)), ((3,), (3, 3)), ((2, 1), (2, 4))),
    *(((2, 3, 2), (2, 1, 2)), ((2, 1, 2), (2, 3, 2))),
)


@dataclass(frozen=True)
class Evidence:
    """One call, what its rule sends to an operand, and what the oracle says."""

    subject: Subject
    call: Call
    operand: int
    result: Array
    jacobians: tuple[Array | None, ...]  # of every operand: (*result, *operand)
    analytic: Array
    numeric: Array

    @property
    def wrong(self) -> bool:
        """Whether the two differ."""
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
        """Return what each element of the result sends to each of an operand."""
        inner = jacobian.ndim - self.upstream.ndim
        return self.upstream.reshape((*self.upstream.shape, *[1] * inner)) * jacobian

    def sent_by_result(self, jacobian: Array) -> Array:
        """Return what each element of the result sends to all of an operand together."""
        inner = tuple(range(self.upstream.ndim, jacobian.ndim))
        return np.asarray(self.paths(jacobian).sum(axis=inner))

    def fits(self, predicted: Any) -> bool:
        """Whether a prediction is what the rule says."""
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
        """What each element of the result sends to each of the operand: as the rule says, and due.

        Of shape ``(elements of the result, elements of the operand)``.
        """
        node, size = self.subject.node(self.call), self.result.size
        sent = np.zeros((size, self.x.size))
        for i, unit in enumerate(np.eye(size)):
            row = self.subject.sent(node, unit.reshape(self.result.shape))[self.operand]
            sent[i] = np.ravel(row) if row is not None else 0
        return sent, self.jacobian.reshape(sent.shape)

    def gradient_at(
        self,
        inputs: Sequence[Array],
        upstream: Array,
        attributes: Mapping[str, Any] | None = None,
    ) -> Array | None:
        """Ask the oracle for the gradient of this operand at another call; None if it has none."""
        attributes = self.call.attributes if attributes is None else attributes
        try:
            derivative = differentiate(self.subject.function(attributes), inputs)
            if derivative.result.shape != upstream.shape:
                return None
            result = gradient(derivative.jacobians()[0], upstream)[self.operand]
        except Exception:  # whatever a forward raises on operands that are not its own
            return None
        return result if result is not None and np.all(np.isfinite(result)) else None


def gather(subject: Subject, example: Call | None) -> list[Evidence]:
    """Collect gradients from rich calls; from the counterexample if none of those is wrong."""
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
        every += [each + each[:1] * (operands - 2) for each in STRETCHED if operands > 1]
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
    """Make axes longer: those that were as long as others stay so, in all operands.

    By what a number of elements may be off is another for other lengths.
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
    """Draw numbers of which no two are equal, and none is simple."""
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
        if not np.all(np.isfinite(n)):  # where there is no gradient, no rule is wrong
            continue
        scale = gradient_scale((), call.inputs, derivative.result, call.upstream)
        if 0 < FIT * max(largest(n), largest(a)) < ROUNDED * scale:
            continue  # rounding is a part of it
        evidence.append(Evidence(subject, call, operand, derivative.result, tuple(jacobians), a, n))
    return evidence
