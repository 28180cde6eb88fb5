"""What is known of a function of PyTorch: its name, and words where autolm has the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch.autograd.function import Function

from autolm import ops
from autolm.torch.several import Several

# How autolm calls what Python's operators and PyTorch's other spellings do.
SPELLINGS = {
    **{"truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul"},
    **{"subtract": "sub", "negative": "neg", "absolute": "abs"},
}
# The functions that mean the same as autolm's operation of their name, whatever their attributes.
# Elementwise operations, and sum, do so without attributes.
SAME = ("softmax", "log_softmax", "reshape", "transpose", "getitem", "matmul", "embedding")
LINEAR = ("ḡ @ weight", "ḡᵀ @ input", "Σ ḡ")
# What gives its operands back, for hooks on modules.
HANDS_ON = "BackwardHookFunction"
INFIX = frozenset(("add", "sub", "mul", "div", "pow", "matmul"))


@dataclass(frozen=True)
class TorchOperation:
    """The record of a function of PyTorch.

    Attributes
    ----------
    name, symbol, formula, rule
        As in the records of autolm; empty where these are not known to hold.
    forward
        The function itself.
    cases
        Empty where the function works element by element.
    follow
        Of what only hands on: the data of a node, from what its parents hold.
    part
        Of one of several results: which.
    """

    name: str
    symbol: str = ""
    formula: str = ""
    rule: tuple[str, ...] = ()
    forward: Any = None
    cases: tuple[Any, ...] = ("not element by element",)
    follow: Callable[[Any], Any] | None = None
    part: int | None = None


@cache
def operation(name: str, forward: Any, operands: int, is_alone: bool) -> TorchOperation:
    """Return the record of a function, by its name and number of operands.

    `is_alone` says that the call has no attributes.
    """
    if name == HANDS_ON:
        return TorchOperation(name, forward=forward, cases=(), follow=_of_operands)
    if name == "linear":
        formula = "input @ weightᵀ + bias"
        return TorchOperation(name, "linear", formula, LINEAR[:operands], forward)
    known = getattr(ops, name, None)
    if (
        not isinstance(known, ops.ArrayOperation)
        or not (name in SAME or (is_alone and (name == "sum" or not known.cases)))
        or len(known.rule) not in (1, operands)
    ):
        return TorchOperation(name, forward=forward)
    return TorchOperation(
        name, known.symbol, known.formula, known.rule, forward, tuple(known.cases)
    )


def _of_operands(node: Any) -> Any:
    held = [parent.data for parent in node.parents]
    return Several(held) if isinstance(node.data, Several) else held[0]


@cache
def is_custom(function: Any) -> bool:
    """Whether this is a `torch.autograd.Function`, which is a class."""
    return isinstance(function, type) and issubclass(function, Function)


@cache
def called(function: Any) -> str:
    """Return the name of a function: `add` of `torch.add`, `Tensor.add_` and `Tensor.__radd__`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":  # of an attribute, such as x.T
        name = getattr(function.__self__, "__name__", name)
    bare = name.strip("_") or name
    is_operator = name.startswith("__")
    if is_operator and bare[:1] in "ri" and SPELLINGS.get(bare[1:], bare[1:]) in INFIX:
        bare = bare[1:]
    return SPELLINGS.get(bare, bare)


@cache
def is_reflected(function: Any) -> bool:
    """Whether the operands of an operator come in the other order, as of `2 - x`."""
    name = getattr(function, "__name__", "")
    return name.startswith("__r") and called(function) in INFIX


class Written(NamedTuple):
    """Which arguments a function writes into: by position, and by name."""

    positions: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


NOTHING = Written()
# Their schemas say that they change the tensor; it is not its numbers that they change.
NO_NUMBERS = ("requires_grad_", "detach_", "retain_grad", "rename_", "share_memory_")
# The operators `+=` and the like, as Python calls them, and the function that each is.
IN_PLACE = {
    f"__i{name}__": f"{SPELLINGS.get(name, name)}_"
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("and", "or", "xor", "lshift", "rshift"),
    )
}


def writes_into(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """List the arguments that a call writes into: those of `add_`, `x[0] = y`, `inplace=True`."""
    written = written_by(function)
    targets = [args[i] for i in written.positions if i < len(args)]
    targets += [kwargs[name] for name in written.names if name in kwargs]
    if "out" in kwargs:
        targets.append(kwargs["out"])
    place = _place_of_switch(function)
    if place is not None and (kwargs.get("inplace") or args[place : place + 1] == (True,)):
        targets += args[:1] or [kwargs[next(iter(parameters(function)))]]
    return [each for each in targets if each is not None]


@cache
def may_write(function: Any) -> bool:
    """Whether some call of this function may write into its arguments, besides `out=`."""
    return bool(written_by(function) != NOTHING or _place_of_switch(function) is not None)


@cache
def written_by(function: Any) -> Written:
    """Return which arguments a function always writes into, as its schema says."""
    name = getattr(function, "__name__", "")
    if is_custom(function) or name in NO_NUMBERS:
        return NOTHING
    if name == "__setitem__" or name in IN_PLACE:
        return Written((0,))
    for schema in _schemas(function, name):
        arguments = schema.arguments
        written = [
            (i, each.name)
            for i, each in enumerate(arguments)
            if each.alias_info is not None and each.alias_info.is_write and not each.is_out
        ]
        if written:
            return Written(tuple(i for i, _ in written), tuple(name for _, name in written))
    return NOTHING


def _schemas(function: Any, name: str) -> list[Any]:
    """Return the schemas of a function: its own, or those of PyTorch's operator of its name."""
    if isinstance(function, torch._ops.OpOverload):
        return [function._schema]
    if isinstance(function, torch._ops.OpOverloadPacket):
        return [getattr(function, each)._schema for each in function.overloads()]  # type: ignore[no-untyped-call]
    found: list[Any] = torch._C._jit_get_schemas_for_operator(f"aten::{name}") if name else []
    return found


@cache
def _place_of_switch(function: Any) -> int | None:
    """Return the position of a function's argument `inplace`; None if it has none."""
    names = [*parameters(function)]
    return names.index("inplace") if "inplace" in names else None


@cache
def parameters(function: Any) -> dict[str, Any]:
    """Return what a function calls its arguments, with their defaults; one of C does not say."""
    told = function.forward if is_custom(function) else function
    if not isinstance(told, FunctionType) or hasattr(told, "__wrapped__"):
        return {}
    found = inspect.signature(told).parameters.values()
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in found):
        return {}
    names = {each.name: each.default for each in found}
    if is_custom(function) and function.setup_context is Function.setup_context:
        del names[next(iter(names))]  # the context
    return names


def arguments(function: Any, args: Sequence[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by their names, or by numbers without; defaults are left out."""
    names = parameters(function)
    given = {**dict(zip(names or map(str, range(len(args))), args, strict=False)), **told}
    return {name: value for name, value in given.items() if value is not names.get(name, given)}
