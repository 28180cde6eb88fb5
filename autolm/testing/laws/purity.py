"""Laws of purity: an operation changes no array of its caller, and keeps no state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.laws.law import Law, LawBroken, Tally, broken
from autolm.testing.runs import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import largest

Array = NDArray[Any]

SINGLE = 1e-3  # between a gradient in single and in double precision, relative


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
                subject, call, f"input {name} was changed in place", f"input mutated: {name}"
            )
    if not equal(upstream, call.given_upstream):
        raise impure(
            *(subject, call, "the backward rule changed the upstream gradient in place"),
            "upstream mutated: other paths of the graph still need that array",
        )
    if not equal(result, result_before):
        raise impure(
            *(subject, call, "the backward rule changed the result in place"),
            "result mutated: other operations still need that array",
        )
    other = _another_call(subject, call)
    _, other_rule = subject.run(other)
    subject.raw_contributions(other_rule, other.given_upstream, other)
    subject.raw_contributions(rule, np.array(-upstream), call)
    if not equal(result, result_before):
        raise impure(
            *(subject, call, "a second call changed the result of the first"),
            "shared buffers: both calls return the same memory",
        )
    if not all(map(equal, contributions, contributions_before)):
        raise impure(
            *(subject, call, "a second use of the rule changed the contributions of the first"),
            "shared buffers: both uses return the same memory",
        )
    _check_single_precision(subject, call, tally)


def _another_call(subject: Subject, call: Call) -> Call:
    """Make the same call with the numbers in other places, where they are in the domain too."""
    other = Call(*(np.roll(x, 1) for x in call.inputs), **call.attributes)
    try:
        subject.run(other.copy())
    except OperationError:  # such as a matrix that is not positive definite any more
        other = call.copy()
    other.upstream = np.array(2 * np.roll(call.given_upstream, 1))
    return other


def _check_single_precision(subject: Subject, call: Call, tally: Tally) -> None:
    """Compare with single precision; only operations of this package must keep the dtype."""
    if not any(x.dtype.kind == "f" for x in call.inputs):
        return
    single = Call(*map(_in_single, call.inputs), **call.attributes)
    single.upstream = _in_single(call.given_upstream)
    node = subject.node(single)
    if node.dtype != np.float32 and "dtype" not in call.attributes:
        message = f"float32 operands give a {node.dtype} result"
        if subject.op.written_by_a_user is None:
            raise impure(subject, call, message, "dtype not kept")
        tally.noted[message] += 1
    coarse, fine = subject.sent(node, single.upstream), subject.contributions(call)
    size = max(map(largest, fine), default=0.0)
    for name, a, b in zip(subject.names_of(call), coarse, fine, strict=True):
        if a is not None and b is not None and largest(a - b) > SINGLE * max(size, 1.0):
            message = f"the gradient of {name} is another in single precision"
            raise LawBroken(message, call, subject.program(single))


def _in_single(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _check_state(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    first = [np.array(c) for c in subject.sent(node, call.given_upstream)]
    other = _another_call(subject, call)
    later = subject.node(other)
    if not all(map(equal, subject.sent(node, call.given_upstream), first)):
        raise impure(
            *(subject, call, "using the rule again, after another call, gives another gradient"),
            "stale or overwritten state: what the rule needs is kept outside its closure",
        )
    subject.sent(later, other.upstream)
    if not all(map(equal, subject.sent(node, call.given_upstream), first)):
        raise impure(
            *(subject, call, "using the rule twice gives two gradients"),
            "stale or overwritten state: the rule of one node changes what another needs",
        )


def equal(a: Any, b: Any) -> bool:
    """Whether two arrays are the same, bit for bit; None stands for no gradient."""
    if a is None or np.asarray(b).dtype == object:
        return a is None
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


hygiene = Law(
    "hygiene",
    "inputs and upstream stay unchanged, no memory is shared between calls, the dtype is kept",
    lambda subject: subject.calls(),
    _check_hygiene,
    parts=Subject.by_variant,
)
state = Law(
    "state",
    "the rule gives the same again, later and after other calls",
    lambda subject: subject.calls(),
    _check_state,
)
