"""One number in a computation graph: the operations of scalar calculus, each beside its rule.

An operation is four lines: a function of plain floats that returns its result and a backward
closure, which takes the upstream gradient and returns one contribution per operand. Arithmetic is
IEEE's, so nothing raises: 1/0 is inf, log(0) is -inf, 0/0 is nan.
"""

from __future__ import annotations

import gc
import math
import operator
from collections.abc import Callable, Iterable
from functools import reduce
from math import copysign, inf, nan
from numbers import Real
from typing import Any

from autolm.engine.graph import (
    Node,
    Operation,
    calling_site,
    current_recording,
    next_made,
    require_text,
)

Grads = tuple[float, ...]
Result = tuple[float, Callable[[float], Grads]]

# A graph has no cycles to collect: at the usual threshold, the search doubles what Values cost.
gc.set_threshold(max(gc.get_threshold()[0], 500_000) if gc.get_threshold()[0] else 0)


# fmt: off
def operation(symbol: str, formula: str, *rule: str) -> Callable[[Callable[..., Result]], Any]:
    """Make a function of floats an operation on Values, with the record that these words make."""
    def decorate(function: Callable[..., Result]) -> Any:
        op = Operation(function.__name__.strip("_"), symbol, formula, rule, function)
        def unary(a: Value) -> Value:
            return _node(op, (a,), function(a.data))
        def binary(a: Any, b: Any) -> Value:
            if type(a) is not Value: a = _lift(a)
            if type(b) is not Value: b = _lift(b)
            return _node(op, (a, b), function(a.data, b.data))
        def n_ary(*operands: Iterable[Any]) -> Value:
            rows = [[_lift(operand) for operand in row] for row in operands]
            data = [[value.data for value in row] for row in rows]
            return _node(op, tuple(reduce(operator.add, rows)), function(*data))
        return n_ary if "…" in formula else unary if len(rule) == 1 else binary
    return decorate

def _node(op: Operation, parents: tuple[Value, ...], result: Result) -> Value:
    enabled, scope, sites = current_recording()
    node = _new(Value)
    node.data, node.backward_rule = result
    node._grad, node.requires_grad, node.made = None, enabled, next_made()
    if enabled: node.op, node.parents = op, parents
    else: node.op, node.parents, node.backward_rule = None, (), None
    node.name, node.scope, node.site = "", scope, calling_site() if sites else None
    return node

_new = object.__new__  # what it makes is filled above: no time for __init__

def _lift(operand: Any) -> Value:
    return operand if isinstance(operand, Value) else Value(operand, requires_grad=False)

@operation("+", "a + b", "ḡ", "ḡ")
def add(a: float, b: float) -> Result:
    def backward(grad: float) -> Grads: return grad, grad
    return a + b, backward

@operation("−", "a − b", "ḡ", "−ḡ")
def sub(a: float, b: float) -> Result:
    def backward(grad: float) -> Grads: return grad, -grad
    return a - b, backward

@operation("×", "a · b", "ḡ · b", "ḡ · a")
def mul(a: float, b: float) -> Result:
    def backward(grad: float) -> Grads: return grad * b, grad * a
    return a * b, backward

@operation("÷", "a / b", "ḡ / b", "−ḡ · y / b")
def div(a: float, b: float) -> Result:
    y = _div(a, b)
    def backward(grad: float) -> Grads:
        return (_div(grad, b), -_div(grad * y, b)) if grad else (0.0, 0.0)
    return y, backward

@operation("^", "aᵇ", "ḡ · b · aᵇ⁻¹", "ḡ · y · ln a")
def pow(a: float, b: float) -> Result:
    y = _pow(a, b)
    def backward(grad: float) -> Grads:
        to_a = grad * b * _pow(a, b - 1) if b and grad else 0.0
        return to_a, grad * y * _log(a) if grad and not a == 0 <= b else 0.0
    return y, backward

@operation("max", "max(a, b)", "ḡ where a > b, ½ḡ where a = b", "ḡ where a < b, ½ḡ where a = b")
def maximum(a: float, b: float) -> Result:
    def backward(grad: float) -> Grads:
        half = grad / 2 if a == b else 0.0
        return grad if a > b else half, grad if a < b else half
    return a if a > b or a != a else b, backward

@operation("min", "min(a, b)", "ḡ where a < b, ½ḡ where a = b", "ḡ where a > b, ½ḡ where a = b")
def minimum(a: float, b: float) -> Result:
    def backward(grad: float) -> Grads:
        half = grad / 2 if a == b else 0.0
        return grad if a < b else half, grad if a > b else half
    return a if a < b or a != a else b, backward

@operation("Σ", "a₁ + a₂ + …", "ḡ")
def sum_(values: list[float]) -> Result:
    def backward(grad: float) -> Grads: return (grad,) * len(values)
    return reduce(operator.add, values, 0.0), backward

@operation("·", "a₁·b₁ + a₂·b₂ + …", "ḡ · b", "ḡ · a")
def dot(xs: list[float], ys: list[float]) -> Result:
    if len(xs) != len(ys): raise ValueError(f"dot: {len(xs)} and {len(ys)} numbers do not pair up")
    def backward(grad: float) -> Grads: return (*[grad * y for y in ys], *[grad * x for x in xs])
    return reduce(operator.add, map(operator.mul, xs, ys), 0.0), backward

# Where Python raises, IEEE has a value.
def _div(a: float, b: float) -> float:
    if b: return a / b
    return nan if a == 0 or a != a else copysign(inf, a) * copysign(1, b)
def _pow(a: float, b: float) -> float:
    try: return math.pow(a, b)
    except (ValueError, OverflowError):
        return nan if a < 0 and b % 1 else copysign(inf, a) if b % 2 == 1 else inf
def _exp(a: float) -> float: return inf if a > 709.782712893384 else math.exp(a)
def _log(a: float) -> float: return math.log(a) if a > 0 else nan if a else -inf
def _sign(a: float) -> float: return (a > 0) - (a < 0) if a == a else a
def _sqrt(a: float) -> float: return math.sqrt(a) if a >= 0 else nan
def _sin(a: float) -> float: return math.sin(a) if abs(a) < inf else nan
def _cos(a: float) -> float: return math.cos(a) if abs(a) < inf else nan

def curve(name: str, formula: str, rule: str, f: Any, slope: Any, symbol: str = "") -> Any:
    """Make y = f(a), of one number, an operation; its slope may be told from a and from y."""
    def function(a: float) -> Result:
        y = f(a)
        def backward(grad: float) -> Grads: return (grad * slope(a, y) if grad else 0.0,)
        return y, backward
    function.__name__ = name
    return operation(symbol or name, formula, rule)(function)

class Value(Node):
    """One Python float that remembers how it was computed; `name` labels it in pictures.

    >>> x, y = Value(2, name="x"), Value(3, name="y")
    >>> z = x * y + x
    >>> z.backward()
    >>> z.data, x.grad, y.grad
    (8.0, 4.0, 2.0)
    """

    __slots__ = ()
    grad_if_none, retains_grads = 0.0, True

    def __init__(self, data: float, name: str = "", *, requires_grad: bool = True) -> None:
        if type(data) not in (int, float) and (type(data) is bool or not isinstance(data, Real)):
            raise TypeError(f"one int or float is needed, not {type(data).__name__} (see Tensor)")
        if type(name) is not str: require_text("Value", name)
        self.data, self._grad, self.requires_grad = float(data), None, requires_grad
        self.op, self.parents, self.backward_rule, self.made = None, (), None, 0
        _, self.scope, sites = current_recording()
        self.name, self.site = name, calling_site() if sites else None

    def as_gradient(self, grad: Any) -> Any:
        if grad is None: return 1.0
        number = grad.item() if getattr(grad, "shape", None) == () else grad
        if isinstance(number, Real | Value): return float(number)
        raise TypeError(f"the gradient must be one real number, not {type(number).__name__}")
    contributions = Node.backward_rule  # type: ignore[assignment,misc]  # floats need no fitting
    def __lt__(self, other: Any) -> Any: return self.data < getattr(other, "data", other)
    def __gt__(self, other: Any) -> Any: return self.data > getattr(other, "data", other)
    def __le__(self, other: Any) -> Any: return self.data <= getattr(other, "data", other)
    def __ge__(self, other: Any) -> Any: return self.data >= getattr(other, "data", other)
    def __float__(self) -> Any: return self.data
    def __repr__(self) -> str: return f"Value(data={self.data:.6g}, grad={self.grad:.6g})"
    def __radd__(self, other: Any) -> Any: return add(other, self)  # other + self
    def __rsub__(self, other: Any) -> Any: return sub(other, self)  # other - self
    def __rmul__(self, other: Any) -> Any: return mul(other, self)  # other * self
    def __rtruediv__(self, other: Any) -> Any: return div(other, self)  # other / self
    def __rpow__(self, other: Any) -> Any: return pow(other, self)  # other ** self
    __add__, __sub__, __mul__, __truediv__, __pow__ = add, sub, mul, div, pow
    maximum, minimum, sum, dot = maximum, minimum, staticmethod(sum_), staticmethod(dot)
    neg = __neg__ = curve("neg", "−a", "−ḡ", lambda a: -a, lambda a, y: -1, "−")
    abs = __abs__ = curve("abs", "|a|", "ḡ · sign a", abs, lambda a, y: _sign(a))
    relu = curve("relu", "max(0, a)", "ḡ · (a > 0)", lambda a: max(a, 0.0), lambda a, y: a > 0)
    exp = curve("exp", "eᵃ", "ḡ · y", _exp, lambda a, y: y)
    log = curve("log", "ln a", "ḡ / a", _log, lambda a, y: _div(1, a), "ln")
    sqrt = curve("sqrt", "√a", "ḡ / 2y", _sqrt, lambda a, y: _div(0.5, y), "√")
    sin = curve("sin", "sin a", "ḡ · cos a", _sin, lambda a, y: _cos(a))
    cos = curve("cos", "cos a", "−ḡ · sin a", _cos, lambda a, y: -_sin(a))
    tanh = curve("tanh", "tanh a", "ḡ · (1 − y²)", math.tanh, lambda a, y: 1 - y * y)
    sigmoid = curve("sigmoid", "1 / (1 + e⁻ᵃ)", "ḡ · y · (1 − y)",
                    lambda a: 1 / (1 + _exp(-a)), lambda a, y: y * (1 - y), "σ")
# fmt: on
