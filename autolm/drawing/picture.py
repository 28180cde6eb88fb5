"""A picture that shows itself in a notebook, or as a tree of text where nothing can lay it out."""

from __future__ import annotations

from typing import Any

import graphviz

from autolm.drawing.renderers import RendererMissing, RenderTimeout, lay_out
from autolm.drawing.svg import tidy
from autolm.drawing.tree import text_tree
from autolm.drawing.view import View

SVG = "image/svg+xml"
TIME_LIMIT = 20.0  # seconds for a layout


class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz tells no types
    """DOT that a notebook shows as a picture, or as text where there is no Graphviz."""

    view: View

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        tree = text_tree(self.view)
        try:
            svg = tidy(lay_out(self.source, "svg", TIME_LIMIT))
        except (RendererMissing, RenderTimeout) as error:
            return {"text/plain": f"{tree}\n({error})"}
        fitting = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
        return {SVG: fitting, "text/plain": tree}
