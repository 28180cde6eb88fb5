"""Operations that cut an array along axes and join the parts: flip, roll, pad, split, chunk.

Each is composed of slices and of operations that join them, so that a picture of its graph shows
where each element goes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from autolm.ops.array_arguments import Axis, read_axes, read_axis, read_shape
from autolm.ops.array_operation import Case
from autolm.ops.call_patterns import Axis as AnyAxis
from autolm.ops.call_patterns import OneOf, Pattern
from autolm.ops.composed import composed
from autolm.ops.shape import concatenate, getitem, reshape
from autolm.outside.arguments import quote, read_int, read_number
from autolm.outside.message import message

# PyTorch's names for two of NumPy's modes of padding.
MODES = {"replicate": "edge", "circular": "wrap"}
LARGEST = sys.maxsize // 16  # the greatest number of elements of an array
MOVING = ("edge", "reflect", "symmetric", "wrap")


def _slice(a: Any, axis: int, start: int | None, stop: int | None, step: int = 1) -> Any:
    """Return a slice along one axis."""
    return getitem(a, index=(*[slice(None)] * axis, slice(start, stop, step)))


@composed(
    symbol="flip",
    formula="a read backwards along axes",
    rule=("ḡ read backwards along them",),
    cases=(Case(((3,),)), Case(((2, 3),), {"axis": -1}), Case(((2, 3, 2),), {"axis": (0, 2)})),
    patterns=(Pattern(("…",), {"axis": AnyAxis(several=True)}),),
    places=("axis",),
)
def flip(a: Any, /, *, axis: Axis = None) -> Any:
    """Reverse the order of elements along axes, by default along all."""
    axes = read_axes("flip", axis, a.shape)
    backwards = [slice(None, None, -1 if i in axes else 1) for i in range(a.ndim)]
    return getitem(a, index=tuple(backwards))


@composed(
    symbol="roll",
    formula="yᵢ = aᵢ₋ₛ,  s = shift; what leaves at one end comes in at the other",
    rule=("ḡ rolled back",),
    cases=(
        Case(((3,),), {"shift": 1, "axis": 0}),
        Case(((2, 3),), {"shift": -4}),
        Case(((2, 3),), {"shift": (1, 2), "axis": (0, -1)}),
    ),
    patterns=(
        Pattern(("… n",), {"shift": OneOf(1, -1, 2, 5), "axis": AnyAxis()}),
        Pattern(("… n m",), {"shift": OneOf((1, -2), 1), "axis": OneOf((-1, -2), (-2, -1))}),
        Pattern(("…",), {"shift": OneOf(1, -2), "axis": None}),
    ),
    places=("shift", "axis"),
)
def roll(a: Any, /, *, shift: int | Sequence[int], axis: Axis = None) -> Any:
    """Shift elements along axes cyclically; without an axis, along the flattened array.

    `shift` is one number for each axis, or one for all, as in NumPy.
    """
    if axis is None:
        shift = read_int("roll", "shift", shift)
        return reshape(roll(reshape(a, shape=(-1,)), shift=shift, axis=0), shape=a.shape)
    axes = read_axes("roll", axis, a.shape)
    numbers = _as_list(shift)
    numbers = numbers if isinstance(numbers, list) else [numbers] * len(axes)
    shifts = [read_int("roll", "shift", number) for number in numbers]
    if len(shifts) != len(axes):
        raise ValueError(
            message(
                "roll: shift {shift} has not one number for each axis of {axis}",
                shift=shift,
                axis=axis,
            )
        )
    for place, steps in zip(axes, shifts, strict=True):
        cut = -steps % (a.shape[place] or 1)
        a = concatenate([_slice(a, place, cut, None), _slice(a, place, None, cut)], axis=place)
    return a


@composed(
    symbol="pad",
    formula="a, with value around it",
    rule=("ḡ where a stands in it; of other modes, where its elements do",),
    cases=(
        Case(((3,),), {"pad_width": 1}),
        Case(((2, 3),), {"pad_width": ((1, 0), (0, 2)), "value": -1.5}),
        Case(((3, 2),), {"pad_width": 1, "mode": "edge"}),
    ),
    patterns=(
        Pattern(("… n",), {"pad_width": OneOf(1, 0, 2), "value": OneOf(0.0, 2, -1.5)}),
        Pattern(
            ("n m",),
            {
                "pad_width": OneOf(((1, 0), (0, 2)), 1, ((0, 0), (2, 1))),
                "mode": OneOf("constant", "edge", "wrap", "symmetric", "reflect"),
            },
        ),
    ),
    places=("pad_width",),
)
def pad(
    a: Any,
    /,
    *,
    pad_width: int | Sequence[Sequence[int]],
    mode: str = "constant",
    value: float = 0.0,
) -> Any:
    """Extend axes at both ends, with a number or with elements of the array.

    `pad_width` is one number for all ends, or (before, after) for each axis in order.
    `mode` is "constant" for the number `value`, or "edge", "reflect", "symmetric" or "wrap", as in
    NumPy (PyTorch's "replicate" and "circular" are "edge" and "wrap").
    """
    if not a.ndim:
        raise ValueError(message("pad: a is (): a number has no ends"))
    widths = _read_widths(pad_width, a.shape)
    value = read_number("pad", "value", value)
    moving = MODES.get(mode, mode) if isinstance(mode, str) else ""
    if moving == "constant":
        for axis, (before, after) in enumerate(widths):
            ends = [_constant_block(value, a, axis, length) for length in (before, after)]
            a = concatenate([ends[0], a, ends[1]], axis=axis)
        return a
    if moving not in MOVING:
        known = ", ".join(map(repr, ("constant", *MOVING)))
        raise ValueError(
            message("pad: mode must be one of {known}, not {mode}", known=known, mode=quote(mode))
        )
    if not a.size:
        raise ValueError(
            message(
                "pad: a is {shape}: mode {moving!r} has no element to repeat",
                shape=a.shape,
                moving=moving,
            )
        )
    positions = np.arange(a.size).reshape(a.shape)
    index = np.pad(positions, widths, mode=moving)  # type: ignore[call-overload]
    return getitem(reshape(a, shape=(-1,)), index=index)


def _read_widths(pad_width: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (before, after) for each axis."""
    pairs = _as_list(pad_width)
    if not isinstance(pairs, list):
        pairs = [[pairs, pairs]] * len(shape)
    elif len(shape) == 1 and not any(isinstance(p, tuple | list | np.ndarray) for p in pairs):
        pairs = [pairs]
    pairs = [*map(_as_list, pairs)]
    if len(pairs) != len(shape) or not all(isinstance(e, list) and len(e) == 2 for e in pairs):
        raise ValueError(
            message(
                "pad: pad_width must be an int, or (before, after) for each axis of "
                "{shape}, not {pad_width}, which NumPy and PyTorch read each in its "
                "own way",
                shape=shape,
                pad_width=quote(pad_width),
            )
        )
    widths = [
        (read_int("pad", "pad_width", before, low=0), read_int("pad", "pad_width", after, low=0))
        for before, after in pairs
    ]
    if prod(n + sum(ends) for n, ends in zip(shape, widths, strict=True)) > LARGEST:
        raise ValueError(message("pad: pad_width makes an array that is too large"))
    return widths


def _as_list(value: Any) -> Any:
    """Return a tuple or an array as a list, and anything else unchanged."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [*value] if isinstance(value, tuple | list) else value


def _constant_block(value: float, a: Any, axis: int, length: int) -> Any:
    """Return the block to join to an end of an axis, in a's dtype if that can hold the value."""
    fits = a.dtype.kind == "f" or np.asarray(value).astype(a.dtype) == value
    shape = [length if i == axis else n for i, n in enumerate(a.shape)]
    return np.full(shape, value, dtype=a.dtype if fits else None)


@composed(
    symbol="split",
    formula="a in parts along an axis",
    rule=("the gradients of the parts, joined",),
    cases=(
        Case(((4,),), {"indices_or_sections": 2}),
        Case(((2, 5),), {"indices_or_sections": (1, 3), "axis": 1}),
        Case(((5, 2),), {"split_size_or_sections": 2}),
        Case(((5,),), {"split_size_or_sections": (2, 0, 3)}),
    ),
    patterns=(
        Pattern(("n m",), {"indices_or_sections": OneOf(1, (1,), (1, 2)), "axis": AnyAxis()}),
        Pattern(("n m",), {"split_size_or_sections": OneOf(1, 2, 3), "axis": AnyAxis()}),
    ),
)
def split(
    a: Any,
    /,
    *,
    indices_or_sections: int | Sequence[int] | None = None,
    split_size_or_sections: int | Sequence[int] | None = None,
    axis: int = 0,
) -> list[Any]:
    """Split into parts along an axis, with the argument of NumPy or of PyTorch, given by name.

    `indices_or_sections` is the number of equal parts or the positions of the cuts, as in
    `numpy.split`; `split_size_or_sections` is the length of the parts, as in `torch.split`.
    """
    length = _length_along("split", axis, a)
    sections, size = _as_list(indices_or_sections), _as_list(split_size_or_sections)
    if (sections is None) == (size is None):
        raise TypeError(
            message(
                "split: give indices_or_sections=, how many parts or where to cut, as "
                "in NumPy, or split_size_or_sections=, how long a part is, as in "
                "PyTorch"
            )
        )
    if isinstance(sections, list):
        cuts = [read_int("split", "indices_or_sections", cut) for cut in sections]
    elif sections is not None:
        parts = read_int("split", "indices_or_sections", sections, low=1)
        if length % parts:
            raise ValueError(
                message(
                    "split: indices_or_sections: axis {axis} of {shape} has no {parts} equal parts",
                    axis=axis,
                    shape=a.shape,
                    parts=parts,
                )
            )
        cuts = [length // parts * i for i in range(1, parts)]
    elif isinstance(size, list):
        lengths = read_shape("split", size, "split_size_or_sections")
        if sum(lengths) != length:
            raise ValueError(
                message(
                    "split: split_size_or_sections {lengths} must add up to {length}, the "
                    "length of axis {axis} of {shape}",
                    lengths=lengths,
                    length=length,
                    axis=axis,
                    shape=a.shape,
                )
            )
        cuts = [*accumulate(lengths)][:-1]
    else:
        size = read_int("split", "split_size_or_sections", size, low=1)
        cuts = [*range(size, length, size)]
    return _parts(a, axis, cuts)


@composed(
    symbol="chunk",
    formula="a in so many parts along an axis, or fewer",
    rule=("the gradients of the parts, joined",),
    cases=(Case(((5,),), {"chunks": 2}), Case(((2, 5),), {"chunks": 4, "axis": -1})),
    patterns=(Pattern(("… n",), {"chunks": OneOf(1, 2, 3), "axis": AnyAxis()}),),
    places=("chunks", "axis"),
)
def chunk(a: Any, /, *, chunks: int, axis: int = 0) -> list[Any]:
    """Split into `chunks` parts of equal length along an axis; the last may be shorter."""
    length = _length_along("chunk", axis, a)
    chunks = read_int("chunk", "chunks", chunks, low=1)
    size = -(-length // chunks)
    return _parts(a, axis, [*range(size, length, size)] if length else [0] * (chunks - 1))


def _length_along(name: str, axis: Any, a: Any) -> int:
    place = read_axis(name, axis, a.shape)
    if not a.ndim:
        raise ValueError(message("{name}: a is (): a number has no axis to cut along", name=name))
    return int(a.shape[place])


def _parts(a: Any, axis: int, cuts: Sequence[int]) -> list[Any]:
    place = axis % a.ndim
    return [_slice(a, place, start, stop) for start, stop in pairwise([None, *cuts, None])]
