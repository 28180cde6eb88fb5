"""Who looks at whom: the weights of each head of each attention, as coloured cells.

An attention is one node; its weights are inside. It is opened, on the arrays that it was computed
from, and each head's weights are a matrix: a row for each place that looks, a column for each that
is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autolm.drawing.axes import Axis
from autolm.drawing.matrix import Matrix, matrices_svg
from autolm.engine.graph import Node, topological_order
from autolm.outside.message import message
from autolm.walking.decomposition import decompose
from autolm.walking.wording import label


def attention_svg(
    root: Node, tokens: Sequence[str], *, dark: bool = False, width: int = 740
) -> str:
    """Draw the weights of all heads under a node, with the tokens of the text that was read.

    Raises
    ------
    ValueError
        When there is no attention in the graph, or one that looks at another number of tokens.
    """
    return matrices_svg(attention_heads(root, tokens), dark=dark, width=width)


def attention_heads(root: Node, tokens: Sequence[str]) -> list[Matrix]:
    """Return the weights of each head, (tokens, tokens), in the order of the computation."""
    heads = []
    axis = Axis("tokens", tuple(tokens))
    for node in topological_order(root):
        if node.parents and node.op.name == "attention":
            for number, (weights, hidden) in enumerate(_weights(node, len(tokens))):
                title = f"{node.scope or label(node)}  head {number}"
                heads.append(Matrix(title, weights, (axis, axis), hidden))
    if not heads:
        raise ValueError(message("attention: there is none under {label}", label=label(root)))
    return heads


def _weights(node: Node, count: int) -> list[tuple[Any, Any]]:
    """Return the weights of each head, and where a mask hides them."""
    opened, _ = decompose(node)
    inside = topological_order(opened)
    weights = np.asarray(next(each for each in inside if each.name == "weights").data)
    if weights.shape[-2:] != (count, count) or weights.ndim > 3:
        raise ValueError(
            message(
                "attention: {label} has weights {shape}, and the text {count} tokens",
                label=label(node),
                shape=weights.shape,
                count=count,
            )
        )
    hidden = np.zeros(weights.shape, bool)
    for each in inside:
        if each.name == "mask":
            hidden = hidden | ~np.asarray(each.data, bool)
    stacked = weights.reshape(-1, count, count), hidden.reshape(-1, count, count)
    return list(zip(*stacked, strict=True))
