"""Decompose a fused node: run its definition as a separate graph on the same arrays.

Attention is one node with one rule. Its decomposition has a node for q · kᵀ, for the softmax and
for the product, each with its own rule; its result and its gradients at the operands are those of
the fused node. The two graphs share no node, and the original graph does not change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autolm.engine.backprop import Backprop, latest_root, write_gradients
from autolm.engine.graph import Node
from autolm.engine.recording import recording
from autolm.outside.message import message
from autolm.tensor.expansion import run_definition
from autolm.tensor.nodes import read_node
from autolm.tensor.quiet import quiet
from autolm.tensor.tensor import Tensor
from autolm.walking.wording import label


def open(node: Node, upstream: Any = None) -> Tensor:
    """Return the decomposition of a fused node: its result, recomputed by simpler operations.

    The operands become leaves with the same names and arrays. If ∂L/∂node is available, from
    `upstream` or as `node.grad`, the gradients of the new graph are computed from it.

    Parameters
    ----------
    node
        The result of an operation that has a definition.
    upstream
        ∂L/∂node, in the shape of the node; by default `node.grad`.

    Returns
    -------
    Tensor
        The root of the decomposition.

    Raises
    ------
    TypeError
        If the definition does not compose operations on its operands.
    ValueError
        If the node is a leaf or the result of an elementary operation, or if its data or that of
        its operands was changed after it was computed.

    Examples
    --------
    >>> import autolm
    >>> x = autolm.Tensor([1.0, 2.0, 4.0], name="x")
    >>> y = autolm.softmax(x)
    >>> opened = autolm.open(y, upstream=[1.0, 0.0, 0.0])
    >>> opened.op.name, [operand.name for operand in opened.parents]
    ('div', ['exponentials', 'total'])
    >>> y.backward([1.0, 0.0, 0.0])
    >>> [leaf] = [n for n in autolm.topological_order(opened) if n.name == "x"]
    >>> bool(abs(leaf.grad - x.grad).max() < 1e-15)
    True
    """
    node = read_node("open", "node", node)
    root, _ = decompose(node)
    seed = node.grad if upstream is None else upstream
    if seed is not None:
        latest = latest_root.get()
        with quiet():
            backprop = Backprop(root, seed, retain_grads=True)
            backprop.run()
            write_gradients(backprop)
        latest_root.set(latest)  # the latest root of the original graph
    return root


def decompose(node: Node) -> tuple[Any, dict[Any, Any]]:
    """Run the definition of a fused node; return the result and a map from operands to leaves.

    No gradient is computed. The errors are those of `open`.
    """
    if node.decomposition is not None:
        return node.decomposition()
    if not node.parents:
        raise ValueError(message("open: {node} is a leaf; no operation made it", node=label(node)))
    if getattr(node.op, "definition", None) is None:
        raise ValueError(
            message(
                "open: {name} is an elementary operation; it is not composed of others",
                name=node.op.name,
            )
        )
    root, leaves = run_definition(node)
    _require_unchanged(node, [leaves[parent] for parent in node.parents])
    if not isinstance(root, Tensor) or not root.parents:
        kind = message("a leaf") if isinstance(root, Tensor) else f"a {type(root).__name__}"
        raise TypeError(
            message(
                "open: the definition of {name} must compose operations on its "
                "operands; it returned {kind}",
                name=node.op.name,
                kind=kind,
            )
        )
    if node.name or not root.name:
        root.name = node.name or str(node.op.name)
    return root, leaves


def _require_unchanged(node: Node, operands: list[Tensor]) -> None:
    """Raise ValueError if the operation now gives another result for the operands."""
    with recording(enabled=False), quiet():
        again = node.op(*operands, **node.attributes)
    scale = abs(again.data[np.isfinite(again.data)]).max(initial=0.0)
    close = np.sqrt(np.finfo(again.dtype).eps)  # backends may round differently
    if not np.allclose(again.data, node.data, rtol=close, atol=close * scale, equal_nan=True):
        raise ValueError(
            message(
                "open: {node} was changed since {name} computed it; it no longer "
                "follows from its operands",
                node=label(node),
                name=node.op.name,
            )
        )
