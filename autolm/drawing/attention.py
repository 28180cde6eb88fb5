"""Attention weights as coloured matrices, one per head: rows are queries, columns are keys.

An attention is one node of the graph; its weights are found in its decomposition.
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
    """Draw the weights of all heads in the graph of a node, labelled with tokens.

    Raises
    ------
    ValueError
        If the graph has no attention, or one over another number of tokens.
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
    """Return the weights of each head, and a mask of the hidden ones."""
    opened, _ = decompose(node)
    inside = topological_order(opened)
    weights = np.asarray(next(part for part in inside if part.name == "weights").data)
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
    for part in inside:
        if part.name == "mask":
            hidden = hidden | ~np.asarray(part.data, bool)
    stacked = weights.reshape(-1, count, count), hidden.reshape(-1, count, count)
    return list(zip(*stacked, strict=True))
