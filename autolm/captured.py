"""Notice when an array that a graph still needs was changed in place.

A backward closure holds the arrays that its rule needs. If somebody writes into one of them, the
gradient would be silently wrong. So whatever others can reach is fingerprinted when it is captured,
and compared before the rule runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.backend import current_native
from autolm.graph import Node, describe

EXACT_BYTES = 2**16  # up to this size a copy of the bytes is the cheapest fingerprint
FEW_BYTES = 2**12  # up to this size it is so beside a compiled fold, too
HARMLESS = (int, float, complex, str, bytes, type(None), type(...), slice, np.generic, np.dtype)
COLUMNS = 251  # a prime, so that swapping rows of any usual width moves words between columns


def fingerprint(array: NDArray[Any]) -> bytes:
    """Return bytes that change when any element of `array` does.

    A large array is folded by exclusive or into 251 words, at the speed of memory: one element
    changed is certain to show, and other changes all but certain.
    """
    if array.nbytes <= EXACT_BYTES:
        return array.tobytes()
    words = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    whole = words.size // (8 * COLUMNS) * (8 * COLUMNS)
    folded = np.bitwise_xor.reduce(words[:whole].view(np.uint64).reshape(-1, COLUMNS), axis=0)
    return bytes(folded) + bytes(words[whole:])


class Captured(NamedTuple):
    """An array, and its fingerprint from when a node captured it."""

    array: NDArray[Any]
    fingerprint: Callable[[NDArray[Any]], Any]
    before: Any

    def was_changed(self) -> bool:
        """Whether the array differs from what was captured."""
        return bool(self.fingerprint(self.array) != self.before)


def capture(array: NDArray[Any]) -> Captured:
    """Take the fingerprint of an array; inside `native()` by a compiled loop, which copies none."""
    native = current_native()
    if native is None or array.nbytes <= FEW_BYTES or not array.flags.c_contiguous:
        return Captured(array, fingerprint, fingerprint(array))
    return Captured(array, native.fingerprint, native.fingerprint(array))


def require_unchanged(captured: Iterable[Captured], node: Node) -> None:
    """Refuse to run the rule of a node if an array that it holds was written into since."""
    for each in captured:
        if each.was_changed() and holds(node.backward_rule, each.array):
            raise RuntimeError(
                f"{describe(node)}: an array of shape {each.array.shape} that its gradient needs "
                "was changed in place after it was used; assign a new one (x.data = x.data + 1, "
                "not +=)"
            )


def holds(closure: Callable[..., Any] | None, array: NDArray[Any]) -> bool:
    """Whether `closure` may still read `array`: a rule that did not capture it does not care."""
    cells = getattr(closure, "__closure__", None)
    if cells is None and hasattr(closure, "__code__"):
        return False
    return any(_reaches(cell.cell_contents, array) for cell in cells or ()) or cells is None


def _reaches(held: Any, array: NDArray[Any]) -> bool:
    if isinstance(held, np.ndarray):
        return np.may_share_memory(held, array)
    if isinstance(held, tuple | list):
        return any(_reaches(item, array) for item in held)
    if isinstance(held, dict):
        return any(_reaches(item, array) for item in held.values())
    if hasattr(held, "__code__"):
        return holds(held, array)
    return not isinstance(held, HARMLESS)  # who knows what an object keeps
