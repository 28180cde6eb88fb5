"""The backprop player: a graph and its steps as one self-contained HTML file.

A small graph is drawn exactly and stepped through operation by operation. A large one is collapsed
and stepped through module by module; a click expands a module.

Pages that embed the player can rely on this interface:

- the fragment ``#step=K``, ``#open=SCOPE``, ``#lang=ko`` or ``#zoom=N,I`` (joined by ``&``);
- ``[data-sentence]``, the text that the model reads;
- ``table[data-matrix=NAME]``, where gradients have the name ``grad-…``, with cells
  ``td[data-value]`` (the exact number) and ``data-masked``;
- ``input[data-alpha]`` and ``[data-loss-after]``, the step size and the loss after the step;
- messages ``{autolm: {step: K}}`` to the frame of the player and from it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, overload

import numpy as np

from autolm.drawing.atoms import Atom, roll
from autolm.drawing.collapse import Collapse
from autolm.drawing.collapsed import collapsed_view
from autolm.drawing.drawing import MAX_BOXES, MAX_SPAN, Drawing, fits_exactly
from autolm.drawing.exact import exact_view
from autolm.drawing.gradients import walk
from autolm.drawing.markup import markup
from autolm.drawing.outline import Group
from autolm.drawing.palette import DARK, LIGHT
from autolm.drawing.renderers import RenderTimeout
from autolm.drawing.view import Arrow, Box, View
from autolm.engine.graph import Node
from autolm.engine.value import Value
from autolm.nn.optimizers import Optimizer
from autolm.outside.arguments import read_int, read_kind, read_path
from autolm.outside.finished_english import rules_in_korean
from autolm.outside.message import message
from autolm.outside.whole_file import write_whole
from autolm.pages.matrices import IN_VIEW, Matrices, matrix_name, packed_numbers
from autolm.pages.modules import AtomPass, module_moments, walk_atoms
from autolm.pages.notebook import Player
from autolm.pages.playback import (
    Explanation,
    Moment,
    Words,
    explanations,
    facts,
    moments,
)
from autolm.pages.scalar_program import number, scalar_program
from autolm.pages.scene import ANY_NUMBER, TIME_LIMIT, scene_of, templates
from autolm.pages.scripts import bundle
from autolm.pages.sentence import Sentence, sentence_of
from autolm.pages.training_step import TrainingStep, training_step
from autolm.tensor.nodes import read_node
from autolm.walking import wording
from autolm.walking.blame import blamed_nodes
from autolm.walking.program_names import use_names
from autolm.walking.tokens import Tokens
from autolm.walking.walk import Walk

PLAYER_KINDS = (".html", ".htm")
WHOLE = "whole graph"


@overload
def player(
    loss: Node | Walk,
    path: None = None,
    *,
    tokens: Tokens | None = ...,
    optimizer: Optimizer | None = ...,
    max_boxes: int = ...,
    max_span: int = ...,
) -> Player: ...
@overload
def player(
    loss: Node | Walk,
    path: str | Path,
    *,
    tokens: Tokens | None = ...,
    optimizer: Optimizer | None = ...,
    max_boxes: int = ...,
    max_span: int = ...,
) -> Path: ...
def player(
    loss: Node | Walk,
    path: str | Path | None = None,
    *,
    tokens: Tokens | None = None,
    optimizer: Optimizer | None = None,
    max_boxes: int = MAX_BOXES,
    max_span: int = MAX_SPAN,
) -> Path | Player:
    """Create a page that steps through a training step: forward pass, backward pass and update.

    A link can select a step, `player.html#step=8`, and a part, `#open=blocks.0.attention`.

    Parameters
    ----------
    loss
        A Value, a Tensor with one element, or a `Walk` of its backward pass, which the page moves
        in a notebook. The `grad` of the nodes does not change.
    path
        File to write, with the suffix .html. By default the player is returned for a notebook.
    tokens
        The texts of the tokens that the model reads; see `autolm.lm.text_loss.tokens_of`. By
        default tokens are shown as ids.
    optimizer
        The optimizer of the update; by default gradient descent, θ − α·g.
    max_boxes, max_span
        Budget of a picture, as in `draw`.

    Returns
    -------
    Path or Player
        The file; without a path, an object that notebooks display.

    Raises
    ------
    ValueError
        For an unknown suffix, or a Tensor with more than one element.
    RendererMissing
        If Graphviz is not installed.

    Examples
    --------
    >>> from autolm import Value
    >>> w = Value(3.0, name="w")
    >>> player(w * w, "player.html")  # doctest: +SKIP
    PosixPath('player.html')
    """
    walked = loss if isinstance(loss, Walk) else None
    drawing = Drawing(walked.root if walked else read_node("player", "loss", loss))
    max_boxes = read_int("player", "max_boxes", max_boxes, low=1)
    max_span = read_int("player", "max_span", max_span, low=0)
    if tokens is not None:
        read_kind("player", "tokens", tokens, Tokens, "Tokens")
    if optimizer is not None:
        read_kind("player", "optimizer", optimizer, Optimizer, "an optimizer")
    if path is not None:
        path = read_path("player", "path", path)
        if path.suffix not in PLAYER_KINDS:
            raise ValueError(
                message("{path}: the player is a page; its name ends in .html", path=path)
            )
    with use_names(drawing.names):
        data = _Page(drawing, tokens, optimizer).data(max_boxes, max_span)
        title = f"{wording.known_name(drawing.root) or 'loss'} – backprop player"
    html = _html(data, title)
    if path is None:
        done = [moment["steps"] or 0 for moment in data["scenes"][0]["moments"]]
        return Player(html, title, done, walked)
    write_whole(path, html.encode(errors="backslashreplace"))
    return path


class _Page:
    """The contents of the page."""

    def __init__(
        self, drawing: Drawing, tokens: Tokens | None, optimizer: Optimizer | None
    ) -> None:
        self.drawing, self.optimizer = drawing, optimizer
        order = drawing.order
        self.words = Words(filter(None, map(wording.known_name, order)))
        self.is_scalar = isinstance(drawing.root, Value)
        self.has_arrays = not self.is_scalar
        self.sentence: Sentence | None = None
        self.matrices: Matrices | None = None
        if self.has_arrays:
            self.walked = walk(drawing.root, set(order))
            self.sentence = sentence_of(order, tokens)
            self.matrices = Matrices(order, self.walked, self.sentence, tokens)

    def data(self, max_boxes: int, max_span: int) -> dict[str, Any]:
        """Return all of it, as JSON can hold it."""
        scenes = self._scenes(max_boxes, max_span)
        order = self.drawing.order
        program = None
        if self.has_arrays or (self.is_scalar and len(scenes) == 1):
            walked = self.walked if self.has_arrays else walk(self.drawing.root, set(order))
            program = scalar_program(order, walked.steps)
            step = training_step(self.drawing.root, walked.gradients, self.optimizer)
        else:
            step = None
        if step:
            scenes[0]["moments"].append(asdict(self._update(step, scenes[0]["moments"][-1])))
        return {
            "scenes": scenes,
            "matrices": self.matrices.as_json() if self.matrices else [],
            "zooms": self.matrices.zooms.drawn if self.matrices else {},  # of the matrices above
            "sentence": self._sentence(),
            "vocabulary": self.sentence.vocabulary if self.sentence else (),
            "program": program,
            "training": self._training(step),
        }

    def _update(self, step: TrainingStep, last: Mapping[str, Any]) -> Moment:
        """Make the last moment of a training step: the leaves move."""
        moment = Moment("update", "The leaves take a step.", steps=last["steps"])
        if self.matrices:
            numbers = self.matrices.numbers
            moment.matrices = [numbers[leaf] for leaf in step.directions if leaf in numbers]
            moment.matrices = moment.matrices[:IN_VIEW]
        return moment

    def _sentence(self) -> dict[str, Any] | None:
        if self.sentence is None or self.matrices is None:
            return None
        logits = self.sentence.logits
        where = self.matrices.numbers.get(logits) if logits is not None else None
        return self.sentence.as_json() | {"logits": where}

    def _training(self, step: TrainingStep | None) -> dict[str, Any] | None:
        if step is None:
            return None
        places = {node: place for place, node in enumerate(self.drawing.order)}
        return {
            "rule": step.rule,
            "rates": step.rates,
            "losses": [number(loss) for loss in step.losses],
            "loops": {i: list(map(number, losses)) for i, losses in step.loops.items()},
            "moved": [
                {
                    "node": places[leaf],
                    "called": wording.short(matrix_name(leaf)),
                    "formula": direction.formula,
                    "matrix": self.matrices.numbers.get(leaf) if self.matrices else None,
                    "madeOf": {
                        name: packed_numbers("data", np.asarray(array))
                        for name, array in direction.made_of.items()
                    },
                }
                for leaf, direction in step.directions.items()
            ],
        }

    def _scenes(self, max_boxes: int, max_span: int) -> list[dict[str, Any]]:
        """Make all pictures; where laying one out takes too long, collapse more, and say so."""
        notes: list[str] = []
        while True:
            try:
                if self._is_small(max_boxes):
                    scenes = [self._exact_scene()]
                else:
                    scenes = _Modules(self, max_boxes, max_span).scenes()
                return [scene | {"notes": scene["notes"] + notes} for scene in scenes]
            except RenderTimeout:
                if max_boxes < 4:
                    raise
            max_boxes, max_span = max_boxes // 2, max_span // 2
            limit = f"the layout took longer than {TIME_LIMIT:g} s"
            notes = [f"collapsed to {max_boxes} boxes: {limit}"]
            warnings.warn(f"player: {notes[0]}", stacklevel=4)

    def _is_small(self, max_boxes: int) -> bool:
        """Whether each node has its own box; next to matrices there is space for fewer boxes."""
        order = self.drawing.order
        has_parts = self.has_arrays and any(node.scope for node in order)
        return len(order) <= max_boxes if has_parts else fits_exactly(order, max_boxes)

    def _exact_scene(self) -> dict[str, Any]:
        order = self.drawing.order
        view = exact_view(order, set(order))
        keys = {box.nodes[0]: box.key for box in view.boxes if box.nodes}
        steps = walk(self.drawing.root, set(order)).steps
        played = moments(order, steps, keys, self.words)
        by_box = {f"{key}op": node for node, key in keys.items()}
        if self.matrices:
            for moment in played:
                moment.matrices = self.matrices.of(
                    [by_box[box] for box in [moment.box] if box in by_box]
                )
            played[0].matrices = self.matrices.leaves_of(order)
        explained = explanations(order, steps, keys, self.words)
        scene = scene_of("", WHOLE, view, played, explained, ANY_NUMBER if self.is_scalar else "")
        if self.is_scalar:
            scene["templates"] = templates(order, steps, keys, self.words)
        return scene | self.availability(played, {node: f"{key}op" for node, key in keys.items()})

    def availability(self, played: list[Moment], box_of: dict[Node, str]) -> dict[str, Any]:
        return {"known": self.matrices.availability(played, box_of) if self.matrices else []}


class _Modules:
    """The pictures of a large graph: the whole graph, and each part that can be expanded."""

    def __init__(self, page: _Page, max_boxes: int, max_span: int) -> None:
        self.page, self.root = page, page.drawing.root
        self.max_boxes, self.max_span = max_boxes, max_span
        self.atoms: list[Atom]
        self.atoms, place = roll(page.drawing.order)
        self.blamed = blamed_nodes(page.drawing.order)
        self.done: AtomPass = walk_atoms(self.root, self.atoms, place)

    def scenes(self) -> list[dict[str, Any]]:
        """Return the scenes of the whole graph and of all parts that can be expanded."""
        scenes = []
        waiting: list[tuple[Group | None, str, dict[int, str]]] = [(None, "", {})]
        while waiting:
            part, around, names = waiting.pop(0)
            collapse = Collapse(
                self.atoms, part=part, max_boxes=self.max_boxes, max_span=self.max_span
            )
            view = collapsed_view(collapse, self.root, self.blamed)
            for box in view.boxes:
                box.frame = box.frame[len(part.path) if part else 0 :]
                box.rows = [box.rows[0], ("grad", wording.NOT_COMPUTED)]
            played = module_moments(
                view,
                collapse.groups,
                self.atoms,
                self.done,
                self.root,
                self.blamed,
                self.page.words,
                self.page.matrices,
            )
            explained = {box.key: Explanation(facts(box.hint)) for box in view.boxes}
            pairs = list(zip(view.boxes, collapse.groups, strict=True))
            titles = {i: box.title for box, group in pairs for i in group.members}
            box_of = {
                node: box.key
                for box, group in pairs
                for i in group.members
                for node in self.atoms[i].nodes
            }
            key = part.key if part else ""
            for group in collapse.groups:
                if group.kind in ("scope", "stage") and group.children:
                    waiting.append((group, key, names | titles))
            if part:
                _show_neighbours(view, collapse, self.atoms, names)
            title = (".".join(part.path) if part.kind == "scope" else part.title) if part else WHOLE
            scene = scene_of(key, title, view, played, explained)
            scene |= self.page.availability(played, box_of)
            scenes.append(scene | {"around": around if part else None})
        opening = {scene["key"] for scene in scenes}
        for scene in scenes:
            for box in scene["boxes"].values():
                box["opens"] = box["opens"] if box["opens"] in opening else None
        return scenes


def _show_neighbours(
    view: View, collapse: Collapse, atoms: Sequence[Atom], names: dict[int, str]
) -> None:
    """Add boxes for the neighbours of an expanded part."""
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


def _html(data: dict[str, Any], title: str) -> str:
    assets = files("autolm.pages") / "assets"
    lines = json.loads((assets / "korean.json").read_text(encoding="utf-8"))
    korean = {"lines": lines, "rules": rules_in_korean()}
    parts = {
        "TITLE": markup(title),
        "LIGHT": _variables(LIGHT),
        "DARK": _variables(DARK),
        "CSS": (assets / "player.css").read_text(encoding="utf-8"),
        "JS": bundle("player.js"),
        "DATA": _json(data | {"korean": korean}),
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
    """Return JSON that is safe inside a script element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
