"""Einstein's summation: a product of arrays whose axes are named by letters, summed over some.

Subscripts are parsed into one word of letters per operand and one for the result, in which "…" has
letters too. The backward rule is another einsum, in which the words of an operand and of the result
are exchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from math import prod
from string import ascii_letters
from typing import Any, NamedTuple

import numpy as np

from autolm.engine.graph import Node
from autolm.engine.value import Value
from autolm.ops.array_operation import Array, Case
from autolm.ops.call_patterns import OneOf, Pattern
from autolm.ops.primitive import Backward, Primitive
from autolm.ops.reduce import accumulating, rounded_as
from autolm.outside.arguments import quote
from autolm.outside.message import message

Shape = tuple[int, ...]


class Subscripts(NamedTuple):
    """Parsed subscripts: words of letters, and the lengths of the letters.

    >>> read_subscripts("...ij,jk", [(5, 2, 3), (3, 4)])
    Subscripts(words=['aij', 'jk'], result='aik', lengths={'a': 5, 'i': 2, 'j': 3, 'k': 4})
    """

    words: list[str]
    result: str
    lengths: dict[str, int]

    def shape(self, word: str) -> Shape:
        """Return the lengths of the letters of a word."""
        return tuple(self.lengths[letter] for letter in word)


def read_subscripts(subscripts: Any, shapes: Sequence[Shape]) -> Subscripts:
    """Read subscripts such as "ij,jk->ik", of NumPy's and PyTorch's form, or refuse them.

    >>> read_subscripts("ij->ji", [(2, 3, 4)])
    Traceback (most recent call last):
        ...
    ValueError: einsum: subscripts 'ij' name 2 axes, and operand 0 is (2, 3, 4)
    """
    if not isinstance(subscripts, str):
        raise TypeError(
            message(
                "einsum: subscripts must be a text like 'ij,jk->ik', not {subscripts}",
                subscripts=quote(subscripts),
            )
        )
    operands, arrow, result = subscripts.replace(" ", "").partition("->")
    words = operands.split(",")
    for word in (*words, result):
        _require_letters(subscripts, word)
    if len(words) != len(shapes):
        raise ValueError(
            message(
                "einsum: subscripts {subscripts!r} are of {count} operands, not {count2}",
                subscripts=subscripts,
                count=len(words),
                count2=len(shapes),
            )
        )
    # The axes of "..." are matched from the end, and each gets an unused letter.
    free = "".join(letter for letter in ascii_letters if letter not in subscripts)
    counts = [_dotted_axes(i, *pair) for i, pair in enumerate(zip(words, shapes, strict=True))]
    dots = free[: max(counts)]
    words = [w.replace("...", dots[len(dots) - n :]) for w, n in zip(words, counts, strict=True)]
    if arrow:
        result = result.replace("...", dots)
        _require_known(subscripts, result, "".join(words))
    else:
        uses = Counter("".join(words))
        result = dots + "".join(sorted(x for x in uses if uses[x] == 1 and x not in dots))
    return Subscripts(words, result, _lengths(words, shapes))


def _require_letters(subscripts: str, word: str) -> None:
    letters = word.replace("...", "", 1)
    if letters and not (letters.isascii() and letters.isalpha()):
        wrong = next(x for x in letters if x not in ascii_letters)
        raise ValueError(
            message(
                "einsum: subscripts {subscripts!r}: {wrong!r} is no letter; each axis "
                "has one, and each operand may have '...' once",
                subscripts=subscripts,
                wrong=wrong,
            )
        )


def _dotted_axes(i: int, word: str, shape: Shape) -> int:
    """Count the axes that "..." stands for."""
    named = len(word.replace("...", ""))
    if named > len(shape) or ("..." not in word and named < len(shape)):
        axes = "1 axis" if named == 1 else f"{named} axes"
        raise ValueError(
            message(
                "einsum: subscripts {word!r} name {axes}, and operand {i} is {shape}",
                word=word,
                axes=axes,
                i=i,
                shape=shape,
            )
        )
    return len(shape) - named


def _require_known(subscripts: str, result: str, letters: str) -> None:
    for letter in result:
        if letter not in letters or result.count(letter) > 1:
            why = "no operand has" if letter not in letters else "stands there twice"
            raise ValueError(
                message(
                    "einsum: subscripts {subscripts!r}: the result's {letter!r} {why}",
                    subscripts=subscripts,
                    letter=letter,
                    why=why,
                )
            )


def _lengths(words: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """Return the length of each letter; a length of 1 broadcasts, except along a diagonal."""
    lengths: dict[str, int] = {}
    for i, (word, shape) in enumerate(zip(words, shapes, strict=True)):
        lengths_here: dict[str, int] = {}
        for letter, length in zip(word, shape, strict=True):
            if lengths_here.setdefault(letter, length) != length:
                raise ValueError(
                    message(
                        "einsum: operand {i} is {shape}: {letter!r} names axes of lengths "
                        "{own} and {length}",
                        i=i,
                        shape=shape,
                        letter=letter,
                        own=lengths_here[letter],
                        length=length,
                    )
                )
            before = lengths.get(letter, 1)
            if 1 not in (before, length) and before != length:
                raise ValueError(
                    message(
                        "einsum: operand {i} is {shape}: {letter!r} is {length} here, and "
                        "{known} in an operand before",
                        i=i,
                        shape=shape,
                        letter=letter,
                        length=length,
                        known=before,
                    )
                )
            lengths[letter] = length if before == 1 else before
    return lengths


def _on_values(*arrays: Array, subscripts: str) -> Array:
    """Add up products of Values, for one element of the result at a time."""
    read = read_subscripts(subscripts, [array.shape for array in arrays])
    summed = "".join(letter for letter in read.lengths if letter not in read.result)
    y = np.empty(read.shape(read.result), dtype=object)
    for index in np.ndindex(y.shape):
        at = dict(zip(read.result, index, strict=True))
        places = [
            at | dict(zip(summed, indices, strict=True))
            for indices in np.ndindex(read.shape(summed))
        ]
        y[index] = Value.sum(
            [prod(map(_element, arrays, read.words, [place] * len(arrays))) for place in places]
        )
    return y


def _element(array: Array, word: str, place: Mapping[str, int]) -> Any:
    return array[*(min(place[x], n - 1) for x, n in zip(word, array.shape, strict=True))]


@dataclass(eq=False, repr=False)
class _Einsum(Primitive):
    """A primitive whose first argument is the subscripts, as in NumPy and PyTorch."""

    name: str = "einsum"

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """Run the summation, and record a node."""
        if operands and isinstance(operands[0], str):
            attributes = {"subscripts": operands[0], **attributes}
            operands = operands[1:]
        if len(operands) == 1 and isinstance(operands[0], Node | np.ndarray):
            operands = (operands,)  # a single operand, not a list
        return super().__call__(*operands, **attributes)


def _einsum(*arrays: Array, subscripts: str) -> tuple[Array, Backward]:
    """Multiply arrays whose axes are named by letters, and sum over letters that the result lacks.

    ``einsum("ij,jk->ik", a, b)`` is the matrix product. Without "->" the result has the letters
    that occur once, in alphabetical order. "..." is the axes without a letter, which broadcast; a
    letter that occurs twice in an operand is its diagonal. The same as in NumPy and PyTorch.

    >>> from autolm import Tensor
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> y = einsum("ii", x)
    >>> y.backward()
    >>> y.item(), x.grad.tolist()
    (5.0, [[1.0, 0.0], [0.0, 1.0]])
    """
    if not arrays:
        raise ValueError(message("einsum: there is no array to multiply"))
    read = read_subscripts(subscripts, [array.shape for array in arrays])

    def backward(grad: Array) -> tuple[Array, ...]:
        return tuple(_contribution(read, arrays, i, grad) for i in range(len(arrays)))

    return _sum_of_products(read.words, read.result, arrays), backward


def _sum_of_products(words: Sequence[str], result: str, arrays: Sequence[Array]) -> Array:
    subscripts = f"{','.join(words)}->{result}"
    y = np.einsum(subscripts, *map(accumulating, arrays), optimize=len(arrays) > 1)
    return np.asarray(rounded_as(y, *arrays))


def _contribution(read: Subscripts, arrays: Sequence[Array], i: int, grad: Array) -> Array:
    """Exchange the upstream gradient with the operand, and the words of operand and result."""
    word = read.words[i]
    letters = "".join(dict.fromkeys(word))
    words = [*read.words[:i], read.result, *read.words[i + 1 :]]
    reached = "".join(letter for letter in letters if letter in "".join(words))
    sums = _sum_of_products(words, reached, [*arrays[:i], grad, *arrays[i + 1 :]])
    summed_alone = [place for place, letter in enumerate(letters) if letter not in reached]
    spread = np.broadcast_to(np.expand_dims(sums, summed_alone), read.shape(letters))
    if letters == word:
        return spread
    scattered = np.zeros(read.shape(word), dtype=spread.dtype)
    np.einsum(f"{word}->{letters}", scattered)[...] = spread  # NumPy's view of the diagonal
    return scattered


einsum = _Einsum(
    _einsum,
    symbol="einsum",
    formula="sums of products of elements whose letters agree",
    rule=("einsum of ḡ and the other operands, to its letters",),
    scalar=_on_values,
    cases=(
        Case(((2, 3), (3, 4)), {"subscripts": "ij,jk->ik"}),
        Case(((2, 2), (2, 2)), {"subscripts": "ij,jk->ki"}),
        Case(((3,),), {"subscripts": "i->"}),
        Case(((2, 2),), {"subscripts": "ii"}),
        Case(((2, 3), (3,), (2,)), {"subscripts": "ij,j,i->j"}),
        Case(((2, 1, 2, 3), (2, 3)), {"subscripts": "...ij, ...j -> ...i"}),
        Case(((1, 3), (2, 3)), {"subscripts": "ij,ij->"}),
        Case(((2, 3), (1, 3)), {"subscripts": "ij,ij->j"}),
    ),
    patterns=(
        Pattern(("… n k", "… k m"), {"subscripts": OneOf("...ij,...jk", "...ij,...jk->k...i")}),
        Pattern(("n m", "m k"), {"subscripts": OneOf("ij,jk", "ij,jk->ki", "ij,jk->j", "ij,jk->")}),
        Pattern(("n n m",), {"subscripts": OneOf("iij->ij", "iij", "iij->ji", "iij->i", "iiB->")}),
        Pattern(("n", "m", "n"), {"subscripts": OneOf("i,j,i->ij", "b,a,b", "i,j,i->")}),
        Pattern(("n m …",), {"subscripts": OneOf("ij...->j...", "ij...", "ij...->...ij")}),
    ),
)
update_wrapper(einsum, _einsum, updated=())
