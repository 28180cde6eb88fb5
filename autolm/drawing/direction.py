"""Which way a picture runs: to the right, as one reads; downwards, if that would be too wide.

It is decided before anything is laid out, from how long the longest way through the picture is and
how much is written on it. Graphviz then needs to lay it out only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autolm.drawing.view import Arrow, Box, View
from autolm.outside.columns import width as columns

Direction = Literal["auto", "right", "down"]
WIDTH = 1200  # pixels: as much as a picture takes before it turns
CHARACTER = 8.5  # pixels of a character in a box, its margins included
LABEL = 7.5  # pixels of a character at an arrow
BETWEEN = 48  # pixels from row to row
SIGN = 48  # pixels of an operation's sign


def direction_of(view: View, width: int) -> Literal["right", "down"]:
    """Choose the direction of a picture that is to keep within a width in pixels."""
    if not view.is_exact:
        return "down"
    return "right" if _length(view.boxes, view.arrows) <= width else "down"


def _length(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> float:
    """Estimate how wide a picture is that runs to the right: its rows, each as wide as its widest.

    A box stands in the first row that is after all that lead to it.
    """
    into: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        into.setdefault(arrow.head, []).append(arrow)
    row: dict[str, int] = {}
    stack = [box.key for box in boxes]
    while stack:
        key = stack[-1]
        tails = [arrow.tail for arrow in into.get(key, ())]
        waiting = [tail for tail in tails if tail not in row]
        if waiting and key not in row:
            stack += waiting
            continue
        stack.pop()
        row.setdefault(key, max((row[tail] + 1 for tail in tails), default=0))
    widest: dict[int, float] = {}
    between: dict[int, float] = {}
    for box in boxes:
        at = row[box.key]
        widest[at] = max(widest.get(at, 0), _width(box))
    for arrow in arrows:
        at = row[arrow.head]
        between[at] = max(between.get(at, BETWEEN), LABEL * columns(arrow.label))
    return sum(widest.values()) + sum(between.values())


def _width(box: Box) -> float:
    if box.kind == "operation":
        return max(SIGN, CHARACTER * columns(box.title))
    texts = [f"{box.title} {box.subtitle}", *(f"{label} {text}" for label, text in box.rows)]
    return CHARACTER * (max(map(columns, texts)) + 2)
