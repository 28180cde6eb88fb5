"""The tokens that a model read, so that a row of an array can be labelled by its token: ‘c’ at 3.

The code that builds the graph says which axis of which array runs along the tokens. It is never
guessed from a length, because a width may have the same length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autolm.engine.graph import Node

SHOWN = 24  # how many tokens are listed


@dataclass(frozen=True, repr=False, eq=False)
class Tokens:
    """The tokens that a model read, and the axis of each node that runs along them.

    Attributes
    ----------
    texts
        The text of each token, in visible characters: see `wording.visible_token`.
    axes
        The axis, from 0, of every node that has one; other nodes are absent.
    vocabulary
        The text of every token id; empty if unknown.

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
        """Return the label of the token at an index of a node's array; empty if it is unknown."""
        axis = self.axes.get(node)
        if axis is None or axis >= len(index):
            return ""
        position = range(len(self.texts))[index[axis]]  # also a negative index
        return f"‘{self.texts[position]}’ at {position}"

    def for_nodes(self, nodes: Mapping[Any, Node]) -> Tokens:
        """Return the tokens for other nodes, given as a map from the known nodes to these."""
        return Tokens(
            self.texts,
            {new: self.axes[old] for old, new in nodes.items() if old in self.axes},
            self.vocabulary,
        )

    def __repr__(self) -> str:
        preview = " ".join(f"‘{text}’" for text in self.texts[:SHOWN])
        more = len(self.texts) - SHOWN
        return f"{preview} … {more} more" if more > 0 else preview
