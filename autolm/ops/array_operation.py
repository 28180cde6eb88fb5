"""The record of an operation on arrays, and its call.

An operation is either a primitive, with its own backward rule (`primitive.py`), or composed of
others (`composed.py`). Labels, tooltips, the debugger, the table of operations and the tests read
the record, so every fact about an operation is written once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from operator import index
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from autolm.engine.value import POSITIVE as POSITIVE
from autolm.engine.value import REALS as REALS
from autolm.ops.array_arguments import SPELLINGS, respelled
from autolm.ops.call_patterns import Pattern
from autolm.ops.refusal import refusal
from autolm.outside.arguments import quote
from autolm.outside.message import message

Array = NDArray[Any]  # of floats; in tests also of complex numbers, long doubles or Values

CONDITION = None  # the domain of an operand of bools, which is not differentiated


class Case(NamedTuple):
    """An example call of an operation that is not elementwise: operand shapes and attributes."""

    shapes: tuple[tuple[int, ...], ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012  (never changed)


@dataclass(eq=False, repr=False)
class ArrayOperation:
    """An operation on arrays, which is callable and has its own record.

    It takes Tensors, arrays or numbers and returns a Tensor. Its keyword arguments, the attributes,
    are not differentiated.

    Attributes
    ----------
    forward
        The function of operands and attributes.
    symbol, formula
        The short sign in pictures, and the operation as mathematics.
    rule
        One text per operand; ḡ is the upstream gradient, y the result.
    domain
        The open interval in which each operand may be sampled; one interval serves for all.
    kinks
        Where the derivative jumps, and which value is taken there; empty if it never does.
    scalar
        The same operation on object arrays of Values.
    cases
        Shapes and attributes to try; empty for an elementwise operation, which takes any shapes.
    patterns
        Descriptions of all calls, from which tests draw: shapes with letters for lengths, and kinds
        of attributes.
    relations
        Other properties of the forward, such as `causal`, for tests to prove.
    places
        Attributes that may be positional, after the operands, as in both NumPy and PyTorch.
    """

    kind: ClassVar[str]

    forward: Callable[..., Any]
    name: str
    symbol: str = ""
    formula: str = ""
    rule: tuple[str, ...] = ()
    domain: tuple[tuple[float, float] | None, ...] = (REALS,)
    kinks: str = ""
    scalar: Callable[..., Any] | None = None
    cases: tuple[Case, ...] = field(default=(), repr=False)
    patterns: tuple[Pattern, ...] = field(default=(), repr=False)
    relations: tuple[Any, ...] = ()
    places: tuple[str, ...] = ()

    @classmethod
    def decorator(
        cls, maker: str, function: Callable[..., Any] | None, record: dict[str, Any]
    ) -> Any:
        """Make an operation from a function and its record; a record alone makes a decorator."""
        if function is not None and not callable(function):
            raise TypeError(
                message(
                    "{maker}: a function is needed, not {function}",
                    maker=maker,
                    function=quote(function),
                )
            )
        if not isinstance(record.get("name", ""), str):
            raise TypeError(
                message(
                    "{maker}: name must be a str, not {record}",
                    maker=maker,
                    record=quote(record["name"]),
                )
            )
        fields = cls.__dataclass_fields__
        for word in record:
            if word not in fields or word == "forward":
                names = ", ".join(name for name in fields if name != "forward")
                raise TypeError(
                    message(
                        "{maker}: there is no field {word!r}; it takes {names}",
                        maker=maker,
                        word=word,
                        names=names,
                    )
                )

        def decorate(function: Callable[..., Any]) -> ArrayOperation:
            name = record.get("name", getattr(function, "__name__", "operation"))
            operation = cls(function, **{**record, "name": name})
            update_wrapper(operation, function, updated=())
            return operation

        return decorate if function is None else decorate(function)

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """Run the operation, record its nodes, and return a Tensor."""
        if self.places and len(operands) > (len(self.operands) or 1):
            operands, attributes = self._by_name(operands, attributes)
        if attributes and not SPELLINGS.keys().isdisjoint(attributes):
            attributes = respelled(self.name, attributes, self.words)
        try:
            return self.record(operands, attributes)
        except (TypeError, ValueError) as error:
            better = refusal(self.name, self.forward, operands, attributes, error)
            if better is None:
                raise
            raise better from None

    def record(self, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """Run the operation on Tensors, arrays or numbers, and record the nodes."""
        raise NotImplementedError

    def _by_name(
        self, arguments: tuple[Any, ...], attributes: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Split positional arguments into operands and named attributes."""
        count = len(self.operands)
        if self.joins:
            is_list = isinstance(arguments[0], list | tuple) and _is_int(arguments[1])
            count = 1 if is_list else len(arguments)
        operands, rest = arguments[:count], arguments[count:]
        if len(rest) > len(self.places):
            words = [f"{word}=" for word in self.words if word not in self.places]
            if words:
                after = f"name what comes after the {self.places[-1]}: {' or '.join(words)}"
                raise TypeError(f"{self.name}: {after}")
            names = ", ".join((*self.operands, *self.places))
            raise TypeError(
                message(
                    "{name}: it takes {names} and no more, not {count}",
                    name=self.name,
                    names=names,
                    count=len(arguments),
                )
            )
        for place in self.places[: len(rest)]:
            if place in attributes:
                raise TypeError(
                    message("{name}: {place} is given twice", name=self.name, place=place)
                )
        return operands, {**dict(zip(self.places, rest, strict=False)), **attributes}

    @cached_property
    def options(self) -> dict[str, Any]:
        """The attributes that have defaults, by name."""
        return getattr(self.forward, "__kwdefaults__", None) or {}

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The names of all attributes."""
        code = getattr(self.forward, "__code__", None)  # which a callable object lacks
        first = code.co_argcount if code is not None else 0
        return code.co_varnames[first : first + code.co_kwonlyargcount] if code is not None else ()

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """The names of the operands; empty if it takes any number of them."""
        code = getattr(self.forward, "__code__", None)
        return code.co_varnames[: code.co_argcount] if code is not None else ()

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """The operands that may be omitted or named; a primitive has none."""
        return ()

    @cached_property
    def joins(self) -> bool:
        """Whether it takes any number of operands, `forward(*arrays)`, or a list of them."""
        code = getattr(self.forward, "__code__", None)
        return code is not None and bool(code.co_flags & inspect.CO_VARARGS)

    def __repr__(self) -> str:
        text = f"{self.kind} {self.name}"
        return f"<{text}: {self.formula}>" if self.formula else f"<{text}>"


def _is_int(value: Any) -> bool:
    try:
        index(value)
    except TypeError:
        return False
    return True
