"""The operators of a Tensor, and the methods whose arguments differ from their operation's.

Every other operation of `autolm.ops` on an array `a` is a method of that name; see `methods.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from autolm import ops
from autolm.engine.graph import Node
from autolm.ops.array_arguments import read_axis, respelled
from autolm.outside.arguments import read_bool
from autolm.outside.message import message
from autolm.tensor.methods import Methods
from autolm.tensor.numpy_functions import call_function, call_ufunc, plain

# Arguments of `transpose` of a matrix: NumPy leaves these axes in place, PyTorch swaps them.
AMBIGUOUS_AXES = ((0, 1), (0, -1), (-2, 1), (-2, -1))


# Attributes of PyTorch's tensors that a Tensor lacks, and what to write instead.
DEVICE = "autolm computes with NumPy, on the processor; x.astype(...) gives it another dtype"
PRECISION = "write x.astype(np.float32), or the dtype that you mean"
INTEGERS = "whole numbers have no gradient; write x.data.astype(int)"
ABSENT = {
    **dict.fromkeys(("to", "cuda", "cpu", "device"), DEVICE),
    **dict.fromkeys(("float", "double", "half", "type"), PRECISION),
    **dict.fromkeys(("int", "long", "bool"), INTEGERS),
    **dict.fromkeys(("add_", "sub_", "mul_", "div_", "zero_", "copy_"), "write x = x + y"),
    **dict.fromkeys(("expand", "expand_as"), "write x.broadcast_to(shape)"),
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), "write x @ y"),
    **dict.fromkeys(
        ("any", "all", "isnan", "nonzero"), "x.data is the array, which has it or NumPy"
    ),
    **dict.fromkeys(("repeat", "tile"), "write np.tile(x, counts), or np.repeat for each element"),
    **dict.fromkeys(("diag", "diagonal"), "write einsum('ii->i', x)"),
    "amax": "write x.max(axis)",
    "amin": "write x.min(axis)",
    "clamp": "write x.clip(low, high)",
    "contiguous": "x is as good as it is: leave it out",
    "copy": "write x.clone()",
    "dim": "write x.ndim",
    "grad_fn": "write x.backward_rule",
    "index_select": "write x[index]",
    "is_leaf": "write not x.parents",
    "log1p": "write (1 + x).log()",
    "mT": "write x.swapaxes(-1, -2)",
    "numel": "write x.size",
    "outer": "write x[..., None] * y",
    "ravel": "write x.flatten()",
    "reciprocal": "write 1 / x",
    "requires_grad_": "write x.requires_grad = True, or Tensor(data, requires_grad=True)",
    "retain_grad": "write y.backward(retain_grads=True)",
    "rsqrt": "write 1 / x.sqrt()",
    "square": "write x * x",
    "t": "write x.T",
    "trace": "write einsum('ii', x)",
    "unbind": "write list(x)",
    "where": "write where(condition, x, y)",
}


def _accept_synonyms(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method so that it accepts PyTorch's argument names too, as operations do."""
    code = method.__code__
    parameters = code.co_varnames[1 : code.co_argcount]

    @wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        words = respelled(method.__name__, options, parameters)
        for word in words:
            if word not in parameters:
                takes = f"there is no argument {word!r}; it takes {', '.join(parameters)}"
                raise TypeError(f"{method.__name__}: {takes}")
        return method(self, *arguments, **words)

    return call


class Operators(Methods):
    """The operators and methods of a Tensor."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker would accept any attribute

        def __getattr__(self, name: str) -> Any:
            instead = f"; {ABSENT[name]}" if name in ABSENT else ""
            text = f"{type(self).__name__!r} object has no attribute {name!r}{instead}"
            raise AttributeError(text, name=name, obj=self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Handle a ufunc of NumPy: `np.exp(x)`, `array * x`, `array < x`."""
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Handle another function of NumPy, such as `np.sum(x, 0)`, if it keeps the gradient."""
        return call_function(function, args, kwargs)

    def __add__(self, other: Any) -> Self:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Self:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Self:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Self:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Self:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Self:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Self:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return ops.div(other, self)

    def __pow__(self, other: Any) -> Self:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> Self:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> Self:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Self:
        return ops.matmul(other, self)

    # Comparisons return arrays of bools; the hash is by identity

    __hash__ = Node.__hash__

    def __eq__(self, other: Any) -> Any:
        return _compare(operator.eq, self, other)

    def __ne__(self, other: Any) -> Any:
        return _compare(operator.ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return _compare(operator.lt, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(operator.gt, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(operator.le, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(operator.ge, self, other)

    def __pos__(self) -> Self:
        return ops.mul(self, 1)

    def __neg__(self) -> Self:
        return ops.neg(self)

    def __abs__(self) -> Self:
        return ops.abs(self)

    def __floordiv__(self, other: Any) -> Any:
        raise _no_gradient("x // y", "np.floor(x.data / y)")

    def __rfloordiv__(self, other: Any) -> Any:
        raise _no_gradient("x // y", "np.floor(x / y.data)")

    def __mod__(self, other: Any) -> Any:
        raise _no_gradient("x % y", "x - y * np.floor(x.data / y)")

    def __rmod__(self, other: Any) -> Any:
        raise _no_gradient("x % y", "x - y * np.floor(x / y.data)")

    def __round__(self, digits: int | None = None) -> Any:
        raise _no_gradient("round(x)", "np.round(x.data)")

    def __getitem__(self, index: Any) -> Self:
        return ops.getitem(self, index=index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            message(
                "x[...] = y: a Tensor's elements are not assigned to, since its graph "
                "may need them; ops.where or masked_fill make another, and x.data = "
                "... gives it other numbers"
            )
        )

    # Methods whose arguments differ from those of their operation

    def reshape(self, *shape: Any) -> Self:
        """Return the elements in another shape, given as a tuple or as one int per axis."""
        return ops.reshape(self, shape=_one_or_many(shape))

    view = reshape  # PyTorch's name

    def transpose(self, *axes: Any) -> Self:
        """Return the elements with every axis in a new order, by default reversed."""
        if len(axes) == 2 and self.ndim == 2 and axes in AMBIGUOUS_AXES:  # type: ignore[attr-defined]
            raise ValueError(
                message(
                    "transpose{axes} of a matrix: NumPy leaves it as it is, and PyTorch "
                    "exchanges its axes; write transpose({axes}) or swapaxes{axes}",
                    axes=axes,
                )
            )
        return ops.transpose(self, axes=_all_axes(self, _one_or_many(axes)) or None)

    def permute(self, *dims: Any) -> Self:
        """Return the elements with the axes in the order `dims`, which names every axis."""
        return ops.transpose(self, axes=_all_axes(self, _one_or_many(dims), "permute"))

    @property
    def T(self) -> Self:
        """The Tensor with its axes reversed."""
        return ops.transpose(self)

    def broadcast_to(self, *shape: Any) -> Self:
        """Broadcast to a shape: repeat along axes of length 1, and add axes in front."""
        return ops.broadcast_to(self, shape=_one_or_many(shape))

    def clone(self) -> Self:
        """Return a copy of the elements as a new node; gradients flow through it."""
        return ops.astype(self, dtype=self.dtype)  # type: ignore[attr-defined]

    # Methods without a gradient, which return plain numbers

    @_accept_synonyms
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the index of the largest element along an axis, or in the flattened array."""
        return _index_of(np.argmax, self, axis, keepdims)

    @_accept_synonyms
    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the index of the smallest element along an axis, or in the flattened array."""
        return _index_of(np.argmin, self, axis, keepdims)

    @_accept_synonyms
    def argsort(self, axis: int | None = -1, descending: bool = False) -> Any:
        """Return the indices that sort the elements along an axis; the sort is stable."""
        a = plain(self)
        if axis is None:  # as in NumPy
            a, axis = a.reshape(-1), -1
        return ops.sort(a, read_axis("argsort", axis, a.shape), descending)[1]

    def tolist(self) -> Any:
        """Return the elements as Python numbers, in nested lists."""
        return plain(self).tolist()


def _compare(comparison: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    left, right = plain(a), plain(b)
    try:
        return comparison(left, right)
    except ValueError:
        raise ValueError(
            message(
                "shapes {left} and {right} of what is compared do not broadcast",
                left=np.shape(left),
                right=np.shape(right),
            )
        ) from None
    except TypeError:
        raise TypeError(
            message("a Tensor is compared with numbers, not with {kind}", kind=type(right).__name__)
        ) from None


def _index_of(choose: Callable[..., Any], x: Any, axis: Any, keepdims: Any) -> Any:
    a, name = plain(x), choose.__name__
    axis = axis if axis is None else read_axis(name, axis, a.shape)
    return choose(a, axis=axis, keepdims=read_bool(name, "keepdims", keepdims))


def _no_gradient(written: str, instead: str) -> TypeError:
    return TypeError(f"{written} of a Tensor has no gradient to give; write {instead}")


def _one_or_many(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if numbers and isinstance(numbers[0], tuple | list) else numbers


def _all_axes(x: Any, axes: tuple[int, ...], name: str = "transpose") -> tuple[int, ...]:
    """Require every axis: PyTorch's `transpose(1, 2)` is `swapaxes(1, 2)` here."""
    if axes and len(axes) != x.ndim:
        hint = f"; to exchange two: swapaxes{axes}" if len(axes) == 2 and x.ndim > 2 else ""
        raise ValueError(
            message(
                "{name} of {shape}: give every axis in the new order, {ndim} in all, "
                "not {axes}{hint}",
                name=name,
                shape=x.shape,
                ndim=x.ndim,
                axes=axes,
                hint=hint,
            )
        )
    return axes
