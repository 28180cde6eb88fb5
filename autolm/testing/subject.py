"""An operation under test: its signature, and random calls of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.ops.array_operation import Case
from autolm.testing.call import Call
from autolm.testing.calls_from_patterns import attributes_for, from_pattern, with_empty_axis
from autolm.testing.operation_runner import OperationError
from autolm.testing.signature import Signature
from autolm.testing.strategies import (
    Kind,
    Shape,
    arrays_together,
    broadcastable_shapes,
    choices,
    shapes,
)

Array = NDArray[Any]
Way = tuple[tuple[Shape, ...], Mapping[str, Any]]  # shapes and attributes of a call

SHIFT = 2.0**-12 / 3  # relative, and far less than the gap between generic numbers
ABOVE = (0.0, math.inf)
LARGEST = 12  # elements of an operand that is drawn


@dataclass(repr=False, frozen=True)
class Subject(Signature):
    """An operation, how it may be called, and random calls of it."""

    note: str = ""  # on the shapes that were tried, for the report
    slack: float = 1.0  # factor on tolerances: more than 1 in single precision
    variants: tuple[tuple[str, Case], ...] = ()  # other keywords, with one call of each
    where: str = ""  # the keywords of this variant, if it is one
    has_strategy: bool = True  # whether `calls()` draws the same calls in a user's test

    def by_case(self) -> list[Subject]:
        """Split into one subject for each case, the smallest first; itself if it has none."""
        return self._parts

    @cached_property
    def _parts(self) -> list[Subject]:
        by_size = sorted(self.cases, key=lambda case: sum(map(math.prod, case.shapes)))
        parts = [replace(self, cases=(case,), patterns=()) for case in by_size]
        parts += [replace(self, cases=(), patterns=(pattern,)) for pattern in self.patterns]
        return parts or [self]

    def by_variant(self) -> list[Subject]:
        """Split as `by_case` does, with one more subject for each variant."""
        return [*self._parts, *self._variant_parts]

    @cached_property
    def _variant_parts(self) -> list[Subject]:
        return [
            replace(self, cases=(case,), patterns=(), variants=(), where=text)
            for text, case in self.variants
        ]

    def lengths_of_results(self, call: Call) -> tuple[int, ...]:
        """Return the length of each of several results that are concatenated; else nothing."""
        return ()

    def with_evidence(self) -> Subject:
        """Return the same with more cases, if it has any, to tell mistakes apart."""
        return self

    def calls(
        self, kind: Kind = "generic", *, stretched: bool = True, edge: bool = False
    ) -> st.SearchStrategy[Call]:
        """Draw calls of this operation, with an upstream gradient that fits the result.

        Operands of an elementwise operation are `stretched` over one another, or of one shape. On
        an `edge` an operand may have no elements, or no axes; a fixed case has none. Equal
        arguments give the same strategy object, so that laws share the calls that were drawn.
        """
        key = (kind, stretched and self.elementwise, edge)
        if key not in self._strategies:
            self._strategies[key] = _calls(self, *key)
        return self._strategies[key]

    @cached_property
    def _strategies(self) -> dict[tuple[Kind, bool, bool], st.SearchStrategy[Call]]:
        return {}

    def ways_to_call(self, stretched: bool = True, edge: bool = False) -> st.SearchStrategy[Way]:
        """Draw operand shapes and attributes."""
        ways: list[st.SearchStrategy[Way]] = [st.just(case) for case in self.cases]
        ways += [from_pattern(pattern, self.attributes, edge) for pattern in self.patterns]
        return st.one_of(ways) if ways else _elementwise(self, stretched, edge)


@st.composite
def _elementwise(draw: st.DrawFn, subject: Subject, stretched: bool, edge: bool) -> Way:
    chosen = draw(_elementwise_shapes(len(subject.operands), stretched))
    if edge:
        chosen = draw(with_empty_axis(chosen))
    return chosen, draw(attributes_for(chosen, subject.attributes, edge))


@st.composite
def _calls(draw: st.DrawFn, subject: Subject, kind: Kind, stretched: bool, edge: bool) -> Call:
    chosen, attributes = draw(subject.ways_to_call(stretched, edge))
    domains = subject.domains_for(len(chosen))
    edges = edges_in(attributes)
    if kind == "kinky" and subject.op.kinks:  # and the edge of a domain is a place for one
        edges += [x for domain in domains if domain for x in domain if math.isfinite(x)]
    inputs = draw(arrays_together(chosen, kind, domains, edges))
    if kind == "generic" and draw(st.sampled_from([False, False, True])):
        inputs = tuple(map(_shifted, inputs, domains))
    call = Call(*inputs, **attributes)
    try:
        result = subject.run(call.copy())[0]
    except OperationError as error:
        if not isinstance(error.__cause__, np.linalg.LinAlgError) or kind != "generic":
            return call  # the law that runs it reports it
        call = positive_definite(call)
        try:
            result = subject.run(call.copy())[0]
        except OperationError:
            return call
    call.upstream = draw(upstreams(result.shape))
    return call


def _shifted(x: Array, domain: tuple[float, float] | None) -> Array:
    """Shift numbers a little, so that no short dtype holds them exactly."""
    if domain is None:
        return x
    shifted = x * (1 + SHIFT / (2 + np.arange(x.size).reshape(x.shape)))
    return np.where((domain[0] < shifted) & (shifted < domain[1]), shifted, x)


def positive_definite(call: Call) -> Call:
    """Make its square matrices positive definite."""
    return Call(*map(_times_its_transpose, call.inputs), **call.attributes)


def _times_its_transpose(x: Array) -> Array:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or x.dtype.kind != "f":
        return x
    return np.asarray(x @ x.swapaxes(-1, -2) / x.shape[-1] + np.eye(x.shape[-1]))


def upstreams(shape: Shape) -> st.SearchStrategy[Array]:
    """Draw upstream gradients: generic numbers, the simplest of them 1."""
    return arrays_together([shape], domains=[ABOVE]).map(lambda arrays: _signed(arrays[0] / 2))


def upstream_for(shape: Shape) -> Array:
    """Return one upstream gradient with distinct numbers."""
    size = math.prod(shape)
    numbers = np.array(choices("generic", ABOVE, size)[:size]) / 2
    return _signed(np.random.default_rng(0).permutation(numbers).reshape(shape))


def _signed(array: Array) -> Array:
    """Make every third number negative: then no two add up to 0, where a rule sums them."""
    signs = np.where(np.arange(array.size) % 3 == 2, -1.0, 1.0)
    return np.asarray(array * signs.reshape(array.shape))


def edges_in(attributes: Mapping[str, Any]) -> list[float]:
    """List the numbers among attributes: there, as at the limits of a clip, kinks may be."""
    return [x for x in attributes.values() if isinstance(x, float) and math.isfinite(x)]


def _elementwise_shapes(arity: int, stretched: bool) -> st.SearchStrategy[tuple[Shape, ...]]:
    if stretched:
        together = broadcastable_shapes(arity)
        if arity > 1:  # a row, and a stretched inner axis, which chance seldom draws
            row, inner = (
                st.permutations([*[(2, 2, 3)] * (arity - 1), shape]).map(tuple)
                for shape in ((1, 3), (2, 1, 3))
            )
            mixed = st.sampled_from([together, together, row, inner])
            together = mixed.flatmap(lambda strategy: strategy)
    else:
        together = shapes().map(lambda shape: (shape,) * arity)
    return together.filter(lambda each: all(math.prod(shape) <= LARGEST for shape in each))
