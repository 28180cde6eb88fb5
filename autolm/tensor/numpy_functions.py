"""NumPy's functions of Tensors: the table from NumPy's names to the operations of autolm.

NumPy passes a call on a Tensor to the Tensor (`__array_ufunc__`, `__array_function__`). A function
that autolm differentiates records an operation; one whose result has no gradient, such as `argmax`,
gets the arrays; any other is refused if a gradient would be lost. A Tensor that requires no
gradient is an array to NumPy, except where the table has the function.

A new operation needs a line in a table here, and nothing else.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.graph import Node
from autolm.engine.recording import is_recording
from autolm.outside.message import message

Array = NDArray[Any]

# The values of an argument that autolm's operation lacks: only those that are NumPy's default.
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


class UnsupportedCall(TypeError):
    """A call that autolm does not support; the message continues after the function's name."""


def needs_gradient(value: Any) -> bool:
    """Whether a value is or contains a node that requires a gradient, and recording is on."""
    return is_recording() and any(node.requires_grad for node in _nodes_in(value))


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _nodes_in(item)


def plain(value: Any, *, read_only: bool = False) -> Any:
    """Replace Tensors by their arrays, also in lists, tuples and dicts."""
    if isinstance(value, Node):
        if not read_only:
            return value.data
        array = value.data.view()
        array.flags.writeable = False
        return array
    if isinstance(value, dict):
        return {key: plain(item, read_only=read_only) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, read_only=read_only) for item in value)
    return value


def as_numpy_calls(operation: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """Return an operation with NumPy's signature; `theirs:ours` renames an argument."""
    names = {theirs: ours or theirs for theirs, _, ours in map(_split_name, signature.split())}
    parameters = inspect.signature(getattr(operation, "forward", operation)).parameters
    operands = [name for name, p in parameters.items() if p.kind != p.KEYWORD_ONLY]
    required = [name for name in operands if parameters[name].default is inspect.Parameter.empty]

    def call(*positional: Any, **options: Any) -> Any:
        arguments = {}
        for word, value in [*zip(names, positional, strict=False), *options.items()]:
            name = names.get(word, word)
            if value is np._NoValue:  # NumPy's marker of a missing argument
                continue
            if name in parameters:
                arguments[name] = value
            else:
                _require_default(word, value)
            if name not in operands and needs_gradient(value):
                raise UnsupportedCall(
                    message("would lose the gradient of {word}; use t.data", word=word)
                )
        first = [arguments.pop(name) for name in required]
        return operation(*first, **arguments)

    return call


def _require_default(word: str, value: Any) -> None:
    is_default = isinstance(value, str | bool) and value in DEFAULTS.get(word, ())
    if value is not None and not is_default:
        raise UnsupportedCall(message("of a Tensor takes no {word}=", word=word))


def _split_name(word: str) -> tuple[str, str, str]:
    return word.partition(":")


def by_indexing(name: str) -> Callable[..., Any]:
    """Compute a function that only moves elements: apply it to their positions, then index."""

    def call(*args: Any, **kwargs: Any) -> Any:
        function = getattr(np, name)
        bound = inspect.signature(function).bind(*args, **kwargs)
        first, *options = bound.arguments
        if bound.arguments.get("out") is not None:
            raise UnsupportedCall(message("of a Tensor takes no out="))
        if needs_gradient([bound.arguments[name] for name in options]):
            raise UnsupportedCall(
                message(
                    "would lose the gradient of {names}; use t.data", names=" or ".join(options)
                )
            )
        a = bound.arguments[first]
        bound.arguments = {name: plain(value) for name, value in bound.arguments.items()}
        bound.arguments[first] = np.arange(np.size(a)).reshape(np.shape(a))
        positions = function(*bound.args, **bound.kwargs)
        flat = ops.reshape(a, shape=(np.size(a),))
        if isinstance(positions, list | tuple):
            return type(positions)(ops.getitem(flat, index=part) for part in positions)
        return ops.getitem(flat, index=positions)

    return call


def _concatenate(arrays: Any, *, axis: int | None = 0) -> Any:
    if axis is None:
        return ops.concatenate([ops.reshape(a, shape=(np.size(a),)) for a in arrays], axis=0)
    return ops.concatenate(list(arrays), axis=axis)


def _stack(arrays: Any, *, axis: int = 0) -> Any:
    return ops.stack(list(arrays), axis=axis)


def _reshaped_like(a: Any, like: Callable[[Array], Any]) -> Any:
    return ops.reshape(a, shape=like(np.broadcast_to(0, np.shape(a))).shape)


def _vstack(arrays: Any) -> Any:
    return ops.concatenate([_reshaped_like(a, np.atleast_2d) for a in arrays], axis=0)


def _hstack(arrays: Any) -> Any:
    joined = [_reshaped_like(a, np.atleast_1d) for a in arrays]
    return ops.concatenate(joined, axis=0 if joined[0].ndim == 1 else 1)


def _dstack(arrays: Any) -> Any:
    return ops.concatenate([_reshaped_like(a, np.atleast_3d) for a in arrays], axis=2)


def _column_stack(arrays: Any) -> Any:
    return ops.concatenate([_reshaped_like(a, _column) for a in arrays], axis=1)


def _column(a: Array) -> Array:
    return a if a.ndim > 1 else a.reshape(-1, 1)


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ops.mul(a, b)
    if np.ndim(b) > 2:
        raise UnsupportedCall(
            message("of more than two axes is not a matrix product; use matmul, @")
        )
    return ops.matmul(a, b)


def _full_like(a: Any, fill_value: Any, *args: Any, **options: Any) -> Any:
    if needs_gradient(fill_value):
        raise lost_gradient("full_like")
    return np.full_like(plain(a), plain(fill_value), *args, **options)


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
        raise UnsupportedCall(
            message(
                "of {a} and {b}: both must have one axis; use outer", a=np.shape(a), b=np.shape(b)
            )
        )
    return _outer(a, b)


def outer(operation: Callable[..., Any], a: Any, b: Any) -> Any:
    """Apply an operation to every pair of an element of a and an element of b."""
    return operation(ops.reshape(a, shape=np.shape(a) + (1,) * np.ndim(b)), b)


def _ptp(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    high, low = (op(a, axis=axis, keepdims=keepdims) for op in (ops.max, ops.min))
    return high - low


def _matrix(m: Any) -> Any:
    """Repeat a vector as the rows of a matrix, as NumPy does in tril and triu."""
    return ops.broadcast_to(m, shape=np.shape(m) * 2) if np.ndim(m) == 1 else m


def _tril(m: Any, k: int = 0) -> Any:
    return ops.tril(_matrix(m), diagonal=k)


def _triu(m: Any, k: int = 0) -> Any:
    return ops.triu(_matrix(m), diagonal=k)


def _copy(a: Any) -> Any:
    return ops.astype(a, dtype=a.dtype)


def _einsum(subscripts: Any, *operands: Any, **options: Any) -> Any:
    if needs_gradient(options):
        raise UnsupportedCall(message("would lose the gradient of an option; use t.data"))
    for word, value in options.items():
        _require_default(word, value)
    return ops.einsum(*operands, subscripts=subscripts)


def _norm(a: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    of_a_matrix = np.size(axis) > 1 if axis is not None else np.ndim(a) != 1
    if ord is not None and of_a_matrix and ord != "fro":
        raise UnsupportedCall(
            message(
                "with ord={ord!r} is of a matrix; ops.norm is of all elements as one vector",
                ord=ord,
            )
        )
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
        raise UnsupportedCall(
            message(
                "of {a} and {b}: the last axes must be of one length", a=np.shape(a), b=np.shape(b)
            )
        )
    return ops.sum(ops.mul(a, b), axis=-1)


def _with_constant(
    operation: Callable[..., Any], a: Any = None, b: Any = None
) -> Callable[..., Any]:
    """Return an operation with one of its two operands fixed to a number."""
    return (lambda x: operation(a, x)) if b is None else (lambda x: operation(x, b))


# NumPy's ufuncs, and the operations that compute them.
UFUNCS: dict[str, Callable[..., Any]] = {
    **{op.name: op for op in ops.OPERATIONS if isinstance(getattr(np, op.name, None), np.ufunc)},
    "absolute": ops.abs,
    "conjugate": _positive,
    "cosh": lambda x: (ops.exp(x) + ops.exp(ops.neg(x))) / 2,
    "deg2rad": _with_constant(ops.mul, b=math.pi / 180),
    "degrees": _with_constant(ops.mul, b=180 / math.pi),
    "divide": ops.div,
    "exp2": _with_constant(ops.pow, a=2),
    "fabs": ops.abs,
    "log10": lambda x: ops.div(ops.log(x), math.log(10)),
    "log2": lambda x: ops.div(ops.log(x), math.log(2)),
    "multiply": ops.mul,
    "negative": ops.neg,
    "positive": _positive,
    "power": ops.pow,
    "rad2deg": _with_constant(ops.mul, b=180 / math.pi),
    "radians": _with_constant(ops.mul, b=math.pi / 180),
    "reciprocal": _with_constant(ops.div, a=1),
    "square": _square,
    "subtract": ops.sub,
    "tan": lambda x: ops.div(ops.sin(x), ops.cos(x)),
    "vecdot": _vecdot,
}

# The operations that compute `reduce` of a ufunc, whose default axis is 0.
REDUCTIONS = {
    "add": ops.sum,
    "multiply": ops.prod,
    "maximum": ops.max,
    "minimum": ops.min,
    "logaddexp": ops.logsumexp,
}

# NumPy's functions, by their names after "numpy.", and the operations that compute them.
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
    "full_like": _full_like,
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
        name: by_indexing(name)
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

# Functions whose gradient is 0 or does not exist: they get the arrays.
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
DIVISION = "floor_divide"  # its `reduce` of one element returns that element, which has a gradient
CONSTANT_FUNCTIONS = frozenset(
    {
        "all",
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

NO_WRITING = "writes into an array; give the Tensor a new one: t.data = ..."


def call_function(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Handle a function of NumPy with Tensors among its arguments."""
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    if isinstance(kwargs.get("out"), Node):
        raise TypeError(f"np.{name}: out= is a Tensor; {NO_WRITING}")
    if name in CONSTANT_FUNCTIONS:
        return function(*plain(args, read_only=True), **plain(kwargs, read_only=True))
    if name in FUNCTIONS:
        return _call_as(name, FUNCTIONS[name], args, kwargs)
    if needs_gradient([args, kwargs]):
        raise lost_gradient(name)
    return function(*plain(args), **plain(kwargs))


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Any, options: Mapping[str, Any]) -> Any:
    """Handle a ufunc of NumPy, or one of its methods, with Tensors among its arguments."""
    name = ufunc.__name__
    called = name if method == "__call__" else f"{name}.{method}"
    out, loses = options.get("out", ()), needs_gradient([inputs, options])
    if any(isinstance(array, Node) for array in out) or (
        method == "at" and isinstance(inputs[0], Node)
    ):
        raise TypeError(f"np.{called} {NO_WRITING}")
    if _is_constant(name, method) or (out and not loses):
        return getattr(ufunc, method)(*plain(inputs), **plain(options))
    if out:
        raise TypeError(
            message(
                "np.{called}: an array cannot hold the gradient of a Tensor; write a = "
                "a + t, not a += t or out=a, or use t.data",
                called=called,
            )
        )
    if method == "__call__" and name in UFUNCS:
        return _call_as(called, _with_defaults(UFUNCS[name]), inputs, options)
    if method == "outer" and name in UFUNCS:
        ours = _with_defaults(partial(outer, UFUNCS[name]))
        return _call_as(called, ours, inputs, options)
    if method == "reduce" and name in REDUCTIONS:
        reduction = as_numpy_calls(REDUCTIONS[name], "a axis dtype out keepdims initial where")
        return _call_as(called, reduction, inputs, {"axis": 0, **options})
    if loses:
        raise lost_gradient(called)
    return getattr(ufunc, method)(*plain(inputs), **plain(options))


def _is_constant(ufunc: str, method: str) -> bool:
    return ufunc in CONSTANT_UFUNCS and (method in ("__call__", "outer") or ufunc != DIVISION)


def _with_defaults(operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(*operands: Any, **options: Any) -> Any:
        for word, value in options.items():
            _require_default(word, value)
        return operation(*operands)

    return call


def _call_as(name: str, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except UnsupportedCall as error:
        raise TypeError(message("np.{name} {error}", name=name, error=error)) from None


def lost_gradient(name: str) -> TypeError:
    """Return the error for a function of NumPy that would lose a gradient."""
    return TypeError(
        f"np.{name} does not differentiate: write it with operations that do (OPERATIONS.md), "
        "or use t.data or t.detach()"
    )


def array_of(node: Node, array: Array, dtype: Any, copy: bool | None) -> Array:
    """Return the array for `np.asarray(t)`; TypeError if a gradient would be lost.

    NumPy itself makes a cast that loses digits: `np.asarray(t, int)` truncates, an index refuses.
    """
    if needs_gradient(node):
        raise TypeError(
            message(
                "a Tensor that requires a gradient does not become a NumPy array by "
                "itself: use t.data or t.detach(), or autolm.ops.stack for a list of "
                "Tensors"
            )
        )
    fitting = dtype is None or np.can_cast(array.dtype, dtype, "same_kind")
    return np.array(array, dtype=dtype if fitting else None, copy=copy)
