"""Notice when an array that a graph still needs was changed in place.

A backward closure holds the arrays that its rule needs. If somebody writes into one of them, the
gradient would be silently wrong. So whatever others can reach is fingerprinted when it is captured,
and compared before the rule runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CellType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node, describe
from autolm.ops.backend import current_native

EXACT_BYTES = 2**16  # up to this size a copy of the bytes is the cheapest fingerprint
FEW_BYTES = 2**12  # up to this size it is so beside a compiled fold, too
HARMLESS = (
    *(int, float, complex, str, bytes, range, slice, type, type(None), type(...)),
    *(np.generic, np.dtype),
)
EMPTY = CellType()  # the cell of a name that has no value yet
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

    array: NDArray[Any]
    fingerprint: Callable[[NDArray[Any]], Any]
    before: Any
    shape: tuple[int, ...]

    def was_changed(self) -> bool:
        """Whether the array differs from what was captured."""
        return self.array.shape != self.shape or self.fingerprint(self.array) != self.before


def capture(array: NDArray[Any]) -> Captured:
    """Take the fingerprint of an array; inside `native()` by a compiled loop, which copies none."""
    native = current_native()
    if native is None or array.nbytes <= FEW_BYTES or not array.flags.c_contiguous:
        return Captured(array, fingerprint, fingerprint(array), array.shape)
    return Captured(array, native.fingerprint, native.fingerprint(array), array.shape)


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
    stack, seen = [closure], set[int]()
    while stack:
        held: Any = stack.pop()
        if id(held) in seen or isinstance(held, HARMLESS):
            continue
        seen.add(id(held))
        if isinstance(held, np.ndarray) and held.dtype != object:
            if np.may_share_memory(held, array):
                return True
        elif isinstance(held, dict):
            stack.extend(held.values())
        elif isinstance(held, tuple | list):
            stack.extend(held)
        elif hasattr(held, "__code__"):
            stack.extend(cell.cell_contents for cell in held.__closure__ or () if cell != EMPTY)
            stack += [held.__defaults__, held.__kwdefaults__, getattr(held, "__self__", None)]
        else:
            return True  # who knows what an object keeps
    return False
