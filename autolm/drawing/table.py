"""A table for notebooks, whose rows can have bars.

Lower packages import it when a notebook displays their objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autolm.drawing.markup import markup
from autolm.drawing.palette import LIGHT

MAX_BAR = 6.0  # em, for the largest share
LEFT = ' style="text-align:left;white-space:pre-wrap"'


def table(
    caption: str, rows: Sequence[Sequence[str]], text: str, shares: Sequence[float] = ()
) -> dict[str, str]:
    """Return the MIME bundle of a table: HTML, and a plain text for terminals.

    Parameters
    ----------
    caption
        The caption.
    rows
        The cells, as plain text.
    text
        The plain text.
    shares
        A number per row, drawn as a bar: blue if positive, orange if negative.
    """
    largest = max((abs(share) for share in shares if math.isfinite(share)), default=0.0) or 1.0
    bars = [f"<td>{_bar(share / largest)}</td>" for share in shares] or [""] * len(rows)
    lines = [
        f"<tr>{bar}{''.join(f'<td{LEFT}>{markup(cell)}</td>' for cell in row)}</tr>"
        for bar, row in zip(bars, rows, strict=True)
    ]
    html = f"<table><caption{LEFT}>{markup(caption)}</caption>{''.join(lines)}</table>"
    return {"text/html": html, "text/plain": text}


def _bar(share: float) -> str:
    wide = MAX_BAR * min(1.0, abs(share)) if math.isfinite(share) else MAX_BAR
    color = LIGHT.gradient if share < 0 else LIGHT.leaf_line
    return (
        f'<div style="width:{MAX_BAR}em"><div style="width:{wide:.2f}em;height:.7em;'
        f'background:{color}"></div></div>'
    )
