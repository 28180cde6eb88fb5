"""How many columns a text takes in a terminal, where a Korean or Chinese character takes two."""

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


def folded(text: str, columns: int, indent: str = "") -> list[str]:
    """Break a sentence into lines of so many columns; a word that is too long stays whole.

    >>> folded("the cat sat on the mat", 10, "  ")
    ['the cat', '  sat on', '  the mat']
    """
    first, *rest = text.split(" ")
    lines = [first]
    for word in rest:
        if width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
        elif word:
            lines.append(indent + word)
    return [line.rstrip() for line in lines]
