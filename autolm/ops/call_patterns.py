"""What may vary from one call of an operation to the next, said by kind.

A record says so in its `patterns`: shapes in letters, and for each attribute a value, or one of the
kinds below. Tests draw calls from them (`autolm.testing.calls_from_patterns`); nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Pattern(NamedTuple):
    """Many ways to call an operation: operand shapes in letters, and attributes, `Varied` or not.

    In `Pattern(("… n k", "… k m"))` a letter is the same length wherever it stands, "h·d" and "2·d"
    are products, and "…" is any axes, such that those of all operands broadcast together.
    """

    shapes: tuple[str, ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012  (never changed)


class Varied:
    """What an attribute may be; every call of a test draws it anew."""


class OneOf(Varied):
    """One of these values; the first is the simplest.

    >>> OneOf(False, True)
    OneOf(False, True)
    """

    def __init__(self, *options: Any) -> None:
        if not options:
            raise ValueError("OneOf: give at least one value")
        self.options = options

    def __repr__(self) -> str:
        return f"OneOf({', '.join(map(repr, self.options))})"


@dataclass(frozen=True)
class Axis(Varied):
    """An axis of the first operand, from either end.

    Attributes
    ----------
    several
        A tuple of axes, or None for all, will do too.
    new
        It is the place of an axis that the result has and the operand has not.
    """

    several: bool = False
    new: bool = False


@dataclass(frozen=True)
class Order(Varied):
    """All axes of the first operand in an order, each from either end; or None."""


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
        That shape, written as that of an operand; "…" has the axes that all broadcast to.
    added
        Floats that are to be added, some of them −inf, will do too.
    """

    shape: str = ""
    added: bool = False


@dataclass(frozen=True)
class Ids(Varied):
    """Integers from 0 to below a length, which may repeat.

    Attributes
    ----------
    below
        The letter of that length.
    shape
        Their shape, written as that of an operand; "…" has the axes that it has there.
    """

    below: str
    shape: str


@dataclass(frozen=True)
class Floats(Varied):
    """Floats above 0, such as weights.

    Attributes
    ----------
    shape
        Their shape, written as that of an operand; "…" has the axes that all broadcast to.
    """

    shape: str


@dataclass(frozen=True)
class Length(Varied):
    """The length that a letter stands for, or a product of letters such as "h·r"."""

    letter: str
