"""The error function erf z = 2/√π · ∫₀ᶻ e^(−t²) dt and erfc z = 1 − erf z, which NumPy lacks.

Python has them for floats. Long doubles and complex numbers, on which tests run operations, use a
series of erf close to 0, and elsewhere a continued fraction of erfc.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 7.1.6 and 7.1.14.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
NEAR = 2.0  # where both methods are accurate to the last digit of a long double
BEYOND = 110.0  # from where on erfc is 0 even in long double
TERMS = 64

_erf_of_floats = np.frompyfunc(math.erf, 1, 1)
_erfc_of_floats = np.frompyfunc(math.erfc, 1, 1)


def erf(z: Array) -> Array:
    """Return the error function of every element, in its own precision."""
    if _is_plain(z):
        return np.asarray(_erf_of_floats(z)).astype(z.dtype)
    near, series, complement = _by_series(z)
    return np.where(near, series, np.where(z.real < 0, complement - 1, 1 - complement))


def erfc(z: Array) -> Array:
    """Return 1 − erf of every element, without loss of digits where it is small."""
    if _is_plain(z):
        return np.asarray(_erfc_of_floats(z)).astype(z.dtype)
    near, series, complement = _by_series(z)
    return np.where(near, 1 - series, np.where(z.real < 0, 2 - complement, complement))


def _is_plain(z: Array) -> bool:
    return z.dtype.kind == "f" and z.dtype != np.longdouble


def _by_series(z: Array) -> tuple[Array, Array, Array]:
    """Return a mask of numbers close to 0, erf of those, and erfc of |z| for the others."""
    root_pi = 2 * np.sqrt(np.arctan(np.ones((), z.real.dtype)))
    near = np.abs(z.real) <= NEAR
    inner, outer = np.where(near, z, 0), np.where(near, NEAR, np.where(z.real < 0, -z, z))
    term = total = inner
    for n in range(1, TERMS):
        term = term * (2 * inner * inner / (2 * n + 1))
        total = total + term
    outer = np.where(outer.real > BEYOND, BEYOND, outer)
    fraction = outer
    for n in range(TERMS, 0, -1):
        fraction = outer + n / (2 * fraction)
    complement = np.exp(-outer * outer) / (root_pi * fraction)
    return near, 2 / root_pi * np.exp(-inner * inner) * total, complement
