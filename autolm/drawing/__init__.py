"""Pictures of computation graphs, from five nodes to a hundred thousand, and of matrices.

A `View` contains the boxes and arrows of a picture, and `dot.py` their style. Gradients come from
`walking`.
"""

from autolm.drawing.drawing import Drawing, draw, render

__all__ = ["Drawing", "draw", "render"]
