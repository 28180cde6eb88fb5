"""Guess arguments of a kernel that has no example: shapes that its forward accepts.

The kernel may not be meant for the guess: a check may find it correct for these arguments, and
never calls it wrong.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Primitive
from autolm.testing.accepted_shapes import with_accepted_shapes
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.strategies import REALS, choices
from autolm.testing.subject import Subject

Array = NDArray[Any]

USUAL = (2, 3)  # the shape of an operand that accepts any
PLAIN = {float: 0.5, int: 1, bool: True}  # a value for each annotation


@dataclass(frozen=True)
class Guess:
    """Guessed arguments of a function."""

    names: tuple[str, ...]
    arguments: tuple[Any, ...]
    accepted: bool  # whether the forward runs on them

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {_describe(x)}" for name, x in zip(self.names, self.arguments, strict=True)
        )

    def written(self, array: str) -> list[str]:
        """Write each argument as an expression; `array` is one for an array of the shape `{}`."""
        return [
            array.format(tuple(x.shape)) if hasattr(x, "shape") else repr(x) for x in self.arguments
        ]


def _describe(argument: Any) -> str:
    shape = getattr(argument, "shape", None)
    if shape is None:
        return f"= {argument!r}"
    return "×".join(map(str, shape)) or "a number"


def guess_call(
    signature: inspect.Signature | None,
    kernel_of: Callable[[Sequence[Any]], Kernel],
    make: Callable[[Array], Any],
) -> Guess:
    """Guess arguments of a function: those without a default.

    What is annotated `float`, `int` or `bool` is a plain number; all others are tensors, which
    `make` makes of arrays.
    """
    parameters = [
        parameter
        for parameter in (signature.parameters.values() if signature else ())
        if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
    ]
    names = tuple(parameter.name for parameter in parameters)
    plain = [PLAIN.get(_annotated(parameter)) for parameter in parameters]
    arrays = [_filled(USUAL) if number is None else number for number in plain]

    def tensors_of(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(make(x) if isinstance(x, np.ndarray) else x for x in values)

    kernel = kernel_of(tensors_of(arrays))
    operands = tuple(slot.name for slot in kernel.operands)
    if not operands:
        return Guess(names, tensors_of(arrays), accepted=False)
    subject = with_accepted_shapes(
        Subject(
            *(Primitive(kernel, kernel.__name__), operands, (REALS,) * len(operands), (), ()),
            *(kernel.fixed, ()),
        )
    )
    shapes = iter(subject.cases[0].shapes if subject.cases else (USUAL,) * len(operands))
    guessed = [_filled(next(shapes)) if isinstance(x, np.ndarray) else x for x in arrays]
    accepted = kernel.takes([x for x in guessed if isinstance(x, np.ndarray)])
    return Guess(names, tensors_of(guessed), accepted)


def _annotated(parameter: inspect.Parameter) -> Any:
    """Return the type that an argument is annotated with, by name too."""
    named = {kind.__name__: kind for kind in PLAIN}
    annotation = parameter.annotation
    return named.get(annotation) if isinstance(annotation, str) else annotation


def _filled(shape: tuple[int, ...]) -> Array:
    return np.array(choices("generic", REALS, math.prod(shape))[: math.prod(shape)]).reshape(shape)
