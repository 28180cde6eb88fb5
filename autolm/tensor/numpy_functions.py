"""NumPy's functions of Tensors: the table from NumPy's names to what we do for them.

NumPy asks an operand that is no array of its own what a function of it is. A function that has its
gradient here records it; one whose result has none, such as `argmax`, gets the arrays; any other is
refused, and the error says what to use, since a result without its past would lose a part of the
gradient in silence. What requires no gradient is an array to NumPy, except where the table has it.

A new operation of ours needs a line in a table here, and nothing else.
"""

from __future__ import annotations

import inspect
import math
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.graph import Node, is_recording
from autolm.tensor.fitting import NESTED
from autolm.tensor.running_call import (
    A_LIST,
    OF_NUMPY,
    UNKNOWN,
    RunningCall,
    is_numpys,
    running_call,
)

Array = NDArray[Any]
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})

# What an argument of NumPy's may be, if ours has none of that name: nothing but NumPy's default.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "casting": ("same_kind", "safe"),
    "copy": (True,),
    "kind": ("stable", "quicksort", "mergesort", "heapsort"),
    "optimize": (False, True),
    "order": ("C", "K"),
    "returned": (False,),
    "stable": (False, True),
    "subok": (False, True),
    "where": (True,),
}


class Unfit(TypeError):
    """A call of NumPy's function that ours does not know; the text goes on after its name."""


def needs_gradient(value: Any) -> bool:
    """Whether a Tensor or Value to be differentiated is there, or in lists, tuples and dicts."""
    return is_recording() and any(node.requires_grad for node in _nodes_in(value))


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _nodes_in(item)


def plain(value: Any, *, locked: bool = False) -> Any:
    """Put arrays for the Tensors, also in lists, tuples and dicts; none to write into if locked."""
    if isinstance(value, Node):
        if not locked:
            return value.data
        array = value.data.view()
        array.flags.writeable = False
        return array
    if isinstance(value, dict):
        return {key: plain(item, locked=locked) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, locked=locked) for item in value)
    return value


def as_numpy_calls(operation: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """Give an operation NumPy's signature: arguments in order, `theirs:ours` where names differ."""
    names = {theirs: ours or theirs for theirs, _, ours in map(_parted, signature.split())}
    parameters = inspect.signature(getattr(operation, "forward", operation)).parameters
    operands = [name for name, p in parameters.items() if p.kind != p.KEYWORD_ONLY]
    needed = [name for name in operands if parameters[name].default is inspect.Parameter.empty]

    def call(*given: Any, **options: Any) -> Any:
        arguments = {}
        for word, value in [*zip(names, given, strict=False), *options.items()]:
            name = names.get(word, word)
            if value is np._NoValue:  # NumPy's word for what was not given
                continue
            if name in parameters:
                arguments[name] = value
            else:
                _require_default(word, value)
            if name not in operands and needs_gradient(value):
                raise Unfit(f"would lose the gradient of {word}; use its .data")
        first = [arguments.pop(name) for name in needed]
        return operation(*first, **arguments)

    return call


def _require_default(word: str, value: Any) -> None:
    is_default = isinstance(value, str | bool) and value in DEFAULTS.get(word, ())
    if value is not None and not is_default:
        raise Unfit(f"of a Tensor takes no {word}=")


def _parted(word: str) -> tuple[str, str, str]:
    return word.partition(":")


def moved(name: str) -> Callable[..., Any]:
    """Do what a function that only moves elements does: let it move their numbers, and index."""

    def call(*args: Any, **kwargs: Any) -> Any:
        function = getattr(np, name)
        bound = inspect.signature(function).bind(*args, **kwargs)
        first, *others = bound.arguments
        if bound.arguments.get("out") is not None:
            raise Unfit("of a Tensor takes no out=")
        if needs_gradient([bound.arguments[name] for name in others]):
            raise Unfit(f"would lose the gradient of {' or '.join(others)}; use its .data")
        a = bound.arguments[first]
        bound.arguments = {name: plain(value) for name, value in bound.arguments.items()}
        bound.arguments[first] = np.arange(np.size(a)).reshape(np.shape(a))
        places = function(*bound.args, **bound.kwargs)
        flat = ops.reshape(a, shape=(np.size(a),))
        if isinstance(places, list | tuple):
            return type(places)(ops.getitem(flat, index=part) for part in places)
        return ops.getitem(flat, index=places)

    return call


def _concatenate(arrays: Any, *, axis: int | None = 0) -> Any:
    if axis is None:
        return ops.concatenate([ops.reshape(a, shape=(np.size(a),)) for a in arrays], axis=0)
    return ops.concatenate(list(arrays), axis=axis)


def _stack(arrays: Any, *, axis: int = 0) -> Any:
    return ops.stack(list(arrays), axis=axis)


def _shaped(a: Any, like: Callable[[Array], Any]) -> Any:
    return ops.reshape(a, shape=like(np.broadcast_to(0, np.shape(a))).shape)


def _vstack(arrays: Any) -> Any:
    return ops.concatenate([_shaped(a, np.atleast_2d) for a in arrays], axis=0)


def _hstack(arrays: Any) -> Any:
    joined = [_shaped(a, np.atleast_1d) for a in arrays]
    return ops.concatenate(joined, axis=0 if joined[0].ndim == 1 else 1)


def _dstack(arrays: Any) -> Any:
    return ops.concatenate([_shaped(a, np.atleast_3d) for a in arrays], axis=2)


def _column_stack(arrays: Any) -> Any:
    return ops.concatenate([_shaped(a, _column) for a in arrays], axis=1)


def _column(a: Array) -> Array:
    return a if a.ndim > 1 else a.reshape(-1, 1)


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ops.mul(a, b)
    if np.ndim(b) > 2:
        raise Unfit("of more than two axes is not a matrix product; use matmul, @")
    return ops.matmul(a, b)


def _inner(a: Any, b: Any) -> Any:
    return _dot(a, ops.transpose(b) if np.ndim(a) else b)


def _flat(a: Any) -> Any:
    return ops.reshape(a, shape=(np.size(a),))


def _vdot(a: Any, b: Any) -> Any:
    return ops.matmul(_flat(a), _flat(b))


def _outer(a: Any, b: Any) -> Any:
    return outer(ops.mul, _flat(a), _flat(b))


def _outer_of_vectors(a: Any, b: Any) -> Any:
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise Unfit(f"of {np.shape(a)} and {np.shape(b)}: both must have one axis; use outer")
    return _outer(a, b)


def outer(operation: Callable[..., Any], a: Any, b: Any) -> Any:
    """Apply an operation of two numbers to every pair of an element of a and one of b."""
    return operation(ops.reshape(a, shape=np.shape(a) + (1,) * np.ndim(b)), b)


def _ptp(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    high, low = (op(a, axis=axis, keepdims=keepdims) for op in (ops.max, ops.min))
    return high - low


def _matrix(m: Any) -> Any:
    """Repeat a vector, as NumPy does to take its triangle."""
    return ops.broadcast_to(m, shape=np.shape(m) * 2) if np.ndim(m) == 1 else m


def _tril(m: Any, k: int = 0) -> Any:
    return ops.tril(_matrix(m), diagonal=k)


def _triu(m: Any, k: int = 0) -> Any:
    return ops.triu(_matrix(m), diagonal=k)


def _copy(a: Any) -> Any:
    return ops.astype(a, dtype=a.dtype)


def _einsum(subscripts: Any, *operands: Any, **options: Any) -> Any:
    if needs_gradient(options):
        raise Unfit("would lose the gradient of an option; use its .data")
    for word, value in options.items():
        _require_default(word, value)
    return ops.einsum(*operands, subscripts=subscripts)


def _norm(a: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    of_a_matrix = np.size(axis) > 1 if axis is not None else np.ndim(a) != 1
    if ord is not None and of_a_matrix and ord != "fro":
        raise Unfit(f"with ord={ord!r} is of a matrix; ops.norm is of all elements as one vector")
    return ops.norm(a, ord=2 if ord is None or of_a_matrix else ord, axis=axis, keepdims=keepdims)


def _pad(a: Any, *, pad_width: Any, mode: Any = "constant", value: Any = 0) -> Any:
    widths = np.broadcast_to(pad_width, (np.ndim(a), 2)).tolist()
    return ops.pad(a, pad_width=widths, mode=mode, value=value)


def _sort(a: Any, *, axis: int | None = -1) -> Any:
    return ops.ordered(_flat(a)) if axis is None else ops.ordered(a, axis=axis)


def _transpose(a: Any, *, axes: Any = None) -> Any:
    return ops.transpose(a, axes=(axes,) if isinstance(axes, int) else axes)


def _matrix_transpose(x: Any) -> Any:
    return ops.swapaxes(x, axis1=-1, axis2=-2)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return np.nonzero(plain(condition))
    return ops.where(condition, x, y)


def _positive(x: Any) -> Any:
    return ops.mul(x, 1)


def _square(x: Any) -> Any:
    return ops.mul(x, x)


def _vecdot(a: Any, b: Any) -> Any:
    if not (np.ndim(a) and np.ndim(b)) or np.shape(a)[-1] != np.shape(b)[-1]:
        raise Unfit(f"of {np.shape(a)} and {np.shape(b)}: the last axes must be of one length")
    return ops.sum(ops.mul(a, b), axis=-1)


def _by(operation: Callable[..., Any], a: Any = None, b: Any = None) -> Callable[..., Any]:
    """Fix one of two operands to a number."""
    return (lambda x: operation(a, x)) if b is None else (lambda x: operation(x, b))


# What NumPy's ufuncs are here.
UFUNCS: dict[str, Callable[..., Any]] = {
    **{op.name: op for op in ops.OPERATIONS if isinstance(getattr(np, op.name, None), np.ufunc)},
    "absolute": ops.abs,
    "conjugate": _positive,
    "cosh": lambda x: (ops.exp(x) + ops.exp(ops.neg(x))) / 2,
    "deg2rad": _by(ops.mul, b=math.pi / 180),
    "degrees": _by(ops.mul, b=180 / math.pi),
    "divide": ops.div,
    "exp2": _by(ops.pow, a=2),
    "fabs": ops.abs,
    "log10": lambda x: ops.div(ops.log(x), math.log(10)),
    "log2": lambda x: ops.div(ops.log(x), math.log(2)),
    "multiply": ops.mul,
    "negative": ops.neg,
    "positive": _positive,
    "power": ops.pow,
    "rad2deg": _by(ops.mul, b=180 / math.pi),
    "radians": _by(ops.mul, b=math.pi / 180),
    "reciprocal": _by(ops.div, a=1),
    "square": _square,
    "subtract": ops.sub,
    "tan": lambda x: ops.div(ops.sin(x), ops.cos(x)),
    "vecdot": _vecdot,
}

# Of ufuncs of two numbers, what ufunc.reduce is; by itself it takes axis 0.
REDUCTIONS = {
    "add": ops.sum,
    "multiply": ops.prod,
    "maximum": ops.max,
    "minimum": ops.min,
    "logaddexp": ops.logsumexp,
}

# NumPy's functions, by their names after "numpy.", and what computes them and their gradient.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "amax": as_numpy_calls(ops.max, "a axis out keepdims initial where"),
    "amin": as_numpy_calls(ops.min, "a axis out keepdims initial where"),
    "astype": as_numpy_calls(ops.astype, "x:a dtype copy device"),
    "average": as_numpy_calls(ops.mean, "a axis weights returned keepdims"),
    "broadcast_to": as_numpy_calls(ops.broadcast_to, "array:a shape subok"),
    "clip": as_numpy_calls(ops.clip, "a a_min:low a_max:high out min:low max:high"),
    "column_stack": _column_stack,
    "concatenate": as_numpy_calls(_concatenate, "arrays axis out dtype casting"),
    "copy": as_numpy_calls(_copy, "a order subok"),
    "cumsum": as_numpy_calls(ops.cumsum, "a axis dtype out"),
    "dot": as_numpy_calls(_dot, "a b out"),
    "dstack": _dstack,
    "einsum": _einsum,
    "flip": as_numpy_calls(ops.flip, "m:a axis"),
    "hstack": as_numpy_calls(_hstack, "tup:arrays dtype casting"),
    "inner": _inner,
    "linalg.matmul": ops.matmul,
    "linalg.matrix_transpose": _matrix_transpose,
    "linalg.norm": as_numpy_calls(_norm, "x:a ord axis keepdims"),
    "linalg.outer": _outer_of_vectors,
    "linalg.vecdot": as_numpy_calls(_vecdot, "a b axis"),
    "linalg.vector_norm": as_numpy_calls(ops.norm, "x:a axis keepdims ord"),
    "matrix_transpose": _matrix_transpose,
    "max": as_numpy_calls(ops.max, "a axis out keepdims initial where"),
    "mean": as_numpy_calls(ops.mean, "a axis dtype out keepdims where"),
    "min": as_numpy_calls(ops.min, "a axis out keepdims initial where"),
    "outer": as_numpy_calls(_outer, "a b out"),
    "pad": as_numpy_calls(_pad, "array:a pad_width mode constant_values:value"),
    "prod": as_numpy_calls(ops.prod, "a axis dtype out keepdims initial where"),
    "ptp": as_numpy_calls(_ptp, "a axis out keepdims"),
    "real": _positive,
    "reshape": as_numpy_calls(ops.reshape, "a shape order copy"),
    "roll": as_numpy_calls(ops.roll, "a shift axis"),
    "sort": as_numpy_calls(_sort, "a axis kind order stable"),
    "squeeze": as_numpy_calls(ops.squeeze, "a axis"),
    "stack": as_numpy_calls(_stack, "arrays axis out dtype casting"),
    "std": as_numpy_calls(ops.std, "a axis dtype out ddof keepdims where mean correction:ddof"),
    "sum": as_numpy_calls(ops.sum, "a axis dtype out keepdims initial where"),
    "swapaxes": as_numpy_calls(ops.swapaxes, "a axis1 axis2"),
    "transpose": as_numpy_calls(_transpose, "a axes"),
    "tril": _tril,
    "triu": _triu,
    "var": as_numpy_calls(ops.var, "a axis dtype out ddof keepdims where mean correction:ddof"),
    "vdot": _vdot,
    "vstack": as_numpy_calls(_vstack, "tup:arrays dtype casting"),
    "where": _where,
    **{
        name: moved(name)
        for name in (
            "array_split",
            "delete",
            "diagonal",
            "dsplit",
            "expand_dims",
            "fliplr",
            "flipud",
            "hsplit",
            "moveaxis",
            "ravel",
            "repeat",
            "rollaxis",
            "rot90",
            "split",
            "take",
            "take_along_axis",
            "tile",
            "unstack",
            "vsplit",
        )
    },
}

# Results that have no gradient, or 0 wherever they have one: these get the arrays.
CONSTANT_UFUNCS = frozenset(
    {
        "ceil",
        "equal",
        "floor",
        "floor_divide",
        "greater",
        "greater_equal",
        "isfinite",
        "isinf",
        "isnan",
        "less",
        "less_equal",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "not_equal",
        "rint",
        "sign",
        "signbit",
        "spacing",
        "trunc",
    }
)
DIVISION = "floor_divide"  # of one element alone its methods return that element
CONSTANT_FUNCTIONS = frozenset(
    {
        "all",
        "asarray",  # and the like: asked for by somebody who has no use for a gradient
        "allclose",
        "any",
        "argmax",
        "argmin",
        "argpartition",
        "argsort",
        "argwhere",
        "around",
        "array2string",
        "array_equal",
        "array_equiv",
        "array_repr",
        "array_str",
        "can_cast",
        "common_type",
        "count_nonzero",
        "diag_indices_from",
        "digitize",
        "empty_like",
        "fix",
        "flatnonzero",
        "imag",
        "isclose",
        "iscomplex",
        "iscomplexobj",
        "isin",
        "isneginf",
        "isposinf",
        "isreal",
        "isrealobj",
        "lexsort",
        "linalg.matrix_rank",
        "may_share_memory",
        "min_scalar_type",
        "nanargmax",
        "nanargmin",
        "ndim",
        "nonzero",
        "ones_like",
        "result_type",
        "round",
        "save",
        "savetxt",
        "savez",
        "savez_compressed",
        "searchsorted",
        "shape",
        "shares_memory",
        "size",
        "tril_indices_from",
        "triu_indices_from",
        "zeros_like",
    }
)

NOT_WRITTEN = "writes into an array; give the Tensor a new one: x.data = ..."
# What to write instead of a function, or ufunc, that we do not have.
INSTEAD = {
    "add.accumulate": "use np.cumsum(x, axis)",
    "append": "use ops.concatenate",
    "atleast_1d": "use x.reshape(...)",
    "atleast_2d": "use x.reshape(...)",
    "atleast_3d": "use x.reshape(...)",
    "block": "use ops.concatenate",
    "broadcast_arrays": "use ops.broadcast_to for each",
    "cbrt": "use x ** (1 / 3), of positive numbers",
    "choose": "use ops.where",
    "compress": "use x[mask]",
    "clip": "use np.clip(array, low, high)",
    "copysign": "use ops.where(...) of abs(x) and -abs(x)",
    "copyto": NOT_WRITTEN,
    "corrcoef": "use sums of products of x - x.mean()",
    "cov": "use sums of products of x - x.mean()",
    "cumulative_sum": "use np.cumsum(x, axis)",
    "diag": "use ops.where(np.eye(n, dtype=bool), x, 0); of a matrix x[range(n), range(n)]",
    "diagflat": "use ops.where(np.eye(n, dtype=bool), x, 0)",
    "diff": "use x[1:] - x[:-1]",
    "ediff1d": "use x[1:] - x[:-1]",
    "expm1": "use x.exp() - 1",
    "extract": "use x[mask]",
    "fill_diagonal": NOT_WRITTEN,
    "float_power": "use x ** y",
    "fmax": "use ops.maximum",
    "fmin": "use ops.minimum",
    "fmod": "use x - y * np.trunc(x / y)",
    "full": "use ops.broadcast_to",
    "full_like": "use ops.broadcast_to",
    "heaviside": "use x.data > 0",
    "hypot": "use (x * x + y * y).sqrt()",
    "kron": "use ops.einsum and reshape",
    "ldexp": "use x * 2.0 ** i",
    "linalg.diagonal": "use x[range(n), range(n)]",
    "linalg.matrix_norm": "use ops.norm(x, axis=(-2, -1)) for that of Frobenius",
    "linalg.matrix_power": "use x @ x",
    "linalg.multi_dot": "use a @ b @ c",
    "linalg.tensordot": "use ops.einsum",
    "linalg.trace": "use ops.einsum('ii', x)",
    "log1p": "use (1 + x).log()",
    "logaddexp": "use ops.stack([x, y]).logsumexp(0)",
    "matvec": "use matmul, @",
    "multiply.accumulate": "use np.prod(x[:i]) for each i",
    "nanmax": "use x[~np.isnan(x)]",
    "nanmean": "use x[~np.isnan(x)]",
    "nanmin": "use x[~np.isnan(x)]",
    "nanstd": "use x[~np.isnan(x)]",
    "nansum": "use x[~np.isnan(x)]",
    "nanvar": "use x[~np.isnan(x)]",
    "nan_to_num": "use ops.where(np.isnan(x), 0, x)",
    "piecewise": "use ops.where",
    "place": NOT_WRITTEN,
    "polyval": "use * and +, or **",
    "put": NOT_WRITTEN,
    "put_along_axis": NOT_WRITTEN,
    "putmask": NOT_WRITTEN,
    "remainder": "use x - y * np.floor(x / y)",
    "resize": "use x.reshape(...)",
    "select": "use ops.where",
    "sinc": "use (np.pi * x).sin() / (np.pi * x), where x is not 0",
    "sinh": "use (x.exp() - (-x).exp()) / 2",
    "tensordot": "use ops.einsum",
    "trace": "use ops.einsum('ii', x)",
    "trapezoid": "use ((y[1:] + y[:-1]) / 2 * dx).sum()",
    "unique": "use x[np.unique(x.data, return_index=True)[1]]",
    "vecmat": "use matmul, @",
}


def call_function(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Answer a function of NumPy's, of arguments with Tensors among them."""
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    if isinstance(kwargs.get("out"), Node):
        raise TypeError(f"numpy.{name}: out= is a Tensor; {NOT_WRITTEN}")
    if name in CONSTANT_FUNCTIONS:
        return function(*plain(args, locked=True), **plain(kwargs, locked=True))
    if name in FUNCTIONS:
        return _in_the_name_of(name, FUNCTIONS[name], args, kwargs)
    if needs_gradient(kwargs) or needs_gradient(args):
        if name == "full_like" and not needs_gradient([*args[1:], kwargs]):
            return function(*plain(args), **plain(kwargs))
        raise refusal(name)
    return function(*plain(args), **plain(kwargs))


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Any, options: Mapping[str, Any]) -> Any:
    """Answer a ufunc of NumPy's, called or by one of its methods, of Tensors among other things."""
    name = ufunc.__name__
    out, given = options.get("out", ()), [inputs, options]
    if any(isinstance(array, Node) for array in out) or (
        method == "at" and isinstance(inputs[0], Node)
    ):
        raise TypeError(f"numpy.{name} {NOT_WRITTEN}")
    if _is_constant(name, method) or (out and not needs_gradient(given)):
        return getattr(ufunc, method)(*plain(inputs), **plain(options))
    if out:
        raise TypeError(
            f"numpy.{name}: an array cannot hold the gradient of a Tensor; write a = a + x, not "
            "a += x or out=a, or use x.data"
        )
    if method == "__call__" and name in UFUNCS:
        return _in_the_name_of(name, _with_defaults(UFUNCS[name]), inputs, options)
    if method == "outer" and name in UFUNCS:
        ours = _with_defaults(partial(outer, UFUNCS[name]))
        return _in_the_name_of(f"{name}.outer", ours, inputs, options)
    if method == "reduce" and name in REDUCTIONS:
        reduction = as_numpy_calls(REDUCTIONS[name], "a axis dtype out keepdims initial where")
        return _in_the_name_of(f"{name}.reduce", reduction, inputs, {"axis": 0, **options})
    if method == "at" and needs_gradient(given):
        raise TypeError(f"numpy.{name}.at {NOT_WRITTEN}")
    if needs_gradient(given):
        raise refusal(name if method == "__call__" else f"{name}.{method}")
    return getattr(ufunc, method)(*plain(inputs), **plain(options))


def _is_constant(ufunc: str, method: str) -> bool:
    return ufunc in CONSTANT_UFUNCS and (method in ("__call__", "outer") or ufunc != DIVISION)


def _with_defaults(operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(*operands: Any, **options: Any) -> Any:
        for word, value in options.items():
            _require_default(word, value)
        return operation(*operands)

    return call


def _in_the_name_of(name: str, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except Unfit as error:
        raise TypeError(f"numpy.{name} {error}") from None


def refusal(name: str, *, listed: bool = False) -> TypeError:
    """Say that a function of NumPy's would lose the gradient, and what to use."""
    room, _, method = name.partition(".")
    if room == "random":
        shifted = f"loc + scale * rng.{method}(size=...)"
        way = f"write {shifted}" if method in LOCATED else "what is drawn has none"
    elif room == "ndarray" and (method in FUNCTIONS or method in UFUNCS):
        way = f"use np.{method}(array, ...), which records it"
    elif listed and (name in FUNCTIONS or name in UFUNCS or name in CONVERSIONS):
        way = "give it ops.stack([x, y]), not a list of Tensors"
    else:
        way = INSTEAD.get(
            method if room == "ndarray" else name,
            "autolm has no such operation (see autolm.primitive for your own)",
        )
    return TypeError(
        f"numpy.{name} would lose the gradient: {way}; "
        "x.data or x.detach() goes on without a gradient"
    )


# What makes an array of its argument, as somebody asked; of a list of Tensors it would be a copy.
CONVERSIONS = ("array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray", "require")
# Methods of arrays of which an argument only says where, how often or of which kind.
PLACES = CONSTANT_FUNCTIONS | {"astype", "compress", "item", "partition", "repeat", "take", "view"}
ARRAY_METHODS = {
    *(name for name in dir(np.ndarray) if not name.startswith("_") and name not in PLACES),
    *(
        f"__{way}{name}__"
        for way in ("", "i", "r")
        for name in (
            "add",
            "sub",
            "mul",
            "truediv",
            "pow",
            "matmul",
            "mod",
        )
    ),
}
DRAWS = frozenset(name for name in dir(np.random.Generator) if not name.startswith("_"))
LOCATED = ("gumbel", "laplace", "logistic", "normal")  # of which a location and a scale are given
ARITHMETIC = ("BINARY_", "INPLACE_")


def handed_to_numpy(node: Node, array: Array, dtype: Any, copy: bool | None) -> Array:
    """Return what `np.asarray(x)` gets; refuse to be converted in passing, unasked.

    NumPy casts it itself where that needs leave: `np.asarray(x, int)` gives it, an index does not.
    """
    require_asked_for(node, copy)
    fitting = dtype is None or np.can_cast(array.dtype, dtype, "same_kind")
    return np.array(array, dtype=dtype if fitting else None, copy=copy)


def require_asked_for(node: Node, copy: bool | None = None, *, whole: bool = True) -> None:
    """Refuse to give numbers to a function of NumPy's that would compute with them.

    NumPy asks no one what a function of a list is, nor what its methods in C are: it takes the
    numbers. Only the program that called it can tell whether somebody wanted just that. What is not
    known for sure is given. `whole` is whether an array is asked for, and not a float.
    """
    if not needs_gradient(node):
        return
    frame, name = _asking()
    if frame is None or (frame.f_code.co_filename.startswith(LIBRARIES) and not _is_ours(frame)):
        return  # a library that plots or tabulates takes the numbers, as by np.asarray
    if name is not None and name != "require":  # which hands on what it was given
        if name not in CONSTANT_FUNCTIONS and not name.startswith("testing."):
            raise refusal(name, listed=True)
        return
    call = running_call(frame)
    if isinstance(call, RunningCall):
        _require_conversion(call, copy, whole)
    elif whole and call is not None and call.startswith(ARITHMETIC) and call != "BINARY_SUBSCR":
        raise TypeError(f"arithmetic of an array and a list with a Tensor in it: {NESTED}")


def _require_conversion(call: RunningCall, copy: bool | None, whole: bool) -> None:
    function = call.function
    of = getattr(function, "__self__", call.owner)  # also of a method that a variable holds
    name = getattr(function, "__name__", call.name)
    ufunc = of if isinstance(of, np.ufunc) else function
    if isinstance(ufunc, np.ufunc):
        method = "__call__" if ufunc is function else name
        if not _is_constant(ufunc.__name__, method):
            raise refusal(f"{ufunc.__name__}.{method}".removesuffix(".__call__"), listed=True)
        return
    if isinstance(of, np.random.Generator | np.random.RandomState) or (
        name in DRAWS and _may_be_numpys(of, whole)
    ):
        raise refusal(f"random.{name}")
    if isinstance(of, np.ndarray | np.generic) or _may_be_numpys(of, whole):
        if name in ARRAY_METHODS:
            raise refusal(f"ndarray.{name}")
        return
    if not is_numpys(function) or (isinstance(function, type) and issubclass(function, np.generic)):
        return
    if name not in CONVERSIONS:
        if name not in CONSTANT_FUNCTIONS:
            raise refusal(name, listed=True)
        return
    argument = call.argument()
    if argument is UNKNOWN or argument is OF_NUMPY:
        # NumPy asks for a copy of a Tensor itself, and not of one in a list.
        in_a_list = name == "array" and copy is None and "copy" not in call.words
    else:
        in_a_list = argument is A_LIST or _is_a_sequence(argument)
    if in_a_list:
        raise TypeError(NESTED)


def _is_a_sequence(value: Any) -> bool:
    is_one = hasattr(type(value), "__getitem__") and hasattr(type(value), "__len__")
    return is_one and not isinstance(value, str | np.dtype | Node)


def _may_be_numpys(owner: Any, whole: bool) -> bool:
    """Whether who has a method is an array, or unknown where NumPy alone asks for arrays."""
    return owner is OF_NUMPY or (whole and owner is UNKNOWN)


def _asking() -> tuple[FrameType | None, str | None]:
    """Return who asks, the nearest outside the files of Tensors, and through which of NumPy's.

    Those are the functions that NumPy has in Python, and which this goes through.
    """
    frame: FrameType | None = sys._getframe(1)
    name = None
    while frame and frame.f_globals.get("__name__") in (__name__, "autolm.tensor.tensor"):
        frame = frame.f_back
    while frame:
        module = frame.f_globals.get("__name__", "").split(".")
        if module[0] != "numpy":
            return frame, name
        room = module[1] if len(module) > 1 else "_core"
        name = frame.f_code.co_qualname
        if room == "_core" and name.startswith("_") and module[-1] == "_methods":
            name = f"ndarray.{name[1:]}"
        elif not room.startswith("_") and room != "lib":
            name = f"{room}.{name}"
        frame = frame.f_back
    return None, name


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "autolm"
