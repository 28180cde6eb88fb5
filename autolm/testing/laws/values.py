"""Laws of value: the gradient is what the oracle says, wherever and however it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm import ops
from autolm.ops.array_operation import Case
from autolm.ops.call_patterns import Pattern
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call, literal
from autolm.testing.calls_from_patterns import may_repeat, repeats_an_index
from autolm.testing.diagnosis import of_uses
from autolm.testing.expressions import Expression, expressions
from autolm.testing.laws.law import Law, LawBroken, Tally, program_of, program_of_uses
from autolm.testing.oracle import differentiate
from autolm.testing.runs import OperationError
from autolm.testing.subject import Subject
from autolm.testing.verdict import Arrays, Comparison, Verdict, compare, proves_nothing

Array = NDArray[Any]
Pair = tuple[int, int]

OTHER_ORDER = "elements in the wrong places: the order in memory is taken for that of the axes"
OTHER_LAYOUT = "wrong only for arrays that are not contiguous in memory"

# What the operation under test is mixed with in random graphs.
MIXERS = (ops.mul, ops.add, ops.sub, ops.sin, ops.tanh, ops.sigmoid, ops.sum, ops.getitem)


def _require(
    comparison: Comparison, example: Any, program: str, tally: Tally, diagnosis: str = ""
) -> None:
    if comparison.verdict is Verdict.WRONG:
        message = f"the gradient differs from that of {comparison.oracle}"
        rows = comparison.rows
        raise LawBroken(message, example, program=program, rows=rows, diagnosis=diagnosis)
    tally.note(comparison)


def _check_rule(subject: Subject, call: Call, tally: Tally) -> None:
    contributions = subject.contributions(call)
    derivative = differentiate(
        subject.function(call.attributes), call.inputs, domains=subject.domains_of(call)
    )
    names, upstream = subject.names_of(call), call.given_upstream
    comparison = compare(names, contributions, derivative, upstream, subject.slack)
    _require(comparison, call, program_of(subject, call), tally)


def _calls_of_any_size(subject: Subject) -> st.SearchStrategy[Call]:
    """Draw calls, every fourth of them on an edge."""
    edge = st.sampled_from([False, False, False, True])
    return edge.flatmap(lambda edge: subject.calls(edge=edge))


def _check_shapes(subject: Subject, call: Call, tally: Tally) -> None:
    _check_rule(subject, call, tally)
    if proves_nothing(call.inputs, call.given_upstream):
        return  # it did not fail, and that is all there is to see
    if subject.elementwise:  # the result may be smaller: it may sum what it computes
        whole = np.broadcast_shapes(*(x.shape for x in call.inputs))
        stretched = [axis for x in call.inputs for axis in _stretched_axes(x.shape, whole)]
        tally.exercised["stretched axis"] += bool(stretched)
        inner = range(1, len(whole) - 1)
        tally.exercised["stretched inner axis"] += any(axis in inner for axis in stretched)
        tally.exercised["(1, n) under (k, m, n)"] += any(
            len(whole) == 3 and min(whole) > 1 and x.shape == (1, whole[-1]) for x in call.inputs
        )
    turned = Call(*map(_in_another_layout, call.inputs), **call.attributes)
    turned.upstream = _in_another_layout(call.given_upstream)
    here, there = subject.contributions(call), subject.contributions(turned)
    for name, a, b in zip(subject.names_of(call), here, there, strict=True):
        rtol, atol = 1e-10 * subject.slack, 1e-12 * subject.slack
        if a is not None and not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):  # type: ignore[arg-type]
            raise LawBroken(
                f"the gradient of {name} depends on how the arrays lie in memory",
                call,
                program=program_of(subject, call),
                diagnosis=OTHER_ORDER if _reordered(a, b) else OTHER_LAYOUT,
            )
    tally.exercised["memory order"] += any(x.ndim > 1 for x in call.inputs)
    tally.exercised["three axes"] += any(min(x.shape) > 1 for x in call.inputs if x.ndim > 2)


def _reordered(a: Array | None, b: Array | None) -> bool:
    """Whether two arrays hold the same numbers in other places."""
    return a is not None and b is not None and np.allclose(np.sort(a, None), np.sort(b, None))


def _stretched_axes(shape: tuple[int, ...], whole: tuple[int, ...]) -> list[int]:
    """List the axes of the whole along which an operand of this shape is repeated."""
    own = (0,) * (len(whole) - len(shape)) + shape
    return [axis for axis, (n, m) in enumerate(zip(own, whole, strict=True)) if n != m]


def _in_another_layout(array: Array) -> Array:
    """Return an equal array whose elements lie in memory in another order, with gaps."""
    every_second = tuple(slice(None, None, -2) for _ in array.shape)
    view = np.zeros(tuple(2 * n for n in array.shape[::-1]), array.dtype).T[every_second]
    if not array.ndim:
        return array
    view[...] = array
    return view


def _alias_pairs(subject: Subject) -> list[Pair]:
    """List the pairs of operands that may be one and the same."""
    return [
        (i, j)
        for i, j in combinations(range(len(subject.operands)), 2)
        if subject.domains[i] is not None
        and subject.domains[i] == subject.domains[j]
        and (subject.elementwise or any(_are_alike(way.shapes, (i, j)) for way in _ways(subject)))
    ]


def _are_alike(shapes: Sequence[Any], pair: Pair) -> bool:
    """Whether two operands have one shape; a call of an operation that joins may have fewer."""
    return max(pair) < len(shapes) and shapes[pair[0]] == shapes[pair[1]]


def _ways(subject: Subject) -> Sequence[Case | Pattern]:
    return (*subject.cases, *subject.patterns)


def _aliased_calls(subject: Subject) -> st.SearchStrategy[tuple[Call, Pair | None]] | None:
    """Draw calls in which an operand occurs twice, and calls in which an index does."""
    calls = subject.calls(stretched=False)
    found: list[st.SearchStrategy[tuple[Call, Pair | None]]] = []
    pairs = _alias_pairs(subject)
    if pairs:
        drawn = st.tuples(calls, st.sampled_from(pairs))
        found.append(drawn.filter(lambda d: _are_alike([x.shape for x in d[0].inputs], d[1])))
    if any(may_repeat(way.attributes) for way in _ways(subject)):
        repeated = calls.filter(lambda call: repeats_an_index(call.attributes))
        found.append(st.tuples(repeated, st.none()))
    return st.one_of(found) if found else None


def aliased_node(subject: Subject, call: Call, pair: Pair) -> Tensor:
    """Record a call with the first of a pair of operands in the place of the second too."""
    leaves = [Tensor(x.copy()) for x in call.inputs]
    leaves[pair[1]] = leaves[pair[0]]
    return subject.node(call, leaves)


def _check_aliases(subject: Subject, example: tuple[Call, Pair | None], tally: Tally) -> None:
    call, pair = example
    if pair is None:
        tally.exercised["repeated index"] += 1
        _check_rule(subject, call, tally)
        return
    tally.exercised["alias"] += 1
    kept, dropped = pair
    uses = [kept if i == dropped else i for i in range(len(call.inputs))]
    distinct = [i for i in range(len(call.inputs)) if i != dropped]
    root = aliased_node(subject, call, pair)
    subject.differentiate(root, call.given_upstream)
    leaves = dict(zip(uses, root.parents, strict=True))
    function = subject.function(call.attributes)
    derivative = differentiate(
        lambda *arrays: function(*(arrays[distinct.index(i)] for i in uses)),
        [call.inputs[i] for i in distinct],
        domains=[subject.domains_of(call)[i] for i in distinct],
    )
    names = subject.names_of(call)
    found = [leaves[i].grad for i in distinct]
    kept_names, upstream = [names[i] for i in distinct], call.given_upstream
    comparison = compare(kept_names, found, derivative, upstream, subject.slack)
    diagnosis = ""
    if comparison.verdict is Verdict.WRONG:
        equal = Call(*(call.inputs[i] for i in uses), **call.attributes)
        equal.upstream = call.upstream
        diagnosis = of_uses(subject, equal, subject.sent(root, call.upstream))
    _require(comparison, example, program_of_uses(subject, call, uses), tally, diagnosis)


def compare_expression(expression: Expression, gradients: Arrays) -> Comparison:
    """Hold the gradients of a graph's leaves against the oracle."""
    derivative = differentiate(expression.weighted, expression.leaves)
    names = [expression.name(i) for i in range(len(expression.leaves))]
    ones = np.ones(derivative.result.shape)
    comparison = compare(names, gradients, derivative, ones)
    if comparison.verdict is Verdict.WRONG:  # or is it that large contributions cancel?
        floor = expression.rounding_floor()
        comparison = compare(names, gradients, derivative, ones, floor=floor)
    return comparison


def _check_graphs(subject: Subject, expression: Expression, tally: Tally) -> None:
    tally.exercised.update(expression.features().keys())
    tally.exercised[subject.op.name] += subject.op in [a.op for a in expression.applications]
    try:
        gradients = expression.gradients()
    except Exception as error:
        raise OperationError(f"backward failed in a graph: {error}") from error
    comparison = compare_expression(expression, gradients)
    inputs = ", ".join(map(literal, expression.leaves))
    _require(comparison, expression, f"{expression.program()}\ncheck_gradient(f, {inputs})", tally)


def _alias_features(subject: Subject) -> tuple[str, ...]:
    repeats = any(may_repeat(way.attributes) for way in _ways(subject))
    return ("alias",) * bool(_alias_pairs(subject)) + ("repeated index",) * repeats


rule = Law(
    "rule",
    "the backward rule is what the oracle says, for a random upstream gradient",
    lambda subject: subject.calls(stretched=False),
    _check_rule,
    parts=Subject.by_variant,
)
broadcasting = Law(
    "shapes",
    "it is so for operands that broadcast, for batches, for none and one, in any memory layout",
    _calls_of_any_size,
    _check_shapes,
    lambda subject: (
        ("memory order", "three axes") * subject.elementwise
        + ("stretched axis", "stretched inner axis", "(1, n) under (k, m, n)")
        * (subject.elementwise and len(subject.operands) > 1)
    ),
)
aliases = Law(
    "aliases",
    "both uses count where an operand, or an index, occurs twice",
    _aliased_calls,
    _check_aliases,
    _alias_features,
    of_one_call=False,
)
graphs = Law(
    "graphs",
    "it is so inside random graphs, with shared nodes and unequal paths that meet again",
    lambda subject: expressions(
        [op for op in MIXERS if op.name != subject.op.name], required=subject
    ),
    _check_graphs,
    lambda subject: (subject.op.name, "shared node", "unequal diamond", "several backward calls"),
    of_one_call=False,
    parts=lambda subject: [subject],
)
