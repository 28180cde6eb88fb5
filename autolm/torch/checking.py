"""Check each `torch.autograd.Function` that a program called, at the inputs of that call."""

from __future__ import annotations

from typing import Any

import torch

from autolm.engine.graph import topological_order
from autolm.tensor.nodes import read_node
from autolm.testing.check_report import Report
from autolm.testing.torch import check_gradient
from autolm.torch.operation import is_custom
from autolm.torch.recording_pause import recording_paused
from autolm.torch.torch_call import TorchCall


def check(root: Any) -> list[Report]:
    """Check the `backward` of each user-defined Function in a graph, at its recorded inputs.

    Parameters
    ----------
    root : torch.Tensor or node
        A tensor of any shape that was computed under `record()`, or its node.

    Returns
    -------
    list of Report
        One report per call, in program order; empty if the graph contains no user-defined Function.

    Raises
    ------
    GradientError
        If a gradient is wrong. A note names the step by operation, location and scope.
    TypeError
        If `root` is neither a tensor nor a node.

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
        call: TorchCall | None = getattr(node, "call", None)
        if (
            call is None
            or not is_custom(call.function)
            or call.function.__module__.startswith("torch.")
        ):
            continue
        args, _ = call.arguments([operand.data.detach().clone() for operand in call.operands])
        try:
            with recording_paused(), torch.enable_grad():
                reports.append(check_gradient(call.function, *args))
        except Exception as error:
            error.add_note(
                f"in {call.name}, at {node.location}" + f", {node.scope}" * bool(node.scope)
            )
            raise
    return reports
