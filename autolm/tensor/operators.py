"""Every operator and method of a Tensor, one line each: what NumPy's and PyTorch's users expect.

What they do stands in `ops`, under the same names; a method has the docstring of its primitive.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from autolm import ops
from autolm.engine.graph import Node
from autolm.ops.arguments import Axis, respelled
from autolm.tensor.numpy_functions import call_function, call_ufunc, plain

# How `transpose` of a matrix may be told, one by one, to leave the axes where they are.
UNMOVED = ((0, 1), (0, -1), (-2, 1), (-2, -1))


class Operators:
    """The operators and methods of a Tensor."""

    __slots__ = ()

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

    def __neg__(self) -> Self:
        return ops.neg(self)

    def __abs__(self) -> Self:
        return ops.abs(self)

    def __getitem__(self, index: Any) -> Self:
        return ops.getitem(self, index=index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "x[...] = y: a Tensor's elements are not assigned to, since its graph may need them; "
            "ops.where or masked_fill make another, and x.data = ... gives it other numbers"
        )

    # Methods, where users of NumPy or PyTorch expect them: each is the primitive of its name

    def abs(self) -> Self:
        return ops.abs(self)

    def exp(self) -> Self:
        return ops.exp(self)

    def log(self) -> Self:
        return ops.log(self)

    def sqrt(self) -> Self:
        return ops.sqrt(self)

    def sin(self) -> Self:
        return ops.sin(self)

    def cos(self) -> Self:
        return ops.cos(self)

    def tanh(self) -> Self:
        return ops.tanh(self)

    def sigmoid(self) -> Self:
        return ops.sigmoid(self)

    def relu(self) -> Self:
        return ops.relu(self)

    def gelu(self) -> Self:
        return ops.gelu(self)

    def clip(self, low: float, high: float) -> Self:
        return ops.clip(self, low=low, high=high)

    def masked_fill(self, mask: ArrayLike, value: float) -> Self:
        return ops.masked_fill(self, mask=np.asarray(mask, dtype=bool), value=value)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Self:
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Self:
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Self:
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Self:
        return ops.min(self, axis=axis, keepdims=keepdims)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Self:
        return ops.logsumexp(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, *other: Any, keepdims: bool = False, ddof: int = 0) -> Self:
        if other:  # NumPy has a dtype there, and PyTorch the switch of its own ddof
            raise TypeError("var: name what comes after the axis: keepdims= or ddof=")
        return ops.var(self, axis=axis, keepdims=keepdims, ddof=ddof)

    def softmax(self, axis: int = -1) -> Self:
        return ops.softmax(self, axis=axis)

    def log_softmax(self, axis: int = -1) -> Self:
        return ops.log_softmax(self, axis=axis)

    def reshape(self, *shape: Any) -> Self:
        return ops.reshape(self, shape=_one_or_many(shape))

    def transpose(self, *axes: Any) -> Self:
        if len(axes) == 2 and self.ndim == 2 and axes in UNMOVED:  # type: ignore[attr-defined]
            raise ValueError(
                f"transpose{axes} of a matrix: NumPy leaves it as it is, and PyTorch exchanges its "
                f"axes; write transpose({axes}) or swapaxes{axes}"
            )
        return ops.transpose(self, axes=_all_axes(self, _one_or_many(axes)) or None)

    @property
    def T(self) -> Self:
        """The axes in reverse order."""
        return ops.transpose(self)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        return ops.swapaxes(self, axis1=axis1, axis2=axis2)

    def broadcast_to(self, *shape: Any) -> Self:
        return ops.broadcast_to(self, shape=_one_or_many(shape))


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


def _one_or_many(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if numbers and isinstance(numbers[0], tuple | list) else numbers


def _all_axes(x: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse some axes of many: what PyTorch calls `transpose(1, 2)` is `swapaxes(1, 2)` here."""
    if axes and len(axes) != x.ndim:
        hint = f"; to exchange two: swapaxes{axes}" if len(axes) == 2 and x.ndim > 2 else ""
        raise ValueError(
            f"transpose of {x.shape}: give every axis in the new order, {x.ndim} in all, "
            f"not {axes}{hint}"
        )
    return axes


def _spelled_either_way(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that takes axis= and keepdims= take PyTorch's dim= and keepdim= as well."""

    @wraps(method)
    def spelled(self: Any, *given: Any, **attributes: Any) -> Any:
        if "dim" in attributes or "keepdim" in attributes:
            attributes = dict(zip(("axis", "keepdims"), given, strict=False)) | attributes
            return method(self, **respelled(name, attributes))
        return method(self, *given, **attributes)

    return spelled


for _operation in ops.PRIMITIVES:
    if _operation.name in vars(Operators):
        _method = vars(Operators)[_operation.name]
        _method.__doc__ = _operation.__doc__
        if _operation.has_axis:
            setattr(Operators, _operation.name, _spelled_either_way(_operation.name, _method))
