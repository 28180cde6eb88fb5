"""Draw calls from the patterns of a record: lengths for its letters, values for what is varied.

`autolm.ops.call_patterns` has the kinds of attributes. An edge is a call with an operand that has
no elements, or with an axis of an operand that has no axes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.ops.call_patterns import (
    Axis,
    Floats,
    Ids,
    Index,
    Length,
    Mask,
    NewShape,
    OneOf,
    Order,
    Pattern,
    Varied,
    WiderShape,
)
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.strategies import Shape, broadcastable_shapes, shapes

Strategy = st.SearchStrategy[Any]

ANY_AXES = "…"
FEW = 24  # elements of an operand or a result at most: the oracle differentiates each of them
MANY_LETTERS = 4  # from which on lengths are kept to 2
SEQUENCES = (list, memoryview, array, np.ndarray, Tensor)  # what NumPy reads as an array of indices


@dataclass(frozen=True)
class _CallShapes:
    """Operand shapes of one call; the attributes of the call are drawn to fit them."""

    shapes: tuple[Shape, ...]
    lengths: Mapping[str, int]  # of letters
    whole: Shape | None  # what the "…" of all operands broadcast to, if there is one
    edge: bool

    @property
    def first(self) -> Shape:
        return self.shapes[0]


@st.composite
def from_pattern(
    draw: st.DrawFn, pattern: Pattern, fixed: Mapping[str, Any], edge: bool
) -> tuple[tuple[Shape, ...], dict[str, Any]]:
    """Draw shapes and attributes of one call; `fixed` attributes override those of the pattern."""
    words = [text.split() for text in pattern.shapes]
    factors = dict.fromkeys(n for text in words for word in text for n in _factors(word))
    letters = [letter for letter in factors if not letter.isdigit()]
    empty = draw(st.sampled_from([*letters, ANY_AXES])) if edge else None
    longest = 2 if len(letters) >= MANY_LETTERS else 3
    lengths = {n: 0 if n == empty else draw(st.integers(1, longest)) for n in letters}
    count = sum(ANY_AXES in text for text in words)
    batches = draw(_any_axes(count, 3 if count == 1 and not letters else 2))
    if empty == ANY_AXES:
        batches = draw(with_empty_axis(batches))
    batch_shapes = iter(batches)
    drawn_shapes = tuple(
        tuple(
            n
            for word in text
            for n in (next(batch_shapes) if word == ANY_AXES else [_length(word, lengths)])
        )
        for text in words
    )
    assume(all(math.prod(shape) <= FEW for shape in drawn_shapes))
    whole = np.broadcast_shapes(*batches) if count else None
    call_shapes = _CallShapes(drawn_shapes, lengths, whole, edge)
    return drawn_shapes, draw(_attributes(call_shapes, {**pattern.attributes, **fixed}))


def attributes_for(
    shapes: tuple[Shape, ...], attributes: Mapping[str, Any], edge: bool = False
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the attributes of a call of these shapes."""
    return _attributes(_CallShapes(shapes, {}, None, edge), attributes)


def _factors(word: str) -> list[str]:
    return [] if word == ANY_AXES else word.split("·")


def _length(word: str, lengths: Mapping[str, int]) -> int:
    return math.prod(int(n) if n.isdigit() else lengths[n] for n in _factors(word))


def _any_axes(count: int, most: int) -> st.SearchStrategy[tuple[Shape, ...]]:
    if count < 2:
        return st.tuples(*[shapes(max_dims=most)] * count)
    return broadcastable_shapes(count, max_dims=most)


@st.composite
def with_empty_axis(draw: st.DrawFn, together: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Give one axis of shapes that broadcast the length 0; shapes without axes are unchanged.

    An operand of length 1 along the axis keeps it: it broadcasts to length 0.
    """
    rank = max(map(len, together), default=0)
    if not rank:
        return together
    axis = draw(st.integers(-rank, -1))
    stretched = {shape[axis] for shape in together if len(shape) >= -axis} != {1}
    return tuple(
        tuple(0 if i == axis and (n != 1 or not stretched) else n for i, n in _from_the_end(shape))
        for shape in together
    )


def _from_the_end(shape: Shape) -> list[tuple[int, int]]:
    return [(i - len(shape), n) for i, n in enumerate(shape)]


def has_no_elements(call: Call) -> bool:
    """Whether an operand is empty."""
    return any(not x.size for x in call.inputs)


def has_no_axes(call: Call) -> bool:
    """Whether the first operand is a number, and an attribute may name an axis of it."""
    return bool(call.attributes) and not call.inputs[0].ndim


def is_varied(attributes: Mapping[str, Any]) -> bool:
    """Whether there is anything to draw."""
    return any(isinstance(value, Varied | st.SearchStrategy) for value in attributes.values())


def _attributes(
    call_shapes: _CallShapes, attributes: Mapping[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {name: _values_of(value, call_shapes) for name, value in attributes.items()}
    )


def _values_of(attribute: Any, call_shapes: _CallShapes) -> Strategy:
    """Return a strategy for an attribute: a `Varied` kind, a strategy, or a constant."""
    if isinstance(attribute, st.SearchStrategy):
        return attribute
    if not isinstance(attribute, Varied):
        return st.just(attribute)
    if type(attribute) not in STRATEGIES:
        raise TypeError(f"{attribute!r}: this kind is not known; a hypothesis strategy will do")
    return STRATEGIES[type(attribute)](attribute, call_shapes)


def _axes(kind: Axis, call_shapes: _CallShapes) -> Strategy:
    rank = len(call_shapes.first) + kind.new
    one = st.integers(-rank, rank - 1) if rank else st.nothing()
    if call_shapes.edge and not rank:
        one = st.sampled_from([0, -1])
    if not kind.several:
        return one
    order = _either_end(rank)
    some = st.tuples(order, st.integers(1, max(rank, 1))).map(lambda drawn: drawn[0][: drawn[1]])
    return st.none() | one | (some if rank else st.none())


@st.composite
def _either_end(draw: st.DrawFn, rank: int) -> tuple[int, ...]:
    """Put all axes into an order, and count each from either end."""
    order = draw(st.permutations(range(rank)))
    return tuple(axis - rank * draw(st.booleans()) for axis in order)


@st.composite
def _other_shapes(draw: st.DrawFn, size: int) -> Shape:
    """Draw a shape of `size` elements; one of its lengths may be −1."""
    rest, lengths = size, []
    for _ in range(draw(st.integers(0, 2))):
        lengths.append(
            draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0] or [2]))
        )
        rest //= lengths[-1]
    if rest != 1 or not draw(st.booleans()):
        lengths.append(rest)
    lengths = list(draw(st.permutations(lengths)))
    if size and lengths and draw(st.booleans()):
        lengths[draw(st.integers(0, len(lengths) - 1))] = -1
    return tuple(lengths)


@st.composite
def _wider_shapes(draw: st.DrawFn, shape: Shape) -> Shape:
    front = draw(st.lists(st.integers(1, 2), max_size=2))
    wider = (*front, *(draw(st.integers(1, 3)) if n == 1 else n for n in shape))
    assume(math.prod(wider) <= FEW)
    return wider


@st.composite
def _masks(draw: st.DrawFn, kind: Mask, call_shapes: _CallShapes) -> NDArray[Any]:
    shape = (
        _shape_of_letters(kind.shape, call_shapes, call_shapes.whole or ())
        if kind.shape
        else call_shapes.first
    )
    trailing = shape[draw(st.integers(0, len(shape))) :]
    mask_shape = tuple(1 if draw(st.booleans()) else n for n in trailing)
    size = math.prod(mask_shape)
    if kind.added and draw(st.booleans()):
        number = st.sampled_from([0.0, -math.inf, 1.0, -0.5, -40.0])
        return np.array(draw(st.lists(number, min_size=size, max_size=size))).reshape(mask_shape)
    flags = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return np.array(flags, dtype=bool).reshape(mask_shape)


@st.composite
def _floats(draw: st.DrawFn, kind: Floats, call_shapes: _CallShapes) -> NDArray[np.float64]:
    shape = _shape_of_letters(kind.shape, call_shapes, call_shapes.whole or ())
    size = math.prod(shape)
    number = st.sampled_from([1.0, 0.5, 0.125, 2.0])
    return np.array(draw(st.lists(number, min_size=size, max_size=size))).reshape(shape)


def _shape_of_letters(text: str, call_shapes: _CallShapes, free: Shape) -> Shape:
    """Return the shape that is written in letters; "…" has these axes."""
    parts = [free if w == ANY_AXES else (_length(w, call_shapes.lengths),) for w in text.split()]
    return tuple(n for part in parts for n in part)


@st.composite
def _ids(draw: st.DrawFn, kind: Ids, call_shapes: _CallShapes) -> Any:
    free = draw(shapes(max_dims=2)) if call_shapes.whole is None else call_shapes.whole
    shape = _shape_of_letters(kind.shape, call_shapes, free)
    below = call_shapes.lengths[kind.below]
    assume(below or not math.prod(shape))
    return draw(_positions(shape, below, negative=False))


@st.composite
def _positions(draw: st.DrawFn, shape: Shape, length: int, negative: bool = True) -> Any:
    """Draw an array of places along an axis of this length, in any form that NumPy reads."""
    place = st.integers(-length if negative else 0, max(length - 1, 0))
    size = math.prod(shape)
    places = draw(st.lists(place, min_size=size, max_size=size))
    positions = np.array(places, dtype=np.int64).reshape(shape)
    forms: list[Callable[[NDArray[np.int64]], Any]] = [lambda a: a]
    if size:
        forms += [lambda a: a.astype(np.int8), lambda a: Tensor(a)]
    if size and shape:
        forms += [lambda a: a.tolist(), lambda a: a.data]
    if size and len(shape) == 1:
        forms += [lambda a: array("q", a.tolist())]
    return draw(st.sampled_from(forms))(positions)


@st.composite
def _indices(draw: st.DrawFn, shape: Shape, edge: bool) -> Any:
    """Draw an index of any kind for an array of this shape."""
    way = draw(st.sampled_from(["mixture", "positions", "mixture", "mask"]))
    index: Any
    if way == "positions" and shape and shape[0]:
        index = draw(_positions(draw(shapes(max_dims=2)), shape[0]))
    elif way == "mask":
        index = draw(_boolean_masks(shape, draw(st.integers(1, max(1, math.prod(shape))))))
    else:
        index = draw(_mixtures(shape))
    selection = np.empty(shape)[index]
    assume(selection.size <= FEW and (edge or selection.size))
    return index


@st.composite
def _mixtures(draw: st.DrawFn, shape: Shape) -> Any:
    """Draw parts for some axes from the front, and for some from the end behind an Ellipsis."""
    front = draw(st.integers(0, len(shape)))
    back = draw(st.integers(0, len(shape) - front))
    count = draw(st.integers(1, 3))  # of all places that are listed: they broadcast
    parts: list[Any] = [*draw(_parts(shape[:front], count))]
    if back or draw(st.booleans()):
        parts.append(...)
        parts += draw(_parts(shape[len(shape) - back :], count))
    for new in draw(st.lists(st.sampled_from([None, None, True]), max_size=2)):
        parts.insert(draw(st.integers(0, len(parts))), new)
    bare = len(parts) == 1 and not isinstance(parts[0], tuple) and draw(st.booleans())
    return parts[0] if bare else tuple(parts)


@st.composite
def _parts(draw: st.DrawFn, shape: Shape, count: int) -> list[Any]:
    """Draw a part of an index for each of these axes; a mask may cover two."""
    parts: list[Any] = []
    axis = 0
    while axis < len(shape):
        length, covered = shape[axis], 1
        kinds = ["slice"] if not length else ["int", "slice", "positions", "tuple", "mask"]
        kind = draw(st.sampled_from(kinds))
        if kind == "int":
            parts.append(draw(st.integers(-length, length - 1)))
        elif kind == "slice":
            parts.append(draw(_slices(length)))
        elif kind == "mask":
            covered = draw(st.integers(1, min(2, len(shape) - axis)))
            covered_shape = shape[axis : axis + covered]
            parts.append(
                draw(
                    _boolean_masks(covered_shape, count if math.prod(covered_shape) >= count else 1)
                )
            )
        elif kind == "tuple":
            place = st.integers(-length, length - 1)
            parts.append(tuple(draw(st.lists(place, min_size=count, max_size=count))))
        else:
            places = draw(st.sampled_from([(count,), (1,), (2, count), ()]))
            parts.append(draw(_positions(places, length)))
        axis += covered
    return parts


@st.composite
def _slices(draw: st.DrawFn, length: int) -> slice:
    bound = st.none() | st.integers(-length - 1, length + 1)
    step = st.none() | st.sampled_from([1, 2, -1, -2])
    part = slice(draw(bound), draw(bound), draw(step))
    assume(not length or len(range(length)[part]))
    return part


@st.composite
def _boolean_masks(draw: st.DrawFn, shape: Shape, count: int) -> Any:
    """Draw a mask that is true in so many places, in some form."""
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[draw(st.permutations(range(mask.size)))[:count]] = True
    mask = mask.reshape(shape)
    forms = [lambda a: a, lambda a: Tensor(a)]
    return draw(st.sampled_from([*forms, lambda a: a.tolist()] if shape else forms))(mask)


STRATEGIES: dict[type[Varied], Callable[[Any, _CallShapes], Strategy]] = {
    OneOf: lambda kind, call_shapes: st.sampled_from(kind.options),
    Axis: _axes,
    Order: lambda kind, call_shapes: st.none() | _either_end(len(call_shapes.first)),
    NewShape: lambda kind, call_shapes: _other_shapes(math.prod(call_shapes.first)),
    WiderShape: lambda kind, call_shapes: _wider_shapes(call_shapes.first),
    Index: lambda kind, call_shapes: _indices(call_shapes.first, call_shapes.edge),
    Mask: _masks,
    Ids: _ids,
    Floats: _floats,
    Length: lambda kind, call_shapes: st.just(_length(kind.letter, call_shapes.lengths)),
}


def may_repeat(attributes: Mapping[str, Any]) -> bool:
    """Whether an index that repeats is among what these attributes may be."""
    drawn = any(isinstance(value, Index | Ids) for value in attributes.values())
    return drawn or repeats_an_index(attributes)


def repeats_an_index(attributes: Mapping[str, Any]) -> bool:
    """Whether integers of a list or array, alone or in a tuple, hold one of them twice."""
    return any(
        _repeats(part)
        for value in attributes.values()
        for part in (value if isinstance(value, tuple) else [value])
    )


def _repeats(part: Any) -> bool:
    if not isinstance(part, (tuple, *SEQUENCES)):
        return False
    places = np.asarray(part)
    return places.dtype.kind in "iu" and np.unique(places).size < places.size
