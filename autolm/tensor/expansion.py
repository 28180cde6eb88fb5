"""Expand a graph of Tensors into a graph of Values, element by element.

A fused operation is expanded by its definition; an elementary operation runs on Values and uses the
backward rules of Value. The Values keep the scopes and names of their Tensors (`W_Q[3,5]`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node, named, topological_order
from autolm.engine.recording import recording
from autolm.engine.value import Value
from autolm.tensor.quiet import quiet


def expand(
    root: Node, *, zoom: bool = False, leaves: Mapping[Node, NDArray[Any]] | None = None
) -> dict[Node, NDArray[Any]]:
    """Return an object array of Values for `root` and for every Tensor under it.

    Data that is not floating point (a condition) stays an array.

    Parameters
    ----------
    root
        The Tensor at which the graph ends.
    zoom
        Whether to expand only the operation at `root`, with its operands as leaves.
    leaves
        Arrays of Values to use for some of the leaves.

    Examples
    --------
    >>> from autolm import Tensor
    >>> x = Tensor([1.0, 2.0], name="x")
    >>> y = (x * x).sum()
    >>> values = expand(y)
    >>> values[y].item().backward()
    >>> [(v.name, v.grad) for v in values[x]]
    [('x[0]', 2.0), ('x[1]', 4.0)]
    """
    nodes = [*dict.fromkeys(root.parents), root] if zoom else topological_order(root)
    expanded: dict[Node, NDArray[Any]] = {}
    for node in nodes:
        with recording(scope=node.scope, locations=False), quiet():
            if node.parents and (node is root or not zoom):
                expanded[node] = _result(node, [expanded[parent] for parent in node.parents])
            else:
                expanded[node] = (
                    _leaves(node) if leaves is None else leaves.get(node, _leaves(node))
                )
        _name(expanded[node], node)
    return expanded


def _result(node: Any, operands: list[NDArray[Any]]) -> NDArray[Any]:
    """Compute a result from Values: by its definition, or the operation itself if it has none."""
    if node.op.scalar is not None or node.op.definition is None:
        return node.op.on_values(*operands, **node.attributes)
    root, leaves = run_definition(node)
    values = {leaves[parent]: value for parent, value in zip(node.parents, operands, strict=True)}
    return expand(root, leaves=values)[root]


def run_definition(node: Any) -> tuple[Any, dict[Node, Any]]:
    """Run the definition of a fused node; return its result, and the leaf for each operand.

    No gradient is computed. A leaf has the name of its operand, or else of the argument.
    """
    arguments = inspect.signature(node.op.definition).parameters
    leaves: dict[Node, Any] = {}
    for parent, name in zip(node.parents, arguments, strict=False):
        leaf = leaves[parent] = type(node)(parent.data, requires_grad=parent.requires_grad)
        leaf.note = parent.note
        leaf.name = leaf.name or name
    operands = [leaves[parent] for parent in node.parents]
    with recording(enabled=True, scope=node.scope, locations=False), quiet():
        root = _run(node.op.definition, operands, node)
    if isinstance(root, Node):
        for inner in topological_order(root):
            if inner.parents and node.location:
                inner.location = node.location  # every inner node was computed there
    return root, leaves


def _run(definition: Callable[..., Any], operands: list[Any], node: Any) -> Any:
    """Run a definition in the precision of the fused operation, which is float32 for float16."""
    if node.dtype != np.float16:
        return definition(*operands, **node.attributes)
    widened = [named(x.astype(np.float32), f"{x.name}_in_float32") for x in operands]
    return definition(*widened, **node.attributes).astype(node.dtype)


def _leaves(node: Node) -> NDArray[Any]:
    if node.data.dtype.kind != "f":
        return node.data
    values = np.empty(node.data.shape, dtype=object)
    for index in np.ndindex(values.shape):
        values[index] = Value(float(node.data[index]), requires_grad=node.requires_grad)
    return values


def _name(values: NDArray[Any], node: Node) -> None:
    """Name each element that has no name after the node and its index."""
    for index in np.ndindex(values.shape):
        value = values[index]
        if isinstance(value, Value):
            value.location = (
                value.location or node.location
            )  # that of the Tensor, not a line of this file
            if node.name and not value.name:
                where = ",".join(map(str, index))
                value.name = f"{node.name}[{where}]" if where else node.name
