"""Subjects for operations with an example call.

As for kernels of other libraries, arrays of floating point are operands, and all other arguments
are constants: numbers, masks, indices, strings. Without such an array, plain numbers are operands.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import update_wrapper
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.array_operation import ArrayOperation, Case
from autolm.ops.composed import Composed
from autolm.ops.primitive import Backward, Primitive
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor
from autolm.testing.call import Call
from autolm.testing.composed_primitive import composed_primitive
from autolm.testing.example_arguments import Arguments
from autolm.testing.kernels.kernel_subject import (
    SMALL,
    SMALL_LENGTHS,
    interval_around,
    lengths_of,
    resized,
)
from autolm.testing.operation_runner import OperationError
from autolm.testing.strategies import REALS, choices
from autolm.testing.subject import Subject

Array = NDArray[Any]

TRIALS, GRID = 4, 16  # calls to test for finite results, and numbers to choose from


def with_constants(op: Primitive, constants: Mapping[int, Any], names: str) -> Callable[..., Any]:
    """Return the forward of an operation with the arguments at some positions held constant.

    `names` lists its operands, which become the parameters of the function.
    """

    def call(operands: tuple[Any, ...], attributes: dict[str, Any]) -> tuple[Any, Backward]:
        rest = iter(operands)
        count = len(operands) + len(constants)
        arguments = [constants[i] if i in constants else next(rest) for i in range(count)]
        result, rule = op.forward(*arguments, **attributes)

        def backward(grad: Array) -> tuple[Any, ...]:
            return tuple(
                contribution for i, contribution in enumerate(rule(grad)) if i not in constants
            )

        return result, backward

    source = f"lambda {names}, **attributes: call(({names},), attributes)"
    return update_wrapper(eval(source, {"call": call}), op.forward, updated=())


def subject_of_example(op: ArrayOperation, example: Arguments) -> Subject:
    """Derive the calls of an operation from an example; a final dict holds keywords.

    Raises
    ------
    ValueError
        If the operation cannot be called with the example, or nothing in it is differentiated.
    """
    positional, keywords = list(example.positional), dict(example.keywords)
    if positional and isinstance(positional[-1], dict):
        keywords |= positional.pop()
    values = [x.data if isinstance(x, Tensor) else x for x in positional]
    operands = [i for i, x in enumerate(values) if _kind(x) == "f" and np.ndim(x)]
    operands = operands or [i for i, x in enumerate(values) if _kind(x) in "fiu"]
    if not operands:
        raise ValueError(
            message("its example has no array of floating point, so nothing to differentiate")
        )
    primitive = composed_primitive(op) if isinstance(op, Composed) else op
    assert isinstance(primitive, Primitive)
    constants = {i: x for i, x in enumerate(values) if i not in operands}
    domain, names = primitive.domain, _names(op, operands)
    if constants:
        domain = tuple(domain[i] for i in operands) if len(domain) == len(values) else domain[:1]
        primitive = Primitive(
            with_constants(primitive, constants, ", ".join(names)),
            primitive.name,
            domain=domain,
            kinks=op.kinks,
        )
    numbers = [np.asarray(values[i], dtype=float) for i in operands]
    case = Case(tuple(x.shape for x in numbers), keywords)
    subject = Subject.of(primitive, arity=len(numbers), domain=domain, cases=[case])
    subject = replace(subject, operands=names, has_strategy=not constants)
    try:
        subject.function(keywords)(*(x.copy() for x in numbers))
    except Exception as error:
        text = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise ValueError(
            message("it cannot be called with its example: {message}", message=text)
        ) from error
    return _with_numbers(_of_small_shapes(subject, case), numbers)


def _kind(value: Any) -> str:
    """Return the kind of an array's or number's dtype; "O" of anything else."""
    if not isinstance(value, np.ndarray | np.generic | int | float | list):
        return "O"
    try:
        return np.asarray(value).dtype.kind
    except ValueError:  # lists of different lengths
        return "O"


def _names(op: ArrayOperation, places: Sequence[int]) -> tuple[str, ...]:
    names = [
        parameter.name
        for parameter in inspect.signature(op.forward).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return tuple(names[i] if i < len(names) else f"argument{i}" for i in places)


def _of_small_shapes(subject: Subject, case: Case) -> Subject:
    """Shorten long axes, if the forward accepts that."""
    if all(math.prod(shape) <= SMALL for shape in case.shapes):
        return subject
    lengths = [n for n in lengths_of(case) if n > 1][::-1]
    small = resized(case, dict(zip(lengths, SMALL_LENGTHS, strict=False)))
    if len(lengths) > len(SMALL_LENGTHS):
        return subject
    return replace(subject, cases=(small,)) if _is_finite(subject, small) is not None else subject


def _with_numbers(subject: Subject, numbers: Sequence[Array]) -> Subject:
    """Sample from the range of the example, if results are not finite on the whole domain."""
    case = subject.cases[0]
    if _is_finite(subject, case):
        return subject
    return replace(subject, domains=tuple(map(interval_around, numbers)))


def _is_finite(subject: Subject, case: Case) -> bool | None:
    """Whether results are finite for draws from the domains; None if the forward refuses some."""
    finite = True
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        inputs = [
            rng.choice(choices("generic", domain or REALS, GRID), shape)
            for shape, domain in zip(
                case.shapes, subject.domains_for(len(case.shapes)), strict=True
            )
        ]
        try:
            finite &= bool(np.all(np.isfinite(subject.run(Call(*inputs, **case.attributes))[0])))
        except OperationError:
            return None
    return finite
