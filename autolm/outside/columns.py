"""The width of text in terminal columns; a Korean or Chinese character takes two."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Return the number of columns of a text; combining characters take none.

    >>> width("cat"), width("고양이"), width("e\N{COMBINING ACUTE ACCENT}")
    (3, 6, 1)
    """
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int) -> str:
    """Pad a text with spaces to a number of columns.

    >>> padded("고양이", 8) + "|"
    '고양이  |'
    """
    return text + " " * (columns - width(text))


def folded(text: str, columns: int, indent: str = "") -> list[str]:
    """Wrap a sentence to a number of columns; words that are too long are not broken.

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
