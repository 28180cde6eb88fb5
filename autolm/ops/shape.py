"""Operations that move elements and change none: reshape, transpose, index, join.

The gradient of each moves the upstream gradient back to where the elements came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autolm.ops.primitive import Array, Backward, Case, primitive
from autolm.ops.varied import Axis, Index, NewShape, OneOf, Order, Pattern, WiderShape


@primitive(
    symbol="reshape",
    formula="a in the shape given",
    rule=("ḡ in the shape of a",),
    cases=(
        Case(((2, 3),), {"shape": (3, 2)}),
        Case(((2, 3),), {"shape": (-1,)}),
        Case(((4,),), {"shape": (2, 1, 2)}),
        Case(((),), {"shape": (1,)}),
    ),
    patterns=(Pattern(("…",), {"shape": NewShape()}),),
)
def reshape(a: Array, *, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """Arrange the same elements, in the same order, in another shape; −1 is what is left."""
    a_shape = a.shape

    def backward(grad: Array) -> tuple[Array]:
        return (grad.reshape(a_shape),)

    return a.reshape(shape), backward


@primitive(
    symbol="transpose",
    formula="a with its axes in the order given",
    rule=("ḡ with its axes put back",),
    cases=(
        Case(((2, 3),)),
        Case(((2, 3, 4),), {"axes": (1, 2, 0)}),
        Case(((2, 3, 4),), {"axes": (0, -1, 1)}),
    ),
    patterns=(Pattern(("…",), {"axes": Order()}),),
)
def transpose(a: Array, *, axes: tuple[int, ...] | None = None) -> tuple[Array, Backward]:
    """Reorder the axes; reverse them if no order is given."""
    y = a.transpose(axes)  # refuses what is no order of the axes
    order = range(a.ndim)[::-1] if axes is None else [i % a.ndim for i in axes]
    inverse = tuple(order.index(i) for i in range(a.ndim))

    def backward(grad: Array) -> tuple[Array]:
        return (grad.transpose(inverse),)

    return y, backward


@primitive(
    symbol="swapaxes",
    formula="a with two axes exchanged",
    rule=("ḡ with the two exchanged back",),
    cases=(
        Case(((2, 3),), {"axis1": 0, "axis2": 1}),
        Case(((2, 3, 4),), {"axis1": -1, "axis2": 0}),
    ),
    patterns=(Pattern(("… n",), {"axis1": Axis(), "axis2": Axis()}),),
)
def swapaxes(a: Array, *, axis1: int, axis2: int) -> tuple[Array, Backward]:
    """Exchange two axes."""

    def backward(grad: Array) -> tuple[Array]:
        return (grad.swapaxes(axis1, axis2),)

    return a.swapaxes(axis1, axis2), backward


@primitive(
    symbol="broadcast",
    formula="a repeated to the shape given",
    rule=("ḡ summed over the repeats",),
    cases=(
        Case(((3,),), {"shape": (2, 3)}),
        Case(((2, 1),), {"shape": (4, 2, 3)}),
        Case(((),), {"shape": (2,)}),
    ),
    patterns=(Pattern(("…",), {"shape": WiderShape()}),),
)
def broadcast_to(a: Array, *, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """Repeat along new axes and along axes of length 1, as NumPy's broadcasting does."""

    def backward(grad: Array) -> tuple[Array]:
        return (grad,)  # the engine sums over the repeats

    return np.broadcast_to(a, shape), backward


@primitive(
    symbol="[ ]",
    formula="a[index]",
    rule=("ḡ added at the index, zeros elsewhere",),
    cases=(
        Case(((3,),), {"index": 1}),
        Case(((3, 4),), {"index": (slice(None), slice(0, 4, 2))}),
        Case(((3, 4),), {"index": (..., None, -1)}),
        Case(((3, 2),), {"index": np.array([0, 2, 0, 0])}),
        Case(((3, 4),), {"index": (np.array([0, 0]), np.array([1, 1]))}),
        Case(((3,),), {"index": np.array([True, False, True])}),
    ),
    patterns=(Pattern(("…",), {"index": Index()}),),
)
def getitem(a: Array, *, index: Any) -> tuple[Array, Backward]:
    """Take elements by any index that NumPy takes; one taken twice collects both gradients."""
    a_shape = a.shape
    parts = index if isinstance(index, tuple) else (index,)
    repeats = any(isinstance(part, list | np.ndarray) for part in parts)

    def backward(grad: Array) -> tuple[Array]:
        scattered = np.zeros(a_shape, dtype=grad.dtype)
        if repeats:
            np.add.at(scattered, index, grad)
        else:
            scattered[index] = grad
        return (scattered,)

    return a[index], backward


@primitive(
    symbol="concat",
    formula="a, b, … end to end",
    rule=("the part of ḡ that came from it",),
    cases=(
        Case(((2,), (3,)), {"axis": 0}),
        Case(((2, 1), (2, 3), (2, 2)), {"axis": -1}),
        Case(((1, 2), (2, 2)), {"axis": 0}),
        Case(((2, 2), (2, 2)), {"axis": 1}),
    ),
    patterns=(
        Pattern(("n", "m", "k"), {"axis": OneOf(0, -1)}),
        Pattern(("k n", "k m"), {"axis": OneOf(1, -1)}),
        Pattern(("n k l", "m k l"), {"axis": OneOf(0, -3)}),
    ),
)
def concatenate(*arrays: Array, axis: int = 0) -> tuple[Array, Backward]:
    """Join a sequence of arrays along an axis that they have."""
    ends = np.cumsum([array.shape[axis] for array in arrays])[:-1]

    def backward(grad: Array) -> tuple[Array, ...]:
        return tuple(np.split(grad, ends, axis=axis))

    return np.concatenate(arrays, axis=axis), backward


@primitive(
    symbol="stack",
    formula="a, b, … side by side on a new axis",
    rule=("the part of ḡ that came from it",),
    cases=(
        Case(((2,), (2,)), {"axis": 0}),
        Case(((2, 3), (2, 3), (2, 3)), {"axis": -1}),
        Case(((), ()), {"axis": 0}),
    ),
    patterns=(
        Pattern(("", ""), {"axis": Axis(new=True)}),
        Pattern(("n", "n", "n"), {"axis": Axis(new=True)}),
        Pattern(("n m", "n m"), {"axis": Axis(new=True)}),
    ),
)
def stack(*arrays: Array, axis: int = 0) -> tuple[Array, Backward]:
    """Join a sequence of arrays of one shape along a new axis."""

    def backward(grad: Array) -> tuple[Array, ...]:
        return tuple(np.moveaxis(grad, axis, 0))

    return np.stack(arrays, axis=axis), backward
