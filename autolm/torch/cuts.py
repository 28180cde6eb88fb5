"""Where a program takes values out of PyTorch's graph: the places that a gradient cannot pass.

A parameter without a gradient is usually cut off by `.item()`, `.detach()` or `no_grad()`. Such a
call is noted with its line and with the leaves under its operand, as far as they are found at once;
of a larger graph nothing is noted, and so nothing is guessed.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, NamedTuple

import torch

from autolm.torch.notices import place_of_program

MOST_FUNCTIONS = 200  # of PyTorch's graph that one such call looks at
MOST_CUTS = 100  # the latest ones

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


class Cut(NamedTuple):
    """One call that took a value out of the graph: which, where, and of which leaves or module."""

    what: str
    place: str
    of: weakref.WeakSet[Any]


_cuts: deque[Cut] = deque(maxlen=MOST_CUTS)


def note_cut(what: str, tensor: torch.Tensor) -> None:
    """Note that a value computed of some leaves leaves the graph here."""
    leaves = _leaves_under(tensor)
    if leaves:
        _cuts.append(Cut(what, place_of_program(), _weak(leaves)))


def note_no_grad(module: torch.nn.Module) -> None:
    """Note that a module runs here without a graph."""
    _cuts.append(Cut("no_grad()", place_of_program(), _weak([module])))


def forget_cuts() -> None:
    """Begin anew: a recording begins."""
    _cuts.clear()


def cut_of(parameter: torch.Tensor, owner: torch.nn.Module) -> str:
    """Say where a parameter of a module was last cut off; empty if that is not known."""
    for cut in reversed(_cuts):
        if any(each is parameter or each is owner for each in cut.of):
            return f"{cut.what} at {cut.place}"
    return ""


def _weak(values: list[Any]) -> weakref.WeakSet[Any]:
    return weakref.WeakSet(values)


def _leaves_under(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the leaves under a tensor; none if the graph is too large to look at."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    seen, stack, leaves = {tensor.grad_fn}, [tensor.grad_fn], list[torch.Tensor]()
    while stack:
        function = stack.pop()
        variable = getattr(function, "variable", None)
        if variable is not None:
            leaves.append(variable)
        for below, _ in function.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                stack.append(below)
        if len(seen) > MOST_FUNCTIONS:
            return []
    return leaves
