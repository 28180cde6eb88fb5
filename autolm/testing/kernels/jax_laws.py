"""The law that only JAX's functions can break: compiled, they do what they do step by step."""

from __future__ import annotations

from autolm.testing.call import Call
from autolm.testing.kernels.jax_kernel import JaxKernel
from autolm.testing.kernels.laws import (
    attempt,
    base_gradient,
    broken,
    differing,
    kernel_of,
    of_examples,
)
from autolm.testing.laws.law import LackingError, Law, Tally
from autolm.testing.subject import Subject
from autolm.testing.verdict import largest


def _check_jit(subject: Subject, call: Call, tally: Tally) -> None:
    subject = kernel_of(subject)
    kernel = subject.kernel
    assert isinstance(kernel, JaxKernel)
    if not kernel.compiled:
        raise LackingError("it cannot be compiled")
    result, found = attempt(
        *("the function, not compiled,", kernel.step_by_step, call.inputs, call.given_upstream),
        call.attributes,
    )
    expected, scale = base_gradient(subject, call)
    compiled = subject.run(call.copy())[0]
    off = largest(result - compiled)
    if off > 1e-9 * subject.slack * max(largest(compiled), 1e-3):
        message = f"under jit the result is another, by up to {off:.3g}"
        raise broken(subject, call, message, "jit: compiled, it gives another result")
    rows = differing(subject, call, found, expected, scale)
    if rows:
        message = f"under jit the gradient of {rows[0].operand} is another"
        raise broken(subject, call, message, "jit: compiled, it gives another gradient", rows)
    tally.exercised["compiled"] += 1


jit = Law(
    "jit",
    "compiled, it gives the same results and gradients",
    of_examples,
    _check_jit,
    most=1,
)
