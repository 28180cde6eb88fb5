"""The rule of a step in PyTorch's own words: the few functions between results and operands.

A `grad_fn` can be called, and returns what `backward()` would send on, from the very tensors that
the forward pass saved. Nothing is computed again: dropout keeps its mask, batch norm its
statistics, a Function of the user runs its own `backward`. What PyTorch's engine does around such a
call is done here too: a gradient is summed to the shape and cast to the dtype that the next
function expects, missing ones are zeros where the function wants that, and hooks are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from autolm.torch.once import once

Edge = tuple[Any, int]  # a grad_fn, and which of its outputs, counted as in the forward pass
FREED = "backward through the graph a second time"
WRITTEN = "modified by an inplace operation"
MATERIALIZES = "autolm_materializes"  # noted in a Function's context: whether it wants zeros


class Rule:
    """Sends gradients of results to operands through PyTorch's own functions.

    Attributes
    ----------
    starts
        The edge of each result.
    functions
        The functions on the way, those nearest to the results first.
    slots
        Where the way ends: (function, number of what it sends) -> operand.
    operands
        How many operands there are.
    """

    __slots__ = ("functions", "operands", "slots", "starts")

    def __init__(
        self,
        starts: Sequence[Edge],
        functions: Sequence[Any],
        slots: Mapping[tuple[Any, int], int],
        operands: int,
    ) -> None:
        self.starts, self.slots, self.operands = tuple(starts), slots, operands
        self.functions = functions

    def together(self, upstreams: Sequence[torch.Tensor | None]) -> tuple[torch.Tensor | None, ...]:
        """Return what each operand is sent, of several results' gradients in one value."""
        return self(*upstreams)

    def __call__(self, *upstreams: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Return what each operand is sent: None where nothing is."""
        waiting: dict[Any, dict[int, torch.Tensor]] = {}
        sent: list[torch.Tensor | None] = [None] * self.operands
        for (function, number), upstream in zip(self.starts, upstreams, strict=True):
            if upstream is not None:
                sums = waiting.setdefault(function, {})
                sums[number] = _sum(sums.get(number), fitted(upstream, function, number))
        for function in self.functions:
            arrived = waiting.pop(function, None)
            if not arrived:
                continue
            for i, value in enumerate(_called(function, arrived)):
                below, number = function.next_functions[i]
                if below is None or value is None:
                    continue
                value = fitted(value, below, number)
                slot = self.slots.get((function, i))
                if slot is not None:
                    sent[slot] = _sum(sent[slot], value)
                else:
                    sums = waiting.setdefault(below, {})
                    sums[number] = _sum(sums.get(number), value)
        return tuple(sent)


def fitted(grad: torch.Tensor, function: Any, number: int) -> torch.Tensor:
    """Give a gradient the shape and the dtype that a function expects, as PyTorch's engine does."""
    expected = function._input_metadata[number]
    if grad.layout is torch.strided and grad.shape != expected.shape:
        grad = grad.sum_to_size(expected.shape)
    if grad.is_complex() and not expected.dtype.is_complex:
        grad = grad.real
    return grad.to(expected.dtype)


def _sum(before: torch.Tensor | None, more: torch.Tensor) -> torch.Tensor:
    return more if before is None else before + more


def _called(function: Any, arrived: Mapping[int, torch.Tensor]) -> Sequence[torch.Tensor | None]:
    """Call a function with what arrived, and every hook on it, once for each gradient."""
    before, after = hooks_of(function)
    expected = function._input_metadata
    received = tuple(arrived.get(i) for i in range(len(expected)))
    for hook in before:
        told = hook(received)
        received = received if told is None else _as_tuple(told)
    if isinstance(function, BackwardCFunction):
        sent = _of_user(function, received)
    else:
        sent = _as_tuple(function(*received))
    for hook in after:
        told = hook(sent, received)
        sent = sent if told is None else _as_tuple(told)
    return sent


def _of_user(function: Any, received: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
    """Run the `backward` of a `torch.autograd.Function`, as PyTorch does."""
    if vars(function).get(MATERIALIZES, True):
        received = [
            torch.zeros(each.shape, dtype=each.dtype, device=each.device) if grad is None else grad
            for grad, each in zip(received, function._input_metadata, strict=True)
        ]
    told = _as_tuple(once(vars(function), "apply", function.apply)(*received))
    wanted = [i for i, is_wanted in enumerate(function.needs_input_grad) if is_wanted]
    if wanted and len(told) <= wanted[-1]:
        name = function.name().removesuffix("Backward")
        raise ValueError(
            f"{name}: backward must return {len(function.needs_input_grad)} gradients, one for "
            f"each argument of forward; it returned {len(told)}"
        )
    takes = [i for i, (below, _) in enumerate(function.next_functions) if below is not None]
    sent: list[Any] = [None] * len(function.next_functions)
    for place, argument in zip(takes, wanted, strict=True):
        sent[place] = told[argument]
    return tuple(sent)


def _as_tuple(told: Any) -> tuple[Any, ...]:
    return tuple(told) if isinstance(told, tuple | list) else (told,)


def hooks_of(function: Any) -> tuple[list[Any], list[Any]]:
    """Return what is called before and after a function, as PyTorch keeps it: in dictionaries."""
    found = []
    for register in (function.register_prehook, function.register_hook):
        handle = register(_none)
        hooks = handle.hooks_dict_ref()
        handle.remove()
        found.append([once(hooks, key, hook) for key, hook in list(hooks.items())])
    return found[0], found[1]


def _none(*_: Any) -> None:
    """Do nothing, as a hook by which the dictionary of the others is found."""
