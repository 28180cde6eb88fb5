"""Laws of the gradient: it agrees with the oracle, for all shapes, layouts and uses of operands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.ops.array_operation import Case
from autolm.ops.call_patterns import Pattern
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.calls_from_patterns import may_repeat, repeats_an_index
from autolm.testing.diagnosis import of_uses
from autolm.testing.laws.law import Law, LawBroken, Tally, broken, program_of_uses
from autolm.testing.oracle import differentiate
from autolm.testing.subject import Subject
from autolm.testing.verdict import (
    Comparison,
    Verdict,
    compare,
    gradient_scale,
    largest,
    proves_nothing,
)

Array = NDArray[Any]
Pair = tuple[int, int]

LINEAR = 1e-11  # tolerance, relative to the contributions
SCALES = tuple(2.0**power for power in (-40, -12, 12, 40))  # of upstream gradients


def _check_rule(subject: Subject, call: Call, tally: Tally) -> None:
    contributions = subject.contributions(call)
    derivative = differentiate(
        subject.function(call.attributes), call.inputs, domains=subject.domains_of(call)
    )
    names, upstream = subject.names_of(call), call.given_upstream
    comparison = compare(names, contributions, derivative, upstream, subject.slack)
    if comparison.verdict is Verdict.WRONG:
        raise broken(subject, call, _differs(comparison), rows=comparison.rows)
    tally.note(comparison)


def _differs(comparison: Comparison) -> str:
    return f"the gradient differs from that of {comparison.oracle}"


def _calls_of_any_size(subject: Subject) -> st.SearchStrategy[Call]:
    """Draw calls, every fourth of them on an edge."""
    edge = st.sampled_from([False, False, False, True])
    return edge.flatmap(lambda edge: subject.calls(edge=edge))


def _check_shapes(subject: Subject, call: Call, tally: Tally) -> None:
    _check_rule(subject, call, tally)
    if proves_nothing(call.inputs, call.given_upstream):
        return  # nothing more to compare
    if subject.elementwise:  # the result may be smaller: it may sum what it computes
        whole = np.broadcast_shapes(*(x.shape for x in call.inputs))
        stretched = [axis for x in call.inputs for axis in _stretched_axes(x.shape, whole)]
        tally.exercised["stretched axis"] += bool(stretched)
        inner = range(1, len(whole) - 1)
        tally.exercised["stretched inner axis"] += any(axis in inner for axis in stretched)
        tally.exercised["(1, n) under (k, m, n)"] += any(
            len(whole) == 3 and min(whole) > 1 and x.shape == (1, whole[-1]) for x in call.inputs
        )
    tally.exercised["three axes"] += any(min(x.shape) > 1 for x in call.inputs if x.ndim > 2)


def _stretched_axes(shape: tuple[int, ...], whole: tuple[int, ...]) -> list[int]:
    """List the axes of the result along which an operand of this shape is broadcast."""
    padded = (0,) * (len(whole) - len(shape)) + shape
    return [axis for axis, (n, m) in enumerate(zip(padded, whole, strict=True)) if n != m]


def _alias_pairs(subject: Subject, shapes: Sequence[Any] | None) -> list[Pair]:
    """List the pairs of operands that may be one: of one domain, and one shape if shapes count."""
    domains = subject.domains if shapes is None else subject.domains_for(len(shapes))
    return [
        (i, j)
        for i, j in combinations(range(len(domains)), 2)
        if domains[i] is not None
        and domains[i] == domains[j]
        and (shapes is None or shapes[i] == shapes[j])
    ]


def _may_alias(subject: Subject) -> bool:
    if subject.elementwise:
        return bool(_alias_pairs(subject, None))
    return any(_alias_pairs(subject, way.shapes) for way in _ways(subject))


def _may_repeat(subject: Subject) -> bool:
    return any(may_repeat(way.attributes) for way in _ways(subject))


def _ways(subject: Subject) -> Sequence[Case | Pattern]:
    return (*subject.cases, *subject.patterns)


def _calls_to_alias(subject: Subject) -> st.SearchStrategy[Call] | None:
    """Draw calls with two operands that may be one array, or with a repeated index."""
    calls = subject.calls(stretched=False)
    if _may_repeat(subject):
        return calls.filter(lambda call: repeats_an_index(call.attributes))
    if not _may_alias(subject):
        return None
    return calls.filter(lambda call: bool(_pairs_of(subject, call)))


def _pairs_of(subject: Subject, call: Call) -> list[Pair]:
    return _alias_pairs(subject, [x.shape for x in call.inputs])


def _check_aliases(subject: Subject, call: Call, tally: Tally) -> None:
    if repeats_an_index(call.attributes):
        tally.exercised["repeated index"] += 1
        _check_rule(subject, call, tally)
    for pair in _pairs_of(subject, call):
        tally.exercised["alias"] += 1
        _check_pair(subject, call, pair, tally)


def _check_pair(subject: Subject, call: Call, pair: Pair, tally: Tally) -> None:
    """Pass the first operand of a pair as the second operand too."""
    first, second = pair
    uses = [first if i == second else i for i in range(len(call.inputs))]
    distinct = [i for i in range(len(call.inputs)) if i != second]
    leaves = [Tensor(x.copy()) for x in call.inputs]
    root = subject.node(call, [leaves[i] for i in uses])
    subject.differentiate(root, call.given_upstream)
    function = subject.function(call.attributes)
    derivative = differentiate(
        lambda *arrays: function(*(arrays[distinct.index(i)] for i in uses)),
        [call.inputs[i] for i in distinct],
        domains=[subject.domains_of(call)[i] for i in distinct],
    )
    names = [subject.names_of(call)[i] for i in distinct]
    gradients = [leaves[i].grad for i in distinct]
    comparison = compare(names, gradients, derivative, call.given_upstream, subject.slack)
    if comparison.verdict is Verdict.WRONG:
        equal = Call(*(call.inputs[i] for i in uses), **call.attributes)
        equal.upstream = call.upstream
        raise LawBroken(
            _differs(comparison),
            equal,
            program_of_uses(subject, call, uses),
            rows=comparison.rows,
            diagnosis=of_uses(subject, equal, subject.node_contributions(root, call.upstream)),
        )
    tally.note(comparison)


def _check_linear(subject: Subject, call: Call, tally: Tally) -> None:
    node = subject.node(call)
    upstream = call.given_upstream
    other = np.roll(upstream, 1) * -1.5 + 1 / 7  # which no short dtype holds
    ours, of_other, both, none = (
        subject.node_contributions(node, g)
        for g in (upstream, other, 2 * upstream - 3 * other, 0 * upstream)
    )
    for name, a, b, c, zero in zip(subject.names_of(call), ours, of_other, both, none, strict=True):
        if a is None or b is None or c is None:
            continue
        size = largest(a) + largest(b) + gradient_scale((), call.inputs, node.data, upstream)
        if largest(zero) > LINEAR * subject.slack * size:
            message = f"an upstream gradient of 0 sends {name} a gradient that is not 0"
            cause = f"{name}: the upstream gradient is no factor of what it is sent"
            raise broken(subject, call, message, cause)
        if largest(c - (2 * a - 3 * b)) > LINEAR * subject.slack * 10 * size:
            message = f"the gradient of {name} is not linear in the upstream gradient"
            cause = f"{name}: not linear in the upstream gradient"
            raise broken(subject, call, message, cause)
    for factor in SCALES:
        scaled = subject.node_contributions(node, factor * upstream)
        for name, a, b in zip(subject.names_of(call), ours, scaled, strict=True):
            if a is None or b is None or not np.isfinite(a).all():
                continue
            size = largest(a) + gradient_scale((), call.inputs, node.data, upstream)
            if not largest(b / factor - a) <= LINEAR * subject.slack * 10 * size:
                message = f"the gradient of {name} is not linear in the upstream gradient"
                cause = (
                    f"{name}: not linear: wrong where the upstream is {factor:.0e} times as large"
                )
                raise broken(subject, call, message, cause)


def _alias_features(subject: Subject) -> tuple[str, ...]:
    return ("alias",) * _may_alias(subject) + ("repeated index",) * _may_repeat(subject)


rule = Law(
    "rule",
    "the backward rule is what the oracle says, for a random upstream gradient",
    lambda subject: subject.calls(stretched=False),
    _check_rule,
    parts=Subject.by_variant,
)
shapes = Law(
    "shapes",
    "it is so for operands that broadcast, for batches, for none and one",
    _calls_of_any_size,
    _check_shapes,
    lambda subject: (
        ("three axes",) * subject.elementwise
        + ("stretched axis", "stretched inner axis", "(1, n) under (k, m, n)")
        * (subject.elementwise and len(subject.operands) > 1)
    ),
)
aliases = Law(
    "aliases",
    "both uses count where an operand, or an index, occurs twice",
    _calls_to_alias,
    _check_aliases,
    _alias_features,
)
linear = Law(
    "linear",
    "the contributions are linear in the upstream gradient",
    lambda subject: subject.calls(),
    _check_linear,
)
