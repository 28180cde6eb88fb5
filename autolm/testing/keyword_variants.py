"""Call an operation with other values of its keywords.

A keyword with a default is a part of the contract: a flag may be inverted, an axis or an index may
be another. Accepted values are not declared, so they are found by trial, as shapes are. A value is
left out if the forward raises, draws random numbers, writes into its operands or returns numbers
that are not finite. ``axis=None`` is left out if the rule refuses it: NumPy's forwards accept it by
default.

A test can fix a keyword: `attributes={"keepdims": False}`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

from autolm.ops.array_operation import Case
from autolm.testing.accepted_shapes import call_of_shapes, how_it_fails, with_accepted_shapes
from autolm.testing.call import Call, literal_keywords
from autolm.testing.operation_runner import OperationError
from autolm.testing.strategies import Shape
from autolm.testing.subject import Subject

Keywords = dict[str, Any]

AXES = ("axis", "axes", "dim", "dims")
INDICES = ("index", "idx", "ids", "indices")
FAMILIES = (("mean", "sum", "none"), ("valid", "same", "full"), ("none", "tanh"))
MOST = 12  # ways to tell other keywords, of a call of one number of axes
MOST_AXES = 4  # of an operand: so many are not needed
MOST_CALLS = 2  # cases, of different numbers of axes, in which keywords are varied


def with_other_keywords(subject: Subject) -> Subject:
    """Find the shapes that an operation takes, and other keywords that it takes there."""
    needed = _needed(subject)
    subject_with_shapes = with_accepted_shapes(
        replace(subject, attributes={**subject.attributes, **needed})
    )
    if subject_with_shapes.patterns:
        return subject_with_shapes  # its record says what varies
    defaults = {**_defaults(subject_with_shapes), **needed}
    variants: list[tuple[str, Case]] = []
    for case in _richest(subject_with_shapes):
        ways = chain(
            _ways(defaults, len(case.shapes[0]), case.shapes[0]), _with_repeats(case.attributes)
        )
        accepted = (
            keywords
            for keywords in ways
            if _is_another_function(subject_with_shapes, case, keywords)
        )
        variants += [
            (literal_keywords(keywords), Case(case.shapes, {**case.attributes, **keywords}))
            for keywords in islice(accepted, MOST)
        ]
    if not variants:
        return subject_with_shapes
    tried = "; ".join(dict.fromkeys(text for text, _ in variants))
    note = "; ".join(
        [subject_with_shapes.note] * bool(subject_with_shapes.note) + [f"also with {tried}"]
    )
    return replace(subject_with_shapes, variants=tuple(variants), note=note)


def _defaults(subject: Subject) -> Keywords:
    """Return the keywords that no call sets, each with its default."""
    fixed = {*subject.attributes, *(name for case in subject.cases for name in case.attributes)}
    return {
        name: default
        for name, default in subject.defaults().items()
        if name not in fixed and default is not inspect.Parameter.empty
    }


def _needed(subject: Subject) -> Keywords:
    """Choose a value for a required axis or index that no call sets."""
    if not subject.elementwise:
        return {}
    missing = [
        name
        for name, default in subject.defaults().items()
        if default is inspect.Parameter.empty and name not in subject.attributes
    ]
    chosen: Keywords = {name: -1 for name in missing if name in AXES}
    return chosen | {name: [0, 0] for name in missing if name in INDICES}


def _richest(subject: Subject) -> list[Case]:
    """Choose calls whose shapes tell most axes apart, of two numbers of axes up to three."""
    several = len(subject.operands) - 1
    if subject.elementwise:
        return [Case(((2, 3, 2), *((2, 1, 2),) * several), subject.attributes)]
    by_rank = {
        tuple(map(len, case.shapes)): case
        for case in sorted(subject.cases, key=lambda case: _richness(case.shapes))
    }
    small = [case for ranks, case in by_rank.items() if max(ranks) < MOST_AXES]
    rich_first = sorted(
        small or by_rank.values(), key=lambda case: _richness(case.shapes), reverse=True
    )
    return rich_first[:MOST_CALLS]


def _richness(shapes: tuple[Shape, ...]) -> tuple[int, ...]:
    lengths = [n for shape in shapes for n in shape]
    return sum(map(len, shapes)), sum(n > 1 for n in lengths), len({*lengths})


def _ways(defaults: Keywords, rank: int, shape: Shape) -> Iterator[Keywords]:
    """List other keywords: one at a time, and axes combined with each inverted flag."""
    flags = {name: not value for name, value in defaults.items() if isinstance(value, bool)}
    for name, value in defaults.items():
        for other in _others(name, value, rank, shape):
            yield {name: other}
            if name in AXES:
                yield from ({name: other, flag: turned} for flag, turned in flags.items())


def _with_repeats(attributes: Mapping[str, Any]) -> Iterator[Keywords]:
    """Repeat the first of the indices that a case names."""
    for name, value in attributes.items():
        if name in INDICES and isinstance(value, list | np.ndarray):
            places = np.array(value)
            if places.dtype.kind in "iu" and places.ndim == 1 and places.size > 1:
                places[-1] = places[0]
                yield {name: places}


def _others(name: str, value: Any, rank: int, shape: Shape) -> Iterator[Any]:
    """List other values of a keyword, by its name and by the kind of its default."""
    if name in AXES:
        yield from _axes(value, rank)
    elif name in INDICES and value is not None and shape:
        yield from (0, -1, slice(None, None, -1), slice(1, None), [-1, 0, -1])
        yield np.arange(shape[0]) % 2 == 0
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float) and math.isfinite(value):
        yield value / 2 or 0.25
    elif isinstance(value, str):
        yield from (x for family in FAMILIES if value in family for x in family if x != value)


def _axes(value: Any, rank: int) -> Iterator[Any]:
    """List other axes, from the front and from the end by turns; several of them, and all."""
    for axis in range(rank):
        from_the_end = axis % 2 == 1
        if isinstance(value, int) and value % rank == axis:
            from_the_end = value >= 0  # the same axis, written the other way
        yield axis - rank * from_the_end
    if rank > 1:
        yield 0, rank - 1
    if value is not None:
        yield None


def _is_another_function(subject: Subject, case: Case, keywords: Keywords) -> bool:
    """Whether the forward takes this, gives the same twice, and leaves its operands alone.

    What changes no number of the result speaks of the gradient alone, such as that it stops here:
    then it may be another than the slope.
    """
    try:
        whole = replace(subject, attributes={**case.attributes, **keywords})
        call = call_of_shapes(whole, case.shapes)
        first, again = call.copy(), call.copy()
        result, same = (subject.run(each)[0].copy() for each in (first, again))
        usual = subject.run(Call(*call.copy().inputs, **case.attributes))[0]
        if any(keywords.get(name, usual) is None for name in AXES) and how_it_fails(
            whole, case.shapes
        ):
            return False
    except OperationError:
        return False
    unchanged = all(np.array_equal(x, y) for x, y in zip(first.inputs, call.inputs, strict=True))
    tells = not {*AXES, *INDICES}.isdisjoint(keywords) or not np.array_equal(result, usual)
    return (
        unchanged and tells and np.array_equal(result, same) and bool(np.all(np.isfinite(result)))
    )
