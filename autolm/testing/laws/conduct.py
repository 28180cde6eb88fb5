"""Laws of conduct: an operation is a function, changes nothing that it was lent, keeps no state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.laws.law import Law, LawBroken, Tally, program_of
from autolm.testing.runs import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import gradient_scale, largest

Array = NDArray[Any]

LINEAR = 1e-11  # of the size of the contributions
SINGLE = 1e-3  # between a gradient in single and in double precision, of its size


def _check_hygiene(subject: Subject, call: Call, tally: Tally) -> None:
    lent = [x.copy() for x in call.inputs]
    upstream = call.given_upstream.copy()
    result, rule = subject.run(call)
    kept_result = result.copy()
    contributions = subject.raw_contributions(rule, upstream, call)
    kept = [np.array(c) for c in contributions]

    def broken(message: str, diagnosis: str) -> LawBroken:
        return LawBroken(message, call, program=program_of(subject, call), diagnosis=diagnosis)

    for name, x, before in zip(subject.names_of(call), call.inputs, lent, strict=True):
        if not _equal(x, before):
            x[...] = before
            raise broken(f"input {name} was changed in place", f"input mutated: {name}")
    if not _equal(upstream, call.given_upstream):
        raise broken(
            "the backward rule changed the upstream gradient in place",
            "upstream mutated: other paths of the graph still need that array",
        )
    if not _equal(result, kept_result):
        raise broken(
            "the backward rule changed the result in place",
            "result mutated: other operations still need that array",
        )
    other = _another_call(subject, call)
    _, other_rule = subject.run(other)
    subject.raw_contributions(other_rule, other.given_upstream, other)
    subject.raw_contributions(rule, np.array(-upstream), call)
    if not _equal(result, kept_result):
        raise broken(
            "a second call changed the result of the first",
            "shared buffers: both calls return the same memory",
        )
    if not all(map(_equal, contributions, kept)):
        raise broken(
            "a second use of the rule changed the contributions of the first",
            "shared buffers: both uses return the same memory",
        )
    _check_single_precision(subject, call, tally)


def _another_call(subject: Subject, call: Call) -> Call:
    """Make the same call with the numbers in other places, which are in the domain too."""
    other = Call(*(np.roll(x, 1) for x in call.inputs), **call.attributes)
    try:
        subject.run(other.copy())
    except OperationError:  # such as a matrix that is positive definite no more
        other = call.copy()
    other.upstream = np.array(2 * np.roll(call.given_upstream, 1))
    return other


def _check_single_precision(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare with single precision; to keep that is a promise of our own operations only."""
    if not any(x.dtype.kind == "f" for x in call.inputs):
        return  # there is no precision to keep
    single = Call(*(_in_single(x) for x in call.inputs), **call.attributes)
    single.upstream = _in_single(call.given_upstream)
    node = subject.node(single)
    if node.dtype != np.float32 and "dtype" not in call.attributes:  # it was told another
        message = f"float32 operands give a {node.dtype} result"
        if subject.op.written_by_a_user is None:
            raise LawBroken(
                message, call, program=program_of(subject, call), diagnosis="dtype not kept"
            )
        tally.noted[message] += 1
    coarse, fine = subject.sent(node, single.upstream), subject.contributions(call)
    size = max(map(largest, fine), default=0.0)
    for name, a, b in zip(subject.names_of(call), coarse, fine, strict=True):
        if a is not None and b is not None and largest(a - b) > SINGLE * max(size, 1.0):
            raise LawBroken(
                f"the gradient of {name} is another in single precision",
                call,
                program=program_of(subject, single),
            )


def _in_single(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _check_state(subject: Subject, call: Call, tally: Tally) -> None:
    def broken(message: str, diagnosis: str) -> LawBroken:
        return LawBroken(message, call, program=program_of(subject, call), diagnosis=diagnosis)

    leaves = [Tensor(x.copy()) for x in call.inputs]
    node = subject.node(call, leaves)
    first = [np.array(c) for c in subject.sent(node, call.given_upstream)]
    other = _another_call(subject, call)
    later = subject.node(other)
    between = subject.sent(node, call.given_upstream)
    if not all(map(_equal, between, first)):
        raise broken(
            "using the rule again, after another call, gives another gradient",
            "stale or overwritten state: what the rule needs is kept outside its closure",
        )
    subject.sent(later, other.upstream)
    if not all(map(_equal, subject.sent(node, call.given_upstream), first)):
        raise broken(
            "using the rule twice gives two gradients",
            "stale or overwritten state: the rule of one node changes what another needs",
        )
    if node.requires_grad:
        _check_two_passes(subject, call, leaves, node, tally)


def _check_two_passes(
    subject: Subject, call: Call, leaves: list[Tensor], node: Tensor, tally: Tally
) -> None:
    subject.differentiate(node, call.given_upstream)
    once = [None if leaf.grad is None else leaf.grad.copy() for leaf in leaves]
    subject.differentiate(node, call.given_upstream)
    tally.exercised["backward twice"] += 1
    for name, leaf, grad in zip(subject.names_of(call), leaves, once, strict=True):
        if grad is not None and not _equal(leaf.grad, 2 * grad):
            raise LawBroken(
                f"a second backward() does not double the gradient of {name}",
                call,
                program=program_of(subject, call),
                diagnosis="stale or overwritten gradient",
            )


def _check_linear(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    upstream = call.given_upstream
    other = np.roll(upstream, 1) * -1.5 + 1 / 7  # which no short dtype holds
    ours, others, both, none = (
        subject.sent(node, each)
        for each in (upstream, other, 2 * upstream - 3 * other, 0 * upstream)
    )
    for name, a, b, c, zero in zip(subject.names_of(call), ours, others, both, none, strict=True):
        if a is None or b is None or c is None:
            continue
        size = largest(a) + largest(b) + gradient_scale((), call.inputs, node.data, upstream)
        if largest(zero) > LINEAR * subject.slack * size:
            raise LawBroken(
                f"an upstream gradient of 0 sends {name} a gradient that is not 0",
                call,
                program=program_of(subject, call),
                diagnosis=f"{name}: the upstream gradient is no factor of what it is sent",
            )
        if largest(c - (2 * a - 3 * b)) > LINEAR * subject.slack * 10 * size:
            message = f"the gradient of {name} is not linear in the upstream gradient"
            told = f"{name}: not linear in the upstream gradient"
            raise LawBroken(message, call, program=program_of(subject, call), diagnosis=told)


def _equal(a: Any, b: Any) -> bool:
    """Whether two arrays are the same, bit for bit; None stands for no gradient."""
    if a is None or np.asarray(b).dtype == object:
        return a is None
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


hygiene = Law(
    "hygiene",
    "inputs and upstream stay unchanged, no memory is shared between calls, the dtype is kept",
    lambda subject: subject.calls(),
    _check_hygiene,
    of_conduct=True,
    parts=Subject.by_variant,
)
state = Law(
    "state",
    "the rule gives the same again, later and after other calls",
    lambda subject: subject.calls(),
    _check_state,
    lambda subject: ("backward twice",),
    of_conduct=True,
)
linear = Law(
    "linear",
    "the contributions are linear in the upstream gradient",
    lambda subject: subject.calls(),
    _check_linear,
)
