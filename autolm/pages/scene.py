"""A scene of the page: one picture with its layout and its moments.

Colours are CSS variables, so that the page can be light or dark.
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
    Explanation,
    Moment,
    Slots,
    Words,
    explanations,
    facts,
    moments,
    reserve_widths,
)

TIME_LIMIT = 20.0  # seconds for each layout
ANY_NUMBER = "−0.001234"  # the widest number that a reader can enter


def scene_of(
    key: str,
    title: str,
    view: View,
    played: list[Moment],
    explained: dict[str, Explanation],
    least: str = "",
) -> dict[str, Any]:
    """Lay out a picture and return its scene; `least` is the narrowest text of a number."""
    reserve_widths(view.boxes, played, least)
    for box in view.boxes:
        box.is_finite = True  # until the moment that marks it
        box.hint = "\n".join(facts(box.hint))
    direction = direction_of(view, WIDTH)
    dot = to_dot(view, legend=False, direction=direction)
    svg = tidy(lay_out(dot.source, "svg", TIME_LIMIT))
    return {
        "key": key,
        "title": title,
        "around": None,
        "svg": _with_css_variables(svg),
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
                "told": asdict(explained.get(box.key, Explanation([]))),
            }
            for box in view.boxes
        },
    }


def _with_css_variables(svg: str) -> str:
    """Replace colours by CSS variables."""
    for name, color in asdict(LIGHT).items():
        svg = svg.replace(f'"{color}"', f'"var(--{name})"')
    return svg


def templates(
    order: Sequence[Node], steps: Sequence[Step], keys: Mapping[Node, str], words: Words
) -> dict[str, Any]:
    """Return the moments of a graph of Values with slots, which the page fills."""
    slots = Slots(words.names, {node: place for place, node in enumerate(order)})
    explained = explanations(order, steps, keys, slots)
    return {
        "moments": [asdict(moment) for moment in moments(order, steps, keys, slots)],
        "told": {key: text.arrived for key, text in explained.items()},
    }
