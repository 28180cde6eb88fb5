"""The law of purity: an operation changes no array of its caller and shares no memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.message import message
from autolm.testing.call import Call
from autolm.testing.laws.law import Law, LawBroken, Tally, broken
from autolm.testing.operation_runner import OperationError
from autolm.testing.subject import Subject

Array = NDArray[Any]


def impure(subject: Any, call: Call, message: str, diagnosis: str, rows: Any = ()) -> LawBroken:
    """Make the failure of a law of purity."""
    return broken(subject, call, message, diagnosis, rows, about="purity")


def _check_hygiene(subject: Subject, call: Call, tally: Tally) -> None:
    before, upstream = call.copy(), call.given_upstream.copy()
    result, rule = subject.run(call)
    result_before = result.copy()
    contributions = subject.raw_contributions(rule, upstream, call)
    contributions_before = [np.array(c) for c in contributions]
    for name, x, copy in zip(subject.names_of(call), call.inputs, before.inputs, strict=True):
        if not equal(x, copy):
            x[...] = copy
            raise impure(
                subject,
                call,
                message("input {name} was changed in place", name=name),
                message("input mutated: {name}", name=name),
            )
    if not equal(upstream, call.given_upstream):
        raise impure(
            *(subject, call, "the backward rule changed the upstream gradient in place"),
            message("upstream mutated: other paths of the graph still need that array"),
        )
    if not equal(result, result_before):
        raise impure(
            *(subject, call, "the backward rule changed the result in place"),
            message("result mutated: other operations still need that array"),
        )
    other = another_call(subject, call)
    _, other_rule = subject.run(other)
    subject.raw_contributions(other_rule, other.given_upstream, other)
    subject.raw_contributions(rule, np.array(-upstream), call)
    if not equal(result, result_before):
        raise impure(
            *(subject, call, "a second call changed the result of the first"),
            message("shared buffers: both calls return the same memory"),
        )
    if not all(map(equal, contributions, contributions_before)):
        raise impure(
            *(subject, call, "a second use of the rule changed the contributions of the first"),
            message("shared buffers: both uses return the same memory"),
        )


def another_call(subject: Subject, call: Call) -> Call:
    """Make the same call with the numbers in other places, where they are in the domain too."""
    other = Call(*(np.roll(x, 1) for x in call.inputs), **call.attributes)
    other.upstream = np.array(2 * np.roll(call.given_upstream, 1))
    try:
        subject.contributions(other)
    except OperationError:  # such as a matrix that is singular now
        other.inputs = call.copy().inputs
    return other


def equal(a: Any, b: Any) -> bool:
    """Whether two arrays are the same, bit for bit; None stands for no gradient."""
    if a is None or np.asarray(b).dtype == object:
        return a is None
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


hygiene = Law(
    "hygiene",
    "inputs and upstream stay unchanged, no memory is shared between calls",
    lambda subject: subject.calls(),
    _check_hygiene,
    parts=Subject.by_variant,
)
