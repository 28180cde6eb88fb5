"""Error messages for wrong calls of operations, computed only after a call has failed.

A correct call therefore costs nothing. Each operation checks its own attributes with
`array_arguments.py`; this file checks what all operations share: the number and names of
arguments, and the operands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from autolm.engine.graph import Node
from autolm.engine.value import Value
from autolm.ops.array_arguments import require_broadcast
from autolm.outside.arguments import must_be, quote

NUMBERS = "fiub"  # the kinds of dtype that a Tensor may have


def refusal(
    name: str,
    forward: Callable[..., Any],
    operands: Sequence[Any],
    attributes: Mapping[str, Any],
    error: Exception,
) -> Exception | None:
    """Return an error that explains the call's mistake, or None if the call is right."""
    try:
        parameters = inspect.signature(forward).parameters
    except (TypeError, ValueError):  # a function written in C may have no signature
        return None
    joins = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if joins and len(operands) == 1:
        try:
            operands = tuple(operands[0])
        except TypeError:
            return TypeError(f"{name}: a list of arrays is needed, not {quote(operands[0])}")
    wrong = _wrong_arguments(name, parameters, operands, attributes)
    names = _names(parameters, len(operands))
    optional = [p.name for p in parameters.values() if p.default is None]
    there = [o is not None or n not in optional for n, o in zip(names, operands, strict=True)]
    names, operands = [*compress(names, there)], [*compress(operands, there)]
    if wrong is None and any(map(_holds_node, operands)):
        return None  # an error that names the operation already
    return (
        wrong
        or _wrong_operand(name, names, operands)
        or _wrong_together(name, names, operands, error)
    )


def _names(parameters: Mapping[str, inspect.Parameter], count: int) -> list[str]:
    """Name the operands; if there may be any number of them, number them."""
    named = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, _EITHER)]
    return [*named, *(f"operand {i}" for i in range(len(named), count))][:count]


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _wrong_arguments(
    name: str,
    parameters: Mapping[str, inspect.Parameter],
    operands: Sequence[Any],
    attributes: Mapping[str, Any],
) -> Exception | None:
    kinds = [p.kind for p in parameters.values()]
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, _EITHER)]
    options = [
        p.name
        for p in parameters.values()
        if p.kind in (p.KEYWORD_ONLY, _EITHER) or p.default is None
    ]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for argument in attributes:
            if argument in [p.name for p in positional[: len(operands)]]:
                return TypeError(f"{name}: {argument} is given twice")
            if argument in parameters and argument not in options:
                return TypeError(f"{name}: {argument} is an operand: give it by its place")
            if argument not in parameters:
                takes = f"it takes {', '.join(options)}" if options else "it takes none by name"
                return TypeError(f"{name}: there is no argument {argument!r}; {takes}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(operands) > len(positional):
        count = f"{len(positional)} operand{'' if len(positional) == 1 else 's'}"
        listed = ", ".join(p.name for p in positional)
        named = [f"{p.name}=" for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
        rest = f"; name what comes after: {', '.join(named)}" if named else ""
        return TypeError(f"{name}: it takes {count}, {listed}, not {len(operands)}{rest}")
    for parameter in [p for p in parameters.values() if p not in positional[: len(operands)]]:
        needed = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_ONLY, _EITHER)
        if needed and parameter.default is parameter.empty and parameter.name not in attributes:
            return TypeError(f"{name}: {parameter.name} is missing")
    return None


def _wrong_operand(name: str, names: Sequence[str], operands: Sequence[Any]) -> Exception | None:
    for argument, operand in zip(names, operands, strict=True):
        if isinstance(operand, Value):
            return TypeError(f"{name}: {argument} is a Value, a single number; use its .data")
        try:
            array = _array(operand)
        except (TypeError, ValueError):
            return TypeError(f"{name}: {argument} is no array: its rows are not of one length")
        if array.dtype.kind not in NUMBERS:
            shown = array.dtype if isinstance(operand, np.ndarray | np.generic) else operand
            return TypeError(must_be(f"{name}: {argument}", "real numbers", shown))
    return None


def _array(operand: Any) -> Any:
    return np.asarray(operand.data if isinstance(operand, Node) else operand)


def _holds_node(operand: Any) -> bool:
    """Whether a list, or an array of objects, holds nodes."""
    if isinstance(operand, np.ndarray):
        return operand.dtype == object and any(isinstance(item, Node) for item in operand.flat)
    if isinstance(operand, str | bytes | Node | Mapping) or not hasattr(operand, "__getitem__"):
        return False
    elements = (operand[i] for i in range(len(operand))) if hasattr(operand, "__len__") else ()
    return any(isinstance(item, Node) or _holds_node(item) for item in elements)


def _wrong_together(
    name: str, names: Sequence[str], operands: Sequence[Any], error: Exception
) -> Exception | None:
    text, arrays = str(error), [*map(_array, operands)]
    shapes = [array.shape for array in arrays]
    if "broadcast" in text and all(str(shape).replace(" ", "") in text for shape in shapes):
        try:
            require_broadcast(name, dict(zip(names, shapes, strict=True)))
        except ValueError as better:
            return better
    for argument, array in zip(names, arrays, strict=True):
        if array.dtype == bool and "bool" in text.lower() and not text.startswith(name):
            return TypeError(f"{name}: {argument} is bool; convert it with dtype=float")
    return None
