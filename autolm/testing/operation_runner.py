"""Run an operation and its backward rule; report errors in terms of the contract of a primitive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Primitive
from autolm.outside.message import message
from autolm.outside.terminal import words_of
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call

Array = NDArray[Any]


class OperationError(Exception):
    """An operation breaks the contract of a primitive; the message is for its author."""


@dataclass(repr=False, frozen=True)
class OperationRunner:
    """An operation that can be run on arrays, and recorded in a graph."""

    op: Primitive
    operands: tuple[str, ...]  # the names of the forward's parameters

    def function(self, attributes: Mapping[str, Any]) -> Callable[..., Array]:
        """Return the forward alone, a function of arrays of any dtype."""
        return lambda *arrays: self.op.forward(*arrays, **attributes)[0]

    def hint(self, error: Exception) -> str:
        """Advise how to declare the call, where an error of the forward suggests it."""
        return ""

    def run(self, call: Call) -> tuple[Array, Callable[[Array], Any]]:
        """Run the forward on arrays: return its result and its rule."""
        try:
            with np.errstate(all="ignore"):
                returned = self.op.forward(*call.inputs, **call.attributes)
        except Exception as error:
            text = f"the forward raised {_described(error)}{self.hint(error)}"
            raise OperationError(text) from error
        if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[1]):
            raise OperationError(
                message(
                    "the forward must return (result, backward), the second a function; it "
                    "returned {returned} (for a function of Tensors there is "
                    "check_gradient)",
                    returned=_kind(returned),
                )
            )
        result, rule = returned
        if not isinstance(result, np.ndarray | np.generic | float | int):
            raise OperationError(
                message("the result must be an array; it is {result}", result=_kind(result))
            )
        return np.asarray(result), rule

    def node(self, call: Call, leaves: Sequence[Tensor] | None = None) -> Tensor:
        """Record the call in a graph."""
        copy = call.copy()  # an operation that writes into its operands changes only this copy
        self.run(copy.copy())
        return self.op(*(leaves or map(Tensor, copy.inputs)), **call.attributes)

    def contributions(self, call: Call) -> tuple[Array | None, ...]:
        """Return the contribution to each operand, cast and summed as the engine does."""
        return self.node_contributions(self.node(call), call.upstream)

    def node_contributions(self, node: Tensor, upstream: Array | None) -> tuple[Array | None, ...]:
        """Apply the rule of a node of this operation."""
        if not node.requires_grad or upstream is None:
            return tuple(None for _ in node.parents or self.operands)
        try:
            return node.contributions(np.array(upstream))
        except Exception as error:
            raise self._rule_error(error) from error

    def raw_contributions(self, rule: Any, upstream: Array, call: Call) -> list[Array]:
        """Return the arrays that a rule returns for real operands, not copied or cast."""
        try:
            with np.errstate(all="ignore"):
                contributions = rule(upstream)
        except Exception as error:
            raise self._rule_error(error) from error
        if not isinstance(contributions, tuple | list):
            return []  # `sent` reports it
        pairs = zip(contributions, call.inputs, strict=False)
        arrays = [np.asarray(c) for c, x in pairs if c is not None and x.dtype.kind == "f"]
        return [array for array in arrays if array.dtype.kind in "fiu"]

    def differentiate(self, root: Tensor, upstream: Array) -> None:
        """Run backward from a node of this operation."""
        try:
            root.backward(upstream.copy())
        except Exception as error:
            raise self._rule_error(error) from error

    def _rule_error(self, error: Exception) -> OperationError:
        if not str(error).startswith(self.op.name):  # else it is a message of the engine
            return OperationError(f"the backward rule raised {_described(error)}")
        hint = "; send zeros where there is no gradient; what is a condition has a domain of None"
        return OperationError(f"{error}{hint * str(error).endswith('not None')}")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {words_of(error)}"


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
