"""One call of an operation under test: its inputs, its attributes, and the upstream gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.outside.arguments import quote
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


class Call:
    """Inputs, upstream gradient and attributes; `repr` writes it as a program would.

    >>> Call([2.0], [3.0], upstream=[1.0])
    Call([2.0], [3.0], upstream=[1.0])
    """

    def __init__(self, *inputs: Any, upstream: Any = None, **attributes: Any) -> None:
        self.inputs: tuple[Array, ...] = tuple(_array(x, "inputs") for x in inputs)
        self.upstream: Array | None = None if upstream is None else _array(upstream, "upstream")
        self.attributes = attributes

    def copy(self) -> Call:
        """Return the same call with arrays of its own."""
        same = Call(*(x.copy() for x in self.inputs), **self.attributes)
        same.upstream = None if self.upstream is None else self.upstream.copy()
        return same

    @property
    def given_upstream(self) -> Array:
        """The upstream gradient, where there must be one."""
        if self.upstream is None:
            raise ValueError(f"{self}: it has no upstream gradient")
        return self.upstream

    def arguments(self) -> str:
        """Write the arguments of a call that does the same."""
        words = [literal(x) for x in self.inputs]
        if self.upstream is not None:
            words.append(f"upstream={literal(self.upstream)}")
        return ", ".join([*words, literal_keywords(self.attributes)] if self.attributes else words)

    def __repr__(self) -> str:
        return f"Call({self.arguments()})"


def _array(data: Any, argument: str) -> Array:
    array = np.asarray(data.data if isinstance(data, Tensor) else data)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"Call: {argument} must be numbers, not {quote(data)}")
    return (
        array.astype(float)
        if array.dtype.kind in "iu" and not isinstance(data, np.ndarray)
        else array
    )


def literal(value: Any) -> str:
    """Write a value so that it can be pasted into a program."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{type(value).__name__}({', '.join(map(literal, value))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, np.ndarray):
        return _array_literal(value)
    if isinstance(value, Tensor):
        return f"Tensor({literal(value.data)})"
    if isinstance(value, memoryview):
        return f"memoryview({literal(np.asarray(value))})"
    if isinstance(value, np.longdouble | np.clongdouble):
        return f"np.{type(value).__name__}({str(value)!r})"  # whose item() is of the same type
    if isinstance(value, np.generic):
        return literal(value.item())
    if isinstance(value, float | complex):
        return _with_np(repr(value))
    return "..." if value is Ellipsis else repr(value)


def literal_keywords(attributes: Mapping[str, Any]) -> str:
    """Write attributes as a call does."""
    return ", ".join(f"{name}={literal(value)}" for name, value in attributes.items())


def _with_np(numbers: str) -> str:
    return numbers.replace("inf", "np.inf").replace("nan", "np.nan")


def _array_literal(array: Array) -> str:
    if not array.size:
        return f"np.zeros({array.shape}, dtype={str(array.dtype)!r})"
    listed = literal(array.tolist())
    plain = array.dtype == np.float64
    return listed if plain else f"np.array({listed}, dtype={str(array.dtype)!r})"
