"""What the functions above the operations are told: kinds, choices, ranges and texts, read once.

As `ops.arguments`, which reads what an operation is told, each reader gives the value back in a
plain form, or raises one error in the name of the function that a user called.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import Node
from autolm.ops import arguments
from autolm.ops.arguments import read_int, read_number, told


def read_kind(name: str, argument: str, value: Any, kind: type[Any], words: str) -> Any:
    """Return what is of a kind, which a message calls by these words.

    >>> read_kind("explain", "node", 3.0, complex, "a complex number")
    Traceback (most recent call last):
        ...
    TypeError: explain: node must be a complex number, not 3.0
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: {argument} must be {words}, not {told(value)}")
    return value


def read_function(name: str, argument: str, value: Any, words: str) -> Callable[..., Any]:
    """Return a function, which a message describes by these words."""
    if not callable(value):
        raise TypeError(f"{name}: {argument} must be {words}, not {told(value)}")
    return value


def read_text(name: str, argument: str, value: Any) -> str:
    """Return a text."""
    text: str = read_kind(name, argument, value, str, "a str")
    return text


def read_items(name: str, argument: str, values: Any, words: str) -> list[Any]:
    """Return what lists, tuples, arrays and generators give; a text or a dictionary is none."""
    if not isinstance(values, str | bytes | Mapping):
        with suppress(TypeError):
            return list(values)
    raise TypeError(f"{name}: {argument} must be {words}, not {told(values)}")


def node_of(value: Any) -> Node | None:
    """Return the node that stands for a tensor of PyTorch; None for anything else."""
    if not _is_of_torch(value):
        return None
    from autolm.torch.root import node_under

    return node_under(value)


def known_node(value: Any) -> Node | None:
    """Return the node of a tensor of PyTorch that has one already; None for anything else."""
    if not _is_of_torch(value):
        return None
    from autolm.torch.memory import known

    return known(value)


def _is_of_torch(value: Any) -> bool:
    return isinstance(value, getattr(sys.modules.get("torch"), "Tensor", ()))


def read_node(name: str, argument: str, value: Any) -> Node:
    """Return a node of a graph; a tensor of PyTorch has one that stands for it."""
    node: Node | None = value if isinstance(value, Node) else node_of(value)
    if node is None:
        raise TypeError(f"{name}: {argument} must be a Value or a Tensor, not {told(value)}")
    return node


def read_size(name: str, argument: str, value: Any, low: int = 1) -> int:
    """Return how many there are of something that memory is to hold.

    >>> read_size("TinyLM", "d_model", 10**30)
    Traceback (most recent call last):
        ...
    ValueError: TinyLM: d_model is too large: 1000000000000000000000000000000
    """
    size = read_int(name, argument, value, low)
    if size > np.iinfo(np.int32).max:
        raise ValueError(f"{name}: {argument} is too large: {size}")
    return size


def read_finite(
    name: str,
    argument: str,
    value: Any,
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return a finite number: at least `low` and at most `high`, above `above` and below `below`.

    >>> read_finite("SGD", "momentum", 1.0, low=0, below=1)
    Traceback (most recent call last):
        ...
    ValueError: SGD: momentum must be at least 0 and below 1, not 1.0
    >>> read_finite("SGD", "learning_rate", float("nan"), low=0)
    Traceback (most recent call last):
        ...
    ValueError: SGD: learning_rate must be finite and at least 0, not nan
    """
    number = read_number(name, argument, value)
    try:
        number = float(number)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and low <= number <= high and above < number < below):
        bounds = {"above": above, "at least": low, "at most": high, "below": below}
        words = [f"{word} {bound}" for word, bound in bounds.items() if math.isfinite(bound)]
        if len(words) < 2:
            words.insert(0, "finite")
        raise ValueError(f"{name}: {argument} must be {' and '.join(words)}, not {told(value)}")
    return number


def read_floating(name: str, argument: str, value: Any) -> np.dtype[Any]:
    """Return a floating point type, as arrays that are to be trained need it.

    >>> read_floating("LayerNorm", "dtype", int)
    Traceback (most recent call last):
        ...
    TypeError: LayerNorm: dtype must be a floating point type such as "float32", not int64
    """
    words = 'a floating point type such as "float32"'
    dtype: np.dtype[Any] | None = None
    with suppress(TypeError, ValueError, SyntaxError):
        dtype = np.dtype(value) if isinstance(value, str | type | np.dtype) else None
    if dtype is None or dtype.kind != "f" or dtype.shape:
        given = told(value) if dtype is None else dtype
        raise TypeError(f"{name}: {argument} must be {words}, not {given}")
    return dtype


def read_path(name: str, argument: str, value: Any) -> Path:
    """Return a path, told as a text or as a path."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{name}: {argument} must be a path, not {told(value)}")
    if not value or "\0" in value:
        raise ValueError(f"{name}: {argument} must be the path of a file, not {told(value)}")
    return Path(value)


def read_rng(name: str, argument: str, value: Any) -> np.random.Generator:
    """Return a source of random numbers."""
    words = "a generator such as np.random.default_rng(0)"
    rng: np.random.Generator = read_kind(name, argument, value, np.random.Generator, words)
    return rng


def read_integers(name: str, argument: str, value: Any) -> NDArray[Any]:
    """Return an array of integers, Python's or NumPy's, of any shape; an empty one is as it was.

    >>> read_integers("TinyLM", "token_ids", [0.5])
    Traceback (most recent call last):
        ...
    TypeError: TinyLM: token_ids must be integers, not float64
    """
    positions = getattr(value, "as_positions", None)  # of a Tensor
    return arguments.read_integers(name, argument, value if positions is None else positions())
