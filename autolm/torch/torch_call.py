"""A recorded call of a PyTorch function: its operands, and how to repeat it.

Each tensor among the arguments is replaced by an `OperandSlot`, so a call keeps no tensor alive. A
call of a function that draws random numbers keeps the random state before it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from autolm.torch.operation import (
    INFIX,
    function_name,
    is_custom,
    is_reflected,
    may_write,
    named_arguments,
)
from autolm.torch.random_state import State, random_state, set_random_state
from autolm.torch.torch_node import TorchNode

RANDOM_FUNCTIONS = re.compile(
    "drop|rand|rrelu|gumbel|bernoulli|normal|multinomial|poisson|uniform|attention|lstm|gru|rnn"
)


# Arguments of these types contain no tensors.
TENSOR_FREE_TYPES = (
    *(type(None), type(Ellipsis), int, float, str, slice),
    *(torch.dtype, torch.device, torch.layout, torch.Size, torch.memory_format),
)
_NONE: Mapping[str, Any] = MappingProxyType({})


class OperandSlot(NamedTuple):
    """The position of an operand among the arguments of a call.

    Attributes
    ----------
    position
        The index in `TorchCall.operands`.
    number_type
        The Python type, if the argument was a number; None for a tensor.
    """

    position: int
    number_type: Callable[[Any], Any] | None = None


def operand_slots(value: Any) -> list[OperandSlot]:
    """List the slots in an argument."""
    leaves = tree_leaves(value, is_leaf=_is_slot)
    return [leaf for leaf in leaves if isinstance(leaf, OperandSlot)]


def _is_slot(value: Any) -> bool:
    return isinstance(value, OperandSlot)


class RawCall:
    """The part of a call that must be noted when it happens, with nodes in place of tensors.

    Attributes
    ----------
    function, args, kwargs
        The function and its arguments.
    run
        A callable that repeats the call.
    state
        The random state before the call, if the function draws random numbers.
    casts
        The dtype of autocast for each device; None if autocast was off.
    """

    __slots__ = ("args", "casts", "function", "kwargs", "run", "state")

    def __init__(
        self,
        function: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        node_of: Callable[[torch.Tensor], TorchNode],
        run: Callable[..., Any],
    ) -> None:
        self.function, self.run = function, run
        self.args = [
            node_of(arg) if isinstance(arg, torch.Tensor) else _with_nodes(arg, node_of)
            for arg in args
        ]
        self.kwargs = (
            {key: _with_nodes(arg, node_of) for key, arg in kwargs.items()} if kwargs else _NONE
        )
        self.state: State | None = random_state() if is_random(function) else None
        self.casts: dict[str, torch.dtype] | None = None
        if torch._C._is_any_autocast_enabled():
            self.casts = {
                device: torch.get_autocast_dtype(device)
                for device in ("cpu", "cuda", "mps", "xpu")
                if torch.is_autocast_enabled(device)
            }


def _with_nodes(value: Any, node_of: Callable[[torch.Tensor], TorchNode]) -> Any:
    """Replace each tensor in an argument by its node."""
    if isinstance(value, torch.Tensor):
        return node_of(value)
    if isinstance(value, TENSOR_FREE_TYPES):
        return value
    if type(value) in (tuple, list):
        return type(value)([_with_nodes(item, node_of) for item in value])
    return tree_map_only(torch.Tensor, node_of, value)


@cache
def is_random(function: Any) -> bool:
    """Whether a function may draw random numbers, judged by its name."""
    return is_custom(function) or bool(RANDOM_FUNCTIONS.search(function_name(function)))


class TorchCall:
    """A recorded call of a PyTorch function that can be repeated.

    Attributes
    ----------
    function, name
        The function, and its name in autolm.
    operands
        The nodes of its tensor arguments, in order. The number in `x * 2` is an operand too.
    attributes
        The other arguments by name, or by position if the function is implemented in C.
    """

    __slots__ = (
        "_arguments",
        "_casts",
        "_run",
        "_state",
        "attributes",
        "function",
        "name",
        "operands",
    )

    def __init__(self, raw: RawCall) -> None:
        function = raw.function
        self.function, self._run, self.name = function, raw.run, function_name(function)
        self._state = raw.state
        self._arguments: dict[str, Any] = named_arguments(function, raw.args, raw.kwargs)
        self.operands: list[TorchNode] = []
        self.attributes: dict[str, Any] = {}
        for key, value in self._arguments.items():
            before = len(self.operands)
            self._arguments[key] = self._with_slots(value)
            if len(self.operands) == before and value is not None:
                self.attributes[key] = tuple(value) if type(value) is torch.Size else value
        device = self.operands[0].device.type if self.operands else "cpu"
        casts = raw.casts or {}
        self._casts = (device, casts[device]) if device in casts else None
        if self.name in INFIX and len(self.operands) == 1:
            self._take_number()
        if is_reflected(function):
            self.operands.reverse()

    def _with_slots(self, value: Any) -> Any:
        """Replace each node in an argument by a slot."""
        if isinstance(value, TorchNode):
            self.operands.append(value)
            return OperandSlot(len(self.operands) - 1)
        if isinstance(value, TENSOR_FREE_TYPES):
            return value
        if type(value) in (tuple, list):
            return type(value)([self._with_slots(item) for item in value])
        return tree_map_only(TorchNode, self._with_slots, value)

    def _take_number(self) -> None:
        """Turn the number of an operator, as in `x * 2`, into an operand."""
        for key, value in self.attributes.items():
            if isinstance(value, int | float):
                del self.attributes[key]
                self._arguments[key] = OperandSlot(1, type(value))
                data = torch.tensor(value, dtype=torch.float64)
                self.operands.append(TorchNode(data, requires_grad=False))
                return

    def operand_names(self, definition: Callable[..., Any]) -> list[str]:
        """Return the names of the operands in the signature of `definition`."""
        parameters = [*inspect.signature(definition).parameters]
        names = {
            slot.position: parameters[int(key)] if key.isdigit() else key
            for key, value in self._arguments.items()
            for slot in operand_slots(value)
        }
        return [names[index] for index in range(len(self.operands))]

    def arguments(self, tensors: Sequence[torch.Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and keyword arguments, with other tensors as operands."""
        tensors = tensors[::-1] if is_reflected(self.function) else tensors

        def fill(slot: OperandSlot) -> Any:
            tensor = tensors[slot.position]
            return tensor if slot.number_type is None else slot.number_type(tensor.item())

        filled = tree_map_only(OperandSlot, fill, self._arguments, is_leaf=_is_slot)
        if is_custom(self.function):  # Function.apply takes no keyword arguments
            return list(filled.values()), {}
        return [filled.pop(key) for key in list(filled) if key.isdigit()], filled

    def _autocast(self) -> AbstractContextManager[Any]:
        """Return the autocast context of the original call."""
        return torch.autocast(*self._casts) if self._casts else nullcontext()

    def repeat(
        self, tensors: Sequence[torch.Tensor], definition: Callable[..., Any] | None = None
    ) -> Any:
        """Repeat the call on other tensors, with the same random numbers.

        Parameters
        ----------
        tensors
            One tensor per operand.
        definition
            A function to call instead of the original.

        Raises
        ------
        ValueError
            If the function draws random numbers, and their state was not recorded.
        """
        if may_write(self.function):
            tensors = [tensor.clone() for tensor in tensors]
        args, kwargs = self.arguments(tensors)
        before = random_state()
        try:
            if self._state is not None:
                set_random_state(self._state)
            started = random_state()
            with torch.enable_grad(), self._autocast():
                result = (definition or self._run)(*args, **kwargs)
            if self._state is None and not all(
                map(torch.equal, started.values(), random_state().values())
            ):
                raise ValueError(
                    f"{self.name} draws random numbers that were not recorded, so it cannot be "
                    "computed again"
                )
        finally:
            set_random_state(before)
        return tensors[0] if result is None else result
