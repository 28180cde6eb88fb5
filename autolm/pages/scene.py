"""A scene of the page: one picture, laid out, with the moments that are played in it.

Colours stand in it by their names, so that the page can choose light or dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from autolm.drawing.direction import WIDTH, direction_of
from autolm.drawing.dot import to_dot
from autolm.drawing.palette import LIGHT
from autolm.drawing.renderers import lay_out
from autolm.drawing.svg import tidy
from autolm.drawing.view import View
from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.pages.playback import (
    Moment,
    Slots,
    Told,
    Words,
    explanations,
    facts,
    longest,
    moments,
)

TIME_LIMIT = 20.0  # seconds for each layout
ANY_NUMBER = "−0.001234"  # room for a number that a reader may change


def scene_of(
    key: str,
    title: str,
    view: View,
    played: list[Moment],
    told: dict[str, Told],
    least: str = "",
) -> dict[str, Any]:
    """Lay a picture out, and put its moments beside it; numbers get at least so much room."""
    longest(view.boxes, played, least)
    for box in view.boxes:
        box.is_finite = True  # until the step that makes it otherwise
        box.hint = "\n".join(facts(box.hint))
    direction = direction_of(view, WIDTH)
    dot = to_dot(view, legend=False, direction=direction)
    svg = tidy(lay_out(dot.source, "svg", TIME_LIMIT))
    return {
        "key": key,
        "title": title,
        "around": None,
        "svg": _in_variables(svg),
        "notes": view.notes,
        "isExact": view.is_exact,
        "isWide": direction == "right",
        "moments": [asdict(moment) for moment in played],
        "boxes": {
            box.key: {
                "title": box.title or box.subtitle or "result",
                "kind": box.kind,
                "rows": [row for row, _ in box.rows],
                "opens": box.opens,
                "told": asdict(told.get(box.key, Told([]))),
            }
            for box in view.boxes
        },
    }


def _in_variables(svg: str) -> str:
    """Name the colours instead of telling them, so that the page can choose light or dark."""
    for name, color in asdict(LIGHT).items():
        svg = svg.replace(f'"{color}"', f'"var(--{name})"')
    return svg


def templates(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> dict[str, Any]:
    """Tell the moments of a program of single numbers with slots, which the page fills."""
    slots = Slots(words.names, {node: place for place, node in enumerate(order)})
    told = explanations(order, steps, keys, slots)
    return {
        "moments": [asdict(each) for each in moments(order, steps, keys, slots)],
        "told": {key: each.arrived for key, each in told.items()},
    }
