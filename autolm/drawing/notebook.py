"""Display of nodes in notebooks: results as graphs, leaves as coloured cells.

`Node._repr_mimebundle_` imports it when a notebook displays a node.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from autolm.drawing.drawing import draw
from autolm.drawing.matrix import Matrix, matrices_svg
from autolm.drawing.picture import SVG
from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.program_names import use_variables

MAX_CELLS = 4096  # of a displayed array


def bundle(node: Node) -> dict[str, str]:
    """Return the MIME bundle of a node; scalars and large arrays are shown as text only."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return {}
    if not node.parents:
        array = np.asarray(node.data)
        if array.ndim not in (1, 2) or not 0 < array.size <= MAX_CELLS:
            return {}
        matrix = Matrix(wording.name(node) or "×".join(map(str, array.shape)), array)
        return {SVG: matrices_svg([matrix]), "text/plain": repr(node)}
    with use_variables(shell.user_ns):
        return draw(node)._repr_mimebundle_()
