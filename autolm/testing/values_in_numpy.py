"""What each operation on Values computes, once more, in NumPy.

A node of Values holds its result and its rule, but not its forward. The oracle needs one that takes
complex numbers; written apart from `value.py`, so that it shares nothing with what it checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.error_function import erf, erfc

Array = NDArray[Any]

VALUE_FORWARDS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "maximum": lambda a, b: np.where(a.real > b.real, a, b),
    "minimum": lambda a, b: np.where(a.real < b.real, a, b),
    "sum": lambda *a: sum(a[1:], a[0]),
    "dot": lambda *a: sum(x * y for x, y in zip(a[: len(a) // 2], a[len(a) // 2 :], strict=True)),
    "neg": lambda a: -a,
    "abs": lambda a: np.where(a.real < 0, -a, a),
    "relu": lambda a: np.where(a.real > 0, a, 0 * a),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.log(1 + np.exp(a)),
    "erf": erf,
    "erfc": erfc,
}
