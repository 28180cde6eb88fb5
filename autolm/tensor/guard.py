"""Notice when an array that a graph still needs was changed in place.

A backward closure holds the arrays that its rule needs. If somebody writes into one of them, the
gradient would be silently wrong. So whatever others can reach is fingerprinted when it is captured,
and compared before the rule runs.
"""

from __future__ import annotations

import dis
from array import array as PythonArray
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType
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
    """An array or a list, and its fingerprint from when a node captured it."""

    held: Any
    fingerprint: Callable[[Any], Any]
    before: Any

    def was_changed(self) -> bool:
        """Whether it differs from what was captured."""
        return bool(self.fingerprint(self.held) != self.before)


def capture(array: NDArray[Any]) -> Captured:
    """Take the fingerprint of an array; inside `native()` by a compiled loop, which copies none."""
    native = current_native() if array.nbytes > FEW_BYTES else None
    if native is None or not array.flags.c_contiguous:
        return Captured(array, _shaped, (array.shape, fingerprint(array)))
    compiled = partial(_shaped, taken=native.fingerprint)
    return Captured(array, compiled, compiled(array))


def _shaped(
    array: NDArray[Any], taken: Callable[[NDArray[Any]], Any] = fingerprint
) -> tuple[tuple[int, ...], Any]:
    return array.shape, taken(array)


class Guard(NamedTuple):
    """What of a node others could change while its gradient needs it; it is replaced, not changed.

    Attributes
    ----------
    captured
        What its rule may need: leaf operands and attributes.
    reached
        What its rule reads from outside of a user's function.
    lender
        The node in whose memory its own array lies; None if it is an array of its own.
    shown
        Its own array, as it was when it was first handed out; None before that.
    """

    captured: Sequence[Captured] = ()
    reached: Sequence[Captured] = ()
    lender: Any = None
    shown: Captured | None = None


NO_GUARD = Guard()


def guard_of(node: Any, told: Iterable[Any], forward: Any) -> Guard | None:
    """Remember how everything is that the rule of a new node may need and others could change.

    Those are the leaves among its parents, the arrays in what it was told, and what its rule reads
    from outside of `forward`, if that is a function of a user's. Most nodes have no guard.
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
    if told:
        captured += map(capture, _arrays_in(told))
    reached = [*map(_captured_outside, _outside(forward, node))] if forward is not None else ()
    if captured or reached or lender is not None:
        return Guard(captured, reached, lender)
    return None


def _arrays_in(told: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """List the arrays among attributes, and in lists, such as the index of `x[rows, columns]`."""
    for value in told:
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
    """Refuse to run the rule of a node if something that it holds was written into since."""
    guard = node.guard
    if guard is not None:
        for each in guard.captured:
            if each.was_changed() and holds(node.backward_rule, each.held):
                raise _changed(each, node)
        for each in guard.reached:
            if each.was_changed():
                raise _changed(each, node)
    for other in (node, *node.parents):
        guard = other.guard
        if guard is not None:
            of = guard if guard.lender is None else guard.lender.guard
            shown = of and of.shown
            if shown and shown.was_changed() and holds(node.backward_rule, shown.held):
                raise _changed(shown, node)


def _changed(each: Captured, node: Node) -> RuntimeError:
    held = each.held
    is_array = isinstance(held, np.ndarray)
    what = f"an array of shape {held.shape}" if is_array else f"a {type(held).__name__}"
    return RuntimeError(
        f"{describe(node)}: {what} that its gradient needs was changed in place after it was used; "
        "assign a new one (x.data = x.data + 1, not +=)"
    )


# What the rule of a user's operation reads from outside of its function

CHANGEABLE = (np.ndarray, list, dict, set, bytearray, deque, PythonArray)
CHANGING = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "pop"),
        *("popitem", "popleft", "put", "remove", "reverse", "setdefault", "sort", "update"),
    }
)


def _outside(forward: Any, node: Any) -> Iterator[Any]:
    """Yield what the rule reads of free and global variables, and can be changed in place.

    What the function or its rule writes into, such as a log or a table of what was computed, is
    meant to change.
    """
    kept = getattr(forward, "__code__", None)
    written_by_it = _globals_and_written(kept)[1] if kept else frozenset[str]()
    cells = {id(cell) for cell in getattr(forward, "__closure__", None) or ()}
    functions, seen = [node.backward_rule], set[int]()
    for function in functions:
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        code = function.__code__
        names, written = _globals_and_written(code)
        variables = {name: function.__globals__.get(name) for name in names}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if cell != EMPTY:
                if id(cell) in cells:
                    variables[name] = cell.cell_contents
                else:
                    functions.append(cell.cell_contents)  # a function inside, or no function
        for name, value in variables.items():
            if name not in written | written_by_it and isinstance(value, CHANGEABLE):
                yield value


@lru_cache(maxsize=1024)
def _globals_and_written(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """List which globals a function reads, and the names of what it writes into."""
    instructions = [*dis.get_instructions(code)]
    names, written = set(), set()
    for i, each in enumerate(instructions):
        if each.opname == "LOAD_GLOBAL":
            names.add(each.argval)
        elif each.opname in ("STORE_GLOBAL", "STORE_DEREF"):
            written.add(each.argval)
        elif each.argval in CHANGING and each.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            written.add(instructions[i - 1].argval)
        elif each.opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            written |= {
                other.argval
                for other in instructions[:i]
                if _begins(other) == _begins(each) and isinstance(other.argval, str)
            }
    return frozenset(names), frozenset(written)


def _begins(instruction: dis.Instruction) -> Any:
    at = instruction.positions
    return at and (at.lineno, at.col_offset)


def _captured_outside(value: Any) -> Captured:
    return Captured(value, frozen, frozen(value))


def frozen(value: Any) -> Any:
    """Return what differs when an array, list or dictionary does, or anything in it."""
    if isinstance(value, np.ndarray):
        return _shaped(value)
    if isinstance(value, list | tuple | set | deque | PythonArray | bytearray):
        return [frozen(each) for each in value]
    if isinstance(value, dict):
        return [(key, frozen(each)) for key, each in value.items()]
    return value if isinstance(value, HARMLESS) else id(value)


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
