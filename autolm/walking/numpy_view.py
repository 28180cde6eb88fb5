"""A node as a page of matrices reads it: its numbers in NumPy, its operation as one of autolm's.

Of a Tensor that is the node itself. Another library's nodes tell it by a hook of theirs, which
finds the operation of ours that computes the same, and what it was told in our spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class NumPyView(NamedTuple):
    """What is read of a node; `data` is None where it has no numbers."""

    data: Any
    op: Any
    parents: tuple[Any, ...]
    attributes: Mapping[str, Any]


def numpy_view(node: Any) -> Any:
    """Return something with `data`, `op`, `parents` and `attributes`, as of a Tensor."""
    return node if node.in_numpy is None else node.in_numpy()
