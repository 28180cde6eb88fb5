"""Choose the direction of a picture: to the right if that fits the width, else downwards.

The width is estimated from the longest path and the texts on it, so that Graphviz runs only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autolm.drawing.view import Arrow, Box, View
from autolm.outside.columns import width as columns

Direction = Literal["auto", "right", "down"]
WIDTH = 1200  # pixels; a wider picture runs downwards
CHARACTER = 8.5  # pixels of a character in a box, its margins included
LABEL = 7.5  # pixels of a character at an arrow
COLUMN_GAP = 48  # pixels between columns
SYMBOL = 48  # pixels of the symbol of an operation


def direction_of(view: View, width: int) -> Literal["right", "down"]:
    """Choose the direction of a picture for a maximal width in pixels."""
    if not view.is_exact:
        return "down"
    return "right" if _length(view.boxes, view.arrows) <= width else "down"


def _length(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> float:
    """Estimate the width of a picture that runs to the right, as the sum of its columns.

    A box is in the first column after those of its operands.
    """
    into: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        into.setdefault(arrow.head, []).append(arrow)
    column_of: dict[str, int] = {}
    stack = [box.key for box in boxes]
    while stack:
        key = stack[-1]
        tails = [arrow.tail for arrow in into.get(key, ())]
        waiting = [tail for tail in tails if tail not in column_of]
        if waiting and key not in column_of:
            stack += waiting
            continue
        stack.pop()
        column_of.setdefault(key, max((column_of[tail] + 1 for tail in tails), default=0))
    widest: dict[int, float] = {}
    between: dict[int, float] = {}
    for box in boxes:
        column = column_of[box.key]
        widest[column] = max(widest.get(column, 0), _width(box))
    for arrow in arrows:
        column = column_of[arrow.head]
        between[column] = max(between.get(column, COLUMN_GAP), LABEL * columns(arrow.label))
    return sum(widest.values()) + sum(between.values())


def _width(box: Box) -> float:
    if box.kind == "operation":
        return max(SYMBOL, CHARACTER * columns(box.title))
    texts = [f"{box.title} {box.subtitle}", *(f"{label} {text}" for label, text in box.rows)]
    return CHARACTER * (max(map(columns, texts)) + 2)
