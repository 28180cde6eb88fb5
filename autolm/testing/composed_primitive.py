"""Present a composed operation as one primitive, so that every law applies to it.

The forward runs the composition and records a graph; the rule is a backward pass through it. For
numbers that a Tensor cannot hold, such as the complex ones of an oracle, a graph of the real parts
is evaluated again. A graph that reproduces the composition bit for bit at other numbers is reused
for all points of the same shapes; a composition that detaches or branches on numbers records a new
graph for each. Several results are concatenated; those that are not differentiated are dropped.
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

MAX_GRAPHS = 64  # ways to call: the graph of each is cached


def composed_primitive(op: Composed) -> Primitive:
    """Return a primitive that computes what a composed operation does, with its record."""
    record = {field.name: getattr(op, field.name) for field in fields(ArrayOperation)}
    if op.scalar is not None:
        record["scalar"] = _with_concatenated_results(
            op.scalar,
            lambda results: np.concatenate([np.reshape(result, -1) for result in results]),
        )
    whole = _with_concatenated_results(
        op,
        lambda results: ops.concatenate([ops.reshape(result, shape=(-1,)) for result in results]),
    )
    return Primitive(**{**record, "forward": ComposedForward(op, whole), "definition": whole})


def _with_concatenated_results(
    function: Callable[..., Any], join: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Return a function that concatenates its results if it has several."""

    @wraps(getattr(function, "forward", function))
    def joined(*operands: Any, **attributes: Any) -> Any:
        results = function(*operands, **attributes)
        if not isinstance(results, tuple | list):
            return results
        return join(
            [result for result in results if isinstance(result, Tensor) or result.dtype == object]
        )

    return joined


class ComposedForward:
    """Forward of the primitive, with the signature of the composition."""

    def __init__(self, op: Composed, whole: Callable[..., Any]) -> None:
        update_wrapper(self, op.forward, updated=())
        self.op, self.whole = op, whole
        self.__code__ = op.forward.__code__
        self.__kwdefaults__ = op.forward.__kwdefaults__
        self.graphs: dict[Any, tuple[Graph | None, Any]] = {}

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
            return expand(graph.root, leaves=arrays_by_leaf)[graph.root], backward
        return graph.function(*arrays), backward

    def _recorded(self, arrays: Sequence[Array], attributes: dict[str, Any]) -> Graph:
        leaves = [Tensor(x) for x in arrays]
        with recording(enabled=True, locations=False):
            return Graph(self.whole(*leaves, **attributes), leaves)

    def _steady(self, reals: Sequence[Array], attributes: dict[str, Any]) -> Graph | None:
        """Return the graph that serves for all operands of these shapes, if there is one.

        It is determined once for each way to call; attributes are compared by identity.
        """
        way = (*((x.shape, x.dtype) for x in reals), *((k, id(v)) for k, v in attributes.items()))
        if way not in self.graphs:
            if len(self.graphs) >= MAX_GRAPHS:
                self.graphs.clear()
            graph = self._recorded(reals, attributes)
            serves = self._serves(graph, [_moved(x) for x in reals], attributes)
            self.graphs[way] = (
                graph if serves else None,
                attributes,
            )  # kept alive, so that ids stay unique
        return self.graphs[way][0]

    def _serves(self, graph: Graph, arrays: Sequence[Array], attributes: dict[str, Any]) -> bool:
        """Whether a graph computes, bit for bit, what the composition does with other operands."""
        try:
            result = self._recorded(arrays, attributes).root.data
            again = graph.function(*arrays)
        except Exception:  # outside the domain of a function that raises
            return False
        return result.dtype == again.dtype and np.array_equal(result, again, equal_nan=True)


class Graph:
    """Graph that a composition recorded: its root, and its operands as leaves."""

    def __init__(self, root: Tensor, leaves: Sequence[Tensor]) -> None:
        self.root, self.leaves = root, leaves

    @cached_property
    def function(self) -> Callable[..., Array]:
        """The composition as a function of arrays of any dtype."""
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
    """Scale each number by its own factor below 1, which keeps the sign."""
    if array.dtype.kind != "f":
        return array
    factors = np.random.default_rng(0).uniform(0.9, 0.99, array.shape)
    return np.asarray(np.where(array == 0, 1, array) * factors)


def _real(array: Any) -> Array:
    """Return the real numbers at which a graph can be recorded."""
    if isinstance(array, Dual):
        return array.value
    if array.dtype.kind == "O":  # Values
        return np.array([value.data for value in array.flat], float).reshape(array.shape)
    return array if array.dtype == bool else array.real.astype(float)
