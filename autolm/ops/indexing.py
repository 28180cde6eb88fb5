"""Operations that choose elements: gather, sort, topk, tril and triu.

Positions or a mask, which have no gradient, select the elements. The gradient goes to these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.array_arguments import read_axis, read_integers
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import Axis, Ids, OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.neural import masked_fill
from autolm.ops.primitive import Backward, primitive
from autolm.ops.shape import getitem
from autolm.outside.arguments import read_bool, read_int
from autolm.outside.message import message

Places = NDArray[np.integer[Any]]


@composed(
    symbol="gather",
    formula="yᵢⱼ = aₖⱼ,  k = indexᵢⱼ",
    rule=("ḡ added at the index, zeros elsewhere",),
    cases=(
        Case(((3,),), {"axis": 0, "index": np.array([2, 0, 2])}),
        Case(((2, 3),), {"axis": 1, "index": [[0], [-1]]}),
        Case(((2, 3),), {"axis": 0, "index": np.array([[1, 1, 0]])}),
    ),
    patterns=(
        Pattern(("n",), {"axis": OneOf(0, -1), "index": Ids("n", "n")}),
        Pattern(("n m",), {"axis": OneOf(0, -2), "index": Ids("n", "n m")}),
        Pattern(("n m",), {"axis": OneOf(1, -1), "index": Ids("m", "n m")}),
    ),
    places=("axis", "index"),
)
def gather(a: Any, /, *, axis: int, index: Places) -> Any:
    """Select, in each row along an axis, the elements at the positions in that row of `index`.

    `index` has the lengths of `a` along every other axis; for these shapes `torch.gather` and
    `numpy.take_along_axis` are equal.
    """
    place, places = read_axis("gather", axis, a.shape), read_integers("gather", "index", index)
    expected = list(places.shape)
    expected[place : place + 1] = a.shape[place : place + 1]
    if expected != list(a.shape):
        raise ValueError(
            message(
                "gather: index is {shape} and a is {shape2}: along every axis but "
                "{axis} they must be of one length",
                shape=places.shape,
                shape2=a.shape,
                axis=axis,
            )
        )
    length = a.shape[place] if a.ndim else 1
    if places.size and not -length <= places.min() <= places.max() < length:
        wrong = places[(places < -length) | (places >= length)].flat[0]
        raise ValueError(
            message(
                "gather: index {wrong} is out of range for axis {axis} of {shape}",
                wrong=wrong,
                axis=axis,
                shape=a.shape,
            )
        )
    grid: list[Places] = [*np.indices(places.shape, sparse=True)]
    grid[place : place + 1] = [places] if a.ndim else []
    return getitem(a, index=tuple(grid))


TIES = "where elements are equal: they keep their order, as in a stable sort"
_number = np.frompyfunc(lambda value: value.data, 1, 1)


def _ordered_values(
    a: NDArray[Any], *, axis: int = -1, descending: bool = False, k: int | None = None
) -> NDArray[Any]:
    """Sort Values by their numbers."""
    places = _places("ordered", _number(a).astype(float), axis, descending, k)
    return _taken(a, places, axis)


@primitive(
    symbol="sort",
    formula="a in order along an axis; of k, the first k of them",
    rule=("ḡ put back to where the elements were, zeros elsewhere",),
    kinks=TIES,
    scalar=_ordered_values,
    cases=(
        Case(((3,),)),
        Case(((2, 3),), {"axis": 0, "descending": True}),
        Case(((4,),), {"k": 2}),
    ),
    patterns=(
        Pattern(("… n",), {"axis": Axis(), "descending": OneOf(False, True)}),
        Pattern(("… n",), {"axis": -1, "descending": OneOf(False, True), "k": OneOf(1, 0)}),
    ),
    places=("axis",),
)
def ordered(
    a: Array, /, *, axis: int = -1, descending: bool = False, k: int | None = None
) -> tuple[Array, Backward]:
    """Sort along an axis and return the values, or the first k; `sort` returns positions too.

    Equal elements keep their order; nan is the largest.
    """
    places = _places("ordered", a.real, axis, descending, k)

    def backward(grad: Array) -> tuple[Array]:
        scattered = np.zeros(a.shape, dtype=grad.dtype)
        rows = scattered.reshape(a.shape or 1)  # the same elements
        rows_of_places = places.reshape(places.shape or 1)
        np.put_along_axis(rows, rows_of_places, grad.reshape(rows_of_places.shape), axis)
        return (scattered,)

    return _taken(a, places, axis), backward


def _places(name: str, numbers: Array, axis: Any, descending: Any, k: Any = None) -> Places:
    """Return the positions of the elements in order, up to the k-th."""
    shape, place = numbers.shape, read_axis(name, axis, numbers.shape)
    rows = numbers.reshape(shape or 1)
    word = "largest" if name == "topk" else "descending"
    if not read_bool(name, word, descending):
        order = np.argsort(rows, axis=place, kind="stable")
    else:  # backwards, equal elements would not keep their order
        backwards = np.argsort(np.flip(rows, place), axis=place, kind="stable")
        order = rows.shape[place] - 1 - np.flip(backwards, place)
    if k is not None:
        k = read_int(name, "k", k, low=0)
        if k > rows.shape[place] or not (shape or k):
            raise ValueError(
                message(
                    "{name}: k is {k}, and a is {shape} along axis {axis}",
                    name=name,
                    k=k,
                    shape=shape,
                    axis=axis,
                )
            )
        order = np.take(order, range(k), axis=place)
    return order if shape else order.reshape(())


def _taken(a: Array, places: Places, axis: int) -> Array:
    """Take the elements at the positions."""
    rows = a.reshape(a.shape or 1)
    return np.take_along_axis(rows, places.reshape(places.shape or 1), axis).reshape(places.shape)


@composed(
    symbol="sort",
    formula="a in order along an axis; and the places where its elements were",
    rule=("ḡ put back to those places",),
    kinks=TIES,
    cases=(Case(((3,),)), Case(((2, 3),), {"axis": 0, "descending": True})),
    patterns=(Pattern(("… n",), {"axis": Axis(), "descending": OneOf(False, True)}),),
    places=("axis", "descending"),
)
def sort(a: Any, /, *, axis: int = -1, descending: bool = False) -> tuple[Any, Places]:
    """Sort along an axis; return the values and their positions, which have no gradient.

    Equal elements keep their order, and nan is the largest, as in NumPy's stable sort. `ordered`
    returns the values alone.
    """
    places = _places("sort", a.data, axis, descending)
    return ordered(a, axis=axis, descending=descending), places


@composed(
    symbol="top k",
    formula="the k largest of a along an axis, in order; and their places",
    rule=("ḡ put back to those places, zeros elsewhere",),
    kinks=TIES,
    cases=(Case(((4,),), {"k": 2}), Case(((2, 3),), {"k": 1, "axis": 0, "largest": False})),
    patterns=(
        Pattern(("… n",), {"k": OneOf(1, 0), "axis": -1, "largest": OneOf(True, False)}),
        Pattern(("n k",), {"k": 1, "axis": Axis(), "largest": OneOf(True, False)}),
    ),
    places=("k", "axis", "largest"),
)
def topk(a: Any, /, *, k: int, axis: int = -1, largest: bool = True) -> tuple[Any, Places]:
    """Return the k largest elements along an axis, or the k smallest, and their positions.

    They are sorted; of equal elements, the first comes first. Positions have no gradient.
    """
    places = _places("topk", a.data, axis, largest, read_int("topk", "k", k))
    return ordered(a, axis=axis, descending=largest, k=k), places


def _below(name: str, a: Any, diagonal: int, shift: int = 0) -> NDArray[np.bool_]:
    """Return a mask of the elements on and below a diagonal of the last two axes."""
    diagonal = read_int(name, "diagonal", diagonal) + shift
    if a.ndim < 2:
        raise ValueError(
            message("{name}: a is {shape}; it must be (…, rows, columns)", name=name, shape=a.shape)
        )
    rows, columns = a.shape[-2:]
    return np.tri(rows, columns, min(max(diagonal, -rows), columns), dtype=bool)


@composed(
    symbol="tril",
    formula="yᵢⱼ = aᵢⱼ where j ≤ i + k, else 0,  k = diagonal",
    rule=("ḡ where j ≤ i + k, else 0",),
    cases=(Case(((3, 3),)), Case(((2, 2, 3),), {"diagonal": -1})),
    patterns=(Pattern(("… n m",), {"diagonal": OneOf(0, 1, -1)}),),
    places=("diagonal",),
)
def tril(a: Any, /, *, diagonal: int = 0) -> Any:
    """Keep the elements on and below the k-th diagonal of the last two axes; 0 is the main one."""
    return masked_fill(a, mask=~_below("tril", a, diagonal), value=0)


@composed(
    symbol="triu",
    formula="yᵢⱼ = aᵢⱼ where j ≥ i + k, else 0,  k = diagonal",
    rule=("ḡ where j ≥ i + k, else 0",),
    cases=(Case(((3, 3),)), Case(((2, 2, 3),), {"diagonal": 1})),
    patterns=(Pattern(("… n m",), {"diagonal": OneOf(0, 1, -1)}),),
    places=("diagonal",),
)
def triu(a: Any, /, *, diagonal: int = 0) -> Any:
    """Keep the elements on and above the k-th diagonal of the last two axes; 0 is the main one."""
    return masked_fill(a, mask=_below("triu", a, diagonal, shift=-1), value=0)
