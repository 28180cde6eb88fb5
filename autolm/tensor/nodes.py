"""The node of a Value, a Tensor, or a tensor of PyTorch, as tools take them."""

from __future__ import annotations

import sys
from typing import Any

from autolm.engine.graph import Node
from autolm.outside.arguments import must_be


def node_of(value: Any) -> Node | None:
    """Return the node that stands for a tensor of PyTorch; None for anything else."""
    if not _is_of_torch(value):
        return None
    from autolm.torch.root import node_with_graph

    return node_with_graph(value)


def known_node(value: Any) -> Node | None:
    """Return the node of a tensor of PyTorch that has one already; None for anything else."""
    if not _is_of_torch(value):
        return None
    from autolm.torch.node_lookup import find_node

    return find_node(value)


def _is_of_torch(value: Any) -> bool:
    return isinstance(value, getattr(sys.modules.get("torch"), "Tensor", ()))


def read_node(name: str, argument: str, value: Any) -> Node:
    """Return a node; for a tensor of PyTorch, the node that stands for it."""
    node: Node | None = value if isinstance(value, Node) else node_of(value)
    if node is None:
        raise TypeError(must_be(f"{name}: {argument}", "a Value or a Tensor", value))
    return node
