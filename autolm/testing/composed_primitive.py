"""A composed operation as one primitive, so that every law can be tried on it.

Its forward runs the composition, and its rule is a backward pass through the graph that this made.
On numbers that no Tensor holds, such as an oracle's complex ones, the graph of the real numbers is
evaluated again. To record one for each such point is slow, and seldom needed: where a graph gives
bit for bit what another gives that was recorded elsewhere, it serves for all points. One that
detaches, or looks at numbers, does not.

Several results are laid end to end; the places that some tell besides have no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property, update_wrapper, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm import ops
from autolm.engine.backprop import Backprop
from autolm.engine.recording import recording
from autolm.ops.array_operation import ArrayOperation
from autolm.ops.composed import Composed
from autolm.ops.primitive import Backward, Primitive
from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.testing.dual_numbers import Dual
from autolm.testing.graph_as_function import replayed

Array = NDArray[Any]

MOST_KNOWN = 64  # ways to call of which a graph is kept


def as_one(op: Composed) -> Primitive:
    """Return a primitive that computes what a composed operation does, with its record."""
    record = {each.name: getattr(op, each.name) for each in fields(ArrayOperation)}
    if op.scalar is not None:
        record["scalar"] = _end_to_end(
            op.scalar, lambda results: np.concatenate([np.reshape(each, -1) for each in results])
        )
    whole = _end_to_end(
        op, lambda results: ops.concatenate([ops.reshape(each, shape=(-1,)) for each in results])
    )
    return Primitive(**{**record, "forward": AsOne(op, whole), "definition": whole})


def _end_to_end(function: Callable[..., Any], join: Callable[[Any], Any]) -> Callable[..., Any]:
    """Let a function join its results if it has several."""

    @wraps(getattr(function, "forward", function))
    def joined(*operands: Any, **attributes: Any) -> Any:
        results = function(*operands, **attributes)
        if not isinstance(results, tuple | list):
            return results
        return join([each for each in results if isinstance(each, Tensor) or each.dtype == object])

    return joined


class AsOne:
    """Its forward as a primitive has one; to who asks for a signature it is the composition's."""

    def __init__(self, op: Composed, whole: Callable[..., Any]) -> None:
        update_wrapper(self, op.forward, updated=())
        self.op, self.whole = op, whole
        self.__code__ = op.forward.__code__
        self.__kwdefaults__ = op.forward.__kwdefaults__
        self.known: dict[Any, tuple[Graph | None, Any]] = {}

    def __call__(self, *operands: Any, **attributes: Any) -> tuple[Any, Backward]:
        """Run the composition, or evaluate its graph where no Tensor holds the operands."""
        arrays: list[Any] = [x if isinstance(x, Dual) else np.asarray(x) for x in operands]
        kinds = [getattr(x, "dtype", np.dtype(object)) for x in arrays]
        if all(kind.kind in "fbiu" and kind != np.longdouble for kind in kinds):
            graph = self._recorded(arrays, attributes)
            return graph.root.data, graph.rule
        reals = [_real(x) for x in arrays]
        graph = self._steady(reals, attributes) or self._recorded(reals, attributes)

        def backward(grad: Array) -> tuple[Array | None, ...]:
            return self._recorded(reals, attributes).rule(grad)

        if any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in arrays):
            arrays_by_leaf: dict[Any, Any] = dict(zip(graph.leaves, arrays, strict=True))
            return expand(graph.root, given=arrays_by_leaf)[graph.root], backward
        return graph.function(*arrays), backward

    def _recorded(self, arrays: Sequence[Array], attributes: dict[str, Any]) -> Graph:
        leaves = [Tensor(x) for x in arrays]
        with recording(enabled=True, locations=False):
            return Graph(self.whole(*leaves, **attributes), leaves)

    def _steady(self, reals: Sequence[Array], attributes: dict[str, Any]) -> Graph | None:
        """Return the graph that serves for all operands of these shapes, if there is one.

        It is found out once for each way to call; attributes are the same if the objects are.
        """
        way = (*((x.shape, x.dtype) for x in reals), *((k, id(v)) for k, v in attributes.items()))
        if way not in self.known:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            graph = self._recorded(reals, attributes)
            serves = self._serves(graph, [_moved(x) for x in reals], attributes)
            self.known[way] = (graph if serves else None, attributes)  # which keep their ids
        return self.known[way][0]

    def _serves(self, graph: Graph, arrays: Sequence[Array], attributes: dict[str, Any]) -> bool:
        """Whether a graph computes, bit for bit, what the composition does with other operands."""
        try:
            result = self._recorded(arrays, attributes).root.data
            again = graph.function(*arrays)
        except Exception:  # out of the domain of a function that minds
            return False
        return result.dtype == again.dtype and np.array_equal(result, again, equal_nan=True)


class Graph:
    """What a composition recorded: the root, and the leaves that are its operands."""

    def __init__(self, root: Tensor, leaves: Sequence[Tensor]) -> None:
        self.root, self.leaves = root, leaves

    @cached_property
    def function(self) -> Callable[..., Array]:
        """The same of arrays of any dtype."""
        return replayed(self.root, self.leaves)

    def rule(self, grad: Array) -> tuple[Array | None, ...]:
        """Return one contribution for each leaf."""
        walk = Backprop(self.root, grad)
        walk.run()
        return tuple(
            walk.gradients.get(leaf, np.zeros(leaf.shape)) if leaf.requires_grad else None
            for leaf in self.leaves
        )


def _moved(array: Array) -> Array:
    """Return numbers that are all others, and not in proportion; they stay on their side of 0."""
    if array.dtype.kind != "f":
        return array
    factors = np.random.default_rng(0).uniform(0.9, 0.99, array.shape)
    return np.asarray(np.where(array == 0, 1, array) * factors)


def _real(array: Any) -> Array:
    """Return the real numbers where a graph is recorded for others that no Tensor holds."""
    if isinstance(array, Dual):
        return array.value
    if array.dtype.kind == "O":  # Values
        return np.array([each.data for each in array.flat], float).reshape(array.shape)
    return array if array.dtype == bool else array.real.astype(float)
