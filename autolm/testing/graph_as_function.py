"""A recorded graph as a function of its leaves, of arrays of any dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node, describe, topological_order
from autolm.engine.value import OPERATIONS, Operation
from autolm.ops.primitive import Primitive
from autolm.testing.values_in_numpy import VALUE_FORWARDS

Array = NDArray[Any]


def forward_of(node: Node) -> Callable[..., Array]:
    """Return what the operation of a node computes, as a function of raw arrays."""
    if isinstance(node.op, Primitive):
        op, attributes = node.op, dict(node.attributes)
        return lambda *arrays: op.forward(*arrays, **attributes)[0]
    if isinstance(node.op, Operation):
        name = node.op.name
        known = OPERATIONS.get(name) is node.op and name in VALUE_FORWARDS
        return VALUE_FORWARDS[name] if known else _of_floats(node.op)
    raise ValueError(f"{describe(node)}: its forward is not known, so it cannot be evaluated again")


def _of_floats(op: Operation) -> Callable[..., Array]:
    """Return what an operation on Values computes, which takes floats alone."""

    def forward(*arrays: Array) -> Array:
        if any(np.iscomplexobj(array) for array in arrays):
            raise TypeError(f"{op.name}: only real numbers are taken")
        return np.asarray(op.at([float(array) for array in arrays])[0])

    return forward


def in_double(node: Node) -> Array:
    """Return the data of a node, numbers in double precision."""
    data = np.asarray(node.data)
    return data.astype(np.float64) if data.dtype.kind == "f" else data


def replayed(root: Node, leaves: Sequence[Node]) -> Callable[..., Array]:
    """Return the function of `leaves` recorded under `root`; other leaves are constants."""
    order = topological_order(root)
    steps = [(node, forward_of(node)) for node in order if node.parents]
    constants = {node: in_double(node) for node in order if not node.parents}

    def function(*arrays: Array) -> Array:
        data = {**constants, **dict(zip(leaves, arrays, strict=True))}
        for node, forward in steps:
            data[node] = forward(*(data[parent] for parent in node.parents))
        return data[root]

    return function
