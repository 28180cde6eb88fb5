"""Make any text safe in a picture: names and tokens come from users, and may hold anything.

A picture is DOT, which holds HTML-like labels, and becomes SVG, which stands in an HTML page.
"""

from __future__ import annotations

import html
import unicodedata


def visible(text: str) -> str:
    r"""Replace what XML cannot hold, and what would break a line, by visible signs.

    >>> visible("a\x00\nb")
    'a␀␊b'
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    is_unfit = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or (
        code & 0xFFFE == 0xFFFE
    )
    return "\N{REPLACEMENT CHARACTER}" if is_unfit else character


def markup(text: str) -> str:
    """Escape text for HTML."""
    return html.escape(visible(text))


def label(text: str) -> str:
    r"""Escape text for an HTML-like label, where Graphviz puts the name of the node for `\N`."""
    return markup(text).replace("\\", "&#92;" * 2)


def hint(text: str) -> str:
    r"""Escape lines of text for a tooltip, in which Graphviz reads backslashes twice."""
    return "&#10;".join(markup(line).replace("\\", "&#92;" * 4) for line in text.split("\n"))
