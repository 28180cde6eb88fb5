"""Property tests of gradients in PyTorch: `check_function` and `check_gradient`.

`torch.autograd.gradcheck` compares numbers at one point, in one layout. `check_function` generates
calls from examples: other numbers and sizes, inputs and upstream gradients in other layouts,
gradients of some inputs only, lower precision; and it looks for side effects of the backward.
PyTorch is imported when a check begins.

>>> import pytest
>>> torch = pytest.importorskip("torch")
>>> class Square(torch.autograd.Function):
...     @staticmethod
...     def forward(ctx, x):
...         ctx.save_for_backward(x)
...         return x * x
...
...     @staticmethod
...     def backward(ctx, grad):
...         (x,) = ctx.saved_tensors
...         return 2 * x * grad
>>> check_function(Square, torch.ones(2, 3), examples_count=3).verdict
<Verdict.CORRECT: 'correct'>
>>> check_gradient(torch.tanh, torch.tensor([0.5, 1.0])).verdict
<Verdict.CORRECT: 'correct'>
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autolm.testing.kernels.argument_guess import Guess, guess_call
from autolm.testing.kernels.kernel import library
from autolm.testing.kernels.kernel_checker import KernelChecker
from autolm.testing.kernels.torch_kernel import (
    TorchKernel,
    has_backward,
    implementation_of,
    signature_of,
)
from autolm.testing.registry import TORCH_LAWS

_checker = KernelChecker(TorchKernel, TORCH_LAWS)
check_function = _checker.check_function
check_gradient = _checker.check_gradient


def functions_in(names: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Return the Functions and custom ops with a backward that a module defines, by name."""
    torch = sys.modules.get("torch")
    if torch is None:  # then the module cannot define any
        return {}

    def is_defined(value: Any) -> bool:
        if has_backward(value):
            return bool(implementation_of(value).__module__ == module)
        is_function = isinstance(value, type) and issubclass(value, torch.autograd.Function)
        return is_function and value.__module__ == module and "backward" in dir(value)

    return {name: value for name, value in names.items() if is_defined(value)}


def guess_arguments(F: Any) -> Guess:
    """Guess arguments of a Function.

    Raises
    ------
    ValueError
        If the function needs a device that is missing.
    """
    tried: list[TorchKernel] = []

    def kernel_of(arguments: Sequence[Any]) -> TorchKernel:
        tried.append(TorchKernel.of(F, arguments, "check"))
        return tried[-1]

    guess = guess_call(signature_of(F), kernel_of, library("torch").from_numpy)
    for kernel in () if guess.accepted else tried:
        if kernel.refusal is not None and kernel.lacks(kernel.refusal):
            raise ValueError(f"it needs {kernel.lacks(kernel.refusal)}: {kernel.refusal}")
    return guess
