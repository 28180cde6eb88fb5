"""A composed operation as one primitive, so that every law can be tried on it.

Its forward runs the composition, and its rule is a backward pass through the graph that this made.
On numbers that no Tensor holds, such as an oracle's complex ones, that graph is evaluated again.
Several results are laid end to end; the places that some tell besides have no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import update_wrapper, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.backprop import Backprop
from autolm.engine.graph import recording
from autolm.ops.array_operation import ArrayOperation
from autolm.ops.composed import Composed
from autolm.ops.primitive import Backward, Primitive
from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.testing.dual_numbers import Dual
from autolm.testing.graph_as_function import replayed

Array = NDArray[Any]


def as_one(op: Composed) -> Primitive:
    """Return a primitive that computes what a composed operation does, with its record."""
    record = {each.name: getattr(op, each.name) for each in fields(ArrayOperation)}
    if op.scalar is not None:
        record["scalar"] = _end_to_end(
            op.scalar, lambda found: np.concatenate([np.reshape(each, -1) for each in found])
        )
    whole = _end_to_end(
        op, lambda found: ops.concatenate([ops.reshape(each, shape=(-1,)) for each in found])
    )
    return Primitive(**{**record, "forward": AsOne(op, whole), "definition": whole})


def _end_to_end(function: Callable[..., Any], join: Callable[[Any], Any]) -> Callable[..., Any]:
    """Let a function join its results if it has several."""

    @wraps(getattr(function, "forward", function))
    def joined(*operands: Any, **attributes: Any) -> Any:
        found = function(*operands, **attributes)
        if not isinstance(found, tuple | list):
            return found
        return join([each for each in found if isinstance(each, Tensor) or each.dtype == object])

    return joined


class AsOne:
    """Its forward as a primitive has one; to who asks for a signature it is the composition's."""

    def __init__(self, op: Composed, whole: Callable[..., Any]) -> None:
        update_wrapper(self, op.forward, updated=())
        self.op, self.whole = op, whole
        self.__code__ = op.forward.__code__
        self.__kwdefaults__ = op.forward.__kwdefaults__

    def __call__(self, *operands: Any, **attributes: Any) -> tuple[Any, Backward]:
        """Record the graph at the real numbers of what is given, and evaluate it on that itself."""
        arrays = [x if isinstance(x, Dual) else np.asarray(x) for x in operands]
        kinds = [getattr(x, "dtype", np.dtype(object)) for x in arrays]
        plain = all(kind.kind in "fbiu" and kind != np.longdouble for kind in kinds)
        leaves = [Tensor(x if plain else _real(x)) for x in arrays]
        with recording(enabled=True, sites=False):
            root = self.whole(*leaves, **attributes)

        def backward(grad: Array) -> tuple[Array | None, ...]:
            walk = Backprop(root, grad)
            walk.run()
            return tuple(
                walk.gradients.get(leaf, np.zeros(leaf.shape)) if leaf.requires_grad else None
                for leaf in leaves
            )

        if plain:
            return root.data, backward
        given: dict[Any, Any] = dict(zip(leaves, arrays, strict=True))
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in arrays):
            return expand(root, given=given)[root], backward
        return replayed(root, leaves)(*arrays), backward


def _real(array: Any) -> Array:
    """Return the real numbers where a graph is recorded for others that no Tensor holds."""
    if isinstance(array, Dual):
        return array.value
    if array.dtype.kind == "O":  # Values
        return np.array([each.data for each in array.flat], float).reshape(array.shape)
    return array if array.dtype == bool else array.real.astype(float)
