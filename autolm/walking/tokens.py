"""What a model read, token by token, so that a row of an array goes by its letter: ‘c’ at 3.

Which arrays have a row for each token is known to who made the graph, and is told here; it is never
guessed from a length, which a width may happen to have as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autolm.engine.graph import Node

SHOWN = 24  # how many tokens are listed


@dataclass(frozen=True, repr=False, eq=False)
class Tokens:
    """The tokens that were read, and which axis of which node runs along them.

    Attributes
    ----------
    texts
        Each token as it is shown: see `wording.visible_token`.
    axes
        The axis, from 0 up, of every node that has one; the others are not here.
    vocabulary
        Every token that there is, by its id, as it is shown; empty where that is not known.

    Examples
    --------
    >>> from autolm import Tensor
    >>> x = Tensor([[1.0], [2.0]])
    >>> tokens = Tokens(("c", "␣"), {x: 0})
    >>> tokens.at(x, (1, 0))
    '‘␣’ at 1'
    """

    texts: tuple[str, ...]
    axes: Mapping[Node, int]
    vocabulary: tuple[str, ...] = ()

    def at(self, node: Node, index: Sequence[int]) -> str:
        """Say to which token a place in a node's array belongs; empty where that is not known."""
        axis = self.axes.get(node)
        if axis is None or axis >= len(index):
            return ""
        position = range(len(self.texts))[index[axis]]  # from the end as well
        return f"‘{self.texts[position]}’ at {position}"

    def for_nodes(self, nodes: Mapping[Any, Node]) -> Tokens:
        """Return the same for the nodes that stand for those that are known here."""
        return Tokens(
            self.texts,
            {new: self.axes[old] for old, new in nodes.items() if old in self.axes},
            self.vocabulary,
        )

    def __repr__(self) -> str:
        shown = " ".join(f"‘{text}’" for text in self.texts[:SHOWN])
        more = len(self.texts) - SHOWN
        return f"{shown} … {more} more" if more > 0 else shown
