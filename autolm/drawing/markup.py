"""Escape names and tokens, which can contain any character, for DOT, SVG and HTML."""

from __future__ import annotations

import html

from autolm.walking.wording import visible


def markup(text: str) -> str:
    """Escape text for HTML."""
    return html.escape(visible(text))


def label(text: str) -> str:
    r"""Escape text for an HTML-like label, where Graphviz replaces `\N` by the name of the node."""
    return markup(text).replace("\\", "&#92;" * 2)


def hint(text: str) -> str:
    r"""Escape lines of text for a tooltip, where Graphviz unescapes backslashes twice."""
    return "&#10;".join(markup(line).replace("\\", "&#92;" * 4) for line in text.split("\n"))
