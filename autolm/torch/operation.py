"""Records of PyTorch functions: names, formulas, and the arguments that they write into."""

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
from autolm.torch.tuple_output import TupleOutput

# Names of Python's operators and PyTorch's aliases -> the name in autolm.
SPELLINGS = {
    **{"truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul"},
    **{"subtract": "sub", "negative": "neg", "absolute": "abs"},
}
# Functions that mean the same as the autolm operation of that name, with any attributes.
# Elementwise operations and sum mean the same if they have no attributes.
SAME_MEANING = ("softmax", "log_softmax", "reshape", "transpose", "getitem", "matmul", "embedding")
LINEAR_RULE = ("ḡ @ weight", "ḡᵀ @ input", "Σ ḡ")
# The Function that PyTorch inserts for hooks on modules; it returns its operands.
MODULE_HOOK_FUNCTION = "BackwardHookFunction"
INFIX = frozenset(("add", "sub", "mul", "div", "pow", "matmul"))


@dataclass(frozen=True)
class TorchOperation:
    """The record of a PyTorch function.

    Attributes
    ----------
    name, symbol, formula, rule
        As in the records of autolm operations; empty if the function has no equivalent there.
    forward
        The PyTorch function.
    cases
        Empty for an elementwise function.
    pass_through
        For a node that only passes data on: computes its data from its parents.
    output_index
        For one output of several: its index.
    """

    name: str
    symbol: str = ""
    formula: str = ""
    rule: tuple[str, ...] = ()
    forward: Any = None
    cases: tuple[Any, ...] = ("not element by element",)
    pass_through: Callable[[Any], Any] | None = None
    output_index: int | None = None


@cache
def operation(name: str, forward: Any, operands: int, has_no_attributes: bool) -> TorchOperation:
    """Return the record of a function that is called with this many operands."""
    if name == MODULE_HOOK_FUNCTION:
        return TorchOperation(name, forward=forward, cases=(), pass_through=_copy_operands)
    if name == "linear":
        formula = "input @ weightᵀ + bias"
        return TorchOperation(name, "linear", formula, LINEAR_RULE[:operands], forward)
    equivalent = getattr(ops, name, None)
    if (
        not isinstance(equivalent, ops.ArrayOperation)
        or not (
            name in SAME_MEANING or (has_no_attributes and (name == "sum" or not equivalent.cases))
        )
        or len(equivalent.rule) not in (1, operands)
    ):
        return TorchOperation(name, forward=forward)
    return TorchOperation(
        name,
        equivalent.symbol,
        equivalent.formula,
        equivalent.rule,
        forward,
        tuple(equivalent.cases),
    )


def _copy_operands(node: Any) -> Any:
    data = [parent.data for parent in node.parents]
    return TupleOutput(data) if isinstance(node.data, TupleOutput) else data[0]


@cache
def is_custom(function: Any) -> bool:
    """Whether this is a subclass of `torch.autograd.Function`."""
    return isinstance(function, type) and issubclass(function, Function)


@cache
def function_name(function: Any) -> str:
    """Return the name of a function: `add` for `torch.add`, `Tensor.add_`, `Tensor.__radd__`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":  # the getter of an attribute, such as x.T
        name = getattr(function.__self__, "__name__", name)
    bare = name.strip("_") or name
    is_operator = name.startswith("__")
    if is_operator and bare[:1] in "ri" and SPELLINGS.get(bare[1:], bare[1:]) in INFIX:
        bare = bare[1:]
    return SPELLINGS.get(bare, bare)


@cache
def is_reflected(function: Any) -> bool:
    """Whether the operands of an operator are swapped, as in `2 - x`."""
    name = getattr(function, "__name__", "")
    return name.startswith("__r") and function_name(function) in INFIX


class WrittenParameters(NamedTuple):
    """The parameters that a function writes into, by position and by name."""

    positions: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


NO_PARAMETERS = WrittenParameters()
# Their schemas say that they write into the tensor, but they change only its metadata.
METADATA_ONLY = ("requires_grad_", "detach_", "retain_grad", "rename_", "share_memory_")
# In-place operators such as `__iadd__` -> the function that each one is.
IN_PLACE = {
    f"__i{name}__": f"{SPELLINGS.get(name, name)}_"
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("and", "or", "xor", "lshift", "rshift"),
    )
}


def written_arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """List the arguments that a call writes into: those of `add_`, `x[0] = y`, `inplace=True`."""
    parameters_written = written_parameters(function)
    targets = [args[i] for i in parameters_written.positions if i < len(args)]
    targets += [kwargs[name] for name in parameters_written.names if name in kwargs]
    if "out" in kwargs:
        targets.append(kwargs["out"])
    position = _inplace_position(function)
    if position is not None and (kwargs.get("inplace") or args[position : position + 1] == (True,)):
        targets += args[:1] or [kwargs[next(iter(parameters(function)))]]
    return [target for target in targets if target is not None]


@cache
def may_write(function: Any) -> bool:
    """Whether a call of this function may write into an argument other than `out=`."""
    return bool(
        written_parameters(function) != NO_PARAMETERS or _inplace_position(function) is not None
    )


@cache
def written_parameters(function: Any) -> WrittenParameters:
    """Return the parameters that a function always writes into, from its schema."""
    name = getattr(function, "__name__", "")
    if is_custom(function) or name in METADATA_ONLY:
        return NO_PARAMETERS
    if name == "__setitem__" or name in IN_PLACE:
        return WrittenParameters((0,))
    for schema in _schemas(function, name):
        arguments = schema.arguments
        targets = [
            (i, argument.name)
            for i, argument in enumerate(arguments)
            if argument.alias_info is not None
            and argument.alias_info.is_write
            and not argument.is_out
        ]
        if targets:
            positions, names = zip(*targets, strict=True)
            return WrittenParameters(positions, names)
    return NO_PARAMETERS


def _schemas(function: Any, name: str) -> list[Any]:
    """Return the schemas of a function, or of the PyTorch operator of that name."""
    if isinstance(function, torch._ops.OpOverload):
        return [function._schema]
    if isinstance(function, torch._ops.OpOverloadPacket):
        return [getattr(function, name)._schema for name in function.overloads()]  # type: ignore[no-untyped-call]
    schemas: list[Any] = torch._C._jit_get_schemas_for_operator(f"aten::{name}") if name else []
    return schemas


@cache
def _inplace_position(function: Any) -> int | None:
    """Return the position of the parameter `inplace`; None if the function lacks it."""
    names = [*parameters(function)]
    return names.index("inplace") if "inplace" in names else None


@cache
def parameters(function: Any) -> dict[str, Any]:
    """Return the parameters of a function with their defaults; empty for a function in C."""
    python_function = function.forward if is_custom(function) else function
    if not isinstance(python_function, FunctionType) or hasattr(python_function, "__wrapped__"):
        return {}
    signature = inspect.signature(python_function).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in signature):
        return {}
    names = {parameter.name: parameter.default for parameter in signature}
    if is_custom(function) and function.setup_context is Function.setup_context:
        del names[next(iter(names))]  # the context
    return names


def named_arguments(
    function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments by name, or by position if unnamed; defaults are omitted."""
    names = parameters(function)
    positional = dict(zip(names or map(str, range(len(args))), args, strict=False))
    passed = {**positional, **kwargs}
    return {name: value for name, value in passed.items() if value is not names.get(name, passed)}
