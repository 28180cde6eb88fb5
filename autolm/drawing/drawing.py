"""Draw computation graphs, and write the pictures to files.

A small graph is drawn with every node and edge. A large one is collapsed by scope until it is
readable; of any graph, the neighbourhood of one node can be drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from autolm.drawing.atoms import Atom, roll
from autolm.drawing.collapse import Collapse
from autolm.drawing.collapsed import collapsed_view
from autolm.drawing.direction import WIDTH, Direction
from autolm.drawing.dot import to_dot
from autolm.drawing.exact import exact_view, neighbourhood
from autolm.drawing.page import picture_page
from autolm.drawing.picture import Picture
from autolm.drawing.renderers import RenderTimeout, lay_out
from autolm.drawing.svg import tidy
from autolm.drawing.view import Edges, View
from autolm.engine.graph import Node, topological_order
from autolm.outside.arguments import (
    quote,
    read_bool,
    read_choice,
    read_finite,
    read_int,
    read_kind,
    read_path,
)
from autolm.outside.message import message
from autolm.outside.whole_file import write_whole
from autolm.tensor.nodes import known_node, read_node
from autolm.walking import wording
from autolm.walking.blame import blamed_nodes
from autolm.walking.program_names import names_of, use_names, variables_of_caller

MAX_BOXES = 18
MAX_SPAN = 60
EXACT, EXACT_WITH_SCOPES = 3, 2.25  # nodes drawn one by one, per box of the budget
NAMES = 12  # in a message
KINDS = (".svg", ".png", ".pdf", ".dot", ".html")


class Drawing:
    """A graph that is analysed once and drawn several times, with different options.

    Parameters
    ----------
    root
        The node whose computation graph is drawn, a Value or a Tensor.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(3.0, name="x")
    >>> drawing = Drawing(x * x)
    >>> [(arrow.tail, arrow.head) for arrow in drawing.view().arrows]
    [('n0', 'n1op'), ('n0', 'n1op'), ('n1op', 'n1')]
    """

    def __init__(self, root: Node) -> None:
        self.root = root = read_node("draw", "node", root)
        self.order = topological_order(root)
        self.names = names_of(root, variables_of_caller())
        self._notes: list[str] = []  # below the picture that is being drawn

    @cached_property
    def atoms(self) -> list[Atom]:
        """The graph, with similar nodes grouped; see `roll`."""
        with use_names(self.names):
            return roll(self.order)[0]

    def view(
        self,
        *,
        depth: int | None = None,
        focus: Node | str | None = None,
        radius: int = 2,
        expand: str | Sequence[str] = (),
        edges: Edges = "forward",
        max_boxes: int = MAX_BOXES,
        max_span: int = MAX_SPAN,
        grad: bool = False,
    ) -> View:
        """Return the boxes and arrows of a picture; see `draw` for the options."""
        edges = "chain rule" if read_bool("draw", "grad", grad) else edges
        read_choice("draw", "edges", edges, get_args(Edges))
        max_boxes = read_int("draw", "max_boxes", max_boxes, low=1)
        max_span = read_int("draw", "max_span", max_span, low=0)
        radius = read_int("draw", "radius", radius, low=0)
        depth = None if depth is None else read_int("draw", "depth", depth, low=0)
        expand = _scopes(expand)
        if focus is not None and (depth is not None or expand):
            raise ValueError(
                message("draw: focus draws what is near one node; leave out depth, expand")
            )
        is_small = fits_exactly(self.order, max_boxes) and depth is None and not expand
        with use_names(self.names):
            if focus is not None:
                return self._around(self._find(focus), radius, edges, max_boxes)
            if is_small or not self.root.parents:
                return exact_view(self.order, set(self.order), edges)
            collapse = Collapse(
                self.atoms, depth=depth, expand=expand, max_boxes=max_boxes, max_span=max_span
            )
            return collapsed_view(collapse, self.root, blamed_nodes(self.order), edges)

    def _around(self, focus: Node, radius: int, edges: Edges, max_boxes: int) -> View:
        near = neighbourhood(self.order, focus, radius, max(2, max_boxes))
        view = exact_view(self.order, near, edges)
        for box in view.boxes:
            box.is_focus = any(node is focus for node in box.nodes)
        total = wording.count(len(self.order))
        where = f"within {radius} of {self._describe(focus)}"
        view.notes.append(f"{wording.count(len(near))} of {total} nodes, {where}")
        return view

    def _find(self, focus: Node | str) -> Node:
        """Return a node of this graph; if several have the name, the last of them."""
        focus = known_node(focus) or focus
        if not isinstance(focus, Node):
            read_kind("draw", "focus", focus, str, "a node or the name of one")
        else:
            if all(focus is not node for node in self.order):
                raise ValueError(
                    message("focus: this node is not in the graph of the node that is drawn")
                )
            return focus
        pairs = ((node, node.name or self.names.get(node, "")) for node in self.order)
        named = [(node, name) for node, name in pairs if name]
        matches = [(node, name) for node, name in named if name == focus]
        matches = matches or [(node, name) for node, name in named if wording.name(node) == focus]
        names = list(dict.fromkeys(name for _, name in matches or named))
        if matches and len(names) == 1:
            return matches[-1][0]
        if matches:
            raise ValueError(
                message(
                    "focus: {focus!r} may be any of {listed}; say which",
                    focus=focus,
                    listed=_listed(names),
                )
            )
        near = get_close_matches(focus, names, n=3) or names
        raise ValueError(
            message(
                "focus: no node is called {focus!r} here; there are: {listed}",
                focus=focus,
                listed=_listed(near) or "none",
            )
        )

    def _describe(self, focus: Node) -> str:
        """Name a node; if several nodes have its name, number it."""
        same_name = [node for node in self.order if node.name and node.name == focus.name]
        if len(same_name) < 2:
            return wording.label(focus)
        place = next(i for i, node in enumerate(same_name, 1) if node is focus)
        number = f"{wording.count(place)} of {wording.count(len(same_name))}"
        return f"{wording.label(focus)}, {number} of this name"

    def dot(
        self,
        *,
        dark: bool = False,
        direction: Direction = "auto",
        width: int = WIDTH,
        **options: Any,
    ) -> Picture:
        """Return the picture as DOT."""
        read_bool("draw", "dark", dark)
        read_choice("draw", "direction", direction, get_args(Direction))
        width = read_int("draw", "width", width, low=1)
        view = self.view(**options)
        view.notes += self._notes
        return to_dot(view, dark=dark, direction=direction, width=width)

    def svg(self, *, time_limit: float = 20.0, **options: Any) -> str:
        """Return the picture as SVG."""
        return tidy(self.picture("svg", time_limit=time_limit, **options))

    def picture(self, kind: str, *, time_limit: float = 20.0, **options: Any) -> bytes:
        """Return the output of Graphviz; if that takes too long, collapse more and try again."""
        read_choice("draw", "kind", kind, ("svg", "png", "pdf"))
        time_limit = read_finite("draw", "time_limit", time_limit, above=0, high=1e9)
        max_boxes = options.pop("max_boxes", MAX_BOXES)
        max_span = options.pop("max_span", MAX_SPAN)
        try:
            while True:
                dot = self.dot(max_boxes=max_boxes, max_span=max_span, **options)
                if kind == "png":
                    dot.attr(dpi="144")
                try:
                    return lay_out(dot.source, kind, time_limit)
                except RenderTimeout:
                    if max_boxes < 4:
                        raise
                max_boxes, max_span = max_boxes // 2, max_span // 2
                took = f"the layout took longer than {time_limit:g} s"
                self._notes = [f"collapsed to {max_boxes} boxes: {took}"]
                warnings.warn(f"draw: {self._notes[0]}", stacklevel=2)
        finally:
            self._notes = []

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.dot()._repr_mimebundle_()

    def render(self, path: str | Path, *, time_limit: float = 20.0, **options: Any) -> Path:
        """Write the picture to a file; see `render`."""
        path = read_path("draw", "path", path)
        time_limit = read_finite("draw", "time_limit", time_limit, above=0, high=1e9)
        if path.suffix not in KINDS:
            raise ValueError(
                message(
                    "{path}: a picture's name ends in one of {kinds}",
                    path=path,
                    kinds=", ".join(KINDS),
                )
            )
        if path.suffix == ".dot":
            content = self.dot(**options).source.encode(errors="backslashreplace")
        elif path.suffix == ".html":
            svg = self.svg(time_limit=time_limit, **options)
            title = self.root.name or "computation graph"
            page = picture_page(svg, title=title, dark=options.get("dark", False))
            content = page.encode(errors="backslashreplace")
        elif path.suffix == ".svg":
            content = self.svg(time_limit=time_limit, **options).encode(errors="backslashreplace")
        else:
            content = self.picture(path.suffix[1:], time_limit=time_limit, **options)
        write_whole(path, content)
        return path


def fits_exactly(order: Sequence[Node], max_boxes: int) -> bool:
    """Whether a graph is drawn node by node; without scopes, larger graphs are."""
    has_scopes = any(node.scope for node in order)
    return len(order) <= max_boxes * (EXACT_WITH_SCOPES if has_scopes else EXACT)


def _scopes(expand: Any) -> list[str]:
    scopes = [expand] if isinstance(expand, str) else expand
    if not isinstance(scopes, list | tuple) or not all(isinstance(s, str) for s in scopes):
        raise TypeError(
            message(
                "draw: expand must be a scope or a list of them, not {expand}", expand=quote(expand)
            )
        )
    return list(scopes)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES]) + (" …" if len(names) > NAMES else "")


def draw(
    node: Node,
    *,
    depth: int | None = None,
    focus: Node | str | None = None,
    radius: int = 2,
    expand: str | Sequence[str] = (),
    edges: Edges = "forward",
    dark: bool = False,
    direction: Direction = "auto",
    width: int = WIDTH,
    max_boxes: int = MAX_BOXES,
    max_span: int = MAX_SPAN,
    grad: bool = False,
) -> Picture:
    """Draw the computation graph of a node.

    Parameters
    ----------
    node
        The result: a Value or a Tensor.
    depth
        Expand scopes down to this depth; 0 collapses all. By default as deep as the budget allows.
    focus, radius
        Draw only the nodes within `radius` edges of this node, which is given by itself, by its
        name, or by the last part of its name if that is unique.
    expand
        One or more scopes to expand regardless of the budget, such as "blocks.0.attention"; the
        wildcards * and ? are allowed.
    edges
        "forward" draws the forward pass; "gradient" adds the contribution along each edge in the
        backward pass; "chain rule" also writes it as upstream × local = contribution. The `grad` of
        the nodes does not change.
    dark
        Whether to use a dark background.
    direction, width
        "right", "down", or "auto": to the right unless that exceeds `width` in pixels.
    max_boxes, max_span
        Budget of a picture: the number of boxes, and of rows that arrows cross. Larger graphs are
        collapsed. A graph with at most 2¼ `max_boxes` nodes (40), or 3 `max_boxes` if it has no
        scopes, is drawn in full.
    grad
        Whether to draw the backward pass with its arithmetic; short for `edges="chain rule"`.

    Returns
    -------
    Picture
        Is displayed in notebooks; ``save(path)`` writes it to a file.

    Raises
    ------
    ValueError
        For a focus or a scope that is not in the graph, or a name that several nodes match.

    Examples
    --------
    >>> from autolm import Value
    >>> a, b = Value(2.0, name="a"), Value(-3.0, name="b")
    >>> picture = draw(a * b)
    >>> "a" in picture.source and "×" in picture.source
    True
    """
    return Drawing(node).dot(
        depth=depth,
        focus=focus,
        radius=radius,
        expand=expand,
        edges=edges,
        dark=dark,
        direction=direction,
        width=width,
        max_boxes=max_boxes,
        max_span=max_span,
        grad=grad,
    )


def render(node: Node, path: str | Path, *, time_limit: float = 20.0, **options: Any) -> Path:
    """Draw the computation graph of a node into a file.

    Parameters
    ----------
    node
        The result: a Value or a Tensor.
    path
        File to write. The suffix determines the format: .svg, .png, .pdf, .dot or .html.
    time_limit
        Seconds for the layout; if it takes longer, more is collapsed, with a warning.
    **options
        Options of `draw`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        For an unknown suffix.
    RendererMissing
        If Graphviz is not installed; .dot does not need it.

    Examples
    --------
    >>> from autolm import Value
    >>> render(Value(2.0) * 3, "product.dot")  # doctest: +SKIP
    PosixPath('product.dot')
    """
    return Drawing(node).render(path, time_limit=time_limit, **options)
