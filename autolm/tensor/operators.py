"""Every operator and method of a Tensor, one line each: what NumPy's and PyTorch's users expect.

What they do stands in `ops`, under the same names; a method has the docstring of its primitive.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np

from autolm import ops
from autolm.engine.graph import Node
from autolm.tensor.numpy_functions import call_function, call_ufunc, plain

# How `transpose` of a matrix may be told, one by one, to leave the axes where they are.
UNMOVED = ((0, 1), (0, -1), (-2, 1), (-2, -1))


Node_ = TypeVar("Node_")


class _Method(Protocol):
    """What a type checker sees of a method: it returns what it is a method of."""

    def __get__(self, node: Node_, kind: Any = None) -> Callable[..., Node_]: ...


def method(operation: ops.ArrayOperation) -> _Method:
    """Make an operation a method, with its words and its places."""

    def call(self: Any, *given: Any, **attributes: Any) -> Any:
        return operation(self, *given, **attributes)

    call.__name__ = call.__qualname__ = operation.name
    call.__doc__ = operation.__doc__
    return cast(_Method, call)


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

    # Methods, where users of NumPy or PyTorch expect them: each is the primitive of its name

    abs = method(ops.abs)
    exp = method(ops.exp)
    log = method(ops.log)
    sqrt = method(ops.sqrt)
    sin = method(ops.sin)
    cos = method(ops.cos)
    tanh = method(ops.tanh)
    sigmoid = method(ops.sigmoid)
    relu = method(ops.relu)
    gelu = method(ops.gelu)
    silu = method(ops.silu)
    softplus = method(ops.softplus)
    leaky_relu = method(ops.leaky_relu)
    erf = method(ops.erf)
    clip = method(ops.clip)
    masked_fill = method(ops.masked_fill)
    sum = method(ops.sum)
    mean = method(ops.mean)
    max = method(ops.max)
    min = method(ops.min)
    logsumexp = method(ops.logsumexp)
    var = method(ops.var)
    softmax = method(ops.softmax)
    log_softmax = method(ops.log_softmax)
    swapaxes = method(ops.swapaxes)

    def reshape(self, *shape: Any) -> Self:
        """Give the elements, in their order, another shape: told as a tuple, or one by one."""
        return ops.reshape(self, shape=_one_or_many(shape))

    def transpose(self, *axes: Any) -> Self:
        """Put the axes in another order, all of them told; by default in reverse."""
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

    def broadcast_to(self, *shape: Any) -> Self:
        """Repeat along axes of length 1 and new ones in front, to a shape."""
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


def _no_gradient(written: str, instead: str) -> TypeError:
    return TypeError(f"{written} of a Tensor has no gradient to give; write {instead}")


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
