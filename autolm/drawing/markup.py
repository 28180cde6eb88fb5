"""Make any text safe in a picture: names and tokens come from users, and may hold anything.

A picture is DOT, which holds HTML-like labels, and becomes SVG, which stands in an HTML page.
"""

from __future__ import annotations

import html

from autolm.walking.wording import visible


def markup(text: str) -> str:
    """Escape text for HTML."""
    return html.escape(visible(text))


def label(text: str) -> str:
    r"""Escape text for an HTML-like label, where Graphviz puts the name of the node for `\N`."""
    return markup(text).replace("\\", "&#92;" * 2)


def hint(text: str) -> str:
    r"""Escape lines of text for a tooltip, in which Graphviz reads backslashes twice."""
    return "&#10;".join(markup(line).replace("\\", "&#92;" * 4) for line in text.split("\n"))
