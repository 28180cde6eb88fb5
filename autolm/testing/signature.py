"""The signature of an operation under test: operands, domains, attributes, declared calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from autolm.ops.array_arguments import read_shape
from autolm.ops.array_operation import ArrayOperation, Case
from autolm.ops.call_patterns import Pattern
from autolm.ops.composed import Composed
from autolm.ops.primitive import Primitive
from autolm.outside.arguments import quote, read_int
from autolm.testing.call import Call, literal
from autolm.testing.calls_from_patterns import ANY_AXES
from autolm.testing.composed_primitive import composed_primitive
from autolm.testing.operation_runner import OperationRunner
from autolm.testing.relations import Relation
from autolm.testing.strategies import read_domain

Domains = tuple[tuple[float, float] | None, ...]  # one per operand; None is a condition
PRINTED = 64  # elements up to which an array is printed
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # names for operands that have none


@dataclass(repr=False, frozen=True)
class Signature(OperationRunner):
    """An operation and how it may be called."""

    domains: Domains
    cases: tuple[Case, ...]  # single calls
    patterns: tuple[Pattern, ...]  # kinds of calls; without either it is elementwise
    attributes: dict[str, Any]  # of every call
    relations: tuple[Relation, ...]

    def __repr__(self) -> str:
        return f"<{self.op.name} under test>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Print the short form in messages of hypothesis, which print all fields otherwise."""
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
    ) -> Self:
        """Read the record of an operation; each argument overrides a part of it."""
        op = _read_operation(op)
        if arity is not None and read_int(op.name, "arity", arity, low=1) > len(LETTERS):
            raise ValueError(f"{op.name}: arity must be at most {len(LETTERS)}, not {arity}")
        _require_all((Relation,), f"{op.name}: relations", relations)
        if cases is not None:
            _require_all((Case, Pattern), f"{op.name}: cases", cases)
        fixed = _read_attributes(op.name, attributes)
        recorded: tuple[Case | Pattern, ...] = (*op.cases, *op.patterns)
        declared = recorded if cases is None else tuple(cases)
        for case in () if cases is None else declared:
            _require_shapes(op.name, case)
        names = _operand_names(op, arity, declared)
        for name in () if arity is not None else names:
            if name in fixed:
                raise TypeError(f"{op.name}: attributes name {name}, which is an operand")
        return cls(
            op,
            names,
            _read_domains(op, domain, len(names)),
            tuple(
                Case(case.shapes, {**case.attributes, **fixed})
                for case in declared
                if isinstance(case, Case)
            ),
            tuple(case for case in declared if isinstance(case, Pattern)),
            fixed,
            (*op.relations, *relations),
        )

    @property
    def elementwise(self) -> bool:
        """Whether it takes operands of any shapes that broadcast."""
        return not self.cases and not self.patterns

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

    def domains_for(self, count: int) -> Domains:
        """Return one domain per input: an operation that joins takes more than it names."""
        return self.domains if len(self.domains) == count else (self.domains[0],) * count

    def domains_of(self, call: Call) -> Domains:
        """Return the domain of each input of a call."""
        return self.domains_for(len(call.inputs))

    def names_of(self, call: Call) -> tuple[str, ...]:
        """Return one name per input."""
        count = len(call.inputs)
        return self.operands if len(self.operands) == count else tuple(LETTERS[:count])

    def describe(self, call: Call) -> str:
        """Write the operands by name, the attributes and the upstream gradient."""
        pairs = [*zip(self.names_of(call), call.inputs, strict=True), *call.attributes.items()]
        if call.upstream is not None:
            pairs.append(("upstream", call.upstream))
        return "  ".join(
            f"{name} of shape {value.shape}"
            if isinstance(value, np.ndarray) and value.size > PRINTED
            else f"{name} = {literal(value)}"
            for name, value in pairs
        )

    def program(self, call: Call) -> str:
        """Write a statement that checks the call."""
        return f"check_gradient({self.op.name}, {call.arguments()})"

    def hint(self, error: Exception) -> str:
        """Advise which argument of `check_op` declares how the forward is called."""
        if isinstance(error, TypeError) and f"{self.op.forward.__name__}()" in str(error):
            return "; tell arity=, attributes= or cases= how it is to be called"
        if self.elementwise and isinstance(error, ValueError | IndexError):
            return "; if it does not take any shapes that broadcast, tell cases=[Case(shapes)]"
        return ""


def _read_operation(op: Any) -> Primitive:
    """Return the operation as a primitive, with a name that a program can use."""
    if isinstance(op, Composed):
        op = composed_primitive(op)
    if not isinstance(op, Primitive):
        if not callable(op):
            text = quote(op)
            raise TypeError(f"op must be a primitive, or a function of arrays, not {text}")
        if hasattr(op, "named_parameters"):
            raise TypeError("op is a module, and no primitive; assert_gradients checks those")
        op = Primitive(op, getattr(op, "__name__", type(op).__name__))
    return op if op.name.isidentifier() else replace(op, name="operation")


def _operand_names(
    op: Primitive, arity: int | None, cases: Sequence[Case | Pattern]
) -> tuple[str, ...]:
    if arity is not None:
        return tuple(LETTERS[:arity])
    try:
        parameters = inspect.signature(op.forward).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have none
        raise ValueError(f"{op.name}: op has no signature that can be read; tell arity=") from None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return tuple(LETTERS[: len(cases[0].shapes) if cases else 2])
    named = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    if not named:
        raise ValueError(f"{op.name}: it takes no operand, so there is nothing to differentiate")
    return tuple(named)


def _require_all(kinds: tuple[type, ...], argument: str, values: Sequence[Any]) -> None:
    if not isinstance(values, tuple | list):
        text = quote(values)
        raise TypeError(f"{argument} must be a list of {kinds[0].__name__}, not {text}")
    for value in values:
        if not isinstance(value, kinds):
            raise TypeError(f"{argument} must be a list of {kinds[0].__name__}; {value!r} is none")


def _require_shapes(name: str, case: Case | Pattern) -> None:
    """Refuse a case whose shapes are not as its kind writes them."""
    if not isinstance(case.shapes, tuple | list) or not case.shapes:
        text = quote(case.shapes)
        raise TypeError(f"{name}: a case in cases must have a shape per operand, not {text}")
    for shape in case.shapes:
        if isinstance(case, Pattern):
            _require_letters(name, shape)
        else:
            read_shape(name, shape, "a shape in cases")
    _read_attributes(name, case.attributes)


def _require_letters(name: str, shape: Any) -> None:
    words = shape.split() if isinstance(shape, str) else [""]
    letters = [letter for word in words if word != ANY_AXES for letter in word.split("·")]
    if not all(letter.isidentifier() for letter in letters) or words.count(ANY_AXES) > 1:
        text = quote(shape)
        raise ValueError(f'{name}: a shape of a Pattern in cases is as "… n k", not {text}')


def _read_attributes(name: str, attributes: Any) -> dict[str, Any]:
    named = isinstance(attributes, Mapping) and all(isinstance(key, str) for key in attributes)
    if attributes is not None and not named:
        kind = quote(attributes)
        raise TypeError(f"{name}: attributes must be a dict of values by name, not {kind}")
    return dict(attributes or {})


def _read_domains(op: Primitive, domain: Any, count: int) -> Domains:
    """Return one domain per operand, from the argument or from the record."""
    if domain is not None:
        domains = _read_intervals(domain)
    elif any(isinstance(pair, int | float) for pair in op.domain):
        raise ValueError(
            f"{op.name}: its domain is {op.domain}; a record has one (low, high) for each "
            f"operand, or one for all: domain=({op.domain},)"
        )
    else:
        domains = op.domain
    if len(domains) == 1:
        domains *= count
    if not any(domains):
        raise ValueError(f"{op.name}: domain is None for each operand: none is differentiated")
    if len(domains) < count or (domain is not None and len(domains) > count):
        raise ValueError(
            f"{op.name}: {len(domains)} domains for {count} operands; "
            "give one for each, or one for all"
        )
    return domains


def _read_intervals(domain: Any) -> Domains:
    """Read one interval for all operands, or a sequence of one for each."""
    several = isinstance(domain, tuple | list) and any(not np.isscalar(edge) for edge in domain)
    try:
        return tuple(
            None if pair is None else read_domain("domain", pair)
            for pair in (domain if several else [domain])
        )
    except (TypeError, ValueError):
        raise ValueError(
            f"domain is {quote(domain)}; it must be (low, high), or one such for each operand"
        ) from None
