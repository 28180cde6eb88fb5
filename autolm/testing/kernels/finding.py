"""Find a call of a kernel that nobody has shown one of: shapes that its forward takes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.primitive import Primitive
from autolm.testing.kernels.kernel import Kernel
from autolm.testing.legal_shapes import with_legal_shapes
from autolm.testing.strategies import REALS, choices
from autolm.testing.under_test import Subject

Array = NDArray[Any]

USUAL = (2, 3)  # the shape of an operand, where any will do
PLAIN = {float: 0.5, int: 1, bool: True}  # what an argument is given that is annotated so


def found_examples(
    signature: inspect.Signature | None, kernel_of: Callable[[Sequence[Any]], Kernel], make: Any
) -> tuple[Any, ...] | None:
    """Return arguments with which a function can be called; None if none were found.

    Arguments with a default are left out; what is annotated `float`, `int` or `bool` is a plain
    number, and all others are tensors, which `make` makes of arrays.
    """
    given = [
        PLAIN.get(_annotated(parameter))
        for parameter in (signature.parameters.values() if signature else ())
        if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
    ]
    arrays = [np.zeros(USUAL) if each is None else each for each in given]
    kernel = kernel_of([make(x) if isinstance(x, np.ndarray) else x for x in arrays])
    names = tuple(slot.name for slot in kernel.operands)
    if not names:
        return None
    subject = with_legal_shapes(
        Subject(
            *(Primitive(kernel, kernel.__name__), names, (REALS,) * len(names), (), ()),
            *(kernel.fixed, ()),
        )
    )
    shapes = iter(subject.cases[0].shapes if subject.cases else (USUAL,) * len(names))
    found = [_filled(next(shapes)) if isinstance(x, np.ndarray) else x for x in arrays]
    operands = [x for x in found if isinstance(x, np.ndarray)]
    if not kernel.takes(operands):
        return None
    return tuple(make(x) if isinstance(x, np.ndarray) else x for x in found)


def _annotated(parameter: inspect.Parameter) -> Any:
    """Return the type that an argument is annotated with, by name too."""
    named = {kind.__name__: kind for kind in PLAIN}
    annotation = parameter.annotation
    return named.get(annotation) if isinstance(annotation, str) else annotation


def _filled(shape: tuple[int, ...]) -> Array:
    return np.array(choices("generic", REALS, math.prod(shape))[: math.prod(shape)]).reshape(shape)
