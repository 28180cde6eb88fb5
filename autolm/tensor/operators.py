"""Every operator of a Tensor, and methods that are told in a way of their own.

What they do stands in `ops`. Its operations are methods by themselves, in `methods.py`.
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
from autolm.tensor.methods import Methods
from autolm.tensor.numpy_functions import call_function, call_ufunc, plain

# How `transpose` of a matrix may be told, one by one, to leave the axes where they are.
UNMOVED = ((0, 1), (0, -1), (-2, 1), (-2, -1))


# What users of PyTorch look for, and what to write instead.
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


def _spelled(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method take PyTorch's words for NumPy's, as operations do."""
    code = method.__code__
    known = code.co_varnames[1 : code.co_argcount]

    @wraps(method)
    def call(self: Any, *given: Any, **told: Any) -> Any:
        words = respelled(method.__name__, told, known)
        for word in words:
            if word not in known:
                takes = f"there is no argument {word!r}; it takes {', '.join(known)}"
                raise TypeError(f"{method.__name__}: {takes}")
        return method(self, *given, **words)

    return call


class Operators(Methods):
    """The operators and methods of a Tensor."""

    __slots__ = ()

    if not TYPE_CHECKING:  # which would believe that there is everything

        def __getattr__(self, name: str) -> Any:
            instead = f"; {ABSENT[name]}" if name in ABSENT else ""
            told = f"{type(self).__name__!r} object has no attribute {name!r}{instead}"
            raise AttributeError(told, name=name, obj=self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Let NumPy's functions take Tensors: `np.exp(x)`, `array * x`, `array < x`."""
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Let its others take Tensors too, as far as they keep the gradient: `np.sum(x, 0)`."""
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

    # Comparisons are of elements, and give arrays of bools; a Tensor is found by identity

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
            "x[...] = y: a Tensor's elements are not assigned to, since its graph may need them; "
            "ops.where or masked_fill make another, and x.data = ... gives it other numbers"
        )

    # Methods that are told otherwise than the operations that they call

    def reshape(self, *shape: Any) -> Self:
        """Give the elements, in their order, another shape: told as a tuple, or one by one."""
        return ops.reshape(self, shape=_one_or_many(shape))

    view = reshape  # PyTorch's word

    def transpose(self, *axes: Any) -> Self:
        """Put the axes in another order, all of them told; by default in reverse."""
        if len(axes) == 2 and self.ndim == 2 and axes in UNMOVED:  # type: ignore[attr-defined]
            raise ValueError(
                f"transpose{axes} of a matrix: NumPy leaves it as it is, and PyTorch exchanges its "
                f"axes; write transpose({axes}) or swapaxes{axes}"
            )
        return ops.transpose(self, axes=_all_axes(self, _one_or_many(axes)) or None)

    def permute(self, *dims: Any) -> Self:
        """Put the axes in the order told, all of them: PyTorch's `transpose` of many."""
        return ops.transpose(self, axes=_all_axes(self, _one_or_many(dims), "permute"))

    @property
    def T(self) -> Self:
        """The axes in reverse order."""
        return ops.transpose(self)

    def broadcast_to(self, *shape: Any) -> Self:
        """Repeat along axes of length 1 and new ones in front, to a shape."""
        return ops.broadcast_to(self, shape=_one_or_many(shape))

    def clone(self) -> Self:
        """Give a node with the same elements, whose gradient is this one's too."""
        return ops.astype(self, dtype=self.dtype)  # type: ignore[attr-defined]

    # What has no gradient: plain numbers

    @_spelled
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return where the largest is, along an axis or among all elements in their order."""
        return _place_of(np.argmax, self, axis, keepdims)

    @_spelled
    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return where the smallest is, along an axis or among all elements in their order."""
        return _place_of(np.argmin, self, axis, keepdims)

    @_spelled
    def argsort(self, axis: int | None = -1, descending: bool = False) -> Any:
        """Return where the elements are that come first, second, … along an axis; stable."""
        a = plain(self)
        if axis is None:  # as in NumPy
            a, axis = a.reshape(-1), -1
        return ops.sort(a, read_axis("argsort", axis, a.shape), descending)[1]

    def tolist(self) -> Any:
        """Return the elements as Python's numbers, in lists."""
        return plain(self).tolist()


def _compare(comparison: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    left, right = plain(a), plain(b)
    try:
        return comparison(left, right)
    except ValueError:
        raise ValueError(
            f"shapes {np.shape(left)} and {np.shape(right)} of what is compared do not broadcast"
        ) from None
    except TypeError:
        raise TypeError(
            f"a Tensor is compared with numbers, not with {type(right).__name__}"
        ) from None


def _place_of(choose: Callable[..., Any], x: Any, axis: Any, keepdims: Any) -> Any:
    a, name = plain(x), choose.__name__
    axis = axis if axis is None else read_axis(name, axis, a.shape)
    return choose(a, axis=axis, keepdims=read_bool(name, "keepdims", keepdims))


def _no_gradient(written: str, instead: str) -> TypeError:
    return TypeError(f"{written} of a Tensor has no gradient to give; write {instead}")


def _one_or_many(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if numbers and isinstance(numbers[0], tuple | list) else numbers


def _all_axes(x: Any, axes: tuple[int, ...], name: str = "transpose") -> tuple[int, ...]:
    """Refuse some axes of many: what PyTorch calls `transpose(1, 2)` is `swapaxes(1, 2)` here."""
    if axes and len(axes) != x.ndim:
        hint = f"; to exchange two: swapaxes{axes}" if len(axes) == 2 and x.ndim > 2 else ""
        raise ValueError(
            f"{name} of {x.shape}: give every axis in the new order, {x.ndim} in all, "
            f"not {axes}{hint}"
        )
    return axes
