"""How an operation on arrays is written, by us and by users: a pure function and its record.

The function takes raw arrays and returns its result and a backward closure, which takes the
upstream gradient and returns one contribution per operand. `@primitive` joins it to the graph. The
record beside it is read by labels, tooltips, the stepper, the table of operations and the tests, so
nothing about an operation is said twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from autolm.engine.hooks import higher
from autolm.engine.value import Value
from autolm.ops.arguments import respelled, told
from autolm.ops.refusal import refusal
from autolm.ops.varied import Pattern

Array = NDArray[Any]  # of floats; of complex numbers, long doubles or Values where a test asks
Backward = Callable[[Array], tuple[Any, ...]]
Result = tuple[Array, Backward]

REALS = (-np.inf, np.inf)
POSITIVE = (0.0, np.inf)
CONDITION = None  # an operand that is true or false, and is not differentiated


class Case(NamedTuple):
    """One way to call an operation that is not elementwise: operand shapes and attributes."""

    shapes: tuple[tuple[int, ...], ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012  (never changed)


@dataclass(eq=False, repr=False)
class Primitive:
    """An operation on arrays: callable, and its own record.

    Called with Tensors, arrays or numbers it records a node and returns a Tensor; keyword arguments
    become attributes of the node and are not differentiated.

    Attributes
    ----------
    forward
        The pure function, ``forward(*arrays, **attributes) -> (result, backward)``.
    symbol, formula
        What pictures show; and the operation as mathematics.
    rule
        One text per operand; ḡ is the upstream gradient, y the result.
    domain
        The open interval in which each operand may be sampled; one serves for all.
    kinks
        Where the derivative jumps, and which value is taken there; empty if it never does.
    scalar
        The same operation on object arrays of Values; by default the forward itself.
    definition
        The same operation composed of others, ``definition(*operands, **attributes) -> result``, on
        Tensors: what opens behind its node. An elementary operation has none.
    cases
        Shapes and attributes to try; empty for an elementwise operation, which takes any shapes.
    patterns
        What all calls look like, with letters for lengths and attributes by kind, to draw from.
    relations
        What holds of the forward besides its gradient, such as `causal`; for tests to prove.
    """

    forward: Callable[..., Result]
    name: str
    symbol: str = ""
    formula: str = ""
    rule: tuple[str, ...] = ()
    domain: tuple[tuple[float, float] | None, ...] = (REALS,)
    kinks: str = ""
    scalar: Callable[..., Array] | None = None
    definition: Callable[..., Any] | None = None
    cases: tuple[Case, ...] = field(default=(), repr=False)
    patterns: tuple[Pattern, ...] = field(default=(), repr=False)
    relations: tuple[Any, ...] = ()

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """Compute, and record a node: a Tensor, which a higher room makes."""
        if attributes and ("dim" in attributes or "keepdim" in attributes) and self.has_axis:
            attributes = respelled(self.name, attributes)
        try:
            return higher("tensor of an operation")(self, operands, attributes)
        except (TypeError, ValueError) as error:
            better = refusal(self.name, self.forward, operands, attributes, error)
            if better is None:
                raise
            raise better from None

    @cached_property
    def has_axis(self) -> bool:
        """Whether it has an attribute `axis`, which may be spelled `dim`, as in PyTorch."""
        attributes = getattr(self.forward, "__kwdefaults__", None) or {}
        return "axis" in attributes and "dim" not in attributes

    @cached_property
    def joins(self) -> bool:
        """Whether it takes any number of operands, `forward(*arrays)`; then a list will do too."""
        code = getattr(self.forward, "__code__", None)  # a callable object has none
        return code is not None and bool(code.co_flags & inspect.CO_VARARGS)

    @cached_property
    def written_by_a_user(self) -> Callable[..., Result] | None:
        """Its function, which may reach what others change; None if it is one of ours."""
        ours = str(getattr(self.forward, "__module__", "")).startswith("autolm.")
        return None if ours else self.forward

    def on_values(self, *operands: Any, **attributes: Any) -> Array:
        """Compute on object arrays of Values, with Value's own rules."""
        attributes = {**(getattr(self.forward, "__kwdefaults__", None) or {}), **attributes}
        domains = self.domain if len(self.domain) > 1 else self.domain * len(operands)
        elements = [
            operand * 1
            if operand.dtype == bool and domain is not CONDITION  # a mask as a factor
            else operand.view(_Elements)
            for operand, domain in zip(operands, domains, strict=True)
        ]
        if self.scalar is not None:
            result = self.scalar(*elements, **attributes)
        else:
            result = self.forward(*elements, **attributes)[0]
        return np.asarray(_to_value(np.asarray(result, dtype=object)), dtype=object)

    def __repr__(self) -> str:
        return (
            f"<primitive {self.name}: {self.formula}>"
            if self.formula
            else f"<primitive {self.name}>"
        )


class _Elements(np.ndarray[Any, Any]):
    """An object array that stays one when it has no axes, where NumPy would unwrap the Value."""


_to_value = np.frompyfunc(
    lambda v: v if isinstance(v, Value) else Value(v, requires_grad=False), 1, 1
)


@overload
def primitive(forward: Callable[..., Result], /) -> Primitive: ...
@overload
def primitive(**record: Any) -> Callable[[Callable[..., Result]], Primitive]: ...
def primitive(forward: Callable[..., Result] | None = None, /, **record: Any) -> Any:
    """Make a function of arrays an operation on Tensors.

    Parameters
    ----------
    forward
        ``forward(*arrays, **attributes) -> (result, backward)``. It should work for any dtype:
        tests run it on complex numbers, long doubles and object arrays of Values.
    **record
        Any of the fields of `Primitive`; for your own operations all are optional.

    Examples
    --------
    >>> from autolm import Tensor, primitive
    >>> @primitive(symbol="×", formula="a · b", rule=("ḡ · b", "ḡ · a"))
    ... def mul(a, b):
    ...     def backward(grad):
    ...         return grad * b, grad * a
    ...
    ...     return a * b, backward
    >>> x = Tensor([1.0, 2.0])
    >>> mul(x, 3).sum().backward()
    >>> x.grad
    array([3., 3.])
    """
    if forward is not None and not callable(forward):
        raise TypeError(f"primitive: a function is needed, not {told(forward)}")
    if not isinstance(record.get("name", ""), str):
        raise TypeError(f"primitive: name must be a str, not {told(record['name'])}")
    fields = Primitive.__dataclass_fields__
    for word in record:
        if word not in fields or word == "forward":
            known = ", ".join(name for name in fields if name != "forward")
            raise TypeError(f"primitive: there is no field {word!r}; it takes {known}")

    def decorate(function: Callable[..., Result]) -> Primitive:
        name = record.pop("name", getattr(function, "__name__", "operation"))
        operation = Primitive(function, name, **record)
        update_wrapper(operation, function, updated=())
        return operation

    return decorate if forward is None else decorate(forward)
