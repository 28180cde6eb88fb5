"""The backward rule of a step: PyTorch's own autograd functions between results and operands.

Calling a `grad_fn` returns the gradients that `backward()` would pass on, from the tensors that the
forward pass saved, so no forward computation is repeated. The steps that PyTorch's engine adds are
repeated here: gradients are summed to the expected shape, cast to the expected dtype, replaced by
zeros if missing, and passed to hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from autolm.torch.hook_replay import replayed

Edge = tuple[Any, int]  # a grad_fn, and the index of its forward output
FREED = "backward through the graph a second time"
WRITTEN = "modified by an inplace operation"
MATERIALIZES = "autolm_materializes"  # set on a Function's context: whether it needs zeros


class TorchRule:
    """Pass gradients from results to operands through PyTorch's autograd functions.

    Attributes
    ----------
    starts
        The edge of each result.
    functions
        The functions between results and operands, nearest to the results first.
    slots
        (function, index of its output gradient) -> index of the operand that receives it.
    operands
        The number of operands.
    """

    __slots__ = ("functions", "operands", "result_edges", "slots")

    def __init__(
        self,
        result_edges: Sequence[Edge],
        functions: Sequence[Any],
        slots: Mapping[tuple[Any, int], int],
        operands: int,
    ) -> None:
        self.result_edges, self.slots, self.operands = tuple(result_edges), slots, operands
        self.functions = functions

    def from_tuple(
        self, upstreams: Sequence[torch.Tensor | None]
    ) -> tuple[torch.Tensor | None, ...]:
        """Return the contributions, given the gradients of all results in one sequence."""
        return self(*upstreams)

    def __call__(self, *upstreams: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Return the contribution to each operand; None means zero."""
        pending: dict[Any, dict[int, torch.Tensor]] = {}
        contributions: list[torch.Tensor | None] = [None] * self.operands
        for (function, number), upstream in zip(self.result_edges, upstreams, strict=True):
            if upstream is not None:
                sums = pending.setdefault(function, {})
                sums[number] = _sum(sums.get(number), fit_gradient(upstream, function, number))
        for function in self.functions:
            received = pending.pop(function, None)
            if not received:
                continue
            for i, value in enumerate(_call_with_hooks(function, received)):
                below, number = function.next_functions[i]
                if below is None or value is None:
                    continue
                value = fit_gradient(value, below, number)
                slot = self.slots.get((function, i))
                if slot is not None:
                    contributions[slot] = _sum(contributions[slot], value)
                else:
                    sums = pending.setdefault(below, {})
                    sums[number] = _sum(sums.get(number), value)
        return tuple(contributions)


def fit_gradient(grad: torch.Tensor, function: Any, number: int) -> torch.Tensor:
    """Reduce and cast a gradient to what a function expects, as PyTorch's engine does."""
    expected = function._input_metadata[number]
    if grad.layout is torch.strided and grad.shape != expected.shape:
        grad = grad.sum_to_size(expected.shape)
    if grad.is_complex() and not expected.dtype.is_complex:
        grad = grad.real
    return grad.to(expected.dtype)


def _sum(total: torch.Tensor | None, term: torch.Tensor) -> torch.Tensor:
    return term if total is None else total + term


def _call_with_hooks(
    function: Any, gradients: Mapping[int, torch.Tensor]
) -> Sequence[torch.Tensor | None]:
    """Call a function and its hooks with the gradients that it received, by output index."""
    before, after = hooks_of(function)
    expected = function._input_metadata
    received = tuple(gradients.get(i) for i in range(len(expected)))
    for hook in before:
        replacement = hook(received)
        received = received if replacement is None else _as_tuple(replacement)
    if isinstance(function, BackwardCFunction):
        gradients_below = _call_custom_function(function, received)
    else:
        gradients_below = _as_tuple(function(*received))
    for hook in after:
        replacement = hook(gradients_below, received)
        gradients_below = gradients_below if replacement is None else _as_tuple(replacement)
    return gradients_below


def _call_custom_function(
    function: Any, received: Sequence[torch.Tensor | None]
) -> tuple[Any, ...]:
    """Run the `backward` of a `torch.autograd.Function`, as PyTorch does."""
    if vars(function).get(MATERIALIZES, True):
        received = [
            torch.zeros(meta.shape, dtype=meta.dtype, device=meta.device) if grad is None else grad
            for grad, meta in zip(received, function._input_metadata, strict=True)
        ]
    returned = _as_tuple(replayed(vars(function), "apply", function.apply)(*received))
    needed = [i for i, is_needed in enumerate(function.needs_input_grad) if is_needed]
    if needed and len(returned) <= needed[-1]:
        name = function.name().removesuffix("Backward")
        raise ValueError(
            f"{name}: backward must return {len(function.needs_input_grad)} gradients, one for "
            f"each argument of forward; it returned {len(returned)}"
        )
    positions = [i for i, (below, _) in enumerate(function.next_functions) if below is not None]
    gradients_below: list[Any] = [None] * len(function.next_functions)
    for position, argument in zip(positions, needed, strict=True):
        gradients_below[position] = returned[argument]
    return tuple(gradients_below)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def hooks_of(function: Any) -> tuple[list[Any], list[Any]]:
    """Return the hooks that run before and after a function."""
    hook_lists = []
    for register in (function.register_prehook, function.register_hook):
        handle = register(_no_hook)
        hooks = handle.hooks_dict_ref()
        handle.remove()
        hook_lists.append([replayed(hooks, key, hook) for key, hook in list(hooks.items())])
    return hook_lists[0], hook_lists[1]


def _no_hook(*_: Any) -> None:
    """Do nothing: this hook is registered only to get the dictionary of hooks."""
