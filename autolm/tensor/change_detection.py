"""Detect arrays that were changed in place after an operation used them.

A backward closure holds the arrays that its rule needs; if a program writes into one of them, the
gradient is silently wrong. The arrays of leaf operands and of attributes are therefore
fingerprinted when an operation is recorded, and the array of a result when `.data` first returns
it. All are compared before the backward rule runs. Any change is refused, whether or not the rule
needs the array.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import describe
from autolm.outside.message import message

EXACT_BYTES = 2**16  # up to this size a copy of the bytes is the cheapest fingerprint
# Odd, so that any change of one word is detected; random, so that several changes do not cancel.
WEIGHTS = np.random.default_rng(0).integers(2**64, size=2**14, dtype=np.uint64) | np.uint64(1)


def fingerprint(array: NDArray[Any]) -> Any:
    """Return a fingerprint that differs if any element of `array` does, or their order.

    A large array is summed in parts that fit the cache, each 64-bit word times the weight of its
    position. A change of one word is always detected; of other changes, such as two exchanged
    elements, about one in 2³¹ is missed. The shift mixes the highest bit into the others: without
    it, changes of that bit alone, as in the negation of floats, would cancel in pairs.

    Source: Lemire and Kaser, Strongly Universal String Hashing is Fast (2014), section 3.
    """
    if array.nbytes <= EXACT_BYTES:
        return array.tobytes()
    octets = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    words = octets[: octets.size // 8 * 8].view(np.uint64)
    sums: list[Any] = [octets[words.nbytes :].tobytes()]
    for start in range(0, words.size, WEIGHTS.size):
        part = words[start : start + WEIGHTS.size]
        mixed = part >> np.uint64(33)
        mixed ^= part
        sums.append(np.einsum("i,i", mixed, WEIGHTS[: part.size]))
    return sums


class Captured(NamedTuple):
    """An array, and its fingerprint when a node captured it."""

    array: NDArray[Any]
    fingerprint: Any

    def was_changed(self) -> bool:
        """Whether the array differs from the fingerprint."""
        return bool(_fingerprint_and_shape(self.array) != self.fingerprint)


def capture(array: NDArray[Any]) -> Captured:
    """Take the fingerprint of an array."""
    return Captured(array, _fingerprint_and_shape(array))


def _fingerprint_and_shape(array: NDArray[Any]) -> tuple[tuple[int, ...], Any]:
    return array.shape, fingerprint(array)


class CapturedArrays(NamedTuple):
    """The arrays of a node that a program could change before its gradient is computed.

    Attributes
    ----------
    inputs
        The arrays of its leaf operands and attributes.
    memory_owner
        The node whose memory the node's array shares; None if the array owns its memory.
    result
        The node's array when `.data` first returned it; None before that.
    """

    inputs: Sequence[Captured] = ()
    memory_owner: Any = None
    result: Captured | None = None


NOTHING_CAPTURED = CapturedArrays()


def capture_inputs(node: Any, attributes: Iterable[Any]) -> CapturedArrays | None:
    """Fingerprint the leaf operands of a new node and the arrays in its attributes.

    Most nodes have neither, and get None.
    """
    inputs, memory_owner, array = [], None, node._array
    is_view = array.base is not None
    for parent in node.parents:
        owner = owner_of(parent)
        may_share = memory_owner is None and (is_view or array is parent._array)
        if may_share and np.may_share_memory(owner._array, array):
            memory_owner = owner
        if not owner.parents:
            inputs.append(capture(owner._array))
    inputs += map(capture, _arrays_in(attributes))
    if inputs or memory_owner is not None:
        return CapturedArrays(inputs, memory_owner)
    return None


def _arrays_in(values: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """List the arrays in values and in their lists, as in the index of `x[rows, columns]`."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple | list):
            yield from _arrays_in(value)
        elif isinstance(value, dict):
            yield from _arrays_in(value.values())


def owner_of(node: Any) -> Any:
    """Return the node that owns the memory of a node's array, which may be itself."""
    captured = node.captured
    return node if captured is None or captured.memory_owner is None else captured.memory_owner


def capture_result(node: Any) -> None:
    """Fingerprint the array of a result before `.data` first returns it."""
    owner = owner_of(node)
    if owner.parents and (owner.captured is None or owner.captured.result is None):
        result = capture(owner._array)
        owner.captured = (owner.captured or NOTHING_CAPTURED)._replace(result=result)


def replace_array(node: Any, array: NDArray[Any]) -> None:
    """Set the array of a node, and fingerprint it if the node is a result."""
    node._array = array
    if node.parents:
        captured = node.captured or NOTHING_CAPTURED
        node.captured = captured._replace(memory_owner=None, result=capture(array))


def require_unchanged(node: Any) -> None:
    """Raise RuntimeError if an array that a node uses was changed in place."""
    for captured in _used(node):
        if captured.was_changed():
            raise RuntimeError(
                message(
                    "{node}: an array of shape {shape} that it uses was changed in place "
                    "before backward(); assign a new one (x.data = x.data + 1, not +=)",
                    node=describe(node),
                    shape=captured.array.shape,
                )
            )


def _used(node: Any) -> Iterator[Captured]:
    if node.captured is not None:
        yield from node.captured.inputs
    for other in (node, *node.parents):
        captured = owner_of(other).captured
        if captured is not None and captured.result is not None:
            yield captured.result
