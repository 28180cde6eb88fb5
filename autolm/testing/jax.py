"""Property tests of gradients in JAX: `check_function` and `check_gradient`.

`jax.test_util.check_grads` compares numbers at one point. `check_function` generates calls from
examples: other numbers and sizes, gradients of some arguments only, lower precision, under `vmap`.
JAX is imported when a check begins.

>>> import pytest
>>> jax = pytest.importorskip("jax")
>>> @jax.custom_vjp
... def square(x):
...     return x * x
>>> square.defvjp(lambda x: (x * x, x), lambda x, grad: (2 * x * grad,))
>>> check_function(square, np.ones((2, 3)), examples_count=2).verdict
<Verdict.CORRECT: 'correct'>
>>> check_gradient(jax.numpy.tanh, np.array([0.5, 1.0])).verdict
<Verdict.CORRECT: 'correct'>
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from autolm.testing.kernels.argument_guess import Guess, guess_call
from autolm.testing.kernels.jax_kernel import JaxKernel
from autolm.testing.kernels.kernel import library
from autolm.testing.kernels.kernel_checker import KernelChecker
from autolm.testing.registry import JAX_LAWS

_checker = KernelChecker(JaxKernel, JAX_LAWS)
check_function = _checker.check_function
check_gradient = _checker.check_gradient


def functions_in(names: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Return the functions with custom rules of JAX that a module defines, by name."""
    jax = sys.modules.get("jax")  # else the file defines none
    return {
        name: value
        for name, value in names.items()
        if jax is not None
        and isinstance(value, jax.custom_vjp | jax.custom_jvp)
        and value.__module__ == module
    }


def guess_arguments(F: Any) -> Guess:
    """Guess arguments of a function."""
    with library("jax").enable_x64(True):
        signature = inspect.signature(F)
        return guess_call(
            signature, lambda arguments: JaxKernel.of(F, arguments, "check"), np.asarray
        )
