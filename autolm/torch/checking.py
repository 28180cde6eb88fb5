"""Prove each `torch.autograd.Function` that a program used, at the very inputs that it had."""

from __future__ import annotations

from typing import Any

import torch

from autolm.engine.graph import topological_order
from autolm.tensor.nodes import read_node
from autolm.testing.check_report import Report
from autolm.testing.torch import check_gradient
from autolm.torch.asking import unseen
from autolm.torch.call import Call
from autolm.torch.operation import is_custom


def check(root: Any) -> list[Report]:
    """Prove the `backward` of each Function of the user under a root, for the call that was made.

    Parameters
    ----------
    root
        A tensor that was computed under `record()`, or its node.

    Returns
    -------
    list of Report
        One for each call, in the order in which they were made; none if no Function was used.

    Raises
    ------
    GradientError
        At the first that is wrong; a note names the step, by operation, line and scope.

    Examples
    --------
    >>> import torch
    >>> import autolm.torch
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
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with autolm.torch.record():
    ...     loss = Square.apply(x).sum()
    >>> [report.verdict for report in autolm.torch.check(loss)]
    [<Verdict.CORRECT: 'correct'>]
    """
    reports = []
    for node in topological_order(read_node("check", "root", root)):
        call: Call | None = getattr(node, "call", None)
        if (
            call is None
            or not is_custom(call.function)
            or call.function.__module__.startswith("torch.")
        ):
            continue
        args, _ = call.arguments([each.data.detach().clone() for each in call.operands])
        try:
            with unseen(), torch.enable_grad():
                reports.append(check_gradient(call.function, *args))
        except Exception as error:
            error.add_note(f"in {call.name}, at {node.site}" + f", {node.scope}" * bool(node.scope))
            raise
    return reports
