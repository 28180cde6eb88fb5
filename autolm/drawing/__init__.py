"""Pictures of graphs, of five nodes or a hundred thousand (floor 4).

What is shown is decided as a `View`; how it looks, in `dot.py`. No step is taken here but through
`walking`, and no prompt or page may enter.
"""

from autolm.drawing.drawing import Drawing, draw, render

__all__ = ["Drawing", "draw", "render"]
