"""Nodes in notebooks: a result of operations is shown as its picture.

The engine asks for it by name when a notebook asks the engine; nothing is registered anywhere.
"""

from __future__ import annotations

import sys
from typing import Any

from autolm.drawing.drawing import draw
from autolm.engine.graph import Node
from autolm.walking.program_names import in_program


def bundle(node: Node) -> dict[str, str]:
    """Show a result as its picture where a notebook asks; anything else as text alone."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not node.parents or not hasattr(shell, "kernel"):
        return {}
    with in_program(shell.user_ns):
        return draw(node)._repr_mimebundle_()
