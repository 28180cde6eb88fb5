"""Test your tests: see whether they notice that the backward rule of an operation is wrong.

The rule is perturbed in place, in one classic way after the other, and the test is run. One that
passes all the same does not see that mistake.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Backward, Primitive
from autolm.outside.arguments import quote

Array = NDArray[Any]


class Fate(Enum):
    """What became of a mutation."""

    KILLED = "killed"  # the test failed, as it should
    SURVIVED = "survived"  # the test saw wrong gradients and passed
    NOT_REACHED = "not reached"  # nothing that the test computed was changed by it


@dataclass(frozen=True)
class MutationReport:
    """What became of each mutation of an operation's rule; `str` tells it."""

    name: str
    fates: dict[str, Fate]

    @property
    def survivors(self) -> list[str]:
        """The mutations that the test did not notice."""
        return [mutation for mutation, fate in self.fates.items() if fate is not Fate.KILLED]

    def __str__(self) -> str:
        killed = len(self.fates) - len(self.survivors)
        width = max(map(len, self.fates))
        lines = [f"{self.name}: {killed} of {len(self.fates)} mutations killed"]
        lines += [
            f"  {mutation.ljust(width)}  {fate.value}" for mutation, fate in self.fates.items()
        ]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class _Rule:
    """A backward rule, and the arrays that its forward took."""

    arrays: tuple[Array, ...]
    backward: Backward

    def __call__(self, upstream: Array) -> list[Any]:
        return list(self.backward(upstream))


Mutation = Callable[[_Rule, Array], list[Any]]


def mutation_report(op: Primitive, test: Callable[..., Any]) -> MutationReport:
    """Run a test against perturbed versions of an operation, and list what it does not notice.

    Parameters
    ----------
    op
        The primitive; it is perturbed in place while `test` runs, and restored.
    test
        A function that raises where something is wrong. If it takes an argument, it gets `op`.

    Raises
    ------
    TypeError
        If `op` is not a primitive, or `test` not a function.
    ValueError
        If the test fails without any mutation.

    Examples
    --------
    >>> import numpy as np
    >>> from autolm import Tensor, ops
    >>> def test_of_shape_only():
    ...     x = Tensor([1.0, 2.0])
    ...     ops.exp(x).sum().backward()
    ...     assert x.grad.shape == (2,)
    >>> mutation_report(ops.exp, test_of_shape_only).fates["sign"]
    <Fate.SURVIVED: 'survived'>
    """
    if not isinstance(op, Primitive):
        raise TypeError(f"mutation_report: op must be a primitive, not {quote(op)}")
    if not callable(test):
        raise TypeError(f"mutation_report: test must be a function, not {quote(test)}")
    forward = op.forward
    arguments = (op,) if inspect.signature(test).parameters else ()
    failure = _failure(test, arguments)
    if failure is not None:
        raise ValueError(f"mutation_report: the test fails as it is: {failure}") from failure
    fates: dict[str, Fate] = {}
    try:
        for name, mutation in _mutations(op).items():
            mutated = _Mutated(forward, mutation)
            op.forward = mutated
            fates[name] = _fate(test, arguments, mutated)
    finally:
        op.forward = forward
    return MutationReport(op.name, fates)


def _failure(test: Callable[..., Any], arguments: Sequence[Any]) -> BaseException | None:
    """Run a test; return what it raises, if it does."""
    try:
        test(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as failure:  # pytest.fail raises a BaseException
        return failure
    return None


def _fate(test: Callable[..., Any], arguments: Sequence[Any], mutated: _Mutated) -> Fate:
    if _failure(test, arguments) is not None:
        return Fate.KILLED
    return Fate.SURVIVED if mutated.reached else Fate.NOT_REACHED


class _Mutated:
    """A forward whose rule is perturbed; it notes whether that ever made a difference."""

    def __init__(self, forward: Callable[..., Any], mutation: Mutation) -> None:
        self.forward, self.mutation, self.reached = forward, mutation, False
        self.__code__ = forward.__code__  # by which a primitive tells how many operands it takes
        self.__signature__ = inspect.signature(forward)

    def __call__(self, *arrays: Array, **attributes: Any) -> tuple[Array, Backward]:
        result, backward = self.forward(*arrays, **attributes)
        rule = _Rule(arrays, backward)

        def perturbed(upstream: Array) -> tuple[Any, ...]:
            right = [None if c is None else np.array(c) for c in rule(upstream.copy())]
            before = upstream.copy()
            wrong = self.mutation(rule, upstream)
            self.reached |= not _same(upstream, before) or not all(map(_same, right, wrong))
            return tuple(wrong)

        return result, perturbed


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.shape(a) == np.shape(b) and bool(np.array_equal(a, b, equal_nan=True))


def _mutations(op: Primitive) -> dict[str, Mutation]:
    parameters = inspect.signature(op.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    operands = [p.name for p in parameters if p.kind in positional]
    operands = ["0"] if op.joins else operands
    return {
        "sign": lambda rule, upstream: _scaled(rule(upstream), -1),
        "factor 1 + 1e-6": lambda rule, upstream: _scaled(rule(upstream), 1 + 1e-6),
        **{f"operand {name} dropped": _dropped(i) for i, name in enumerate(operands)},
        "upstream ignored": lambda rule, upstream: rule(np.ones_like(upstream)),
        "upstream mutated": _upstream_mutated,
        "reduction missing": _reduction_missing,
        "duplicate overwritten": _duplicate_overwritten,
    }


def _scaled(contributions: list[Any], factor: float) -> list[Any]:
    return [None if c is None else np.asarray(c) * factor for c in contributions]


def _dropped(operand: int) -> Mutation:
    def mutation(rule: _Rule, upstream: Array) -> list[Any]:
        contributions = rule(upstream)
        if contributions[operand] is not None:
            contributions[operand] = np.zeros_like(contributions[operand])
        return contributions

    return mutation


def _upstream_mutated(rule: _Rule, upstream: Array) -> list[Any]:
    contributions = [None if c is None else np.array(c) for c in rule(upstream)]
    if upstream.flags.writeable:
        upstream *= 2
    return contributions


def _reduction_missing(rule: _Rule, upstream: Array) -> list[Any]:
    """Take one slice of what should be summed over broadcast axes."""
    contributions = rule(upstream)
    for i, (contribution, x) in enumerate(zip(contributions, rule.arrays, strict=True)):
        if contribution is None:
            continue
        one = np.asarray(contribution)
        one = one[(0,) * (one.ndim - x.ndim)] if one.ndim > x.ndim else one
        for axis, length in enumerate(x.shape):
            if length == 1 and one.ndim == x.ndim:
                one = one.take([0], axis)
        contributions[i] = one
    return contributions


def _duplicate_overwritten(rule: _Rule, upstream: Array) -> list[Any]:
    """Keep, of all that reaches an element, only what the last element of the result sends."""
    latest = [None if c is None else np.zeros_like(c) for c in rule(upstream)]
    for index in np.ndindex(upstream.shape):
        single = np.zeros_like(upstream)
        single[index] = upstream[index]
        for i, contribution in enumerate(rule(single)):
            if contribution is not None:
                latest[i] = np.where(np.asarray(contribution) != 0, contribution, latest[i])
    for i, x in enumerate(rule.arrays):
        if latest[i] is not None and any(x is other for other in rule.arrays[i + 1 :]):
            latest[i] = np.zeros_like(latest[i])  # the same operand again: only its last use counts
    return latest
