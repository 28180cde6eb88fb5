"""Checks of arguments: their types, bounds and choices, with one wording for all packages.

Each reader returns a plain value, or raises one error that names the function, the argument and the
value. Frequent cases come first, since operations call readers for every node. Axes, shapes and
arrays are read by `ops/array_arguments.py`.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import index
from pathlib import Path
from typing import Any


def must_be(subject: str, words: str, value: Any) -> str:
    """Return the message that refuses a value.

    >>> must_be("mean: keepdims", "True or False", 1)
    'mean: keepdims must be True or False, not 1'
    """
    return f"{subject} must be {words}, not {quote(value)}"


def quote(value: Any) -> str:
    """Format a value for a message: its repr if that is short, else its type."""
    if _is_of_numpy(value, "dtype"):
        return str(value)
    written = repr(value) if isinstance(value, str | int | float | tuple | list | None) else ""
    if 0 < len(written) <= 40 and "\n" not in written:
        return written
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def read_kind(name: str, argument: str, value: Any, kind: type[Any], words: str) -> Any:
    """Return a value of a type; `words` is how the error message calls the type.

    >>> read_kind("explain", "node", 3.0, complex, "a complex number")
    Traceback (most recent call last):
        ...
    TypeError: explain: node must be a complex number, not 3.0
    """
    if not isinstance(value, kind):
        raise TypeError(must_be(_subject(name, argument), words, value))
    return value


def read_function(name: str, argument: str, value: Any, words: str) -> Callable[..., Any]:
    """Return a callable; `words` is how the error message describes it."""
    if not callable(value):
        raise TypeError(must_be(_subject(name, argument), words, value))
    return value


def read_text(name: str, argument: str, value: Any) -> str:
    """Return a str."""
    text: str = read_kind(name, argument, value, str, "a str")
    return text


def read_items(name: str, argument: str, values: Any, words: str) -> list[Any]:
    """Return the items of an iterable that is not a text, bytes or a mapping."""
    if not isinstance(values, str | bytes | Mapping):
        with suppress(TypeError):
            return list(values)
    raise TypeError(must_be(_subject(name, argument), words, values))


def read_bool(name: str, argument: str, value: Any) -> bool:
    """Return True or False, Python's or NumPy's; numbers are refused.

    >>> read_bool("mean", "keepdims", 1)
    Traceback (most recent call last):
        ...
    TypeError: mean: keepdims must be True or False, not 1
    """
    if value is True or value is False:
        return value
    if _is_of_numpy(value, "bool_"):
        return bool(value)
    raise TypeError(must_be(_subject(name, argument), "True or False", value))


def integer(value: Any) -> int | None:
    """Return an int, Python's or NumPy's, as Python's; None for anything else, bools included."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def read_int(name: str, argument: str, value: Any, low: float | None = None) -> int:
    """Return an int, Python's or NumPy's, of at least `low`.

    >>> read_int("attention", "num_heads", 0, low=1)
    Traceback (most recent call last):
        ...
    ValueError: attention: num_heads must be at least 1, not 0
    """
    i = value if type(value) is int else integer(value)
    if i is None:
        raise TypeError(must_be(_subject(name, argument), "an int", value))
    if low is not None and i < low:
        raise ValueError(f"{_subject(name, argument)} must be at least {low}, not {i}")
    return i


def read_size(
    name: str, argument: str, value: Any, low: float | None = 1, high: int = 2**31 - 1
) -> int:
    """Return a count of at least `low`, and small enough for memory.

    >>> read_size("TinyLM", "d_model", 10**30)
    Traceback (most recent call last):
        ...
    ValueError: TinyLM: d_model is too large: 1000000000000000000000000000000
    """
    size = read_int(name, argument, value, low)
    if size > high:
        raise ValueError(f"{_subject(name, argument)} is too large: {size}")
    return size


def read_number(name: str, argument: str, value: Any) -> int | float:
    """Return a real number as an int or float of Python, which do not change an array's dtype.

    >>> read_number("masked_fill", "value", "a")
    Traceback (most recent call last):
        ...
    TypeError: masked_fill: value must be a number, not 'a'
    """
    if type(value) is float:
        return value
    i = integer(value)
    if i is not None:
        if abs(i) > sys.float_info.max:
            raise ValueError(f"{_subject(name, argument)} is too large for a float")
        return i
    scalar = value[()] if _is_of_numpy(value, "ndarray") and value.ndim == 0 else value
    if isinstance(scalar, float) or _is_of_numpy(scalar, "floating"):
        return float(scalar)
    raise TypeError(must_be(_subject(name, argument), "a number", value))


def read_finite(
    name: str,
    argument: str,
    value: Any,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number within bounds; `low` and `high` are inclusive.

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
    is_within = (
        (low is None or low <= number)
        and (above is None or above < number)
        and (high is None or number <= high)
        and (below is None or number < below)
    )
    if not (math.isfinite(number) and is_within):
        bounds = {"above": above, "at least": low, "at most": high, "below": below}
        words = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
        if len(words) < 2:
            words.insert(0, "finite")
        raise ValueError(must_be(_subject(name, argument), " and ".join(words), value))
    return number


def read_choice(name: str, argument: str, value: Any, choices: Sequence[str | None]) -> Any:
    """Return one of several words, or None if that is one of the choices.

    >>> read_choice("Block", "norm", "Pre", ("pre", "post", None))
    Traceback (most recent call last):
        ...
    ValueError: Block: norm is 'Pre'; choose 'pre', 'post' or None
    """
    is_choice = value in choices if isinstance(value, str) else value is None and None in choices
    if not is_choice:
        *rest, last = map(repr, choices)
        words = f"{', '.join(rest)} or {last}" if rest else last
        raise ValueError(f"{_subject(name, argument)} is {quote(value)}; choose {words}")
    return value


def read_path(name: str, argument: str, value: Any) -> Path:
    """Return the path in a str or a path object."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(must_be(_subject(name, argument), "a path", value))
    if not value or "\0" in value:
        raise ValueError(must_be(_subject(name, argument), "the path of a file", value))
    return Path(value)


def _subject(name: str, argument: str) -> str:
    return f"{name}: {argument}" if name else argument


def _is_of_numpy(value: Any, kind: str) -> bool:
    """Whether a value is of a type of NumPy, which is not imported for this."""
    return "numpy" in sys.modules and isinstance(value, getattr(sys.modules["numpy"], kind))
