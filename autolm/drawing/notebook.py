"""Pictures in notebooks: drawn with whichever Graphviz there is, and as a tree of text without one.

A picture shows itself. A Value or a Tensor that was computed is shown as its picture where there
is a notebook to show it; the engine asks for that when it is asked itself.
"""

from __future__ import annotations

import sys
from typing import Any

import graphviz

from autolm.engine.graph import Node
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
        return {SVG: svg, "text/plain": tree}


def bundle(node: Node) -> dict[str, str]:
    """Show a result as its picture where a notebook asks; anything else as text alone."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not node.parents or not hasattr(shell, "kernel"):
        return {}
    from autolm.drawing.drawing import draw

    return draw(node)._repr_mimebundle_()
