"""Value: a number in a computation graph, and the operations on it, each with its backward rule.

An operation is a function of floats that returns its result and a backward closure, which takes
the upstream gradient and returns one contribution per operand. A result keeps the numbers of its
operands, and a backward pass calls the function again to get the closure. Arithmetic follows IEEE
754, so nothing raises an exception: 1/0 is inf, log(0) is -inf, 0/0 is nan.

To add an operation, write a method of Value: its record tells the backward pass, the debugger,
pictures, `check_graph`, a Tape and `autolm ops` about it, and an operation of one number runs on
arrays as well, element by element. Three places repeat its arithmetic where it has to be faster or
in another language: `ops/arithmetic.py`, `compiled/tape_loops.py` and `pages/assets/program.js`.
Tests hold them equal to this one.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from itertools import chain
from math import copysign, inf, nan
from numbers import Real
from typing import Any, overload

from autolm.engine.backprop import Step, steps
from autolm.engine.fast_values import backward_of_values
from autolm.engine.graph import Node, next_order, require_text
from autolm.engine.micrograd import Micrograd
from autolm.engine.recording import Recording, current_recording, is_recording, note_here
from autolm.engine.watching import watching_pass

Grads = tuple[float, ...]
Result = tuple[float, Callable[[float], Grads]]
Interval = tuple[float, float]

REALS, POSITIVE = (-inf, inf), (0.0, inf)
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


class Operation:
    """The record of an operation on Values.

    Attributes
    ----------
    name, symbol, formula
        Its name in programs, its label in pictures, and the operation as mathematics.
    rule
        The contribution to each operand, or row of operands, in words; ḡ is the upstream gradient
        and y the result.
    forward
        The function of floats: ``forward(*numbers) -> (result, backward)``.
    domain
        The open interval in which each operand may be sampled; one interval serves for all.
    kinks
        Where the derivative jumps, and which value is taken there; empty if it never does.
    arity
        The number of operands; 0 if it takes rows of any length.
    """

    __slots__ = ("arity", "domain", "formula", "forward", "kinks", "name", "rule", "symbol")

    def __init__(
        self,
        forward: Callable[..., Result],
        symbol: str,
        formula: str,
        rule: tuple[str, ...],
        domain: tuple[Interval, ...],
        kinks: str,
    ) -> None:
        self.name, self.forward = forward.__name__, forward
        self.symbol, self.formula, self.rule = symbol, formula, rule
        self.domain, self.kinks = domain, kinks
        self.arity = 0 if "…" in formula else len(rule)

    def at(self, numbers: Sequence[float]) -> Result:
        """Call the function on the numbers of all operands."""
        if self.arity:
            return self.forward(*numbers)
        rows = len(self.rule)
        length = len(numbers) // rows
        return self.forward(*[numbers[i * length : (i + 1) * length] for i in range(rows)])

    def with_rule(self, rule: Callable[[float], Grads]) -> Operation:
        """Return a copy of this record with another backward rule."""

        def forward(*numbers: Any) -> Result:
            return self.forward(*numbers)[0], rule

        other = Operation(forward, self.symbol, self.formula, self.rule, self.domain, self.kinks)
        other.name = self.name
        return other

    def __repr__(self) -> str:
        return f"<operation {self.name}: {self.formula}>"


@overload
def operation(
    symbol: str,
    formula: str,
    rule: str,
    /,
    *,
    result: Callable[..., float] | None = ...,
    domain: tuple[Interval, ...] = ...,
    kinks: str = ...,
) -> Callable[[Callable[..., Result]], Callable[[Any], Value]]: ...
@overload
def operation(
    symbol: str,
    formula: str,
    rule_a: str,
    rule_b: str,
    /,
    *,
    result: Callable[..., float] | None = ...,
    domain: tuple[Interval, ...] = ...,
    kinks: str = ...,
) -> Callable[[Callable[..., Result]], Callable[[Any, Any], Value]]: ...
def operation(
    symbol: str,
    formula: str,
    *rule: str,
    result: Callable[..., float] | None = None,
    domain: tuple[Interval, ...] = (REALS,),
    kinks: str = "",
) -> Any:
    """Turn a function of floats into an operation on Values.

    `result` computes the result alone, without the closure, which is faster: 0.33 instead of 0.5 µs
    for exp.
    """

    def decorate(function: Callable[..., Result]) -> Any:
        _require_operands(function, formula, rule)
        op = Operation(function, symbol, formula, rule, domain, kinks)
        result_of = result or (lambda *numbers: function(*numbers)[0])

        # Three functions for speed: one for any number of operands takes 1.1 µs for exp, not 0.33.
        def record_one(a: Any) -> Value:
            if type(a) is not Value:
                a = _lift(a)
            x = a.number
            return _record(op, (a, x), result_of(x))

        def record_two(a: Any, b: Any) -> Any:
            if type(a) is not Value or type(b) is not Value:
                if _is_array(a) or _is_array(b):
                    return _elementwise(record_two, a, b)
                a, b = _lift(a), _lift(b)
            x, y = a.number, b.number
            node = _new_value()  # `_record` written out: 10 % faster for the most frequent case
            node.number = result_of(x, y)
            node.gradient = node.note = None
            node.op = op
            node.operands = (a, b, x, y)
            node.order = next_order()
            if (state := current_recording()) is not None:
                _record_specially(node, state)
            return node

        def record_rows(*rows: Iterable[Any]) -> Value:
            values = [_lift_row(op.name, row) for row in rows]
            numbers = [[*map(_number_of, row)] for row in values]
            return _record(op, (*chain(*values, *numbers),), result_of(*numbers))

        record: Any = {0: record_rows, 1: record_one, 2: record_two}[op.arity]
        record.__name__ = record.__qualname__ = function.__name__
        record.__doc__, record.operation = f"Return {formula}.", op
        return record if op.arity else staticmethod(record)

    return decorate


def _require_operands(function: Any, formula: str, rule: tuple[str, ...]) -> None:
    """Check that the function takes as many operands, or rows, as it has rules."""
    code, count = getattr(function, "__code__", None), len(rule)
    if code is None:
        raise TypeError(f"operation: a function of numbers is needed, not {function!r}")
    name, takes = function.__name__, code.co_argcount
    if "…" not in formula and not 1 <= count <= 2:
        raise TypeError(
            f"operation: {name} has rules for {count} operands: it may have one, two, or rows of "
            'any length (with "…" in the formula)'
        )
    has_varargs = code.co_flags & 0x04  # CO_VARARGS
    if not has_varargs and not takes - len(function.__defaults__ or ()) <= count <= takes:
        raise TypeError(f"operation: {name} takes {takes} operands and has rules for {count}")


def _record(op: Operation, operands: tuple[Any, ...], result: float) -> Value:
    """Create the node of a result; `operands` holds its parents and then their numbers."""
    node = _new_value()
    node.number = result
    node.gradient = node.note = None
    node.op = op
    node.operands = operands
    node.order = next_order() if operands else 0  # an empty sum is a leaf
    if (state := current_recording()) is not None:
        _record_specially(node, state)
    return node


def _record_specially(node: Value, state: Recording) -> None:
    """Set the scope and location of a new node, and make it a constant inside `no_grad()`."""
    node.note = state.note_here()
    if not state.enabled:
        node.op, node.operands, node.order = None, (), -1


def _lift(operand: Any) -> Value:
    """Return a Value unchanged, and a number as a constant; faster than Value(number)."""
    if isinstance(operand, Value):
        return operand
    node = _new_value()
    node.number = _number(operand)
    node.gradient = node.op = None
    node.operands = ()
    node.order = -1
    node.note = note_here()
    return node


def _number(data: Any) -> float:
    """Convert a real number to a float."""
    if type(data) not in (int, float) and (type(data) is bool or not isinstance(data, Real)):
        raise TypeError(f"one int or float is needed, not {type(data).__name__} (see Tensor)")
    try:
        return float(data)
    except OverflowError:
        raise _too_large("data", data) from None


_number_of = operator.attrgetter("number")


def _lift_row(name: str, row: Iterable[Any]) -> list[Any]:
    if row is None or isinstance(row, (str, bytes, int, float)):
        kind = type(row).__name__
        raise TypeError(f"{name}: a list of Values and numbers is needed, not a {kind}")
    values = list(row)
    return values if {*map(type, values)} == {Value} else [_lift(value) for value in values]


def _is_array(operand: Any) -> bool:
    return hasattr(operand, "__array_ufunc__") and not isinstance(operand, Node)


def _elementwise(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Apply an operation to each element of a NumPy array."""
    return sys.modules["numpy"].frompyfunc(function, 2, 1)(a, b)


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a method that compares the data with a node, a number, or an array's elements."""

    def comparison(self: Any, other: Any) -> Any:
        if isinstance(other, Node):
            return compare(self.data, other.data)
        if isinstance(other, Real) or _is_array(other):
            return compare(self.data, other)
        return NotImplemented  # Python then raises an error that names both types

    return comparison


def _along(grad: float, slope: float) -> float:
    """Return grad · slope, but 0 if grad is 0, although the slope may be infinite or nan."""
    return grad * slope if grad else 0.0


def _kind(returned: Any) -> str:
    """Name the type of the object that a rule returned, or the types in a tuple."""
    if type(returned) is not tuple:
        return type(returned).__name__
    return f"({', '.join(type(item).__name__ for item in returned)})"


def _too_large(what: str, number: Any) -> OverflowError:
    kind = type(number).__name__
    return OverflowError(f"Value: the {what}, of type {kind}, is too large for a float")


# Functions that return the value of IEEE 754 where Python's raise an exception


def _div(a: float, b: float) -> float:
    if b:
        return a / b
    return nan if a == 0 or a != a else copysign(inf, a) * copysign(1, b)


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return nan if a < 0 and b % 1 else copysign(inf, a) if b % 2 == 1 else inf


def _exp(a: float) -> float:
    return inf if a > 709.782712893384 else math.exp(a)


def _log(a: float) -> float:
    return math.log(a) if a > 0 else nan if a else -inf


def _erfinv(a: float) -> float:
    """Solve erf y = a: by a first guess, and three steps of Halley's method, which cube its error.

    Close to ±1 it solves erfc y = 1 − a, where 1 − erf y would lose its digits.

    Source of the guess: Winitzki, A handy approximation for the error function and its inverse
    (2008), equation 7.
    """
    size = math.fabs(a)
    if not size < 1:
        return copysign(inf, a) if size == 1 else nan
    if size < 0.5:
        y = size / TWO_OVER_ROOT_PI
    else:
        log = math.log(1 - size) + math.log1p(size)  # ln(1 − a²)
        half = 2 / (0.147 * math.pi) + log / 2
        y = math.sqrt(math.sqrt(half * half - log / 0.147) - half)
    for _ in range(3):
        missing = size - math.erf(y) if size < 0.5 else math.erfc(y) - (1 - size)
        step = missing / TWO_OVER_ROOT_PI * math.exp(y * y)
        y += step / (1 - step * y)
    return copysign(y, a)


def _sign(a: float) -> float:
    return (a > 0) - (a < 0)  # 0 for nan


def _sin(a: float) -> float:
    return math.sin(a) if math.isfinite(a) else nan


def _cos(a: float) -> float:
    return math.cos(a) if math.isfinite(a) else nan


def _sum(values: Iterable[float]) -> float:
    return reduce(operator.add, values, 0.0)  # from Python 3.12 on, `sum` rounds differently


def _dot(xs: Sequence[float], ys: Sequence[float]) -> float:
    if len(xs) != len(ys):
        raise ValueError(f"dot: {len(xs)} and {len(ys)} numbers do not pair up")
    return _sum(map(operator.mul, xs, ys))


_NO_BOOL = "Value: requires_grad must be True or False, not {!r}"


class Value(Micrograd, Node):
    """A float that remembers how it was computed; `name` is its label in pictures.

    >>> x, y = Value(2, name="x"), Value(3, name="y")
    >>> z = x * y + x
    >>> z.backward()
    >>> z.data, x.grad, y.grad
    (8.0, 4.0, 2.0)
    """

    __slots__ = ("number", "operands")
    number: float  # the data
    operands: tuple[Any, ...]  # the parents, and then their numbers when it was computed
    gradient: float | None
    op: Operation | None
    grad_if_none, retains_grads, computed = 0.0, True, ("number", "op", "operands")

    def __init__(
        self,
        data: float,
        name: str = "",
        *micrograd: Any,
        label: str = "",
        requires_grad: bool = True,
        **unknown: Any,
    ) -> None:
        require_text("Value", name)
        if micrograd or unknown:
            raise TypeError(
                f"Value: unexpected argument {(*micrograd, *unknown)[0]!r} (parents cannot be "
                "passed: operations record them; define your own with "
                "autolm.engine.value.operation)"
            )
        self.data = data
        self.gradient = self.op = None
        self.operands = ()
        if requires_grad is not True and requires_grad is not False:
            raise TypeError(_NO_BOOL.format(requires_grad))
        self.order = 0 if requires_grad else -1
        self.note = note_here()
        if name or label:
            self.label = name or label

    # The interface of a node

    @property
    def data(self) -> float:
        """The number, a Python float; any real number can be assigned."""
        return self.number

    @data.setter
    def data(self, data: float) -> None:
        self.number = _number(data)

    @property
    def parents(self) -> tuple[Value, ...]:  # type: ignore[override]
        """The operands, in order and with repeats; none at a leaf."""
        return self.operands[: len(self.operands) // 2]

    @property
    def backward_rule(self) -> Callable[[float], Grads] | None:
        """The backward closure: it takes the upstream gradient and returns the contributions."""
        if self.op is None:
            return None
        return self.op.at(self.operands[len(self.operands) // 2 :])[1]

    @backward_rule.setter
    def backward_rule(self, rule: Callable[[float], Grads] | None) -> None:
        if self.op is None or rule is None:
            raise TypeError("backward_rule: a leaf has no backward rule to replace")
        self.op = self.op.with_rule(rule)

    def contributions(self, upstream: float) -> Grads:
        """Apply the backward rule, and check that it returns one number for each operand."""
        assert self.op is not None
        half = len(self.operands) // 2
        returned = self.op.at(self.operands[half:])[1](upstream)
        numbers = returned if isinstance(returned, tuple | list) else ()
        are_floats = {*map(type, numbers)} == {float}  # faster than isinstance of each
        if len(numbers) == half and (are_floats or all(isinstance(n, Real) for n in numbers)):
            return tuple(numbers)
        raise TypeError(
            f"{self.op.name}: its backward rule must return a tuple of floats, one for each operand"
            f" ({half}), not {_kind(returned)}"
        )

    @property
    def requires_grad(self) -> bool:
        """Whether gradients reach it. Set it to False to stop them at this node."""
        return self.order >= 0

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if not isinstance(requires_grad, bool):
            raise TypeError(_NO_BOOL.format(requires_grad))
        if requires_grad != self.requires_grad:
            self.order = -self.order if self.parents else -1 - self.order

    def as_gradient(self, grad: Any) -> float:
        """Convert a gradient to a float; None stands for 1."""
        if grad is None or type(grad) is float:
            return 1.0 if grad is None else grad
        number = grad.item() if getattr(grad, "shape", None) == () else grad
        number = number.data if isinstance(number, Value) else number
        if isinstance(number, Real):
            try:
                return float(number)
            except OverflowError:
                raise _too_large("gradient", number) from None
        raise TypeError(f"the gradient must be one real number, not {type(number).__name__}")

    def recompute(self) -> None:
        """Run the operation again on the current data of its parents."""
        assert self.op is not None
        numbers = tuple(parent.data for parent in self.parents)
        self.number = self.op.at(numbers)[0]
        self.operands = (*self.parents, *numbers)

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Compute ∂self/∂leaf for every leaf under this node, by the chain rule.

        Gradients of leaves accumulate over calls. Results hold the gradient of the latest call,
        or none with `retain_grads=False`. `grad` is ∂L/∂self, by default 1. If an exception is
        raised, no gradient changes.
        """
        (watching_pass() or backward_of_values)(self, grad, retain_grads)

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Run the same pass one operation at a time; the gradients are stored at its end."""
        return steps(self, grad, retain_grads)

    # Operations of two numbers

    @operation("+", "a + b", "ḡ", "ḡ", result=operator.add)
    def add(a: float, b: float) -> Result:
        def backward(grad: float) -> Grads:
            return grad, grad

        return a + b, backward

    @operation("−", "a − b", "ḡ", "−ḡ", result=operator.sub)
    def sub(a: float, b: float) -> Result:
        def backward(grad: float) -> Grads:
            return grad, -grad

        return a - b, backward

    @operation("×", "a · b", "ḡ · b", "ḡ · a", result=operator.mul)
    def mul(a: float, b: float) -> Result:
        def backward(grad: float) -> Grads:
            return grad * b, grad * a

        return a * b, backward

    @operation("÷", "a / b", "ḡ / b", "−ḡ · y / b", result=_div)
    def div(a: float, b: float) -> Result:
        y = _div(a, b)

        def backward(grad: float) -> Grads:
            if not grad:
                return 0.0, 0.0
            return _div(grad, b), -_div(grad * y, b)

        return y, backward

    @operation(
        "^",
        "aᵇ",
        "ḡ · b · aᵇ⁻¹",
        "ḡ · y · ln a",
        result=_pow,
        domain=(POSITIVE, REALS),
        kinks="a = 0: the slope in b is 0 where b ≥ 0; b = 0: the slope in a is 0",
    )
    def pow(a: float, b: float) -> Result:
        y = _pow(a, b)

        def backward(grad: float) -> Grads:
            to_a = grad * b * _pow(a, b - 1) if b and grad else 0.0
            to_b = grad * y * _log(a) if grad and not a == 0 <= b else 0.0
            return to_a, to_b

        return y, backward

    @operation(
        "max",
        "max(a, b)",
        "ḡ where a > b, ½ḡ where a = b",
        "ḡ where a < b, ½ḡ where a = b",
        kinks="a = b: both share equally",
    )
    def maximum(a: float, b: float) -> Result:
        def backward(grad: float) -> Grads:
            shared = grad / 2 if a == b else grad
            return 0.0 if a < b else shared, 0.0 if a > b else shared

        return a if a > b or a != a else b, backward

    @operation(
        "min",
        "min(a, b)",
        "ḡ where a < b, ½ḡ where a = b",
        "ḡ where a > b, ½ḡ where a = b",
        kinks="a = b: both share equally",
    )
    def minimum(a: float, b: float) -> Result:
        def backward(grad: float) -> Grads:
            shared = grad / 2 if a == b else grad
            return 0.0 if a > b else shared, 0.0 if a < b else shared

        return a if a < b or a != a else b, backward

    # Operations of one number

    @operation("−", "−a", "−ḡ", result=operator.neg)
    def neg(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, -1),)

        return -a, backward

    @operation("abs", "|a|", "ḡ · sign a", result=math.fabs, kinks="a = 0: the slope is 0")
    def abs(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, _sign(a)),)

        return math.fabs(a), backward

    @operation("relu", "max(0, a)", "ḡ · (a > 0)", kinks="a = 0: the slope is 0")
    def relu(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, not a <= 0),)

        return max(a, 0.0), backward

    @operation("exp", "eᵃ", "ḡ · y", result=_exp)
    def exp(a: float) -> Result:
        y = _exp(a)

        def backward(grad: float) -> Grads:
            return (_along(grad, y),)

        return y, backward

    @operation("ln", "ln a", "ḡ / a", result=_log, domain=(POSITIVE,))
    def log(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, _div(1, a)),)

        return _log(a), backward

    @operation("√", "√a", "ḡ / 2y", domain=(POSITIVE,), kinks="a = 0: the slope is inf")
    def sqrt(a: float) -> Result:
        y = math.sqrt(a) if a >= 0 else nan

        def backward(grad: float) -> Grads:
            return (_along(grad, _div(0.5, y)),)

        return y, backward

    @operation("sin", "sin a", "ḡ · cos a")
    def sin(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, _cos(a)),)

        return _sin(a), backward

    @operation("cos", "cos a", "−ḡ · sin a")
    def cos(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, -_sin(a)),)

        return _cos(a), backward

    @operation("tanh", "tanh a", "ḡ · (1 − y²)", result=math.tanh)
    def tanh(a: float) -> Result:
        y = math.tanh(a)

        def backward(grad: float) -> Grads:
            return (_along(grad, 1 - y * y),)

        return y, backward

    @operation("σ", "1 / (1 + e⁻ᵃ)", "ḡ · y · (1 − y)")
    def sigmoid(a: float) -> Result:
        y = 1 / (1 + _exp(-a))

        def backward(grad: float) -> Grads:
            return (_along(grad, y * (1 - y)),)

        return y, backward

    @operation("softplus", "ln(1 + eᵃ)", "ḡ / (1 + e⁻ᵃ)")
    def softplus(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, 1 / (1 + _exp(-a))),)

        return max(a, 0.0) + math.log1p(math.exp(-math.fabs(a))), backward

    @operation("erf", "2/√π · ∫₀ᵃ e^(−t²) dt", "ḡ · 2/√π · e^(−a²)")
    def erf(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, TWO_OVER_ROOT_PI * math.exp(-a * a)),)

        return math.erf(a), backward

    @operation("erfc", "1 − 2/√π · ∫₀ᵃ e^(−t²) dt", "−ḡ · 2/√π · e^(−a²)")
    def erfc(a: float) -> Result:
        def backward(grad: float) -> Grads:
            return (_along(grad, -TWO_OVER_ROOT_PI * math.exp(-a * a)),)

        return math.erfc(a), backward

    @operation("erf⁻¹", "erf⁻¹ a", "ḡ · √π/2 · e^(y²)", domain=((-1.0, 1.0),), result=_erfinv)
    def erfinv(a: float) -> Result:
        y = _erfinv(a)

        def backward(grad: float) -> Grads:
            return (_along(grad, math.exp(y * y) / TWO_OVER_ROOT_PI),)

        return y, backward

    # Compositions of several nodes

    def silu(self) -> Value:
        """Return a · sigmoid(a)."""
        return self * self.sigmoid()

    def leaky_relu(self, negative_slope: float = 0.01) -> Value:
        """Return a if a > 0, else negative_slope · a."""
        return self * negative_slope + self.relu() * (1 - negative_slope)

    def gelu(self) -> Value:
        """Return a · Φ(a), where Φ is the standard normal distribution function."""
        return self * (self / -math.sqrt(2)).erfc() / 2  # 1 + erf is inaccurate below 0

    # Operations of many numbers

    @operation("Σ", "a₁ + a₂ + …", "ḡ", result=_sum)
    def sum(values: Sequence[float]) -> Result:
        def backward(grad: float) -> Grads:
            return (grad,) * len(values)

        return _sum(values), backward

    @operation("·", "a₁·b₁ + a₂·b₂ + …", "ḡ · b", "ḡ · a", result=_dot)
    def dot(xs: Sequence[float], ys: Sequence[float]) -> Result:
        def backward(grad: float) -> Grads:
            return (*[grad * y for y in ys], *[grad * x for x in xs])

        return _dot(xs, ys), backward

    # Python's operators

    __add__, __sub__, __mul__, __truediv__, __pow__ = add, sub, mul, div, pow
    __neg__, __abs__ = neg, abs

    def __pos__(self) -> Value:
        return self

    def __radd__(self, other: Any) -> Value:  # other + self
        return _lift(other) + self

    def __rsub__(self, other: Any) -> Value:  # other - self
        return _lift(other) - self

    def __rmul__(self, other: Any) -> Value:  # other * self
        return _lift(other) * self

    def __rtruediv__(self, other: Any) -> Value:  # other / self
        return _lift(other) / self

    def __rpow__(self, other: Any) -> Value:  # other ** self
        return _lift(other) ** self

    __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
    __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)

    def __float__(self) -> float:
        if self.requires_grad and is_recording():
            raise TypeError(
                "a Value that requires a gradient does not become a float by itself: use v.data, "
                "or a method such as v.exp() for a function of math"
            )
        return self.data

    def __repr__(self) -> str:
        parts = [f"data={self.data:.6g}", f"grad={self.grad:.6g}"]
        parts += [f"name={self.name!r}"] if self.name else []
        parts += [f"op={self.op.name}"] if self.op else []
        return f"Value({', '.join(parts)})"


# Creates a Value without calling __init__: the caller sets every slot.
_new_value: Callable[[], Value] = partial(object.__new__, Value)

#: The records of all operations of a Value, by name.
OPERATIONS: dict[str, Operation] = {
    method.operation.name: method.operation
    for method in map(partial(getattr, Value), vars(Value))
    if hasattr(method, "operation")
}
