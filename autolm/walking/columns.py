"""How many columns a text takes in a terminal: a Korean or Chinese character takes two."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Count the columns of a text; what joins the character before it, an accent, takes none.

    >>> width("cat"), width("고양이"), width("e\N{COMBINING ACUTE ACCENT}")
    (3, 6, 1)
    """
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int) -> str:
    """Fill a text up with spaces to so many columns.

    >>> padded("고양이", 8) + "|"
    '고양이  |'
    """
    return text + " " * (columns - width(text))
