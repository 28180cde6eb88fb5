"""Patterns of an operation's calls: shapes with letters for lengths, and kinds of attributes.

They are the `patterns` of a record, and `autolm.testing.calls_from_patterns` draws calls from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from autolm.outside.message import message


class Pattern(NamedTuple):
    """Many calls of an operation: shapes of the operands, and values or kinds of the attributes.

    In `Pattern(("… n k", "… k m"))` the same letter is the same length, "h·d" and "2·d" are
    products, and "…" is any number of axes; those of all operands broadcast.
    """

    shapes: tuple[str, ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012  (never changed)


class Varied:
    """A kind of attribute, from which each call of a test draws a value."""


class OneOf(Varied):
    """One of these values; the first is the simplest.

    >>> OneOf(False, True)
    OneOf(False, True)
    """

    def __init__(self, *options: Any) -> None:
        if not options:
            raise ValueError(message("OneOf: give at least one value"))
        self.options = options

    def __repr__(self) -> str:
        return f"OneOf({', '.join(map(repr, self.options))})"


@dataclass(frozen=True)
class Axis(Varied):
    """An axis of the first operand, from either end.

    Attributes
    ----------
    several
        It may also be a tuple of axes, or None for all.
    new
        It is an axis of the result that the operand lacks.
    """

    several: bool = False
    new: bool = False


@dataclass(frozen=True)
class Order(Varied):
    """An order of all axes of the first operand, each counted from either end; or None."""


@dataclass(frozen=True)
class NewShape(Varied):
    """A shape with as many elements as the first operand; one length may be −1."""


@dataclass(frozen=True)
class WiderShape(Varied):
    """A shape to which the first operand broadcasts."""


@dataclass(frozen=True)
class Index(Varied):
    """An index of any kind that NumPy takes.

    An int, a slice, None, an Ellipsis, a mask, integers that may repeat, in a list, a tuple, an
    array, a Tensor or a buffer; and mixtures.
    """


@dataclass(frozen=True)
class Mask(Varied):
    """Bools that broadcast to the first operand, or to a shape.

    Attributes
    ----------
    shape
        That shape, in the notation of operands; "…" is the axes that all broadcast to.
    added
        It may also be floats to add, some of them −inf.
    """

    shape: str = ""
    added: bool = False


@dataclass(frozen=True)
class Ids(Varied):
    """Integers from 0 to a length minus 1, with repeats.

    Attributes
    ----------
    below
        The letter of that length.
    shape
        Their shape, in the notation of operands; "…" is the same axes as there.
    """

    below: str
    shape: str


@dataclass(frozen=True)
class Floats(Varied):
    """Floats above 0, such as weights.

    Attributes
    ----------
    shape
        Their shape, in the notation of operands; "…" is the axes that all broadcast to.
    """

    shape: str


@dataclass(frozen=True)
class Length(Varied):
    """The length of a letter, or of a product of letters such as "h·r"."""

    letter: str
