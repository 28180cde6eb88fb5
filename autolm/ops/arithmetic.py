"""Elementwise operations: arithmetic, elementary functions, and choices between two operands.

Shapes broadcast as in NumPy. The rules ignore this: the engine sums each contribution down to the
shape of its operand.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autolm.engine.graph import named
from autolm.engine.value import OPERATIONS, Operation, Value
from autolm.ops import definitions
from autolm.ops.array_arguments import read_dtype
from autolm.ops.array_operation import CONDITION, REALS, Array, Case
from autolm.ops.call_patterns import OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.definitions import GELU_CUBIC, GELU_SCALE
from autolm.ops.error_function import TWO_OVER_ROOT_PI
from autolm.ops.error_function import erf as error_function
from autolm.ops.error_function import erfc as complementary_error_function
from autolm.ops.primitive import Backward, Primitive, Result, primitive
from autolm.ops.reduce import floating, sign
from autolm.outside.arguments import read_choice, read_number
from autolm.outside.message import message


def on_elements(function: Any) -> Any:
    """Apply a function of Values to every element of object arrays, with broadcasting."""
    return np.frompyfunc(function, function.__code__.co_argcount, 1)


def elementwise(method: Any) -> Callable[[Callable[..., Result]], Primitive]:
    """Turn a function of arrays into a primitive with the record of an operation of Value."""
    op = method.operation
    return primitive(
        symbol=op.symbol,
        formula=op.formula,
        rule=op.rule,
        domain=op.domain,
        kinks=op.kinks,
        scalar=on_elements(method),
    )


def on_each_element(method: Any) -> Primitive:
    """Return an operation on arrays that applies an operation of Value to each element.

    It computes in double precision and takes microseconds per element. An operation that must be
    faster, or run on complex numbers and long doubles, has its own function of arrays instead.
    """
    op: Operation = method.operation
    result = np.frompyfunc(lambda a: op.forward(a)[0], 1, 1)
    contribution = np.frompyfunc(lambda a, grad: op.forward(a)[1](grad)[0], 2, 1)

    def forward(a: Array, /) -> tuple[Array, Backward]:
        a = floating(a)
        if a.dtype.kind != "f":
            raise TypeError(
                message(
                    "{name}: only real numbers are taken, not {dtype}", name=op.name, dtype=a.dtype
                )
            )
        numbers = a.astype(float)

        def backward(grad: Array) -> tuple[Array]:
            return (np.asarray(contribution(numbers, grad)).astype(grad.dtype),)

        return np.asarray(result(numbers)).astype(a.dtype), backward

    forward.__name__, forward.__doc__ = op.name, method.__doc__
    return elementwise(method)(forward)


def _if_any(grad: Array, contribution: Array) -> Array:
    """Return 0 where the upstream gradient is 0, even where the slope is infinite.

    So 0 · ∞ is 0, and no nan is propagated through the branch that `where` did not take.
    """
    return np.where(grad == 0, 0, contribution)


@elementwise(Value.add)
def add(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Add: a + b."""

    def backward(grad: Array) -> tuple[Array, Array]:
        return grad, grad

    return a + b, backward


@elementwise(Value.sub)
def sub(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Subtract: a − b."""

    def backward(grad: Array) -> tuple[Array, Array]:
        return grad, -grad

    return a - b, backward


@elementwise(Value.mul)
def mul(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Multiply, element by element: a · b."""

    def backward(grad: Array) -> tuple[Array, Array]:
        return grad * b, grad * a

    return a * b, backward


@elementwise(Value.div)
def div(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Divide: a / b."""
    y = a / b

    def backward(grad: Array) -> tuple[Array, Array]:
        return _if_any(grad, grad / b), _if_any(grad, -grad * y / b)

    return y, backward


@elementwise(Value.pow)
def pow(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Raise to a power: aᵇ; nan if a is negative and b is not an integer."""
    if a.dtype.kind in "iu" and b.dtype.kind == "i" and (b < 0).any():
        raise ValueError(
            message("pow: b is negative, and a of integers: convert a with dtype=float")
        )
    y = a**b

    def backward(grad: Array) -> tuple[Array, Array]:
        to_base = np.where(b == 0, 0, grad * b * a ** (b - 1))
        to_exponent = np.where((a == 0) & (b >= 0), 0, grad * y * np.log(a))
        return _if_any(grad, to_base), _if_any(grad, to_exponent)

    return y, backward


@elementwise(Value.neg)
def neg(a: Array, /) -> tuple[Array, Backward]:
    """Negate: −a."""

    def backward(grad: Array) -> tuple[Array]:
        return (-grad,)

    return -a, backward


@elementwise(Value.abs)
def abs(a: Array, /) -> tuple[Array, Backward]:
    """Take the absolute value: |a|."""

    def backward(grad: Array) -> tuple[Array]:
        return (grad * sign(a),)

    return np.where(a.real < 0, -a, a), backward


@elementwise(Value.exp)
def exp(a: Array, /) -> tuple[Array, Backward]:
    """Take the exponential: eᵃ."""
    y = np.exp(a)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * y,)

    return y, backward


@elementwise(Value.log)
def log(a: Array, /) -> tuple[Array, Backward]:
    """Take the natural logarithm: ln a; −inf at 0, nan below."""

    def backward(grad: Array) -> tuple[Array]:
        return (_if_any(grad, grad / a),)

    return np.log(a), backward


@elementwise(Value.sqrt)
def sqrt(a: Array, /) -> tuple[Array, Backward]:
    """Take the square root: √a; nan below 0."""
    y = np.sqrt(a)

    def backward(grad: Array) -> tuple[Array]:
        return (_if_any(grad, grad / (2 * y)),)

    return y, backward


@elementwise(Value.sin)
def sin(a: Array, /) -> tuple[Array, Backward]:
    """Take the sine of an angle in radians."""

    def backward(grad: Array) -> tuple[Array]:
        return (grad * np.cos(a),)

    return np.sin(a), backward


@elementwise(Value.cos)
def cos(a: Array, /) -> tuple[Array, Backward]:
    """Take the cosine of an angle in radians."""

    def backward(grad: Array) -> tuple[Array]:
        return (-grad * np.sin(a),)

    return np.cos(a), backward


@elementwise(Value.tanh)
def tanh(a: Array, /) -> tuple[Array, Backward]:
    """Take the hyperbolic tangent."""
    y = np.tanh(a)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * (1 - y * y),)

    return y, backward


@elementwise(Value.sigmoid)
def sigmoid(a: Array, /) -> tuple[Array, Backward]:
    """Take the logistic function: 1 / (1 + e⁻ᵃ)."""
    y = 1 / (1 + np.exp(-floating(a)))

    def backward(grad: Array) -> tuple[Array]:
        return (grad * y * (1 - y),)

    return y, backward


@elementwise(Value.relu)
def relu(a: Array, /) -> tuple[Array, Backward]:
    """Replace negative numbers by 0: max(0, a)."""
    y = np.maximum(a, 0)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * ~(y.real <= 0),)

    return y, backward


@elementwise(Value.softplus)
def softplus(a: Array, /) -> tuple[Array, Backward]:
    """Take a smooth relu: ln(1 + eᵃ), also where eᵃ is too large for a float."""
    a = floating(a)
    below = np.exp(np.where(a.real < 0, a, -a))

    def backward(grad: Array) -> tuple[Array]:
        return (grad * np.where(a < 0, below, 1) / (1 + below),)

    return np.where(a.real < 0, 0, a) + np.log1p(below), backward


@primitive(
    symbol="leaky",
    formula="a where a > 0, else negative_slope · a",
    places=("negative_slope",),
    rule=("ḡ where a > 0, else negative_slope · ḡ",),
    kinks="a = 0: the slope is negative_slope",
    scalar=lambda a, *, negative_slope: on_elements(lambda v: v.leaky_relu(negative_slope))(a),
    cases=(Case(((2, 3),), {}), Case(((),), {"negative_slope": 0.25})),
    patterns=(Pattern(("…",), {"negative_slope": OneOf(0.01, 0.25, 0, 2, -1.0)}),),
)
def leaky_relu(a: Array, /, *, negative_slope: float = 0.01) -> tuple[Array, Backward]:
    """Scale negative numbers by `negative_slope`."""
    a, slope = floating(a), read_number("leaky_relu", "negative_slope", negative_slope)

    def backward(grad: Array) -> tuple[Array]:
        return (np.where(a > 0, grad, grad * slope),)

    return np.where(a.real > 0, a, a * slope), backward


@elementwise(Value.erf)
def erf(a: Array, /) -> tuple[Array, Backward]:
    """Take the error function, the probability that a normal variable is within ±a·√2 σ."""
    a = floating(a)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * (TWO_OVER_ROOT_PI * np.exp(-a * a)),)

    return error_function(a), backward


@elementwise(Value.erfc)
def erfc(a: Array, /) -> tuple[Array, Backward]:
    """Take the complementary error function 1 − erf a, without loss of digits where it is small."""
    a = floating(a)

    def backward(grad: Array) -> tuple[Array]:
        return (grad * (-TWO_OVER_ROOT_PI * np.exp(-a * a)),)

    return complementary_error_function(a), backward


def _gelu(a: Value, approximate: str) -> Value:
    if approximate == "none":
        return a.gelu()
    return a * (2 * GELU_SCALE * (a + GELU_CUBIC * (a * a * a))).sigmoid()


@primitive(
    symbol="gelu",
    formula="½a · erfc(−a/√2), or close to it ½a · (1 + tanh(√(2/π) · (a + 0.044715a³)))",
    rule=("ḡ · (g + a · ∂g/∂a), where y = a · g",),
    scalar=lambda a, *, approximate: on_elements(lambda v: _gelu(v, approximate))(a),
    definition=definitions.gelu,
    cases=(Case(((2, 3),), {}), Case(((2, 3),), {"approximate": "tanh"})),
    patterns=(Pattern(("…",), {"approximate": OneOf("none", "tanh")}),),
)
def gelu(a: Array, /, *, approximate: str = "none") -> tuple[Array, Backward]:
    """Multiply by the normal distribution function: a · Φ(a), or GPT-2's `approximate="tanh"`.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units (2016), section 2.
    """
    a = floating(a)
    if read_choice("gelu", "approximate", approximate, ("none", "tanh")) == "none":
        root_2 = np.sqrt(a.real.dtype.type(2))
        gate = 0.5 * complementary_error_function(-a / root_2)  # 1 + erf loses its digits below 0
        slope = np.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    else:  # ½(1 + tanh u) is σ(2u), which keeps its digits where it is small
        gate = 1 / (1 + np.exp(-2 * GELU_SCALE * (a + GELU_CUBIC * (a * a * a))))
        steep = gate * (1 - gate)
        bent = 2 * steep * (GELU_SCALE * (1 + 3 * GELU_CUBIC * (a * a)))
        slope = np.where(steep == 0, steep, bent)  # 0 though a² is infinite

    def backward(grad: Array) -> tuple[Array]:
        return (grad * (gate + a * slope),)

    return a * gate, backward


@composed(
    symbol="silu",
    formula="a / (1 + e⁻ᵃ)",
    rule=("ḡ · (σ + y · (1 − σ)), σ = 1 / (1 + e⁻ᵃ)",),
    scalar=on_elements(lambda a: a.silu()),
)
def silu(a: Any, /) -> Any:
    """Multiply by the logistic function: a · σ(a); also called swish.

    Source: Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units (2017), section 2.
    """
    return a * named(a.sigmoid(), "gate")


@composed(
    symbol="swiglu",
    formula="silu(a) · b,  silu(a) = a / (1 + e⁻ᵃ)",
    rule=("ḡ · b · (σ + a · σ · (1 − σ)),  σ = 1 / (1 + e⁻ᵃ)", "ḡ · silu(a)"),
    scalar=on_elements(lambda a, b: a.silu() * b),
)
def swiglu(a: Any, b: Any, /) -> Any:
    """Multiply silu(a) by b; in a feed-forward layer a is x W_gate and b is x W_up.

    >>> from autolm import swiglu
    >>> swiglu([0.0, 20.0], [3.0, 3.0]).data.round(6)
    array([ 0., 60.])

    Source: Shazeer, GLU Variants Improve Transformer (2020), equation 5.
    """
    return named(silu(a), "gated") * b


@elementwise(Value.maximum)
def maximum(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Take the larger of two, element by element."""

    def backward(grad: Array) -> tuple[Array, Array]:
        shared = np.where(a == b, grad / 2, grad)
        return np.where(a < b, 0, shared), np.where(a > b, 0, shared)

    return np.where((a > b) | (a != a), a, b), backward


@elementwise(Value.minimum)
def minimum(a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Take the smaller of two, element by element."""

    def backward(grad: Array) -> tuple[Array, Array]:
        shared = np.where(a == b, grad / 2, grad)
        return np.where(a > b, 0, shared), np.where(a < b, 0, shared)

    return np.where((a < b) | (a != a), a, b), backward


@primitive(
    symbol="where",
    formula="a where condition, else b",
    rule=("none", "ḡ where condition", "ḡ where not condition"),
    domain=(CONDITION, REALS, REALS),
)
def where(condition: Array, a: Array, b: Array, /) -> tuple[Array, Backward]:
    """Select a where the condition is true, else b; the other branch gets no gradient."""
    if condition.dtype != bool:
        what = f"not {condition.dtype}; compare, as in x > 0"
        raise TypeError(message("where: condition must be bools, {what}", what=what))

    def backward(grad: Array) -> tuple[None, Array, Array]:
        return None, np.where(condition, grad, 0), np.where(condition, 0, grad)

    return np.where(condition, a, b), backward


@primitive(
    symbol="dtype",
    formula="a in numbers of another type",
    rule=("ḡ in numbers of a's type",),
    places=("dtype",),
    cases=(Case(((2, 3),), {"dtype": "float64"}), Case(((),), {"dtype": float})),
    patterns=(Pattern(("…",), {"dtype": OneOf("float64", float, np.longdouble)}),),
)
def astype(a: Array, /, *, dtype: DTypeLike) -> tuple[Array, Backward]:
    """Convert to another dtype; integers and bools have no gradient."""
    dtype = read_dtype("astype", dtype)

    def backward(grad: Array) -> tuple[Array]:
        return (grad,)  # the engine casts a contribution to the dtype of its operand

    return a if a.dtype.kind in "cO" else a.astype(dtype), backward  # tests use other dtypes


@on_elements
def _raised(a: Value, low: Value | float) -> Value:
    return _inside(a, low, operator.lt)


@on_elements
def _lowered(a: Value, high: Value | float) -> Value:
    return _inside(a, high, operator.gt)


def _inside(a: Value, limit: Value | float, is_outside: Callable[[float, float], bool]) -> Value:
    limit = limit if isinstance(limit, Value) else Value(limit, requires_grad=False)
    if math.isnan(a.data) or math.isnan(limit.data):
        return Value(math.nan, requires_grad=False)
    return limit if is_outside(a.data, limit.data) else a


@primitive(
    symbol="clamp",
    formula="a where a ≥ low, else low",
    rule=("ḡ where a ≥ low", "ḡ where a < low"),
    kinks="a = low: the slope is 1, and that in low 0",
    scalar=_raised,
)
def clamp_min(a: Array, low: Array, /) -> tuple[Array, Backward]:
    """Replace elements below `low` by it; at a tie, a gets the whole gradient."""
    return _limited(a, low, a.real < low.real)


@primitive(
    symbol="clamp",
    formula="a where a ≤ high, else high",
    rule=("ḡ where a ≤ high", "ḡ where a > high"),
    kinks="a = high: the slope is 1, and that in high 0",
    scalar=_lowered,
)
def clamp_max(a: Array, high: Array, /) -> tuple[Array, Backward]:
    """Replace elements above `high` by it; at a tie, a gets the whole gradient."""
    return _limited(a, high, a.real > high.real)


def _limited(a: Array, limit: Array, is_outside: Array) -> tuple[Array, Backward]:
    """Select the limit where a is outside; the result is nan where either is nan."""
    is_nan = (a != a) | (limit != limit)

    def backward(grad: Array) -> tuple[Array, Array]:
        return np.where(is_outside | is_nan, 0, grad), np.where(is_outside, grad, 0)

    return np.where(is_outside | (limit != limit), limit, a), backward


def _clip(a: Array, low: Any = None, high: Any = None) -> Any:
    raised = a if low is None else _raised(a, low)
    return raised if high is None else _lowered(raised, high)


@composed(
    symbol="clip",
    formula="min(max(a, low), high)",
    rule=("ḡ where low ≤ a ≤ high", "ḡ where a < low ≤ high", "ḡ where high < a or high < low"),
    kinks="a = low and a = high: the slope is 1, and that in the limit 0",
    scalar=_clip,
    cases=(
        Case(((2, 3),), {"low": -1.0, "high": 1.0}),
        Case(((),), {"low": 0.0, "high": 2.0}),
        Case(((3,),), {"low": 1.0, "high": -1.0}),
        Case(((2, 3), (3,)), {"high": 3}),
        Case(((3,),), {"high": -0.5}),
    ),
    patterns=(
        Pattern(("…", "…"), {"high": OneOf(3, None)}),  # where all three tie, PyTorch's slope is 1
        Pattern(("…",), {"low": OneOf(-1.0, 0, 0.5, None), "high": OneOf(1.0, 3, 2.5)}),
        Pattern(("…",), {"low": OneOf(-1.0, 0, 0.5, 3.0), "high": OneOf(1.0, -0.5, None)}),
    ),
)
def clip(a: Any, low: Any = None, high: Any = None, /) -> Any:
    """Limit to the interval from low to high; where low is above high it is high, as in NumPy.

    Either limit may be None. They broadcast.
    """
    if high is None:
        if low is None:
            raise ValueError(message("clip: low and high are both None; give one of them at least"))
        return clamp_min(a, low)
    return clamp_max(a if low is None else named(clamp_min(a, low), "raised"), high)


#: The operations of one Value that have no function of arrays above.
ON_EACH_ELEMENT = tuple(
    on_each_element(getattr(Value, op.name))
    for op in OPERATIONS.values()
    if op.arity == 1 and not isinstance(globals().get(op.name), Primitive)
)
