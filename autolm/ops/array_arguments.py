"""Checks of arguments about arrays: axes, shapes, dtypes, and arrays themselves.

As in `outside/arguments.py`, each reader returns a plain value or raises one error in the name of
the operation, and returns at once in frequent cases, since it runs for every node.
"""

from __future__ import annotations

import warnings
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from math import prod
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import integer, must_be, read_kind
from autolm.outside.message import message

Axis = SupportsIndex | Sequence[SupportsIndex] | None
Shape = SupportsIndex | Sequence[SupportsIndex]


def read_axes(name: str, axis: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """List the axes that `axis` names, each from 0 up; None names all.

    A number has no axis, but 0 and −1 are allowed to name it, as in NumPy and PyTorch.

    >>> read_axes("sum", -1, (2, 3))
    (1,)
    >>> read_axes("sum", (0, 2), (2, 3))
    Traceback (most recent call last):
        ...
    ValueError: sum: axis 2 is out of range for (2, 3)
    """
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    several = isinstance(axis, tuple | list)
    axes = [
        _axis(name, "axis", i, shape, "an int, a tuple of ints or None", 0, axis)
        for i in (axis if several else (axis,))
    ]
    if len(set(axes)) < len(axes):
        raise ValueError(message("{name}: axis {axis} names an axis twice", name=name, axis=axis))
    return tuple(axes) if ndim else ()


def read_axis(
    name: str, axis: Any, shape: tuple[int, ...], argument: str = "axis", *, added: int = 0
) -> int:
    """Return one axis, counted from 0; the result has `added` axes more than `shape`.

    0 and −1 are axis 0 of a number; a caller that does not want this checks the shape.

    >>> read_axis("softmax", "a", (2, 3))
    Traceback (most recent call last):
        ...
    TypeError: softmax: axis must be an int, not 'a'
    """
    ndim = len(shape) + added
    if type(axis) is int and -ndim <= axis < ndim:
        return axis % ndim
    return _axis(name, argument, axis, shape, "an int", added, axis)


def _axis(
    name: str, argument: str, axis: Any, shape: tuple[int, ...], kind: str, added: int, value: Any
) -> int:
    i = integer(axis)
    if i is None:
        raise TypeError(must_be(f"{name}: {argument}", kind, value))
    ndim = len(shape) + added or 1
    if not -ndim <= i < ndim:
        raise ValueError(
            message(
                "{name}: {argument} {i} is out of range for {shape}",
                name=name,
                argument=argument,
                i=i,
                shape=shape,
            )
        )
    return i % ndim


def read_order(name: str, axes: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return every axis of `shape` in a new order; None reverses them.

    >>> read_order("transpose", (0, 0), (2, 3))
    Traceback (most recent call last):
        ...
    ValueError: transpose: axes must name each of the 2 axes of (2, 3) once, not (0, 0)
    """
    ndim = len(shape)
    if axes is None:
        return tuple(range(ndim))[::-1]
    kind = "a tuple of ints or None"
    if not isinstance(axes, tuple | list):
        raise TypeError(must_be(f"{name}: axes", kind, axes))
    order = tuple(_axis(name, "axes", i, shape, kind, 0, axes) for i in axes) if ndim else ()
    if len(axes) != ndim or len(set(order)) != ndim:
        raise ValueError(
            message(
                "{name}: axes must name each of the {ndim} axes of {shape} once, not {axes}",
                name=name,
                ndim=ndim,
                shape=shape,
                axes=tuple(axes),
            )
        )
    return order


def read_shape(name: str, shape: Any, argument: str = "shape") -> tuple[int, ...]:
    """Return a shape, the length of each axis; an int is the length of the only one.

    >>> read_shape("broadcast_to", (2, 1.5))
    Traceback (most recent call last):
        ...
    TypeError: broadcast_to: shape must be a tuple of ints, not (2, 1.5)
    """
    lengths = shape if isinstance(shape, tuple | list) else (shape,)
    read = tuple(n if type(n) is int else integer(n) for n in lengths)
    for n in read:
        if n is None:
            raise TypeError(must_be(f"{name}: {argument}", "a tuple of ints", shape))
        if n < 0:
            raise ValueError(
                message(
                    "{name}: {argument} {read} has a negative length",
                    name=name,
                    argument=argument,
                    read=read,
                )
            )
    return read  # type: ignore[return-value]


def read_new_shape(name: str, shape: Any, old: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape for the same elements, in which one length may be −1.

    >>> read_new_shape("reshape", (3, -1), (2, 6))
    (3, 4)
    >>> read_new_shape("reshape", (5, -1), (2, 6))
    Traceback (most recent call last):
        ...
    ValueError: reshape: (2, 6) has 12 elements, which do not fill shape (5, -1)
    """
    is_usual = type(shape) is tuple and {*map(type, shape)} == {int} and min(shape) >= 0
    if is_usual and prod(shape) == prod(old):
        return shape
    lengths = shape if isinstance(shape, tuple | list) else (shape,)
    fixed = [n for n in lengths if integer(n) != -1]
    num_open = len(lengths) - len(fixed)
    if num_open > 1:
        raise ValueError(
            message(
                "{name}: shape {lengths} leaves more than one length open",
                name=name,
                lengths=tuple(lengths),
            )
        )
    rest, size = prod(read_shape(name, fixed)), prod(old)
    if rest != size and not (num_open and rest and size % rest == 0):
        elements = message("1 element") if size == 1 else message("{size} elements", size=size)
        raise ValueError(
            message(
                "{name}: {old} has {elements}, which do not fill shape {lengths}",
                name=name,
                old=old,
                elements=elements,
                lengths=tuple(lengths),
            )
        )
    if num_open and not rest:
        raise ValueError(
            message(
                "{name}: any length would do for the -1 of {lengths}",
                name=name,
                lengths=tuple(lengths),
            )
        )
    return tuple(size // rest if (i := index(n)) == -1 else i for n in lengths)


def read_floating(name: str, argument: str, value: Any) -> np.dtype[Any]:
    """Return a floating point dtype, as trained parameters need it.

    >>> read_floating("LayerNorm", "dtype", int)
    Traceback (most recent call last):
        ...
    TypeError: LayerNorm: dtype must be a floating point type such as "float32", not int64
    """
    words = 'a floating point type such as "float32"'
    dtype: np.dtype[Any] | None = None
    with suppress(TypeError, ValueError, SyntaxError):
        dtype = np.dtype(value) if isinstance(value, str | type | np.dtype) else None
    if dtype is None or dtype.kind != "f" or dtype.shape:
        raise TypeError(must_be(f"{name}: {argument}", words, value if dtype is None else dtype))
    return dtype


def read_rng(name: str, argument: str, value: Any) -> np.random.Generator:
    """Return a generator of random numbers."""
    words = "a generator such as np.random.default_rng(0)"
    rng: np.random.Generator = read_kind(name, argument, value, np.random.Generator, words)
    return rng


def read_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """Return a type of real numbers.

    >>> read_dtype("astype", "float32")
    dtype('float32')
    >>> read_dtype("astype", None)
    Traceback (most recent call last):
        ...
    TypeError: astype: dtype must be a type of real numbers, not None
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old names of what is refused below
            read = np.dtype(dtype) if isinstance(dtype, str | type | np.dtype) else None
    except TypeError:
        read = None
    if read is None or read.kind not in "fiub":
        raise TypeError(must_be(f"{name}: dtype", "a type of real numbers", dtype))
    return read


def require_broadcast(name: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse shapes that do not broadcast; the keys are the names of their arrays.

    >>> require_broadcast("add", {"a": (2,), "b": (3,)})
    Traceback (most recent call last):
        ...
    ValueError: add: a is (2,) and b is (3,): they do not broadcast
    """
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        operands, *others = (
            message("{argument} is {shape}", argument=argument, shape=shape)
            for argument, shape in shapes.items()
        )
        for operand in others:
            operands = message("{left} and {right}", left=operands, right=operand)
        raise ValueError(
            message("{name}: {operands}: they do not broadcast", name=name, operands=operands)
        ) from None


def read_integers(name: str, argument: str, values: Any) -> NDArray[Any]:
    """Return integers, such as token ids, as an array; an empty list is allowed.

    >>> read_integers("embedding", "token_ids", [0.5])
    Traceback (most recent call last):
        ...
    TypeError: embedding: token_ids must be integers, not float64
    """
    if hasattr(values, "as_positions"):  # a Tensor
        values = values.as_positions()
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(
            message(
                "{name}: rows of {argument} are not of one length", name=name, argument=argument
            )
        ) from None
    except (OverflowError, TypeError):  # a huge number, or nodes in a list
        array = np.asarray(None)
    if array.dtype.kind not in "iu" and array.size:
        actual = array.dtype if array.dtype.kind in "fcb" else values
        raise TypeError(must_be(f"{name}: {argument}", "integers", actual))
    return array if array.size else array.astype(np.intp)


def read_floats(name: str, argument: str, values: Any) -> NDArray[Any]:
    """Return real numbers, such as weights of classes, as an array of floats.

    >>> read_floats("cross_entropy", "weight", [1, 2])
    array([1., 2.])
    >>> read_floats("cross_entropy", "weight", "a")
    Traceback (most recent call last):
        ...
    TypeError: cross_entropy: weight must be real numbers, not 'a'
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(
            message(
                "{name}: rows of {argument} are not of one length", name=name, argument=argument
            )
        ) from None
    except (OverflowError, TypeError):  # nodes in a list
        array = np.asarray(None)
    if array.dtype.kind not in "fiu":
        actual = array.dtype if array.dtype.kind in "cb" else values
        raise TypeError(must_be(f"{name}: {argument}", "real numbers", actual))
    return array if array.dtype.kind == "f" else array.astype(float)


# Names of attributes in PyTorch, or other names in NumPy, and their names here.
SPELLINGS = {
    "a_max": "high",
    "a_min": "low",
    "correction": "ddof",
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "max": "high",
    "min": "low",
    "p": "ord",
    "shifts": "shift",
}


def respelled(name: str, attributes: dict[str, Any], names: Container[str]) -> dict[str, Any]:
    """Rename attributes with PyTorch's names, such as dim= and keepdim=, if `names` has ours.

    >>> respelled("sum", {"dim": 0}, ["axis", "keepdims"])
    {'axis': 0}
    >>> respelled("sum", {"dim": 0, "axis": 0}, ["axis", "keepdims"])
    Traceback (most recent call last):
        ...
    TypeError: sum: dim= is another spelling of axis=; give one of them
    """
    read = {}
    for word, value in attributes.items():
        ours = SPELLINGS.get(word, word)
        if word in names or ours not in names:
            ours = word
        if ours != word and ours in attributes:
            raise TypeError(
                message(
                    "{name}: {word}= is another spelling of {ours}=; give one of them",
                    name=name,
                    word=word,
                    ours=ours,
                )
            )
        read[ours] = value
    return read
