"""Operations that move elements and change none: reshape, transpose, indexing, joining.

Their rules move the upstream gradient back to the positions that the elements came from.
"""

from __future__ import annotations

from math import prod
from typing import Any, NoReturn

import numpy as np

from autolm.ops.array_arguments import (
    Axis,
    read_axes,
    read_axis,
    read_new_shape,
    read_order,
    read_shape,
)
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Axis as AnyAxis
from autolm.ops.call_patterns import Index, NewShape, OneOf, Order, Pattern, WiderShape
from autolm.ops.composed import composed
from autolm.ops.index import as_index, repeats
from autolm.ops.primitive import Backward, primitive
from autolm.ops.reduce import accumulating
from autolm.outside.message import message


@primitive(
    symbol="reshape",
    formula="a in the shape given",
    places=("shape",),
    rule=("ḡ in the shape of a",),
    cases=(
        Case(((2, 3),), {"shape": (3, 2)}),
        Case(((2, 3),), {"shape": (-1,)}),
        Case(((4,),), {"shape": (2, 1, 2)}),
        Case(((),), {"shape": (1,)}),
    ),
    patterns=(Pattern(("…",), {"shape": NewShape()}),),
)
def reshape(a: Array, /, *, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """Arrange the same elements, in the same order, in another shape; one length may be −1."""
    a_shape = a.shape

    def backward(grad: Array) -> tuple[Array]:
        return (grad.reshape(a_shape),)

    return a.reshape(read_new_shape("reshape", shape, a_shape)), backward


@composed(
    symbol="squeeze",
    formula="a without axes of length 1",
    rule=("ḡ in the shape of a",),
    cases=(
        Case(((1, 3, 1),)),
        Case(((2, 1),), {"axis": -1}),
        Case(((1, 2, 1),), {"axis": (0, 2)}),
    ),
    patterns=(Pattern(("…",), {"axis": None}),),
    places=("axis",),
)
def squeeze(a: Any, /, *, axis: Axis = None) -> Any:
    """Remove axes of length 1, by default all of them."""
    axes = read_axes("squeeze", axis, a.shape)
    for i in axes if axis is not None else ():
        if a.shape[i] != 1:
            raise ValueError(
                message(
                    "squeeze: a is {shape}: axis={axis!r} is not of length 1",
                    shape=a.shape,
                    axis=axis,
                )
            )
    lengths = [n for i, n in enumerate(a.shape) if n != 1 or i not in axes]
    return reshape(a, shape=tuple(lengths))


@composed(
    symbol="unsqueeze",
    formula="a with a new axis of length 1",
    rule=("ḡ in the shape of a",),
    cases=(Case(((2, 3),), {"axis": 1}), Case(((),), {"axis": 0})),
    patterns=(Pattern(("…",), {"axis": AnyAxis(new=True)}),),
    places=("axis",),
)
def unsqueeze(a: Any, /, *, axis: int) -> Any:
    """Insert an axis of length 1, at position `axis` of the result."""
    place = read_axis("unsqueeze", axis, a.shape, added=1)
    return reshape(a, shape=(*a.shape[:place], 1, *a.shape[place:]))


@composed(
    symbol="flatten",
    formula="a with some axes after one another as one",
    rule=("ḡ in the shape of a",),
    cases=(
        Case(((2, 3),)),
        Case(((),)),
        Case(((2, 3, 2),), {"start_dim": 1}),
        Case(((2, 3, 2),), {"end_dim": -2}),
    ),
    patterns=(
        Pattern(("… n",), {"start_dim": AnyAxis()}),
        Pattern(("… n",), {"end_dim": AnyAxis()}),
    ),
    places=("start_dim", "end_dim"),
)
def flatten(a: Any, /, *, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Merge the axes from `start_dim` to `end_dim`, by default all, as in PyTorch."""
    start = read_axis("flatten", start_dim, a.shape, "start_dim")
    end = read_axis("flatten", end_dim, a.shape, "end_dim")
    if start > end:
        raise ValueError(
            message(
                "flatten: start_dim {start_dim} comes after end_dim {end_dim}",
                start_dim=start_dim,
                end_dim=end_dim,
            )
        )
    length = prod(a.shape[start : end + 1])
    return reshape(a, shape=(*a.shape[:start], length, *a.shape[end + 1 :]))


@primitive(
    symbol="transpose",
    formula="a with its axes in the order given",
    places=("axes",),
    rule=("ḡ with its axes put back",),
    cases=(
        Case(((2, 3),)),
        Case(((2, 3, 4),), {"axes": (1, 2, 0)}),
        Case(((2, 3, 4),), {"axes": (0, -1, 1)}),
    ),
    patterns=(Pattern(("…",), {"axes": Order()}),),
)
def transpose(a: Array, /, *, axes: tuple[int, ...] | None = None) -> tuple[Array, Backward]:
    """Reorder the axes; reverse them if no order is given."""
    order = read_order("transpose", axes, a.shape)
    inverse = tuple(order.index(i) for i in range(a.ndim))

    def backward(grad: Array) -> tuple[Array]:
        return (grad.transpose(inverse),)

    return a.transpose(order), backward


@primitive(
    symbol="swapaxes",
    formula="a with two axes exchanged",
    places=("axis1", "axis2"),
    rule=("ḡ with the two exchanged back",),
    cases=(
        Case(((2, 3),), {"axis1": 0, "axis2": 1}),
        Case(((2, 3, 4),), {"axis1": -1, "axis2": 0}),
    ),
    patterns=(Pattern(("… n",), {"axis1": AnyAxis(), "axis2": AnyAxis()}),),
)
def swapaxes(a: Array, /, *, axis1: int, axis2: int) -> tuple[Array, Backward]:
    """Exchange two axes."""
    if a.ndim == 0:
        raise ValueError(message("swapaxes: a is (): a number has no axes to exchange"))
    axis1 = read_axis("swapaxes", axis1, a.shape, "axis1")
    axis2 = read_axis("swapaxes", axis2, a.shape, "axis2")

    def backward(grad: Array) -> tuple[Array]:
        return (grad.swapaxes(axis1, axis2),)

    return a.swapaxes(axis1, axis2), backward


@primitive(
    symbol="broadcast",
    formula="a repeated to the shape given",
    places=("shape",),
    rule=("ḡ summed over the repeats",),
    cases=(
        Case(((3,),), {"shape": (2, 3)}),
        Case(((2, 1),), {"shape": (4, 2, 3)}),
        Case(((),), {"shape": (2,)}),
    ),
    patterns=(Pattern(("…",), {"shape": WiderShape()}),),
)
def broadcast_to(a: Array, /, *, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """Repeat along new axes and along axes of length 1, as NumPy's broadcasting does."""
    shape = read_shape("broadcast_to", shape)

    def backward(grad: Array) -> tuple[Array]:
        return (grad,)  # the engine sums over the repeats

    try:
        return np.broadcast_to(a, shape), backward
    except (ValueError, OverflowError):
        raise ValueError(
            message(
                "broadcast_to: a is {shape}, which does not fill shape {shape2}",
                shape=a.shape,
                shape2=shape,
            )
        ) from None


@primitive(
    symbol="[ ]",
    formula="a[index]",
    places=("index",),
    rule=("ḡ added at the index, zeros elsewhere",),
    cases=(
        Case(((3,),), {"index": 1}),
        Case(((),), {"index": ()}),
        Case(((3, 4),), {"index": (slice(None), slice(0, 4, 2))}),
        Case(((3, 4),), {"index": (slice(None, None, -2), -1)}),
        Case(((3, 4),), {"index": (..., None, -1)}),
        Case(((3, 2),), {"index": np.array([0, 2, 0, 0])}),
        Case(((3, 2),), {"index": [[2, 0], [-1, 2]]}),
        Case(((3, 4),), {"index": ((0, 0), (1, 1))}),
        Case(((3, 4),), {"index": (slice(1, None), (1, 1))}),
        Case(((2, 3, 4),), {"index": ([1, 1, 0], ..., None, np.array([[0], [0]]))}),
        Case(((3,),), {"index": np.array([True, False, True])}),
        Case(((3,),), {"index": True}),
        Case(((3, 2),), {"index": ([False, True, False], [1, 1])}),
        Case(((2, 2),), {"index": [[True, False], [True, True]]}),
    ),
    patterns=(Pattern(("…",), {"index": Index()}),),
)
def getitem(a: Array, /, *, index: Any) -> tuple[Array, Backward]:
    """Select elements by any index of NumPy; an element selected twice gets both gradients."""
    a_shape, parts = a.shape, as_index(index)
    try:
        y = a[parts]
    except IndexError as error:
        raise IndexError(
            message("getitem of {a_shape}: {error}", a_shape=a_shape, error=error)
        ) from None

    def backward(grad: Array) -> tuple[Array]:
        grad = accumulating(grad) if repeats(parts) else grad
        scattered = np.zeros(a_shape, dtype=grad.dtype)
        if repeats(parts):
            np.add.at(scattered, parts, grad)
        else:
            scattered[parts] = grad
        return (scattered,)

    return y, backward


@primitive(
    symbol="concat",
    formula="a, b, … end to end",
    places=("axis",),
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
    """Join a sequence of arrays along an existing axis."""
    _require_some("concatenate", arrays)
    if arrays[0].ndim == 0:
        raise ValueError(message("concatenate: operand 0 is (): a number has no axis; use stack"))
    axis = read_axis("concatenate", axis, arrays[0].shape)
    first = arrays[0].shape
    for i, array in enumerate(arrays):
        if (*array.shape[:axis], *array.shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            _refuse_join("concatenate", arrays, i, f"only along axis {axis} may they differ")
    ends = np.cumsum([array.shape[axis] for array in arrays])[:-1]

    def backward(grad: Array) -> tuple[Array, ...]:
        return tuple(np.split(grad, ends, axis=axis))

    return np.concatenate(arrays, axis=axis), backward


@primitive(
    symbol="stack",
    formula="a, b, … side by side on a new axis",
    places=("axis",),
    rule=("the part of ḡ that came from it",),
    cases=(
        Case(((2,), (2,)), {"axis": 0}),
        Case(((2, 3), (2, 3), (2, 3)), {"axis": -1}),
        Case(((), ()), {"axis": 0}),
    ),
    patterns=(
        Pattern(("", ""), {"axis": AnyAxis(new=True)}),
        Pattern(("n", "n", "n"), {"axis": AnyAxis(new=True)}),
        Pattern(("n m", "n m"), {"axis": AnyAxis(new=True)}),
    ),
)
def stack(*arrays: Array, axis: int = 0) -> tuple[Array, Backward]:
    """Join a sequence of arrays of one shape along a new axis."""
    _require_some("stack", arrays)
    axis = read_axis("stack", axis, arrays[0].shape, added=1)
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            _refuse_join("stack", arrays, i, "they must be of one shape")

    def backward(grad: Array) -> tuple[Array, ...]:
        return tuple(np.moveaxis(grad, axis, 0))

    return np.stack(arrays, axis=axis), backward


def _require_some(name: str, arrays: tuple[Array, ...]) -> None:
    if not arrays:
        raise ValueError(message("{name}: there is no array to join", name=name))


def _refuse_join(name: str, arrays: tuple[Array, ...], i: int, why: str) -> NoReturn:
    shapes = f"operand 0 is {arrays[0].shape} and operand {i} is {arrays[i].shape}"
    raise ValueError(f"{name}: {shapes}: {why}")
