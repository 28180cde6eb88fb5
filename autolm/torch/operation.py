"""What is known of a function of PyTorch: its name, and words where autolm has the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

from torch.autograd.function import Function

from autolm import ops
from autolm.torch.several import Several

# How autolm calls what Python's operators and PyTorch's other spellings do.
SPELLINGS = {
    **{"truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul"},
    **{"subtract": "sub", "negative": "neg", "absolute": "abs"},
}
# The functions that mean the same as autolm's whatever else they are told, and those that do if
# they are told nothing else.
SAME = "softmax log_softmax reshape transpose getitem matmul embedding "
ALONE = "add sub mul div pow neg abs exp log sqrt sin cos tanh sigmoid relu erf maximum minimum sum"
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
    """Return the record of a function that has so many operands, and was told nothing else."""
    if name == HANDS_ON:
        return TorchOperation(name, forward=forward, cases=(), follow=_of_operands)
    if name == "linear":
        formula = "input @ weightᵀ + bias"
        return TorchOperation(name, "linear", formula, LINEAR[:operands], forward)
    known = (
        getattr(ops, name, None) if name in (SAME + ALONE if is_alone else SAME).split() else None
    )
    if known is None or len(known.rule) not in (1, operands):
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


def writes(function: Any, told: Mapping[str, Any]) -> bool:
    """Whether a function writes into its first operand: `add_`, `x[0] = y`, `inplace=True`."""
    name = getattr(function, "__name__", "")
    if is_custom(function):
        return False
    if name.startswith("__"):
        return name == "__setitem__" or (name[2:3] == "i" and called(function) in INFIX)
    return name.endswith("_") or told.get("inplace") is True


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
