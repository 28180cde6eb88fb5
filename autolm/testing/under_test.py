"""The operation under test, with all that its record and its signature tell of how to call it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.ops import arguments
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.ops.call_patterns import Pattern
from autolm.ops.composed import Composed
from autolm.ops.primitive import Primitive
from autolm.outside.terminal import words_of
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call, literal
from autolm.testing.calls_from_patterns import (
    ANY_AXES,
    attributes_for,
    emptied,
    from_pattern,
    is_varied,
)
from autolm.testing.composed_as_one import as_one
from autolm.testing.relations import Relation
from autolm.testing.strategies import (
    Kind,
    Shape,
    arrays_together,
    broadcastable_shapes,
    choices,
    read_domain,
    shapes,
)

Array = NDArray[Any]
Domains = tuple[tuple[float, float] | None, ...]
MOVED = 2.0**-12 / 3  # of itself a number is moved at most: far less than two lie apart
ABOVE = (0.0, math.inf)
LARGEST = 12  # elements of an operand that is drawn
MOST_OPERANDS = 26  # which letters name


class OperationError(Exception):
    """An operation that does not keep the contract of a primitive; the message is for people."""


@dataclass(repr=False, frozen=True)
class Subject:
    """An operation and how it may be called."""

    op: Primitive
    operands: tuple[str, ...]  # what the forward calls them
    domains: Domains  # one per operand; None is a condition
    cases: tuple[Case, ...]  # calls that can be made
    patterns: tuple[Pattern, ...]  # what calls look like; neither: elementwise, any shapes
    attributes: dict[str, Any]  # what every call is told
    relations: tuple[Relation, ...]
    note: str = ""  # what was found out about the shapes that it takes
    slack: float = 1.0  # what tolerances are multiplied by: more than 1 in single precision
    variants: tuple[tuple[str, Case], ...] = ()  # other keywords than by default, and a call each
    where: str = ""  # the keywords of the one variant that this is

    def __repr__(self) -> str:
        return f"<{self.op.name} under test>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Write it in short in hypothesis's messages, which write fields out."""
        printer.text(repr(self))

    @classmethod
    def of(
        cls,
        op: ArrayOperation | Callable[..., Any],
        *,
        arity: int | None = None,
        domain: Any = None,
        attributes: Mapping[str, Any] | None = None,
        cases: Sequence[Case | Pattern] | None = None,
        relations: Sequence[Any] = (),
    ) -> Subject:
        """Read the record of an operation; what is said here goes before it."""
        if isinstance(op, Composed):
            op = as_one(op)
        if not isinstance(op, Primitive):
            if not callable(op):
                given = arguments.told(op)
                raise TypeError(f"op must be a primitive, or a function of arrays, not {given}")
            if hasattr(op, "named_parameters"):
                raise TypeError("op is a module, and no primitive; assert_gradients checks those")
            op = Primitive(op, getattr(op, "__name__", type(op).__name__))
        if not op.name.isidentifier():  # a lambda, or an object: programs call it something
            op = replace(op, name="operation")
        if arity is not None and arguments.read_int(op.name, "arity", arity, low=1) > MOST_OPERANDS:
            raise ValueError(f"{op.name}: arity must be at most {MOST_OPERANDS}, not {arity}")
        if cases is not None:
            _require_all((Case, Pattern), "cases", cases)
        for case in cases or ():
            _require_shapes(op.name, case)
        _require_all((Relation,), "relations", relations)
        told = _attributes_told(op.name, attributes)
        recorded: tuple[Case | Pattern, ...] = (*op.cases, *op.patterns)
        those = recorded if cases is None else tuple(cases)
        fixed = tuple(
            Case(case.shapes, {**case.attributes, **told})
            for case in those
            if isinstance(case, Case)
        )
        patterns = tuple(case for case in those if isinstance(case, Pattern))
        operands = _operand_names(op, arity, those)
        named = [name for name in operands if arity is None and name in told]
        if named:
            raise TypeError(f"{op.name}: attributes name {named[0]}, which is an operand")
        domains = _domains_of(op) if domain is None else _as_domains(domain)
        if len(domains) == 1:
            domains *= len(operands)
        if not any(domains):
            raise ValueError(f"{op.name}: domain is None for each operand: none is differentiated")
        if len(domains) < len(operands) or (domain is not None and len(domains) > len(operands)):
            raise ValueError(
                f"{op.name}: {len(domains)} domains for {len(operands)} operands; "
                "give one for each, or one for all"
            )
        return cls(op, operands, domains, fixed, patterns, told, (*op.relations, *relations))

    @property
    def elementwise(self) -> bool:
        """Whether it takes operands of any shapes that broadcast."""
        return not self.cases and not self.patterns

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
        """Split as `by_case` does, and have one subject more for each variant."""
        return [*self._parts, *self._variant_parts]

    @cached_property
    def _variant_parts(self) -> list[Subject]:
        return [
            replace(self, cases=(case,), patterns=(), variants=(), where=text)
            for text, case in self.variants
        ]

    def defaults(self) -> dict[str, Any]:
        """Return the keywords of the forward, each with its default, or `Parameter.empty`."""
        try:
            parameters = inspect.signature(self.op.forward).parameters.values()
        except (TypeError, ValueError):
            return {}
        return {
            p.name: p.default
            for p in parameters
            if p.kind is p.KEYWORD_ONLY
            or (p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty)
        }

    def function(self, attributes: Mapping[str, Any]) -> Callable[..., Array]:
        """Return the forward alone, of raw arrays of any dtype."""
        return lambda *arrays: self.op.forward(*arrays, **attributes)[0]

    def run(self, call: Call) -> tuple[Array, Callable[[Array], Any]]:
        """Run the forward on raw arrays: its result, and its rule."""
        try:
            with np.errstate(all="ignore"):
                returned = self.op.forward(*call.inputs, **call.attributes)
        except Exception as error:
            raise OperationError(f"the forward raised {_said(error)}{self._hint(error)}") from error
        if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[1]):
            raise OperationError(
                "the forward must return (result, backward), the second a function; "
                f"it returned {_kind(returned)} (for a function of Tensors there is check_gradient)"
            )
        result, rule = returned
        if not isinstance(result, np.ndarray | np.generic | float | int):
            raise OperationError(f"the result must be an array; it is {_kind(result)}")
        return np.asarray(result), rule

    def _hint(self, error: Exception) -> str:
        """Say what to tell the kit, if it may be that it calls the forward in a wrong way."""
        if isinstance(error, TypeError) and f"{self.op.forward.__name__}()" in str(error):
            return "; tell arity=, attributes= or cases= how it is to be called"
        if self.elementwise and isinstance(error, ValueError | IndexError):
            return "; if it does not take any shapes that broadcast, tell cases=[Case(shapes)]"
        return ""

    def node(self, call: Call, leaves: Sequence[Tensor] | None = None) -> Tensor:
        """Record the call in a graph."""
        own = call.copy()  # an operation that writes into its operands spoils only these
        self.run(own.copy())
        return self.op(*(leaves or map(Tensor, own.inputs)), **call.attributes)

    def contributions(self, call: Call) -> tuple[Array | None, ...]:
        """Return what the backward rule sends to each operand, fitted to it as the engine does."""
        return self.sent(self.node(call), call.upstream)

    def sent(self, node: Tensor, upstream: Array | None) -> tuple[Array | None, ...]:
        """Apply the rule of a node of this operation."""
        if not node.requires_grad or upstream is None:
            return tuple(None for _ in node.parents or self.operands)
        try:
            return node.contributions(np.array(upstream))
        except Exception as error:
            raise self._rule_failed(error) from error

    def raw_contributions(self, rule: Any, upstream: Array, call: Call) -> list[Array]:
        """Apply a rule, and return the arrays themselves that it gives for real operands."""
        try:
            with np.errstate(all="ignore"):
                sent = rule(upstream)
        except Exception as error:
            raise self._rule_failed(error) from error
        if not isinstance(sent, tuple | list):
            return []  # `sent` says what is wrong with it
        pairs = zip(sent, call.inputs, strict=False)
        arrays = [np.asarray(c) for c, x in pairs if c is not None and x.dtype.kind == "f"]
        return [array for array in arrays if array.dtype.kind in "fiu"]

    def differentiate(self, root: Tensor, upstream: Array) -> None:
        """Run backward from a node of this operation."""
        try:
            root.backward(upstream.copy())
        except Exception as error:
            raise self._rule_failed(error) from error

    def _rule_failed(self, error: Exception) -> OperationError:
        known = str(error).startswith(self.op.name)  # the engine's own message, already for people
        if known and str(error).endswith("not None"):
            hint = "send zeros where there is no gradient; what is a condition has a domain of None"
            return OperationError(f"{error}; {hint}")
        return OperationError(str(error) if known else f"the backward rule raised {_said(error)}")

    def domains_for(self, count: int) -> Domains:
        """Return one domain per input: an operation that joins takes more than it names."""
        return self.domains if len(self.domains) == count else (self.domains[0],) * count

    def domains_of(self, call: Call) -> Domains:
        """Return the domain of each input of a call."""
        return self.domains_for(len(call.inputs))

    def names_of(self, call: Call) -> tuple[str, ...]:
        """Return one name per input."""
        names = self.operands
        return names if len(names) == len(call.inputs) else _letters(len(call.inputs))

    def describe(self, call: Call) -> str:
        """Write the operands by name, the attributes and the upstream gradient."""
        pairs = [*zip(self.names_of(call), call.inputs, strict=True), *call.attributes.items()]
        if call.upstream is not None:
            pairs.append(("upstream", call.upstream))
        return "  ".join(f"{name} = {literal(value)}" for name, value in pairs)

    def lengths_of_results(self, call: Call) -> tuple[int, ...]:
        """Return how long each of several results is, where they lie end to end; else nothing."""
        return ()

    def with_evidence(self) -> Subject:
        """Return the same with more cases, where there are some, to tell mistakes apart by."""
        return self

    @property
    def has_strategy(self) -> bool:
        """Whether `calls()` draws its calls, in a test of the user's."""
        return True

    def program(self, call: Call) -> str:
        """Write the call as one that checks it."""
        return f"check_gradient({self.op.name}, {call.arguments()})"

    def calls(
        self, kind: Kind = "generic", *, stretched: bool = True, edge: bool = False
    ) -> st.SearchStrategy[Call]:
        """Draw calls of this operation, with an upstream gradient that fits the result.

        Operands of an elementwise operation are `stretched` over one another, or of one shape. On
        an `edge` an operand may have no elements, or no axes; a fixed case has none. Equal wishes
        get one and the same strategy, so that laws can share what was drawn.
        """
        wish = (kind, stretched and self.elementwise, edge)
        if wish not in self._strategies:
            self._strategies[wish] = _calls(self, *wish)
        return self._strategies[wish]

    @cached_property
    def _strategies(self) -> dict[tuple[Kind, bool, bool], st.SearchStrategy[Call]]:
        return {}

    def ways_to_call(
        self, stretched: bool = True, edge: bool = False
    ) -> st.SearchStrategy[tuple[tuple[Shape, ...], Mapping[str, Any]]]:
        """Draw operand shapes and attributes."""
        ways = [st.just((case.shapes, case.attributes)) for case in self.cases]
        ways += [from_pattern(pattern, self.attributes, edge) for pattern in self.patterns]
        return st.one_of(ways) if ways else _elementwise(self, stretched, edge)


@st.composite
def _elementwise(
    draw: st.DrawFn, subject: Subject, stretched: bool, edge: bool
) -> tuple[tuple[Shape, ...], Mapping[str, Any]]:
    chosen = draw(_elementwise_shapes(len(subject.operands), stretched))
    if edge:
        chosen = draw(emptied(chosen))
    if not is_varied(subject.attributes):
        return chosen, subject.attributes
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
        inputs = tuple(map(_not_simple, inputs, domains))
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


def _not_simple(x: Array, domain: tuple[float, float] | None) -> Array:
    """Move numbers a little, to where no short dtype holds them."""
    if domain is None:
        return x
    moved = x * (1 + MOVED / (2 + np.arange(x.size).reshape(x.shape)))
    return np.where((domain[0] < moved) & (moved < domain[1]), moved, x)


def positive_definite(call: Call) -> Call:
    """Make its square matrices such as have an inverse, a root and a factor of Cholesky's."""
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
        found = broadcastable_shapes(arity)
        if arity > 1:  # a row under three axes, which chance seldom draws, is summed over two
            row = st.permutations([*[(2, 2, 3)] * (arity - 1), (1, 3)]).map(tuple)
            found = st.sampled_from([*[found] * 5, row]).flatmap(_itself)
    else:
        found = shapes().map(lambda shape: (shape,) * arity)
    return found.filter(lambda each: all(math.prod(shape) <= LARGEST for shape in each))


def _itself(chosen: st.SearchStrategy[tuple[Shape, ...]]) -> st.SearchStrategy[tuple[Shape, ...]]:
    return chosen


def _operand_names(
    op: Primitive, arity: int | None, cases: Sequence[Case | Pattern]
) -> tuple[str, ...]:
    if arity is not None:
        return _letters(arity)
    try:
        parameters = inspect.signature(op.forward).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have none
        raise ValueError(f"{op.name}: op has no signature that can be read; tell arity=") from None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return _letters(len(cases[0].shapes) if cases else 2)
    named = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    if not named:
        raise ValueError(f"{op.name}: it takes no operand, so there is nothing to differentiate")
    return tuple(named)


def _letters(count: int) -> tuple[str, ...]:
    return tuple("abcdefghijklmnopqrstuvwxyz"[:count])


def _require_all(kinds: tuple[type, ...], told: str, things: Sequence[Any]) -> None:
    if not isinstance(things, tuple | list):
        given = arguments.told(things)
        raise TypeError(f"{told} must be a list of {kinds[0].__name__}, not {given}")
    for thing in things:
        if not isinstance(thing, kinds):
            raise TypeError(f"{told} must be a list of {kinds[0].__name__}; {thing!r} is none")


def _require_shapes(name: str, case: Case | Pattern) -> None:
    """Refuse a case whose shapes are not as its kind writes them."""
    if not isinstance(case.shapes, tuple | list) or not case.shapes:
        given = arguments.told(case.shapes)
        raise TypeError(f"{name}: a case in cases must have a shape per operand, not {given}")
    for shape in case.shapes:
        if isinstance(case, Pattern):
            _require_letters(name, shape)
        else:
            arguments.read_shape(name, shape, "a shape in cases")
    _attributes_told(name, case.attributes)


def _require_letters(name: str, shape: Any) -> None:
    words = shape.split() if isinstance(shape, str) else [""]
    letters = [letter for word in words if word != ANY_AXES for letter in word.split("·")]
    if not all(letter.isidentifier() for letter in letters) or words.count(ANY_AXES) > 1:
        given = arguments.told(shape)
        raise ValueError(f'{name}: a shape of a Pattern in cases is as "… n k", not {given}')


def _attributes_told(name: str, attributes: Any) -> dict[str, Any]:
    named = isinstance(attributes, Mapping) and all(isinstance(key, str) for key in attributes)
    if attributes is not None and not named:
        given = arguments.told(attributes)
        raise TypeError(f"{name}: attributes must be a dict of values by name, not {given}")
    return dict(attributes or {})


def _domains_of(op: Primitive) -> Domains:
    """Return the intervals in a record, which has one for each operand even where there is one."""
    if any(isinstance(pair, int | float) for pair in op.domain):
        raise ValueError(
            f"{op.name}: its domain is {op.domain}; a record has one (low, high) for each "
            f"operand, or one for all: domain=({op.domain},)"
        )
    return op.domain


def _as_domains(domain: Any) -> Domains:
    """Read one interval for all operands, or a sequence of one for each."""
    several = isinstance(domain, tuple | list) and any(not np.isscalar(each) for each in domain)
    try:
        return tuple(
            None if pair is None else read_domain("domain", pair)
            for pair in (domain if several else [domain])
        )
    except (TypeError, ValueError):
        raise ValueError(
            f"domain is {arguments.told(domain)}; it must be (low, high), or one such for each "
            "operand"
        ) from None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {words_of(error)}"


def _kind(thing: Any) -> str:
    if isinstance(thing, tuple):
        return f"a tuple of {len(thing)}"
    return "None" if thing is None else f"a {type(thing).__name__}"
