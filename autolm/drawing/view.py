"""The contents of a picture without its style: boxes, arrows, frames of scopes, and notes.

`exact.py` and `collapsed.py` create a View of a graph; `dot.py` writes it as DOT.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from autolm.engine.graph import Node

Kind = Literal["data", "leaf", "constant", "operation", "rolled", "module", "more"]
Edges = Literal["forward", "gradient", "chain rule"]


class Badge(NamedTuple):
    """A leaf, written inside the box that uses it."""

    text: str
    is_constant: bool


@dataclass
class Box:
    """One box of a picture.

    Attributes
    ----------
    key
        Name in DOT and id in SVG.
    kind
        "data" (a result), "leaf", "constant" or "operation" for one node; "rolled" for similar
        nodes; "module" for a collapsed part; "more" for nodes that are not shown.
    nodes, results
        The nodes in the box, and those of them whose data and gradients it shows. An "operation"
        has none, because its result has its own box.
    title, subtitle, badges, rows
        Texts in the box; rows are pairs of a label and a text, with data and grad last.
    frame
        The expanded scopes around it, outermost first.
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
    opens: str = ""  # the part that a click expands, in the player


@dataclass
class Arrow:
    """One arrow, in the direction of the computation; a gradient's head is drawn at its tail."""

    key: str
    tail: str
    head: str
    count: int = 1  # number of edges of the graph
    is_gradient: bool = False
    label: str = ""
    hint: str = ""


@dataclass
class View:
    """The contents of a picture."""

    boxes: list[Box]
    arrows: list[Arrow]
    notes: list[str]
    is_exact: bool  # whether every box is one node or operation
