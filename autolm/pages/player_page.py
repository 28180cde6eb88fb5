"""The backprop player: a graph and its steps as one HTML file, to be stepped through in a browser.

The file needs nothing but itself. A small graph is drawn exactly and stepped operation by
operation; a large one is collapsed and stepped module by module, and a click opens a module, whose
picture was laid out when the file was made.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from autolm.drawing.atoms import Atom, roll
from autolm.drawing.collapse import Collapse
from autolm.drawing.collapsed import collapsed_view
from autolm.drawing.dot import to_dot
from autolm.drawing.drawing import MAX_BOXES, MAX_SPAN, Drawing
from autolm.drawing.exact import exact_view
from autolm.drawing.gradients import walk
from autolm.drawing.markup import markup
from autolm.drawing.outline import Group
from autolm.drawing.palette import DARK, LIGHT
from autolm.drawing.renderers import RenderTimeout, lay_out
from autolm.drawing.svg import tidy
from autolm.drawing.view import Arrow, Box, View
from autolm.engine.graph import Node
from autolm.ops.arguments import read_int
from autolm.outside.whole_file import write_whole
from autolm.pages.modules import AtomPass, module_moments, walk_atoms
from autolm.pages.playback import Moment, explanations, longest, moments
from autolm.tensor.arguments import read_node, read_path
from autolm.walking import wording
from autolm.walking.program_names import named_by

PLAYER_KINDS = (".html", ".htm")
WHOLE = "whole graph"
TIME_LIMIT = 20.0  # seconds for each layout


def player(
    loss: Node, path: str | Path, *, max_boxes: int = MAX_BOXES, max_span: int = MAX_SPAN
) -> Path:
    """Write the player of a graph: its forward and backward pass, step by step, as one HTML file.

    A link to it may name a step: `player.html#8`.

    Parameters
    ----------
    loss
        The result: a Value, or a Tensor with one element. No gradient is changed.
    path
        Where to, .html.
    max_boxes, max_span
        The budget of a picture, as in `draw`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        For another suffix, or a Tensor with more than one element.
    RendererMissing
        If there is no Graphviz.
    """
    loss = read_node("player", "loss", loss)
    drawing = Drawing(loss)
    max_boxes = read_int("player", "max_boxes", max_boxes, low=1)
    max_span = read_int("player", "max_span", max_span, low=0)
    path = read_path("player", "path", path)
    if path.suffix not in PLAYER_KINDS:
        raise ValueError(f"{path}: the player is a page; its name ends in .html")
    with named_by(drawing.names):
        page = _page(_scenes(drawing, max_boxes, max_span), loss)
    write_whole(path, page.encode(errors="backslashreplace"))
    return path


def _scenes(drawing: Drawing, max_boxes: int, max_span: int) -> list[dict[str, Any]]:
    """Make all pictures; where laying one out takes too long, collapse more, and say so."""
    notes: list[str] = []
    while True:
        try:
            if len(drawing.order) <= 2 * max_boxes:
                scenes = [_exact_scene(drawing)]
            else:
                scenes = _Modules(drawing, max_boxes, max_span).scenes()
            return [scene | {"notes": scene["notes"] + notes} for scene in scenes]
        except RenderTimeout:
            if max_boxes < 4:
                raise
        max_boxes, max_span = max_boxes // 2, max_span // 2
        notes = [f"collapsed to {max_boxes} boxes: the layout took longer than {TIME_LIMIT:g} s"]
        warnings.warn(f"player: {notes[0]}", stacklevel=3)


def _exact_scene(drawing: Drawing) -> dict[str, Any]:
    order = drawing.order
    view = exact_view(order, set(order))
    keys = {box.nodes[0]: box.key for box in view.boxes if box.nodes}
    steps = walk(drawing.root, set(order)).steps
    played = moments(order, steps, keys)
    return _scene("", WHOLE, view, played, explanations(order, steps, keys))


class _Modules:
    """The pictures of a large graph: the whole, and one of each part that opens."""

    def __init__(self, drawing: Drawing, max_boxes: int, max_span: int) -> None:
        self.root = drawing.root
        self.max_boxes, self.max_span = max_boxes, max_span
        self.atoms: list[Atom]
        self.atoms, place = roll(drawing.order)
        self.done: AtomPass = walk_atoms(self.root, self.atoms, place)

    def scenes(self) -> list[dict[str, Any]]:
        """Make the scene of the whole, and of everything in it that opens."""
        scenes = []
        waiting: list[tuple[Group | None, str, dict[int, str]]] = [(None, "", {})]
        while waiting:
            part, around, names = waiting.pop(0)
            collapse = Collapse(
                self.atoms, part=part, max_boxes=self.max_boxes, max_span=self.max_span
            )
            view = collapsed_view(collapse, self.root)
            for box in view.boxes:
                box.frame = box.frame[len(part.path) if part else 0 :]
                box.rows = [box.rows[0], ("grad", wording.NOT_COMPUTED)]
            played = module_moments(view, collapse.groups, self.atoms, self.done, self.root)
            told = {box.key: box.hint.split("\n") for box in view.boxes}
            pairs = zip(view.boxes, collapse.groups, strict=True)
            titles = {i: box.title for box, group in pairs for i in group.members}
            key = part.key if part else ""
            for group in collapse.groups:
                if group.kind in ("scope", "stage") and group.children:
                    waiting.append((group, key, names | titles))
            if part:
                _show_neighbours(view, collapse, self.atoms, names)
            title = (".".join(part.path) if part.kind == "scope" else part.title) if part else WHOLE
            scene = _scene(key, title, view, played, told)
            scenes.append(scene | {"around": around if part else None})
        opening = {scene["key"] for scene in scenes}
        for scene in scenes:
            for box in scene["boxes"].values():
                box["opens"] = box["opens"] if box["opens"] in opening else None
        return scenes


def _show_neighbours(
    view: View, collapse: Collapse, atoms: Sequence[Atom], names: dict[int, str]
) -> None:
    """Put signs where arrows come in from, and go out to, what is around an opened part."""
    pairs = zip(view.boxes, collapse.groups, strict=True)
    place = {i: box.key for box, group in pairs for i in group.members}
    outside: dict[tuple[str, str], None] = {}
    for i, key in place.items():
        for operand in atoms[i].operands:
            if operand in names and operand not in place:
                outside[f"from {names[operand]}", key] = None
    for i, atom in enumerate(atoms):
        if i not in place:
            for operand in atom.operands:
                if operand in place:
                    outside[f"to {names.get(i, 'the rest')}", place[operand]] = None
    keys: dict[str, str] = {}
    for text, key in outside:
        if text not in keys:
            keys[text] = f"s{len(keys)}"
            view.boxes.append(Box(keys[text], "more", [], title=text, hint="around this part"))
        ends = (keys[text], key) if text.startswith("from ") else (key, keys[text])
        view.arrows.append(Arrow(f"a{len(view.arrows)}", *ends))


def _scene(
    key: str, title: str, view: View, played: list[Moment], told: dict[str, list[str]]
) -> dict[str, Any]:
    longest(view.boxes, played)
    for box in view.boxes:
        box.is_finite = True  # until the step that makes it otherwise
    svg = tidy(lay_out(to_dot(view, legend=False).source, "svg", TIME_LIMIT))
    return {
        "key": key,
        "title": title,
        "around": None,
        "svg": _in_variables(svg),
        "notes": view.notes,
        "isWide": view.is_exact,
        "moments": [asdict(moment) for moment in played],
        "boxes": {
            box.key: {
                "title": box.title or box.subtitle or "result",
                "kind": box.kind,
                "rows": [row for row, _ in box.rows],
                "opens": box.opens,
                "told": told.get(box.key, []),
            }
            for box in view.boxes
        },
    }


def _in_variables(svg: str) -> str:
    """Name the colours instead of telling them, so that the page can choose light or dark."""
    for name, color in asdict(LIGHT).items():
        svg = svg.replace(f'"{color}"', f'"var(--{name})"')
    return svg


def _page(scenes: list[dict[str, Any]], loss: Node) -> str:
    assets = files("autolm.pages") / "assets"
    parts = {
        "TITLE": markup(f"{wording.called(loss) or 'loss'} – backprop player"),
        "LIGHT": _variables(LIGHT),
        "DARK": _variables(DARK),
        "CSS": (assets / "player.css").read_text(encoding="utf-8"),
        "JS": (assets / "player.js").read_text(encoding="utf-8"),
        "DATA": _json({"scenes": scenes}),
    }
    page = (assets / "player.html").read_text(encoding="utf-8")
    before, *pieces = page.split("{{")
    for piece in pieces:
        name, after = piece.split("}}", 1)
        before += parts[name] + after
    return before


def _variables(palette: Any) -> str:
    return " ".join(f"--{name}: {color};" for name, color in asdict(palette).items())


def _json(content: Any) -> str:
    """Write JSON that may stand inside a script element."""
    text = json.dumps(content, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
