"""A recorded graph as a function of its leaves, of arrays of any dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.graph import Node, describe, topological_order
from autolm.engine.value import OPERATIONS, Operation
from autolm.ops.primitive import Primitive

Array = NDArray[Any]
OF_ROWS: dict[str, Callable[..., Array]] = {
    "sum": lambda *a: sum(a[1:], a[0]),
    "dot": lambda *a: sum(x * y for x, y in zip(a[: len(a) // 2], a[len(a) // 2 :], strict=True)),
}


def forward_of(node: Node) -> Callable[..., Array]:
    """Return what the operation of a node computes, as a function of raw arrays."""
    if isinstance(node.op, Primitive):
        op, attributes = node.op, dict(node.attributes)
        return lambda *arrays: op.forward(*arrays, **attributes)[0]
    if isinstance(node.op, Operation):
        return _on_arrays(node.op)
    raise ValueError(f"{describe(node)}: its forward is not known, so it cannot be evaluated again")


def _on_arrays(op: Operation) -> Callable[..., Array]:
    """Return the function of arrays that an operation on Values is.

    One of autolm's has an operation on arrays, whose code is written apart from Value's; that of a
    user takes floats only.
    """
    if OPERATIONS.get(op.name) is op:
        if op.name in OF_ROWS:
            return OF_ROWS[op.name]
        on_arrays: Primitive = getattr(ops, op.name)
        return lambda *arrays: on_arrays.forward(*arrays)[0]

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
