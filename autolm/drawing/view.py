"""What a picture shows, before anything is styled: boxes, arrows, the frames of scopes, and notes.

`exact.py` and `collapse.py` make a View of a graph; `dot.py` writes it as DOT; the player steps
through it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from autolm.engine.graph import Node

Kind = Literal["data", "leaf", "constant", "operation", "rolled", "module", "more"]
Edges = Literal["forward", "gradient", "chain rule"]


class Badge(NamedTuple):
    """A leaf that is written inside the box that uses it."""

    text: str
    is_constant: bool


@dataclass
class Box:
    """One box of a picture.

    Attributes
    ----------
    key
        Its name in DOT and its id in SVG.
    kind
        A result ("data"), a "leaf", a "constant", or an "operation", each of one node; alike nodes
        in one ("rolled"); a closed part ("module"); nodes that are left out ("more").
    nodes, results
        What it stands for, and those of them whose data and gradients it shows. An "operation"
        stands for none: its result has a box of its own.
    title, subtitle, badges, rows
        What is written in it; rows are pairs of a label and a text, data and grad the last two.
    frame
        The open scopes around it, outermost first.
    """

    key: str
    kind: Kind
    nodes: list[Node]
    results: list[Node] = field(default_factory=list)
    title: str = ""
    subtitle: str = ""
    badges: list[Badge] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    hint: str = ""
    frame: tuple[str, ...] = ()
    is_root: bool = False
    is_focus: bool = False
    is_finite: bool = True
    opens: str = ""  # the part that a click opens, in the player


@dataclass
class Arrow:
    """One arrow, in the direction of the computation; a gradient's head is drawn at its tail."""

    key: str
    tail: str
    head: str
    count: int = 1  # how many edges of the graph it stands for
    is_gradient: bool = False
    label: str = ""
    hint: str = ""


@dataclass
class View:
    """All that a picture shows."""

    boxes: list[Box]
    arrows: list[Arrow]
    notes: list[str]
    is_exact: bool  # every box is one node or one operation
