"""Reader of the index in `x[index]`: every kind that NumPy takes, as one of a few forms.

An index comes from Python, NumPy, PyTorch or the buffer of an `array.array`. It may be changed
after its use, so the recorder copies it first. Its form shows whether it can take an element twice,
which decides how gradients are scattered.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autolm.outside.message import message

KINDS = "integers, slices, None, ..., and arrays or lists of integers or of bools"


def as_index(index: Any) -> tuple[Any, ...]:
    """Read an index as a tuple of int, slice, None, ... and arrays of intp or bool.

    Raises
    ------
    TypeError
        For a part that cannot be an index: a float, a string, rows of different lengths.

    Examples
    --------
    >>> as_index((1, slice(None, 2), (0, 0)))
    (1, slice(None, 2, None), array([0, 0]))
    """
    parts = index if isinstance(index, tuple) else (index,)
    return tuple([part if type(part) is int else _as_part(part) for part in parts])


def repeats(index: tuple[Any, ...]) -> bool:
    """Whether a parsed index may take an element twice: only arrays of integers can."""
    return any(isinstance(part, np.ndarray) and part.dtype.kind == "i" for part in index)


def _as_part(part: Any) -> Any:
    if part is None or part is ...:
        return part
    if type(part) is slice:
        return slice(_as_bound(part.start), _as_bound(part.stop), _as_bound(part.step))
    if hasattr(part, "__index__") and not hasattr(part, "__array__") and type(part) is not bool:
        return operator.index(part)
    return _as_positions(part)


def _as_bound(bound: Any) -> int | None:
    if bound is None or type(bound) is int:
        return bound
    try:
        return operator.index(bound)
    except TypeError:
        raise TypeError(
            message(
                "getitem: the bounds of a slice are integers or None, not {bound}",
                bound=_describe_part(bound),
            )
        ) from None


def _as_positions(part: Any) -> Any:
    """Read a mask or a list of positions; a 0-d array becomes its number."""
    try:
        array = np.asarray(part)
    except ValueError:
        raise TypeError(
            message("getitem: the rows of a list in the index differ in length")
        ) from None
    if array.size == 0 and not hasattr(part, "dtype"):
        array = array.astype(np.intp)  # an empty list lists no position
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(
            message(
                "getitem: an index is made of {KINDS}, not {part}",
                KINDS=KINDS,
                part=_describe_part(part),
            )
        )
    if array.ndim == 0:
        return int(array)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.intp).max:
        raise IndexError(
            message("getitem: position {array} is beyond every array", array=array.max())
        )
    return array.astype(np.intp, copy=False)


def _describe_part(part: Any) -> str:
    kind = type(part).__name__
    if isinstance(part, list | tuple):
        return f"a {kind} of {np.array(part).dtype}"
    return f"{kind} of {part.dtype}" if hasattr(part, "dtype") else f"{kind} {part!r:.40}"
