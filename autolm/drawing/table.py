"""A table for a notebook: rows of text, each with a bar as long as its share if it has one.

Lower packages import it when a notebook displays something of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autolm.drawing.markup import markup
from autolm.drawing.palette import LIGHT

LONGEST = 6.0  # em: the bar of the largest share
LEFT = ' style="text-align:left;white-space:pre-wrap"'


def table(
    caption: str, rows: Sequence[Sequence[str]], text: str, shares: Sequence[float] = ()
) -> dict[str, str]:
    """Return what a notebook is given: a table, and a text that says the same.

    Parameters
    ----------
    caption
        What it is of.
    rows
        The cells, in which nothing is markup.
    text
        The form for a terminal.
    shares
        A number for each row, drawn as a bar before it: blue if positive, orange if negative.
    """
    most = max((abs(share) for share in shares if math.isfinite(share)), default=0.0) or 1.0
    bars = [f"<td>{_bar(share / most)}</td>" for share in shares] or [""] * len(rows)
    lines = [
        f"<tr>{bar}{''.join(f'<td{LEFT}>{markup(cell)}</td>' for cell in row)}</tr>"
        for bar, row in zip(bars, rows, strict=True)
    ]
    html = f"<table><caption{LEFT}>{markup(caption)}</caption>{''.join(lines)}</table>"
    return {"text/html": html, "text/plain": text}


def _bar(share: float) -> str:
    wide = LONGEST * min(1.0, abs(share)) if math.isfinite(share) else LONGEST
    color = LIGHT.gradient if share < 0 else LIGHT.leaf_line
    return (
        f'<div style="width:{LONGEST}em"><div style="width:{wide:.2f}em;height:.7em;'
        f'background:{color}"></div></div>'
    )
