"""Write `methods.pyi`, in which type checkers and editors read the methods of a Tensor.

Run it after an operation was added or changed: ``python -m tests.tensor.stub_of_methods``.
"""

import inspect
import re
from pathlib import Path

from autolm.ops.array_arguments import SPELLINGS
from autolm.tensor import methods

PATH = Path(methods.__file__).with_suffix(".pyi")
HEAD = '''"""The operations as methods of a Tensor: generated from their records."""

from collections.abc import Sequence
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.ops.array_arguments import Axis
from autolm.ops.indexing import Places

class Methods:
    __slots__ = ()
'''
WIDTH = 100
SELDOM = (
    "dims",
    "shifts",
    "a_min",
    "a_max",
)  # PyTorch's words that would only crowd what an editor shows


def stub():
    """Write a signature and a summary for each method."""
    return HEAD + "".join(map(_written, methods.OPERATIONS))


def _written(op):
    signature = inspect.signature(op.forward)
    parameters = signature.parameters
    placed = [*op.operands[1:], *op.places]
    named = [word for word in op.words if word not in op.places]
    words = []
    for word in placed:
        written = _parameter(parameters[word])
        after_another = " = " in "".join(words) and " = " not in written
        words.append(f"{written} = ..." if after_another else written)
    words += ["*"] * bool(named) + [_parameter(parameters[word]) for word in named]
    theirs = [
        f"{word}: {parameters[ours].annotation} = ..."
        for word, ours in SPELLINGS.items()
        if ours in (*op.words, *op.optional) and word not in SELDOM
    ]
    words += ["*"] * bool(theirs and not named) + theirs
    needed = len(op.operands) - len(op.optional)
    if needed > 1:
        words.insert(needed - 1, "/")
    result = signature.return_annotation
    returns = "Self" if "Backward" in result else re.sub(r"\bAny\b", "Self", result)
    first = inspect.getdoc(op).splitlines()[0]
    called = _fitted(f"    def {op.name}(", ["self", *words], f") -> {returns}:")
    return f'{called}\n        """{first}"""\n'


def _parameter(parameter):
    kind = parameter.annotation
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        kind = "Any"  # an operand is whatever can be made an array
    if parameter.default is not inspect.Parameter.empty:
        written = parameter.default
        kind += f' = "{written}"' if isinstance(written, str) else f" = {written!r}"
    elif parameter.kind is parameter.KEYWORD_ONLY and parameter.name in SPELLINGS.values():
        kind += " = ..."  # it may be given by PyTorch's word
    return f"{parameter.name}: {kind}"


def _fitted(opening, words, closing):
    """Lay out a line as ruff does."""
    line = f"{opening}{', '.join(words)}{closing}"
    if len(line) <= WIDTH:
        return line
    inner = f"        {', '.join(words)}"
    if len(inner) > WIDTH:
        inner = "\n".join(f"        {word}," for word in words)
    return f"{opening}\n{inner}\n    {closing}"


if __name__ == "__main__":
    PATH.write_text(stub(), "utf-8")
