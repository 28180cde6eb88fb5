"""Prove the backward of a `torch.autograd.Function`, or of any kernel of tensors, in one line.

`torch.autograd.gradcheck` compares numbers at one point, of one layout. Here calls are made from
examples: other numbers and sizes, inputs and upstream gradients of other layouts, gradients asked
for some inputs only, fewer digits; and what a backward must not do is looked for. PyTorch is
imported when a check begins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autolm.testing.kernels import composing, laws, precision, torch_laws
from autolm.testing.kernels.guessing import Guess, guess_call
from autolm.testing.kernels.kernel import library
from autolm.testing.kernels.proving import (
    chosen_laws,
    chosen_precisions,
    prove,
    prove_call,
)
from autolm.testing.kernels.subject import KernelSubject, subject_of
from autolm.testing.kernels.torch_kernel import TorchKernel, signature_of
from autolm.testing.laws.law import Law
from autolm.testing.laws.values import aliases, rule
from autolm.testing.report import Report

TORCH_LAWS: tuple[Law, ...] = (
    *(rule, torch_laws.upstreams, torch_laws.inputs, laws.frozen, laws.results, laws.broadcasting),
    # The first law of conduct that breaks names the cause: memory is why others break too.
    *(laws.sizes, aliases, torch_laws.memory, torch_laws.random_state, laws.hygiene, laws.state),
    *(laws.repeats, laws.kinks, laws.extremes, laws.linear),
    *(precision.precision, composing.order, composing.vmap, laws.reference),
)


def check_function(
    F: Callable[..., Any],
    *examples: Any,
    domain: Any = None,
    shapes: Sequence[Any] | None = None,
    broadcast: bool = False,
    dtypes: Sequence[Any] | None = None,
    order: int = 1,
    vmap: bool = False,
    reference: Callable[..., Any] | None = None,
    laws: Sequence[str] | None = None,
    examples_count: int | None = None,
) -> Report:
    """Prove the gradient of a function of PyTorch, or be told what is wrong with it.

    Parameters
    ----------
    F
        A `torch.autograd.Function`, or a callable of tensors that returns one or several.
    *examples
        Tensors and plain arguments, as one would call it. Tensors of floating point are
        differentiated; all others stay as they are. Long axes are shortened for the search.
    domain
        The open interval ``(low, high)`` to sample inputs from, or one for each that is
        differentiated; by default the reals, or where the examples lie if results are not finite.
    shapes
        More calls: each a shape for every input that is differentiated.
    broadcast
        Whether inputs of any shapes that broadcast are taken.
    dtypes
        In which precisions besides; by default float32, float16 and bfloat16, those it takes.
    order
        2, if the backward is to be differentiated too.
    vmap
        Whether it must work under `torch.func.vmap`.
    reference
        A plain function that does the same: results and gradients are compared with its.
    laws
        The names of those to try; by default, all.
    examples_count
        For each law; by default, what the hypothesis profile says.

    Returns
    -------
    Report
        The verdict, the digits, and how each law came out.

    Raises
    ------
    GradientError
        If a law is broken. Its message is the report: counterexample, diagnosis, program.
    ValueError, TypeError
        If it cannot be called with the examples, or an argument means nothing.

    Examples
    --------
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
    """
    with _apart_from_the_program():
        subject = _subject(
            *("check_function", F, examples, dtypes, reference),
            domain=domain,
            shapes=shapes or (),
            broadcast=broadcast,
            order=order,
            vmap=vmap,
        )
        those = chosen_laws(TORCH_LAWS, laws, "check_function")
        return prove(subject, those, examples_count).require()


def check_gradient(F: Callable[..., Any], *arguments: Any, upstream: Any = None) -> Report:
    """Check the gradient of a function of PyTorch where it is used: for this very call.

    Parameters
    ----------
    F
        As for `check_function`.
    *arguments
        Tensors and plain arguments of the call; it is made in float64.
    upstream
        ∂L/∂result; distinct numbers, if it is not given.

    Raises
    ------
    GradientError
        If a law that speaks of single calls is broken.

    Examples
    --------
    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> check_gradient(torch.tanh, torch.tensor([0.5, 1.0])).verdict
    <Verdict.CORRECT: 'correct'>
    """
    torch = library("torch")
    with _apart_from_the_program():
        subject = _subject("check_gradient", F, arguments, (), None)
        if isinstance(upstream, torch.Tensor):
            upstream = upstream.detach().cpu().to(torch.float64).numpy()
        return prove_call(subject, TORCH_LAWS, upstream).require()


def functions_in(names: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Return the Functions of PyTorch that a module defines, by the names it gives them."""
    torch = sys.modules.get("torch")  # a file that has not imported it defines none
    return {
        name: value
        for name, value in names.items()
        if torch is not None
        and isinstance(value, type)
        and issubclass(value, torch.autograd.Function)
        and value.__module__ == module
        and "backward" in dir(value)
    }


def guess_arguments(F: Any) -> Guess:
    """Guess arguments of a Function.

    Raises
    ------
    ValueError
        If it refused the last ones for want of a device.
    """
    tried: list[TorchKernel] = []

    def kernel_of(given: Sequence[Any]) -> TorchKernel:
        tried.append(TorchKernel.of(F, given, "check"))
        return tried[-1]

    guess = guess_call(signature_of(F), kernel_of, library("torch").from_numpy)
    for kernel in () if guess.accepted else tried:
        if kernel.refusal is not None and kernel.lacks(kernel.refusal):
            raise ValueError(f"it needs {kernel.lacks(kernel.refusal)}: {kernel.refusal}")
    return guess


@contextmanager
def _apart_from_the_program() -> Iterator[None]:
    """Leave random state and threads as they are, and use one: more wait for so small arrays."""
    torch = library("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def _subject(
    caller: str,
    function: Any,
    examples: Sequence[Any],
    dtypes: Sequence[Any] | None,
    reference: Any,
    **asked: Any,
) -> KernelSubject:
    """Read what a check was asked for."""
    kernel = TorchKernel.of(function, examples, caller)
    if not kernel.operands:
        raise TypeError(f"{caller}: give examples with at least one tensor of floating point")
    kernel.prepare()
    compared = None
    if reference is not None:
        compared = TorchKernel.of(reference, examples, caller, "reference")
        compared.prepare()
    # In another dtype the same random state gives other numbers, and so another function.
    precisions = () if kernel.is_random else chosen_precisions(kernel, dtypes, caller)
    return subject_of(kernel, precisions=precisions, reference=compared, **asked)
