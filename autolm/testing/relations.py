"""Relations that hold of a forward: mistakes there that no test of a gradient can see.

The gradient of a wrong function may be right. So a primitive can declare what else must hold of it,
`@primitive(relations=(causal,))`, or a test can: `check_op(op, relations=[shift_invariant(-1)])`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import read_int
from autolm.testing.call import Call

Array = NDArray[Any]
Function = Callable[..., Array]

CLOSE = 1e-10


@dataclass(frozen=True)
class Relation:
    """A statement about a forward; `violation` says how a call breaks it, or is empty."""

    name: str
    violation: Callable[[Function, Call], str]
    applies: Callable[[Call], bool] = lambda call: True


def shift_invariant(axis: int = -1) -> Relation:
    """Nothing changes if all along an axis of the first operand rises by the same amount."""
    axis = read_int("shift_invariant", "axis", axis)

    def violation(function: Function, call: Call) -> str:
        x, *other_inputs = call.inputs
        reduced = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        shift = np.linspace(0.5, 2.0, int(np.prod(reduced))).reshape(reduced)
        off = _distance(function(x + shift, *other_inputs), function(*call.inputs))
        return f"a shift along axis {axis} changes the result by {off:.3g}" if off > CLOSE else ""

    def applies(call: Call) -> bool:
        return -call.inputs[0].ndim <= axis < call.inputs[0].ndim

    return Relation(f"shift_invariant({axis})", violation, applies)


def permutation_equivariant(axis: int) -> Relation:
    """To reorder the operands along an axis reorders the result along it, and no more."""
    axis = read_int("permutation_equivariant", "axis", axis)

    def violation(function: Function, call: Call) -> str:
        length = call.inputs[0].shape[axis]
        order = np.roll(np.arange(length), 1)
        permuted = [np.take(x, order, axis) if _has(x, axis, length) else x for x in call.inputs]
        expected = np.take(function(*call.inputs), order, axis)
        off = _distance(function(*permuted), expected)
        return (
            f"a permutation along axis {axis} does more than permute the result (by {off:.3g})"
            if off > CLOSE
            else ""
        )

    def applies(call: Call) -> bool:
        first = call.inputs[0]
        return -first.ndim <= axis < first.ndim and first.shape[axis] > 1

    return Relation(f"permutation_equivariant({axis})", violation, applies)


def _has(array: Array, axis: int, length: int) -> bool:
    inside = -array.ndim <= axis < array.ndim
    return inside and array.shape[axis] == length


def causal_along(axis: int) -> Relation:
    """Return the relation `causal` for positions along another axis than −2.

    Where an operand has more positions than the result, the last of both belong together. A call
    that says ``causal=False`` is let off.
    """
    axis = read_int("causal_along", "axis", axis)

    def violation(function: Function, call: Call) -> str:
        result = function(*call.inputs)
        for operand, x in enumerate(call.inputs):
            if x.dtype.kind != "f" or not -x.ndim <= axis < x.ndim:
                continue
            depends = _dependence(function, call.inputs, operand, axis, result)
            lag = x.shape[axis] - result.shape[axis]
            future = np.triu(depends, lag + 1)
            if future.any():
                at, later = map(int, np.argwhere(future)[0])
                return (
                    f"position {at} of the result depends on position {later} of operand {operand}"
                )
            if lag >= 0 and not np.diagonal(depends, lag).any():
                return f"no position of the result depends on its own in operand {operand}"
        return ""

    def applies(call: Call) -> bool:
        is_causal = call.attributes.get("causal", True)
        return bool(is_causal) and any(-x.ndim <= axis < x.ndim for x in call.inputs)

    return Relation("causal" if axis == -2 else f"causal_along({axis})", violation, applies)


def _dependence(
    function: Function, inputs: Sequence[Array], operand: int, axis: int, result: Array
) -> NDArray[np.bool_]:
    """Return a table (positions of the result, positions of the operand): which moves which."""
    columns = []
    for position in range(inputs[operand].shape[axis]):
        inputs_changed = [x.copy() for x in inputs]
        np.moveaxis(inputs_changed[operand], axis, 0)[position] *= 1.25
        changed = np.abs(function(*inputs_changed) - result) > CLOSE
        columns.append(np.moveaxis(changed, axis, 0).reshape(result.shape[axis], -1).any(axis=1))
    return np.stack(columns, axis=1)


def _distance(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a - b), initial=0.0))


#: No position of the result depends on a later one of an operand, and each on its own.
causal = causal_along(-2)
