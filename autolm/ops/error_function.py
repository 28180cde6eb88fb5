"""The error function erf z = 2/√π · ∫₀ᶻ e^(−t²) dt, which NumPy has not, for numbers of any type.

Python has it for floats. Tests run an operation on long doubles and complex numbers as well: close
to 0 a series gives it for those, and elsewhere the continued fraction of what is left to ±1.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 7.1.6 and 7.1.14.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
NEAR = 2.0  # where both methods are good to the last digit of a long double
BEYOND = 40.0  # from where on erf is 1 even in long double
TERMS = 64

_of_floats = np.frompyfunc(math.erf, 1, 1)


def erf(z: NDArray[Any]) -> NDArray[Any]:
    """Return the error function of every element, in its own precision."""
    if z.dtype.kind == "f" and z.dtype != np.longdouble:
        return np.asarray(_of_floats(z)).astype(z.dtype)
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
    left = np.exp(-outer * outer) / (root_pi * fraction)
    series = 2 / root_pi * np.exp(-inner * inner) * total
    return np.where(near, series, np.where(z.real < 0, left - 1, 1 - left))
