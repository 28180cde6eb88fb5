"""Laws of composition: a second derivative, and a batch under `vmap`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Primitive
from autolm.testing.call import Call
from autolm.testing.kernels.kernel import pulled
from autolm.testing.kernels.kernel_laws import attempt, filled, of_examples, require_same
from autolm.testing.kernels.kernel_subject import KernelSubject
from autolm.testing.laws.backward_rule import rule
from autolm.testing.laws.law import Law, LawBroken, Tally, broken
from autolm.testing.operation_runner import OperationError
from autolm.testing.strategies import REALS
from autolm.testing.subject import upstream_for
from autolm.testing.verdict import largest

Array = NDArray[Any]

BATCH = 3


def _check_order(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare the gradient of the gradient with its own oracle."""
    second = subject.kernel.gradient_as_function()
    inputs = (*call.inputs, call.given_upstream)
    whole = replace(
        subject,
        op=Primitive(second, subject.op.name),
        operands=(*subject.names_of(call), "upstream"),
        domains=(*subject.domains_of(call), REALS),
    )
    twice = Call(*inputs, **call.attributes)
    try:
        twice.upstream = upstream_for(whole.run(twice.copy())[0].shape)
        rule.check(whole, twice, tally)
    except LawBroken as error:
        raise LawBroken(
            f"of second order, {error.message}",
            call,
            subject.program(call),
            rows=error.rows,
            diagnosis="second order: the backward rule, differentiated, gives another gradient "
            "than its own values have",
        ) from error
    except OperationError as error:
        raise OperationError(f"of second order, {error}") from error


def _check_vmap(subject: KernelSubject, call: Call, tally: Tally) -> None:
    """Compare a batch under vmap with its rows one by one."""
    kernel = subject.kernel
    batch = [
        Call(*(x * (1 + i * 2.0**-5) for x in call.inputs), **call.attributes) for i in range(BATCH)
    ]
    stacked = [np.stack([each.inputs[i] for each in batch]) for i in range(len(call.inputs))]
    upstream = np.stack([call.given_upstream * (1 + i) for i in range(BATCH)])
    together, gradients = attempt("vmap", kernel.batched, stacked, upstream, call.attributes)
    for i, one in enumerate(batch):
        one.upstream = upstream[i]
        result = subject.run(one.copy())[0]
        off = np.abs(np.reshape(together[i], result.shape) - result)
        if largest(off) > 1e-9 * subject.slack * max(largest(result), 1e-3):
            message = f"under vmap the result is off by up to {largest(off):.3g}"
            raise broken(subject, call, message, "vmap: a batch gives another result than its rows")
        expected = filled(pulled(kernel, one), one)
        message = "under vmap the gradient of {} is another"
        cause = "vmap: a batch gives another gradient than its rows"
        rows, scale = [each[i] for each in gradients], max(map(largest, expected))
        require_same(subject, one, rows, expected, scale, message, cause)
    tally.exercised["batch"] += 1


order = Law(
    "order 2",
    "the backward rule can be differentiated, and its gradient is what the oracle says",
    lambda subject: of_examples(subject) if subject.order == 2 else None,
    _check_order,
    most=3,
)
vmap = Law(
    "vmap",
    "a batch under vmap gives what its rows give one by one",
    lambda subject: of_examples(subject) if subject.vmap else None,
    _check_vmap,
    most=2,
)
