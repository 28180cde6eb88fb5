"""Calls that take a value out of PyTorch's graph, and so cut off its gradient.

A parameter without a gradient is usually cut off by `.item()`, `.detach()` or `no_grad()`. Each
such call is noted with its location and the leaves below its operand. If the graph below is larger
than `MAX_FUNCTIONS`, the call is not noted.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, NamedTuple

import torch

from autolm.torch.notices import program_location

MAX_FUNCTIONS = 200  # autograd functions visited for one call
MAX_CUTS = 100  # only the latest calls are kept

CUTS = {
    torch.Tensor.detach: "detach()",
    torch.detach: "detach()",
    torch.Tensor.item: "item()",
    torch.Tensor.tolist: "tolist()",
    torch.Tensor.numpy: "numpy()",
    torch.Tensor.__float__: "float()",
    torch.Tensor.__int__: "int()",
    torch.Tensor.__array__: "numpy.asarray()",
    vars(torch._C.TensorBase)["data"].__get__: "data",
}


class GradientCut(NamedTuple):
    """One call that took a value out of the graph.

    Attributes
    ----------
    operation
        How the call is written, such as ``detach()``.
    location
        FILE:LINE of the call.
    sources
        The leaves below the value, or the module that ran without a graph.
    """

    operation: str
    location: str
    sources: weakref.WeakSet[Any]


_cuts: deque[GradientCut] = deque(maxlen=MAX_CUTS)


def note_cut(operation: str, tensor: torch.Tensor) -> None:
    """Note that a value computed from leaves leaves the graph here."""
    leaves = _leaves_under(tensor)
    if leaves:
        _cuts.append(GradientCut(operation, program_location(), _weak_set(leaves)))


def note_no_grad(module: torch.nn.Module) -> None:
    """Note that a module runs without a graph here."""
    _cuts.append(GradientCut("no_grad()", program_location(), _weak_set([module])))


def reset_cuts() -> None:
    """Forget the calls of the previous recording."""
    _cuts.clear()


def find_cut(parameter: torch.Tensor, owner: torch.nn.Module) -> str:
    """Return the latest call that cut off a parameter of a module; empty if none is known."""
    for cut in reversed(_cuts):
        if any(source is parameter or source is owner for source in cut.sources):
            return f"{cut.operation} at {cut.location}"
    return ""


def _weak_set(values: list[Any]) -> weakref.WeakSet[Any]:
    return weakref.WeakSet(values)


def _leaves_under(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the leaves under a tensor; empty if the graph exceeds `MAX_FUNCTIONS`."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    visited, stack, leaves = {tensor.grad_fn}, [tensor.grad_fn], list[torch.Tensor]()
    while stack:
        function = stack.pop()
        variable = getattr(function, "variable", None)
        if variable is not None:
            leaves.append(variable)
        for below, _ in function.next_functions:
            if below is not None and below not in visited:
                visited.add(below)
                stack.append(below)
        if len(visited) > MAX_FUNCTIONS:
            return []
    return leaves
