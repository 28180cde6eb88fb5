"""Dual numbers over NumPy: arrays that carry their derivative along one direction.

A dual array is x + ẋ·ε with ε² = 0. The tables below define how NumPy's functions transform ẋ, so
that a forward written in NumPy is differentiated exactly without a change. A function outside of
them raises, and the oracle tries its next method: a derivative is never dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

Array = NDArray[Any]

# f(x) -> f'(x), computed from x and y = f(x).
SLOPES: dict[Any, Callable[..., Any]] = {
    np.negative: lambda x, y: -1.0,
    np.positive: lambda x, y: 1.0,
    np.conjugate: lambda x, y: 1.0,
    np.absolute: lambda x, y: np.sign(x),
    np.fabs: lambda x, y: np.sign(x),
    np.sign: lambda x, y: 0.0,
    np.exp: lambda x, y: y,
    np.exp2: lambda x, y: y * np.log(2),
    np.expm1: lambda x, y: y + 1,
    np.log: lambda x, y: 1 / x,
    np.log2: lambda x, y: 1 / (x * np.log(2)),
    np.log10: lambda x, y: 1 / (x * np.log(10)),
    np.log1p: lambda x, y: 1 / (1 + x),
    np.sqrt: lambda x, y: 0.5 / y,
    np.cbrt: lambda x, y: y / (3 * x),
    np.square: lambda x, y: 2 * x,
    np.reciprocal: lambda x, y: -y * y,
    np.sin: lambda x, y: np.cos(x),
    np.cos: lambda x, y: -np.sin(x),
    np.tan: lambda x, y: 1 + y * y,
    np.arcsin: lambda x, y: 1 / np.sqrt(1 - x * x),
    np.arccos: lambda x, y: -1 / np.sqrt(1 - x * x),
    np.arctan: lambda x, y: 1 / (1 + x * x),
    np.sinh: lambda x, y: np.cosh(x),
    np.cosh: lambda x, y: np.sinh(x),
    np.tanh: lambda x, y: 1 - y * y,
    np.floor: lambda x, y: 0.0,
    np.ceil: lambda x, y: 0.0,
    np.rint: lambda x, y: 0.0,
    np.trunc: lambda x, y: 0.0,
}

# f(a, b) -> (∂f/∂a, ∂f/∂b).
SLOPE_PAIRS: dict[Any, Callable[..., tuple[Any, Any]]] = {
    np.add: lambda a, b, y: (1.0, 1.0),
    np.subtract: lambda a, b, y: (1.0, -1.0),
    np.multiply: lambda a, b, y: (b, a),
    np.divide: lambda a, b, y: (1 / b, -y / b),
    np.power: lambda a, b, y: (b * a ** (b - 1), y * np.log(np.where(a > 0, a, 1))),
    np.maximum: lambda a, b, y: (a >= b, a < b),
    np.minimum: lambda a, b, y: (a <= b, a > b),
    np.fmax: lambda a, b, y: (a >= b, a < b),
    np.fmin: lambda a, b, y: (a <= b, a > b),
    np.hypot: lambda a, b, y: (a / y, b / y),
    np.arctan2: lambda a, b, y: (b / (a * a + b * b), -a / (a * a + b * b)),
    np.logaddexp: lambda a, b, y: (np.exp(a - y), np.exp(b - y)),
}

# Functions of the values alone: their derivative is 0, or does not exist.
VALUE_ONLY = {
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.isfinite, np.isnan, np.isinf, np.signbit, np.logical_not, np.logical_and),
    *(np.logical_or, np.argmax, np.argmin, np.argsort, np.shape, np.ndim, np.size),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.any, np.all, np.iscomplexobj),
    *(np.isclose, np.allclose, np.array_equal, np.count_nonzero, np.nonzero),
}

# Linear in all of their array arguments together: what happens to x happens to ẋ.
LINEAR = {
    *(np.sum, np.mean, np.cumsum, np.diff, np.trace, np.diag, np.diagonal, np.triu, np.tril),
    *(np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.expand_dims),
    *(np.squeeze, np.broadcast_to, np.flip, np.roll, np.repeat, np.tile, np.take, np.rot90),
    *(np.concatenate, np.stack, np.vstack, np.hstack, np.split, np.array_split, np.atleast_1d),
    *(np.atleast_2d, np.copy, np.real, np.compress, np.pad, np.nansum),
}

# Linear in each of two arguments: the product rule.
BILINEAR = {np.matmul, np.dot, np.inner, np.outer, np.tensordot, np.kron, np.convolve, np.vdot}

# The methods of arrays, each the NumPy function of its name.
METHODS: dict[str, Callable[..., Any]] = {
    "flatten": np.ravel,
    **{
        name: getattr(np, name)
        for name in (
            *("sum", "mean", "cumsum", "reshape", "ravel", "transpose", "swapaxes", "squeeze"),
            *("repeat", "take", "copy", "diagonal", "trace", "dot", "max", "min", "argmax"),
            *("argmin", "clip", "any", "all", "var", "std", "prod"),
        )
    },
}


class Dual(NDArrayOperatorsMixin):
    """An array `value` and its derivative `tangent`, of one shape."""

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value = np.asarray(value)
        self.tangent = np.array(np.broadcast_to(tangent, self.value.shape), dtype=float)

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    real = property(lambda self: self)

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return np.transpose(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise TypeError("dual numbers: made into a plain array, which would drop the derivative")

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __getitem__(self, index: Any) -> Dual:
        return Dual(self.value[index], self.tangent[index])

    def __setitem__(self, index: Any, item: Any) -> None:
        self.value = self.value.copy()
        self.value[index], self.tangent[index] = value_of(item), tangent_of(item)

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(f"dual numbers have no {name}")
        function = METHODS[name]
        if name in ("reshape", "transpose"):
            return lambda *args: function(self, *_one_or_many(args))
        return lambda *args, **kwargs: function(self, *args, **kwargs)

    def astype(self, dtype: Any, copy: bool = True) -> Dual:
        """Keep the precision: the derivative of a cast between floating types is 1."""
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"dual numbers: cast to {np.dtype(dtype)}")
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce" and ufunc in _REDUCTIONS:
            return _REDUCTIONS[ufunc](*inputs, **_reduction_arguments(kwargs))
        if method != "__call__" or kwargs.get("out") is not None:
            return NotImplemented
        values = [value_of(x) for x in inputs]
        if ufunc in VALUE_ONLY:
            return ufunc(*values, **kwargs)
        if ufunc in BILINEAR:
            return _product(ufunc, *inputs)
        y = ufunc(*values)
        if ufunc in SLOPES:
            slopes: tuple[Any, ...] = (SLOPES[ufunc](values[0], y),)
        elif ufunc in SLOPE_PAIRS:
            slopes = SLOPE_PAIRS[ufunc](values[0], values[1], y)
        else:
            return NotImplemented
        # A constant operand has no part in it, even where its slope is not finite.
        terms = [s * x.tangent for s, x in zip(slopes, inputs, strict=True) if isinstance(x, Dual)]
        return Dual(y, sum(terms))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _RULES:
            return _RULES[function](*args, **kwargs)
        if function in VALUE_ONLY:
            return function(*_map(value_of, args), **_map(value_of, kwargs))
        if function in BILINEAR:
            return _product(function, *args, **kwargs)
        if function in LINEAR:
            values = function(*_map(value_of, args), **kwargs)
            tangents = function(*_map(_own_tangent, args), **kwargs)
            if isinstance(values, list):
                return [Dual(v, t) for v, t in zip(values, tangents, strict=True)]
            return Dual(values, tangents)
        return NotImplemented


def value_of(x: Any) -> Any:
    """Return x of x + ẋ·ε."""
    return x.value if isinstance(x, Dual) else x


def tangent_of(x: Any) -> Any:
    """Return ẋ of x + ẋ·ε; a plain array has none."""
    return x.tangent if isinstance(x, Dual) else 0.0


def _own_tangent(x: Any) -> Any:
    """Return ẋ in the place of an argument; shapes, axes and the like stay what they are."""
    if isinstance(x, Dual):
        return x.tangent
    return np.zeros(x.shape) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _map(function: Callable[[Any], Any], arguments: Any) -> Any:
    if isinstance(arguments, dict):
        return {key: _map(function, argument) for key, argument in arguments.items()}
    if isinstance(arguments, tuple | list):
        return type(arguments)(_map(function, argument) for argument in arguments)
    return function(arguments)


def _one_or_many(numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    one = len(numbers) == 1 and (isinstance(numbers[0], tuple | list) or numbers[0] is None)
    return numbers if one or not numbers else (numbers,)


def _product(function: Any, a: Any, b: Any, **kwargs: Any) -> Dual:
    va, vb = value_of(a), value_of(b)
    terms = []
    if isinstance(a, Dual):
        terms.append(function(a.tangent, vb, **kwargs))
    if isinstance(b, Dual):
        terms.append(function(va, b.tangent, **kwargs))
    return Dual(function(va, vb, **kwargs), sum(terms))


def _where(condition: Any, a: Any, b: Any) -> Dual:
    condition = value_of(condition)
    tangent = np.where(condition, tangent_of(a), tangent_of(b))
    return Dual(np.where(condition, value_of(a), value_of(b)), tangent)


def _clip(a: Any, low: Any = None, high: Any = None) -> Any:
    y = a if low is None else np.maximum(a, low)
    return y if high is None else np.minimum(y, high)


def _extreme(arg: Any) -> Callable[..., Any]:
    """Select the largest or smallest along axes, and with it its derivative."""

    def reduce(a: Dual, axis: Any = None, keepdims: bool = False) -> Any:
        axes = range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        reduced = [i % a.ndim for i in axes]
        other_axes = [i for i in range(a.ndim) if i not in reduced]
        rows = a.transpose([*other_axes, *reduced]).reshape([*(a.shape[i] for i in other_axes), -1])
        at = arg(rows.value, axis=-1)[..., None]
        chosen = _take_along_axis(rows, at, -1)
        shape = [1 if i in reduced else n for i, n in enumerate(a.shape)]
        return chosen.reshape(shape if keepdims else chosen.shape[:-1])

    return reduce


def _take_along_axis(a: Dual, indices: Array, axis: int = -1) -> Dual:
    return Dual(*(np.take_along_axis(part, indices, axis) for part in (a.value, a.tangent)))


def _sort(a: Dual, axis: int = -1) -> Dual:
    return _take_along_axis(a, np.argsort(a.value, axis=axis), axis)


def _prod(a: Dual, axis: Any = None, keepdims: bool = False) -> Dual:
    y = np.prod(a.value, axis=axis, keepdims=True)
    tangent = np.sum(y / a.value * a.tangent, axis=axis, keepdims=keepdims)
    return Dual(np.prod(a.value, axis=axis, keepdims=keepdims), tangent)


def _var(a: Dual, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    deviation = a - np.mean(a, axis=axis, keepdims=True)
    count = a.size / np.mean(a.value, axis=axis).size
    return np.sum(deviation * deviation, axis=axis, keepdims=keepdims) / (count - ddof)


def _std(a: Dual, **kwargs: Any) -> Any:
    return np.sqrt(_var(a, **kwargs))


def _einsum(subscripts: str, *operands: Any) -> Dual:
    values = [value_of(x) for x in operands]
    terms = [
        np.einsum(subscripts, *values[:i], x.tangent, *values[i + 1 :])
        for i, x in enumerate(operands)
        if isinstance(x, Dual)
    ]
    return Dual(np.einsum(subscripts, *values), sum(terms))


def _reduction_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: kwargs[key] for key in ("axis", "keepdims") if key in kwargs}


_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.maximum: _extreme(np.argmax),
    np.minimum: _extreme(np.argmin),
    np.multiply: _prod,
}
_RULES: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.clip: _clip,
    np.max: _extreme(np.argmax),
    np.amax: _extreme(np.argmax),
    np.min: _extreme(np.argmin),
    np.amin: _extreme(np.argmin),
    np.sort: _sort,
    np.prod: _prod,
    np.var: _var,
    np.std: _std,
    np.einsum: _einsum,
    np.take_along_axis: _take_along_axis,
    np.linalg.norm: lambda a: np.sqrt(np.sum(a * a)),
}
