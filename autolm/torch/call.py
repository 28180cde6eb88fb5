"""A call of one of PyTorch's functions: its operands, and all that it takes to make it again.

In place of each tensor stands which operand it was, so that a call keeps no tensor alive. What
draws random numbers keeps the random state that it began with.
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

from autolm.torch.operation import INFIX, arguments, called, is_custom, is_reflected, may_write
from autolm.torch.random_state import State, random_state, set_random_state
from autolm.torch.torch_node import TorchNode

DRAWS = re.compile(
    "drop|rand|rrelu|gumbel|bernoulli|normal|multinomial|poisson|uniform|attention|lstm|gru|rnn"
)


# Arguments of these types hold no tensor.
PLAIN = (
    *(type(None), type(Ellipsis), int, float, str, slice),
    *(torch.dtype, torch.device, torch.layout, torch.Size, torch.memory_format),
)
_NONE: Mapping[str, Any] = MappingProxyType({})


class Operand(NamedTuple):
    """Stands for an operand among the arguments; a number is one of this kind."""

    place: int
    kind: Callable[[Any], Any] | None = None


def operands_in(value: Any) -> list[Operand]:
    """List what stands for an operand in an argument."""
    leaves = tree_leaves(value, is_leaf=lambda each: isinstance(each, Operand))
    return [each for each in leaves if isinstance(each, Operand)]


class RawCall:
    """A call as it was made, with nodes in the place of tensors: all that must be noted at once.

    Attributes
    ----------
    function, args, kwargs
        What was called with what.
    run
        The way to call it again.
    state
        The random state before, of what draws random numbers.
    casts
        The dtype of autocast by device; None if it was off.
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
            node_of(each) if isinstance(each, torch.Tensor) else _with_nodes(each, node_of)
            for each in args
        ]
        self.kwargs = (
            {key: _with_nodes(each, node_of) for key, each in kwargs.items()} if kwargs else _NONE
        )
        self.state: State | None = random_state() if draws(function) else None
        self.casts: dict[str, torch.dtype] | None = None
        if torch._C._is_any_autocast_enabled():
            self.casts = {
                device: torch.get_autocast_dtype(device)
                for device in ("cpu", "cuda", "mps", "xpu")
                if torch.is_autocast_enabled(device)
            }


def _with_nodes(value: Any, node_of: Callable[[torch.Tensor], TorchNode]) -> Any:
    """Put its node in the place of each tensor, in anything that PyTorch's functions take."""
    if isinstance(value, torch.Tensor):
        return node_of(value)
    if isinstance(value, PLAIN):
        return value
    if type(value) in (tuple, list):
        return type(value)([_with_nodes(each, node_of) for each in value])
    return tree_map_only(torch.Tensor, node_of, value)


@cache
def draws(function: Any) -> bool:
    """Whether a function may draw random numbers: then the state before is kept."""
    return is_custom(function) or bool(DRAWS.search(called(function)))


class Call:
    """What was called with what, by whom PyTorch can be asked again.

    Attributes
    ----------
    function, name
        What was called, and what it is called here.
    operands
        The nodes of its tensors, in order; and of the number of `x * 2`.
    attributes
        What else it was told, by name, or by number where that has none.
    """

    __slots__ = ("_casts", "_run", "_state", "_told", "attributes", "function", "name", "operands")

    def __init__(self, raw: RawCall) -> None:
        function = raw.function
        self.function, self._run, self.name = function, raw.run, called(function)
        self._state = raw.state
        self._told: dict[str, Any] = arguments(function, raw.args, raw.kwargs)
        self.operands: list[TorchNode] = []
        self.attributes: dict[str, Any] = {}
        for key, value in self._told.items():
            before = len(self.operands)
            self._told[key] = self._with_operands(value)
            if len(self.operands) == before and value is not None:
                self.attributes[key] = tuple(value) if type(value) is torch.Size else value
        device = self.operands[0].device.type if self.operands else "cpu"
        casts = raw.casts or {}
        self._casts = (device, casts[device]) if device in casts else None
        if self.name in INFIX and len(self.operands) == 1:
            self._take_number()
        if is_reflected(function):
            self.operands.reverse()

    def _with_operands(self, value: Any) -> Any:
        """Put what stands for an operand in place of each node."""
        if isinstance(value, TorchNode):
            self.operands.append(value)
            return Operand(len(self.operands) - 1)
        if isinstance(value, PLAIN):
            return value
        if type(value) in (tuple, list):
            return type(value)([self._with_operands(each) for each in value])
        return tree_map_only(TorchNode, self._with_operands, value)

    def _take_number(self) -> None:
        """Let the number of an operator be an operand as well."""
        for key, value in self.attributes.items():
            if isinstance(value, int | float):
                del self.attributes[key]
                self._told[key] = Operand(1, type(value))
                data = torch.tensor(value, dtype=torch.float64)
                self.operands.append(TorchNode(data, requires_grad=False))
                return

    def names(self, definition: Callable[..., Any]) -> list[str]:
        """Return what a definition of the function calls the operands."""
        parameters = [*inspect.signature(definition).parameters]
        named = (
            (parameters[int(key)] if key.isdigit() else key, v) for key, v in self._told.items()
        )
        places = {each.place: name for name, v in named for each in operands_in(v)}
        return [places[place] for place in range(len(self.operands))]

    def arguments(self, tensors: Sequence[torch.Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """Return what it was called with, by place and by name, with other tensors as operands."""
        tensors = tensors[::-1] if is_reflected(self.function) else tensors

        def filled(each: Operand) -> Any:
            given = tensors[each.place]
            return given if each.kind is None else each.kind(given.item())

        told = tree_map_only(Operand, filled, self._told, is_leaf=lambda e: isinstance(e, Operand))
        if is_custom(self.function):  # a Function takes no names
            return list(told.values()), {}
        return [told.pop(key) for key in list(told) if key.isdigit()], told

    def _autocast(self) -> AbstractContextManager[Any]:
        """Return the casts that were on when the call was made."""
        return torch.autocast(*self._casts) if self._casts else nullcontext()

    def again(
        self, tensors: Sequence[torch.Tensor], definition: Callable[..., Any] | None = None
    ) -> Any:
        """Make the call on other tensors, one for each operand, and with the same random numbers.

        A definition of the function is called in its place.

        Raises
        ------
        ValueError
            For a function that draws random numbers of which no state was kept.
        """
        if may_write(self.function):
            tensors = [each.clone() for each in tensors]
        args, told = self.arguments(tensors)
        before = random_state()
        try:
            if self._state is not None:
                set_random_state(self._state)
            began = random_state()
            with torch.enable_grad(), self._autocast():
                result = (definition or self._run)(*args, **told)
            if self._state is None and not all(
                map(torch.equal, began.values(), random_state().values())
            ):
                raise ValueError(
                    f"{self.name} draws random numbers that were not recorded, so it cannot be "
                    "computed again"
                )
        finally:
            set_random_state(before)
        return tensors[0] if result is None else result
