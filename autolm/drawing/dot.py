"""Write a View as DOT: fonts, colours, shapes and the legend.

Results are boxes and operations round; leaves are tinted, constants dashed, collapsed parts have a
heavy border, and non-finite values a double one. The legend names only the kinds in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import graphviz

from autolm.drawing import markup
from autolm.drawing.direction import WIDTH, Direction, direction_of
from autolm.drawing.palette import DARK, LIGHT, Palette
from autolm.drawing.picture import Picture
from autolm.drawing.view import Arrow, Box, View
from autolm.outside.language import say

TEXT = "Helvetica,Arial,sans-serif"
NUMBERS = "DejaVu Sans Mono,Menlo,Consolas,monospace"


def to_dot(
    view: View,
    *,
    dark: bool = False,
    legend: bool = True,
    direction: Direction = "auto",
    width: int = WIDTH,
) -> Picture:
    """Write a view as DOT; direction "auto" is downwards if the picture would exceed the width."""
    palette = DARK if dark else LIGHT
    goes_right = (direction_of(view, width) if direction == "auto" else direction) == "right"
    graph = Picture(
        "autolm",
        graph_attr={
            "rankdir": "LR" if goes_right else "TB",
            "bgcolor": palette.paper,
            "fontname": TEXT,
            "fontsize": "10",
            "fontcolor": palette.muted,
            "color": palette.frame_line,
            "nodesep": "0.4" if any(arrow.is_gradient for arrow in view.arrows) else "0.22",
            "ranksep": "0.32" if view.is_exact else "0.24",
            "pad": "0.15",
            "outputorder": "edgesfirst",
            "tooltip": " ",
        },
        node_attr={"shape": "plain", "fontname": TEXT, "fontsize": "11", "fontcolor": palette.ink},
        edge_attr={
            "color": palette.line,
            "arrowsize": "0.6",
            "fontname": NUMBERS,
            "fontsize": "9",
            "fontcolor": palette.muted,
        },
    )
    graph.view = view
    if legend:
        graph.attr(label=_legend(view, palette), labelloc="b", labeljust="l")
    _draw_frames(graph, view.boxes, palette)
    has_gradients = any(arrow.is_gradient for arrow in view.arrows)
    ends = set[tuple[str, str]]()
    for arrow in view.arrows:
        attributes = _arrow(arrow, palette)
        if has_gradients and (arrow.tail, arrow.head) in ends:
            attributes.setdefault("label", " ")  # space, so that it does not cross a number
        ends.add((arrow.tail, arrow.head))
        graph.edge(arrow.tail, arrow.head, **attributes)
    return graph


def _draw_frames(graph: graphviz.Digraph, boxes: Iterable[Box], palette: Palette) -> None:
    """Draw each box inside the frames of its expanded scopes."""
    frames: dict[tuple[str, ...], graphviz.Digraph] = {(): graph}
    for box in boxes:
        for depth in range(1, len(box.frame) + 1):
            path = box.frame[:depth]
            if path not in frames:
                frames[path] = _frame(path, len(frames), palette)
        frames[box.frame].node(box.key, **_node(box, palette))
    for path in sorted(frames, key=len, reverse=True):
        if path:
            frames[path[:-1]].subgraph(frames[path])


def _frame(path: tuple[str, ...], number: int, palette: Palette) -> graphviz.Digraph:
    frame = graphviz.Digraph(f"cluster{number}")
    frame.attr(
        label=f"<{_font(path[-1], palette.muted, size=11)}>",
        labeljust="l",
        labelloc="t",
        style="rounded,filled",
        fillcolor=palette.frame if len(path) % 2 else palette.paper,
        color=palette.frame_line,
        margin="10",
        tooltip=markup.hint(".".join(path)),
        id=f"frame{number}",
    )
    return frame


def _node(box: Box, palette: Palette) -> dict[str, str]:
    attributes = {"id": box.key, "tooltip": markup.hint(box.hint) or " ", "class": box.kind}
    if box.kind == "operation":
        is_short = len(box.title) < 3
        circle = {"shape": "circle", "margin": "0.02", "width": "0.36"} if is_short else {}
        return attributes | {
            "shape": "box",
            "style": "rounded,filled",
            "margin": "0.08,0.03",
            "height": "0.3",
            "width": "0.36",
            "fillcolor": palette.paper,
            "color": palette.ink,
            "label": f"<{_font(box.title, palette.ink, size=12)}>",
            **circle,
            **({"style": "filled"} if circle else {}),
        }
    if box.kind == "more":
        return attributes | {"label": f"<{_font(f' {box.title} ', palette.muted, size=10)}>"}
    return attributes | {"label": f"<{_table(box, palette)}>"}


def _table(box: Box, palette: Palette) -> str:
    """Write the label of a box: its title, its badges and its rows."""
    fill, line = {
        "leaf": (palette.leaf, palette.leaf_line),
        "constant": (palette.constant, palette.constant_line),
        "module": (palette.module, palette.module_line),
    }.get(box.kind, (palette.data, palette.line))
    if not box.is_finite:
        fill, line = palette.alarm, palette.alarm_line if line == palette.line else line
    line = palette.ink if box.is_root else line
    line = palette.leaf_line if box.is_focus else line
    is_heavy = box.is_root or box.is_focus or not box.is_finite or box.kind == "module"
    heavy = 2 if is_heavy else 1
    style = "rounded,dashed" if box.kind == "constant" else "rounded"
    rows = _heading(box, palette)
    rows += [_badge_row(box, palette)] if box.badges else []
    rows += [_row(label, text, palette) for label, text in box.rows]
    table = (
        f'<TABLE BORDER="{heavy}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4" STYLE="{style}" '
        f'BGCOLOR="{fill}" COLOR="{line}">{"".join(rows)}</TABLE>'
    )
    if box.is_finite:
        return table
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2" STYLE="rounded" '
        f'COLOR="{palette.alarm_line}"><TR><TD>{table}</TD></TR></TABLE>'
    )


def _heading(box: Box, palette: Palette) -> list[str]:
    title = f"<B>{_font(f'{box.title} ', palette.ink)}</B>" if box.title else ""
    subtitle = _font(box.subtitle, palette.muted, size=10) if box.subtitle else ""
    if not title and not subtitle:
        return []
    return [f'<TR><TD ALIGN="LEFT">{title}{subtitle}</TD></TR>']


def _badge_row(box: Box, palette: Palette) -> str:
    cells = []
    for badge in box.badges:
        fill = palette.constant if badge.is_constant else palette.leaf
        line = palette.constant_line if badge.is_constant else palette.leaf_line
        style = "rounded,dashed" if badge.is_constant else "rounded"
        cells.append(
            f'<TD BORDER="1" STYLE="{style}" BGCOLOR="{fill}" COLOR="{line}" CELLPADDING="2">'
            f"{_font(f' {badge.text} ', palette.ink, size=9, face=NUMBERS)}</TD>"
        )
    width = 2 if len(cells) in (2, 4) else 3
    rows = [f"<TR>{''.join(cells[i : i + width])}</TR>" for i in range(0, len(cells), width)]
    inner = f'<TABLE BORDER="0" CELLSPACING="3" CELLPADDING="0">{"".join(rows)}</TABLE>'
    return f'<TR><TD ALIGN="LEFT" CELLPADDING="0">{inner}</TD></TR>'


def _row(label: str, text: str, palette: Palette) -> str:
    return (
        f'<TR><TD ALIGN="LEFT">{_font(f"{label} ", palette.muted, size=9)}'
        f"{_font(text, palette.ink, size=10, face=NUMBERS)}</TD></TR>"
    )


def _font(text: str, color: str, *, size: int = 11, face: str = TEXT) -> str:
    content = markup.label(text).replace(" ", "&#160;")
    return f'<FONT FACE="{face}" POINT-SIZE="{size}" COLOR="{color}">{content}</FONT>'


def _arrow(arrow: Arrow, palette: Palette) -> dict[str, str]:
    attributes = {"id": arrow.key, "tooltip": markup.hint(arrow.hint) or " "}
    if arrow.label:
        color = palette.gradient if arrow.is_gradient else palette.muted
        attributes["label"] = f"<{_font(f' {arrow.label} ', color, size=9, face=NUMBERS)}>"
        attributes["labeltooltip"] = attributes["tooltip"]
    if arrow.is_gradient:
        attributes |= {
            "dir": "back",
            "style": "dashed",
            "color": palette.gradient,
            "arrowtail": "vee",
            "class": "gradient",
        }
    if arrow.count > 1:
        attributes["penwidth"] = f"{1 + 0.6 * math.log10(arrow.count):.1f}"
    return attributes


def _legend(view: View, palette: Palette) -> str:
    """Explain the kinds of boxes and arrows in the picture, and add its notes."""
    kinds = {box.kind for box in view.boxes}
    badges = {badge.is_constant for box in view.boxes for badge in box.badges}
    has_leaf = "leaf" in kinds or False in badges
    has_constant = "constant" in kinds or True in badges
    has_root = any(box.is_root for box in view.boxes)
    has_focus = any(box.is_focus for box in view.boxes)
    has_non_finite = any(not box.is_finite for box in view.boxes)
    has_alike = any(box.kind == "rolled" and len(box.results) > 1 for box in view.boxes)
    rolled = "operations, ×n alike" if has_alike else "operation"
    entries = [
        (has_leaf, palette.leaf, palette.leaf_line, "solid", 1, "leaf: receives a gradient"),
        (has_constant, palette.constant, palette.constant_line, "dashed", 1, "constant"),
        ("data" in kinds, palette.data, palette.line, "solid", 1, "result"),
        ("operation" in kinds, palette.paper, palette.ink, "rounded", 1, "operation"),
        ("rolled" in kinds, palette.data, palette.line, "solid", 1, rolled),
        (has_root, palette.data, palette.ink, "solid", 2, "root"),
        (has_focus, palette.data, palette.leaf_line, "solid", 2, "in focus"),
        (
            "module" in kinds,
            palette.module,
            palette.module_line,
            "solid",
            2,
            "closed: expand, or max_boxes",
        ),
        (has_non_finite, palette.alarm, palette.alarm_line, "solid", 2, "not finite"),
    ]
    cells = []
    for is_present, fill, line, style, width, text in entries:
        if is_present:
            cells.append(
                f'<TD BORDER="{width}" STYLE="{style}" BGCOLOR="{fill}" COLOR="{line}" '
                'WIDTH="14" HEIGHT="10" FIXEDSIZE="TRUE"></TD>'
                f'<TD ALIGN="LEFT">{_font(say(text), palette.muted, size=9)}</TD>'
            )
    if any(arrow.is_gradient for arrow in view.arrows):
        cells.append(
            f"<TD>{_font('⇠', palette.gradient, size=12)}</TD>"
            f'<TD ALIGN="LEFT">{_font(say("gradient"), palette.muted, size=9)}</TD>'
        )
    width = 2 * len(cells)
    rows = [f"<TR>{''.join(cells)}</TR>"]
    rows += [
        f'<TR><TD COLSPAN="{width}" ALIGN="LEFT">{_font(note, palette.muted, size=9)}</TD></TR>'
        for note in map(say, view.notes)
    ]
    table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="1">'
    return f"<{table}{''.join(rows)}</TABLE>>"
