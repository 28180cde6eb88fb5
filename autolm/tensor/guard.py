"""Notice when an array that a graph uses was changed in place before its gradient is computed.

A backward closure holds arrays that its rule needs. If somebody writes into one of them, the
gradient is silently wrong. So the arrays of leaf operands and of attributes are fingerprinted when
an operation records them, and those of results when `.data` first hands them out; all are compared
before the rule runs. A rule is not searched for what it needs: any change is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import describe

EXACT_BYTES = 2**16  # up to this size a copy of the bytes is the cheapest fingerprint
# Odd, so that any change of one word shows; drawn, so that changes of several do not cancel.
WEIGHTS = np.random.default_rng(0).integers(2**64, size=2**14, dtype=np.uint64) | np.uint64(1)


def fingerprint(array: NDArray[Any]) -> Any:
    """Return what differs when any element of `array` does, or when elements change places.

    A large array is added up in parts that the cache holds, each word times a weight of its own
    place. One word changed is certain to show; of other changes, such as elements exchanged, about
    one in 2³¹ does not. The shift is for what changes the highest bit of each word alone, as
    negation of floats does: times an odd number it stays where it is, and twice that is nothing.

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
    """An array, and its fingerprint from when a node captured it."""

    held: NDArray[Any]
    before: Any

    def was_changed(self) -> bool:
        """Whether it differs from what was captured."""
        return bool(_shaped(self.held) != self.before)


def capture(array: NDArray[Any]) -> Captured:
    """Take the fingerprint of an array."""
    return Captured(array, _shaped(array))


def _shaped(array: NDArray[Any]) -> tuple[tuple[int, ...], Any]:
    return array.shape, fingerprint(array)


class Guard(NamedTuple):
    """The arrays of a node that others could change before its gradient is computed; immutable.

    Attributes
    ----------
    captured
        The arrays of its leaf operands and attributes.
    lender
        The node whose memory its own array shares; None if its array owns its memory.
    shown
        Its own array when `.data` first handed it out; None before that.
    """

    captured: Sequence[Captured] = ()
    lender: Any = None
    shown: Captured | None = None


NO_GUARD = Guard()


def guard_of(node: Any, attributes: Iterable[Any]) -> Guard | None:
    """Fingerprint the leaf operands of a new node and the arrays in its attributes.

    Most nodes need no guard.
    """
    captured, lender, own = [], None, node._array
    is_view = own.base is not None
    for parent in node.parents:
        guard = parent.guard
        owner = parent if guard is None or guard.lender is None else guard.lender
        lends = lender is None and (is_view or own is parent._array)
        if lends and np.may_share_memory(owner._array, own):
            lender = owner
        if not owner.parents:
            captured.append(capture(owner._array))
    captured += map(capture, _arrays_in(attributes))
    if captured or lender is not None:
        return Guard(captured, lender)
    return None


def _arrays_in(values: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """List the arrays among values and in lists, such as the index of `x[rows, columns]`."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple | list):
            yield from _arrays_in(value)
        elif isinstance(value, dict):
            yield from _arrays_in(value.values())


def owner_of(node: Any) -> Any:
    """Return the node in whose memory a node's array lies, which may be itself."""
    guard = node.guard
    return node if guard is None or guard.lender is None else guard.lender


def hand_out(node: Any) -> None:
    """Remember how the array of a result is when it is first handed out."""
    owner = owner_of(node)
    if owner.parents and (owner.guard is None or owner.guard.shown is None):
        owner.guard = (owner.guard or NO_GUARD)._replace(shown=capture(owner._array))


def replace_array(node: Any, array: NDArray[Any]) -> None:
    """Give a node another array, which is watched from now on if the node is a result."""
    node._array = array
    if node.parents:
        shown = capture(array)
        node.guard = (node.guard or NO_GUARD)._replace(lender=None, shown=shown)


def require_unchanged(node: Any) -> None:
    """Refuse to run the rule of a node if an array that it uses was written into since."""
    for each in _used(node):
        if each.was_changed():
            raise RuntimeError(
                f"{describe(node)}: an array of shape {each.held.shape} that it uses was changed "
                "in place before backward(); assign a new one (x.data = x.data + 1, not +=)"
            )


def _used(node: Any) -> Iterator[Captured]:
    if node.guard is not None:
        yield from node.guard.captured
    for other in (node, *node.parents):
        guard = owner_of(other).guard
        if guard is not None and guard.shown is not None:
            yield guard.shown
