"""Check saved arrays against the arrays that they replace.

All checks come before any change, so a model or an optimizer is never half loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import quote, read_kind
from autolm.outside.message import message

Array = NDArray[Any]


def fitting_arrays(
    what: str, state: Mapping[str, Array], present: Mapping[str, Array]
) -> dict[str, Array]:
    """Return copies of saved arrays, in the order and with the dtypes of the present ones.

    Raises
    ------
    TypeError
        If one is not an array or has another kind of dtype: floating point numbers of either
        precision fit, complex numbers and integers do not.
    ValueError
        If one is missing, unknown, of another shape, or has a number too large for the dtype.
    """
    read_kind(what, "state", state, Mapping, "a dictionary of arrays by name")
    for name in sorted(present.keys() ^ state.keys(), key=str):
        lack = "is missing" if name in present else "is unknown"
        raise ValueError(f"{what}: {name} {lack}")
    return {
        name: _converted(f"{what}: {name}", state[name], array) for name, array in present.items()
    }


def _converted(what: str, saved: Any, present: Array) -> Array:
    if not isinstance(saved, np.ndarray | np.generic):
        raise TypeError(
            message("{what} must be an array, not {saved}", what=what, saved=quote(saved))
        )
    if saved.shape != present.shape:
        raise ValueError(
            message(
                "{what} has shape {shape}, and {shape2} is needed",
                what=what,
                shape=saved.shape,
                shape2=present.shape,
            )
        )
    if saved.dtype.kind != present.dtype.kind:
        raise TypeError(
            message(
                "{what} has dtype {dtype}, and {dtype2} is needed",
                what=what,
                dtype=saved.dtype,
                dtype2=present.dtype,
            )
        )
    with np.errstate(over="ignore"):  # reported below
        array = np.array(saved, dtype=present.dtype)
    if not np.array_equal(np.isinf(array), np.isinf(saved)):
        raise ValueError(
            message("{what} has numbers too large for {dtype}", what=what, dtype=present.dtype)
        )
    return array
