"""Find the shapes that an operation accepts, if it declares none and is not elementwise.

An operation that accepts all shapes that broadcast is elementwise. For others the shapes are found
by trial: first all numbers of axes, with one length for all; then, axis by axis, the lengths that
may change alone and those that must change together. A shape is accepted if the forward accepts it
and the rule can be run on its result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice, permutations, product
from typing import Any

import numpy as np

from autolm.ops.array_operation import Case
from autolm.testing.call import Call
from autolm.testing.calls_from_patterns import is_varied
from autolm.testing.operation_runner import OperationError
from autolm.testing.oracle import differentiate
from autolm.testing.strategies import Shape, choices
from autolm.testing.subject import Subject, positive_definite, upstream_for
from autolm.testing.verdict import Verdict, compare

Shapes = tuple[Shape, ...]
Place = tuple[int, int]  # an axis: (operand, axis)

BASE = 2  # the length of every axis, to begin with
LENGTHS = (3, 2, 4, 5, 1, 6)  # that differ, for axes that may
ORDERS = 300  # of them that are tried
MOST_AXES = 4
MOST_ELEMENTS = 48  # of an operand
MOST_STRETCHED = 2  # of the cases that have an axis of length 1
MOST_TOGETHER = 4  # axes that have to be of one length
MOST_RANKS = 6  # combinations of numbers of axes that become cases
MOST_NAMED = 3  # shapes that are left out
PATIENCE = 2.0  # seconds of the processor, after which what was found has to do


def with_accepted_shapes(subject: Subject) -> Subject:
    """Return the subject with cases that its operation takes; itself if it takes any shapes.

    So it is, too, where nothing is found: then the laws report what the forward says.
    """
    if not subject.elementwise or is_varied(subject.attributes):
        return subject
    refused = [
        shapes for shapes in _that_broadcast(len(subject.operands)) if _is_refused(subject, shapes)
    ]
    if not refused:
        return subject
    excluded: dict[Shapes, str] = {}
    accepted = list(dict.fromkeys(_accepted_shapes(subject, excluded)))
    if not accepted:
        return subject
    cases = tuple(Case(shapes, subject.attributes) for shapes in accepted)
    shapes_text = ", ".join(_describe(shapes) for shapes in accepted)
    note = f"it refuses {_describe(refused[0])}; tried on guessed shapes {shapes_text}"
    failing = [shapes for shapes, error in excluded.items() if error]
    if failing:
        note += f"; left out, where its forward runs and its rule fails: {_list_shapes(failing)}"
        note += f" (at the first, {excluded[failing[0]]})"
    wrong = [shapes for shapes, error in excluded.items() if not error]
    if wrong:
        note += f"; its rule is wrong for {_list_shapes(wrong)}, which its forward should refuse"
    return replace(subject, cases=cases, note=note)


def _list_shapes(listed: Sequence[Shapes]) -> str:
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ", ".join(map(_describe, listed[:MOST_NAMED])) + more


def _that_broadcast(operands: int) -> list[Shapes]:
    """List shapes which every elementwise operation takes."""
    alike: list[Shapes] = [(shape,) * operands for shape in ((), (3,), (2, 3), (2, 3, 2))]
    if operands > 1:
        rest = ((2, 3),) * (operands - 2)
        alike += [((3,), (2, 3), *rest), ((2, 3), (2, 1), *rest), ((2, 3), (), *rest)]
    return alike


def _accepted_shapes(subject: Subject, excluded: dict[Shapes, str]) -> Iterator[Shapes]:
    """Find shapes of several ranks: of lengths that differ, all of one, some of 1.

    Shapes that are probably accepted by accident go into `excluded`, with the error of the rule; an
    empty text means that the rule is wrong for them.
    """
    end = time.process_time() + PATIENCE
    count = len(subject.operands)
    most = MOST_AXES if count < 4 else 3
    ranks = sorted(product(range(most + 1), repeat=count), key=_rank_of_ranks)
    by_rank: dict[tuple[int, ...], list[Shapes]] = {}
    failed: list[Shapes] = []
    for combination in ranks:
        if len(by_rank) == MOST_RANKS or time.process_time() > end:
            break
        same = tuple((BASE,) * rank for rank in combination)
        if not _is_refused(subject, same):
            generic, *more = _varied(subject, same)
            failing = {shapes: how_it_fails(subject, shapes) for shapes in (generic, *more)}
            excluded |= {shapes: error for shapes, error in failing.items() if error}
            if not failing[generic]:  # where it fails a square matrix may go through
                by_rank[combination] = [shapes for shapes, error in failing.items() if not error]
            else:
                failed += failing
    if not by_rank:  # the rule fails for all of them: the laws report it
        excluded.clear()
        yield from failed[:MOST_RANKS]
    for combination, cases in by_rank.items():
        if _is_an_accident(subject, combination, by_rank):
            excluded[cases[0]] = ""
        else:
            yield from cases


def _rank_of_ranks(ranks: tuple[int, ...]) -> tuple[Any, ...]:
    """Put first what has to be tried: one, two and three axes of all operands; then fewer."""
    return not (len(set(ranks)) == 1 and ranks[0] < MOST_AXES), sum(ranks), ranks


def _is_an_accident(
    subject: Subject, ranks: tuple[int, ...], by_rank: dict[tuple[int, ...], list[Shapes]]
) -> bool:
    """Whether operands of these ranks go through, and are hardly meant.

    NumPy takes a vector for a matrix in many places, and a batch of them in the place of the
    second. So it is where the rule is wrong for such, and right where all have as many axes.
    """
    if len(set(ranks)) == 1 or _is_right(subject, by_rank[ranks][0]):
        return False
    batched_behind = max(ranks) > ranks[0]
    return any(
        (batched_behind or all(n >= m for n, m in zip(other, ranks, strict=True)))
        and _is_right(subject, by_rank[other][0])
        for other in by_rank
        if len(set(other)) == 1
    )


def _is_right(subject: Subject, shapes: Shapes) -> bool:
    call = call_of_shapes(subject, shapes)
    try:
        call.upstream = upstream_for(subject.run(call.copy())[0].shape)
        analytic = subject.contributions(call)
    except OperationError:
        return True
    derivative = differentiate(
        subject.function(call.attributes), call.inputs, domains=subject.domains
    )
    names = subject.names_of(call)
    return compare(names, analytic, derivative, call.upstream).verdict is not Verdict.WRONG


def _varied(subject: Subject, same: Shapes) -> Iterator[Shapes]:
    """Give axes that need not agree other lengths; then each that stretches the length 1."""
    free, groups = _that_agree(subject, same)
    generic = next(_of_other_lengths(subject, same, free, groups), same)
    yield generic
    if generic != same and len(groups) > 1:
        yield same
    for group in groups[:MOST_STRETCHED]:
        operand = min(operand for operand, _ in group)
        yield _with(generic, {place: 1 for place in group if place[0] == operand})


def _of_other_lengths(
    subject: Subject, same: Shapes, free: set[Place], groups: Sequence[tuple[Place, ...]]
) -> Iterator[Shapes]:
    """Make shapes with different lengths where possible; also with one axis longer."""
    some = LENGTHS[: max(4, len(groups))]
    for order in islice(permutations(some, min(len(groups), len(some))), ORDERS):
        lengths = {place: n for group, n in zip(groups, order, strict=False) for place in group}
        longer = {
            place: n + (place in free and any(place in g and len(g) > 1 for g in groups))
            for place, n in lengths.items()
        }
        for shapes in (_with(same, longer), _with(same, lengths)):
            if _fits(shapes) and not _is_refused(subject, shapes):
                yield shapes


def _that_agree(subject: Subject, same: Shapes) -> tuple[set[Place], list[tuple[Place, ...]]]:
    """Return the axes that may change alone, and all in groups of those that change together."""
    places = _places(same)

    def change(changed: Sequence[Place]) -> bool:
        return not _is_refused(subject, _with(same, dict.fromkeys(changed, BASE + 1)))

    free = {place for place in places if change([place])}
    groups: list[tuple[Place, ...]] = []
    for place in sorted(places, key=lambda place: place in free):
        if any(place in group for group in groups):
            continue
        rest = [p for p in places if p != place and not any(p in group for group in groups)]
        sizes = [0] if place in free else range(1, MOST_TOGETHER)
        together = (
            (place, *partners)
            for n in sizes
            for partners in combinations(rest, n)
            if n < len(places)
        )
        groups.append(next(filter(change, together), (place,)))
    return free, groups


def _places(shapes: Shapes) -> list[Place]:
    return [(i, axis) for i, shape in enumerate(shapes) for axis in range(len(shape))]


def _with(shapes: Shapes, lengths: dict[Place, int]) -> Shapes:
    return tuple(
        tuple(lengths.get((i, axis), n) for axis, n in enumerate(shape))
        for i, shape in enumerate(shapes)
    )


def _fits(shapes: Shapes) -> bool:
    return all(math.prod(shape) <= MOST_ELEMENTS for shape in shapes)


def _is_refused(subject: Subject, shapes: Shapes) -> bool:
    """Whether the forward refuses shapes; a number has no axis, even if NumPy takes one."""
    axes = {"axis", "axes", "dim", "dims"}  # NumPy's reductions take axis=-1 of a number
    if () in shapes and any(
        isinstance(value, int) and not isinstance(value, bool)
        for name, value in subject.defaults().items()
        if name in axes
    ):
        return True
    try:
        subject.run(call_of_shapes(subject, shapes))
    except OperationError:
        return True
    return False


def how_it_fails(subject: Subject, shapes: Shapes) -> str:
    """Say how the rule fails where the forward takes these shapes; empty if it can be run."""
    call = call_of_shapes(subject, shapes)
    try:
        call.upstream = upstream_for(subject.run(call.copy())[0].shape)
        subject.contributions(call)
    except OperationError as error:
        return str(error).partition("\n")[0]
    return ""


def call_of_shapes(subject: Subject, shapes: Shapes) -> Call:
    """Make a call of these shapes in which numbers differ."""
    inputs = []
    for i, (shape, domain) in enumerate(zip(shapes, subject.domains, strict=True)):
        size = math.prod(shape)
        if domain is None:
            inputs.append(np.arange(size).reshape(shape) % 2 == 0)
            continue
        numbers = np.array(choices("generic", domain, size + i)[i : size + i], dtype=float)
        inputs.append(numbers.reshape(shape))
    call = Call(*inputs, **subject.attributes)
    try:
        subject.run(call.copy())
    except OperationError as error:
        if isinstance(error.__cause__, np.linalg.LinAlgError):  # it minds the numbers, perhaps
            return positive_definite(call)
    return call


def _describe(shapes: Shapes) -> str:
    return " with ".join("×".join(map(str, shape)) or "a number" for shape in shapes)
