"""What is behind a fused node: its definition, as a graph of its own on the same arrays.

Attention is one node with one rule. Opened, it is q · kᵀ, a softmax, a product: nodes with rules of
their own, whose result is the node's and whose gradients at the operands are what its rule sends.
Nothing of the graph around it changes, and nothing in the opened one leads back there.
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
    """Open a fused node: return its result once more, made by its definition.

    The operands become leaves with the same names and arrays. Where ∂L/∂node is known, from
    `upstream` or because the node has kept its gradient, every node of the new graph has its own.

    Parameters
    ----------
    node
        A result of an operation that has a definition; others are elementary.
    upstream
        ∂L/∂node; left out, `node.grad`.

    Raises
    ------
    TypeError, ValueError
        For what cannot be opened: a leaf, an elementary operation, or a node whose numbers, or
        those of its operands, were changed since it was computed.

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
            done = Backprop(root, seed, retain_grads=True)
            done.run()
            write_gradients(done)
        latest_root.set(latest)  # that of the graph around it
    return root


def decompose(node: Node) -> tuple[Any, dict[Any, Any]]:
    """Run the definition of a fused node: the result, and the leaf that stands for each operand.

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
    """Refuse a node that holds other numbers than its operation makes of what its operands hold."""
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
