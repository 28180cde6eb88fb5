"""One model, two engines: expand a graph of Tensors into a graph of Values, element by element.

Each operation runs its scalar definition, which has Value's rules and none of its own. What comes
out is an ordinary graph of Values, with the scopes and names of the Tensors it came from
(`W_Q[3,5]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node, recording, topological_order
from autolm.engine.value import Value


def expand(
    root: Node, *, zoom: bool = False, given: Mapping[Node, NDArray[Any]] | None = None
) -> dict[Node, NDArray[Any]]:
    """Return an object array of Values for `root` and for every Tensor under it.

    With `zoom` only the operation at `root` is expanded, and its operands become leaves. Data that
    is not floating point (a condition) stays an array. What is `given` of leaves is taken.

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
        with recording(scope=node.scope, sites=False):
            if node.parents and (node is root or not zoom):
                operands = [expanded[parent] for parent in node.parents]
                expanded[node] = node.op.on_values(*operands, **node.attributes)
            else:
                expanded[node] = _leaves(node) if given is None else given.get(node, _leaves(node))
        _name(expanded[node], node)
    return expanded


def _leaves(node: Node) -> NDArray[Any]:
    if node.data.dtype.kind != "f":
        return node.data
    values = np.empty(node.data.shape, dtype=object)
    for index in np.ndindex(values.shape):
        values[index] = Value(float(node.data[index]), requires_grad=node.requires_grad)
    return values


def _name(values: NDArray[Any], node: Node) -> None:
    """Call each element by the node's name and its index, unless it is known by another already."""
    for index in np.ndindex(values.shape):
        value = values[index]
        if isinstance(value, Value):
            value.site = value.site or node.site  # that of the Tensor, not a line of this file
            if node.name and not value.name:
                where = ",".join(map(str, index))
                value.name = f"{node.name}[{where}]" if where else node.name
