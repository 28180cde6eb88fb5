"""Prove the rule of a `jax.custom_vjp` or `custom_jvp`, or of any function of arrays, in one line.

`jax.test_util.check_grads` compares numbers at one point. Here calls are made from examples: other
numbers and sizes, gradients asked for some arguments only, fewer digits, under `jit` and `vmap`.
JAX is imported when a check begins.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autolm.testing.kernels import composing, jax_laws, laws, precision
from autolm.testing.kernels.guessing import Guess, guess_call
from autolm.testing.kernels.jax_kernel import JaxKernel
from autolm.testing.kernels.kernel import library
from autolm.testing.kernels.proving import (
    chosen_laws,
    chosen_precisions,
    prove,
    prove_call,
)
from autolm.testing.kernels.subject import KernelSubject, subject_of
from autolm.testing.laws.law import Law
from autolm.testing.laws.values import aliases, rule
from autolm.testing.report import Report

JAX_LAWS: tuple[Law, ...] = (
    *(rule, laws.frozen, laws.results, laws.broadcasting, laws.sizes, aliases, laws.hygiene),
    *(laws.state, laws.repeats, laws.kinks, laws.extremes, laws.linear),
    *(precision.precision, jax_laws.jit, composing.order, composing.vmap, laws.reference),
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
    """Prove the gradient of a function of JAX, or be told what is wrong with it.

    Parameters
    ----------
    F
        A `custom_vjp`, a `custom_jvp`, or another function that `jax.vjp` takes.
    *examples
        Arrays, trees of them and plain arguments, as one would call it. Arrays of floating point
        are differentiated; all else stays as it is.
    domain, shapes, broadcast, dtypes, order, vmap, reference, laws, examples_count
        As in `autolm.testing.torch.check_function`.

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
    >>> jax = pytest.importorskip("jax")
    >>> @jax.custom_vjp
    ... def square(x):
    ...     return x * x
    >>> square.defvjp(lambda x: (x * x, x), lambda x, grad: (2 * x * grad,))
    >>> check_function(square, np.ones((2, 3)), examples_count=2).verdict
    <Verdict.CORRECT: 'correct'>
    """
    with library("jax").enable_x64(True):
        subject = _subject(
            *("check_function", F, examples, dtypes, reference),
            domain=domain,
            shapes=shapes or (),
            broadcast=broadcast,
            order=order,
            vmap=vmap,
        )
        those = chosen_laws(JAX_LAWS, laws, "check_function")
        return prove(subject, those, examples_count).require()


def check_gradient(F: Callable[..., Any], *arguments: Any, upstream: Any = None) -> Report:
    """Check the gradient of a function of JAX where it is used: for this very call.

    Parameters
    ----------
    F
        As for `check_function`.
    *arguments
        Arrays and plain arguments of the call; it is made in float64.
    upstream
        ∂L/∂result; distinct numbers, if it is not given.

    Raises
    ------
    GradientError
        If a law that speaks of single calls is broken.

    Examples
    --------
    >>> import pytest
    >>> jax = pytest.importorskip("jax")
    >>> check_gradient(jax.numpy.tanh, np.array([0.5, 1.0])).verdict
    <Verdict.CORRECT: 'correct'>
    """
    with library("jax").enable_x64(True):
        subject = _subject("check_gradient", F, arguments, (), None)
        return prove_call(subject, JAX_LAWS, upstream).require()


def functions_in(names: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Return the rules of JAX that a module defines, by the names it gives them."""
    jax = sys.modules.get("jax")  # a file that has not imported it defines none
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
        return guess_call(signature, lambda given: JaxKernel.of(F, given, "check"), np.asarray)


def _subject(
    caller: str,
    function: Any,
    examples: Sequence[Any],
    dtypes: Sequence[Any] | None,
    reference: Any,
    **asked: Any,
) -> KernelSubject:
    """Read what a check was asked for."""
    kernel = JaxKernel.of(function, examples, caller)
    if not kernel.operands:
        raise TypeError(f"{caller}: give examples with at least one array of floating point")
    kernel.prepare()
    compared = None if reference is None else JaxKernel.of(reference, examples, caller, "reference")
    precisions = chosen_precisions(kernel, dtypes, caller)
    return subject_of(kernel, precisions=precisions, reference=compared, **asked)
