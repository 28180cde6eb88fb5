"""A view of a node for matrix pages: its data as NumPy arrays, its operation as one of autolm.

A Tensor is its own view. A node of another library provides a view through its `in_numpy` hook,
which maps its operation and attributes to those of autolm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class NumPyView(NamedTuple):
    """The view of a node; `data` is None if it has no numbers."""

    data: Any
    op: Any
    parents: tuple[Any, ...]
    attributes: Mapping[str, Any]


def numpy_view(node: Any) -> Any:
    """Return an object with `data`, `op`, `parents` and `attributes`, as a Tensor has them."""
    return node if node.in_numpy is None else node.in_numpy()
