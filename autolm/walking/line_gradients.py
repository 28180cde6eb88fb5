"""The gradients of a pass by line of the program, which an editor shows beside its source."""

from __future__ import annotations

import os

from autolm.engine.graph import Node
from autolm.walking.names import Names
from autolm.walking.walk import Walk
from autolm.walking.wording import total

MOST_PER_LINE = 3  # gradients shown; a line in a loop may create thousands of nodes


def line_gradients(walk: Walk, names: Names, path: str) -> dict[int, str]:
    """Return the gradients that have arrived at the nodes of each line of a file.

    Parameters
    ----------
    walk
        The pass, at any position.
    names
        The names of its nodes. A node without a name is left out.
    path
        The file; symbolic links are resolved.

    Returns
    -------
    dict
        Maps a line number, from 1, to a text such as "∂o/∂x1 = −1.5   ∂o/∂x2 = 0.5".
    """
    real, same = os.path.realpath(path), dict[str, bool]()
    by_line = dict[int, list[str]]()
    root = names(walk.root)

    def is_here(other: str) -> bool:
        if other not in same:
            same[other] = os.path.realpath(other) == real
        return same[other]

    for node in (*walk.leaves, *reversed(walk.operations)):
        if node in walk.gradients and node.location and is_here(node.location.user.path):
            text = _text(walk, names, root, node)
            if text:
                by_line.setdefault(node.location.user.line, []).append(text)
    return {line: _joined(texts) for line, texts in sorted(by_line.items())}


def _text(walk: Walk, names: Names, root: str, node: Node) -> str:
    name = names(node)
    return "" if name.startswith("#") else f"∂{root}/∂{name} = {total(walk.gradients[node])}"


def _joined(texts: list[str]) -> str:
    more = len(texts) - MOST_PER_LINE
    return "   ".join(texts[:MOST_PER_LINE]) + (f"   (+{more})" if more > 0 else "")
