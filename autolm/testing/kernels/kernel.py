"""Kernel: a function of another library, adapted so that laws of operations apply to it.

A library implements how a function runs on arrays, how a gradient is pulled back through that run,
and how a derivative is pushed forward through its body. Which arguments are differentiated, and how
several results become one, is the same for all.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from autolm.testing.call import Call
from autolm.testing.dual_numbers import Dual

Array = NDArray[Any]
Attributes = Mapping[str, Any]
Rule = Callable[[Array], tuple[Any, ...]]


@dataclass(frozen=True)
class Slot:
    """One argument of a call: a differentiated operand, or a constant."""

    name: str
    is_operand: bool
    value: Any  # of a tensor, a NumPy array


class KernelRun(Protocol):
    """One run of a forward, through which gradients can be pulled, more than once."""

    results: list[Array]  # those that have a gradient

    def pull(self, upstreams: Sequence[Array | None]) -> list[Array | None]:
        """Return the gradient of each operand; None if it is not required or gets none."""


class Kernel(ABC):
    """A function of tensors as `forward(*arrays, **attributes) -> (result, backward)`.

    Attributes
    ----------
    function
        The user's function.
    slots
        Its arguments, in order.
    differentiable
        The indices of its results that have a gradient.
    """

    noun: ClassVar[str]  # for an array, in messages
    home: ClassVar[str]  # the module of this package that checks such functions
    prelude: ClassVar[str]  # the import that programs need to write tensors
    is_single_by_default: ClassVar[bool] = False  # whether new arrays are of float32 for its users
    dtype: Any  # in which it is proved

    def __init__(self, function: Any, name: str, slots: Sequence[Slot]) -> None:
        self.function, self.__name__, self.slots = function, name, tuple(slots)
        self.differentiable: tuple[int, ...] | None = None
        self.is_random = False  # whether the forward draws random numbers
        self.is_coarse = False  # whether it computes in single precision, given doubles

    @property
    def operands(self) -> list[Slot]:
        """The arguments that are differentiated."""
        return [slot for slot in self.slots if slot.is_operand]

    @property
    def fixed(self) -> dict[str, Any]:
        """The arguments that are not, by name."""
        return {slot.name: slot.value for slot in self.slots if not slot.is_operand}

    @property
    def source(self) -> Any:
        """The Python function of the forward, whose file and line are reported."""
        return inspect.unwrap(getattr(self.function, "forward", self.function))

    @classmethod
    @abstractmethod
    def of(cls, function: Any, examples: Sequence[Any], caller: str, argument: str = "F") -> Kernel:
        """Read a function, and the arguments with which it is called."""

    @classmethod
    @abstractmethod
    def isolated(cls) -> AbstractContextManager[Any]:
        """Return a context for checks, which leaves the library's global state unchanged."""

    @abstractmethod
    def prepare(self) -> None:
        """Find out how the function can be run."""

    @abstractmethod
    def run(
        self,
        arrays: Sequence[Array],
        attributes: Attributes,
        requires_grad: Sequence[bool] | None = None,
    ) -> KernelRun:
        """Run the forward so that gradients can be pulled back to the operands that require one."""

    @abstractmethod
    def values(self, arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        """Return the results of a run without a gradient, of complex numbers too."""

    @abstractmethod
    def along(self, arrays: Sequence[Any], attributes: Attributes) -> list[Dual]:
        """Push dual numbers through the body of the forward, which bypasses the rule under test."""

    @abstractmethod
    def takes(self, operands: Sequence[Any]) -> bool:
        """Whether the forward runs on such operands, which may be of any precision."""

    @abstractmethod
    def written(self, value: Any) -> str:
        """Write an argument so that it can be pasted into a program."""

    @abstractmethod
    def cast(self, array: Array, precision: str) -> Any:
        """Make an array of the library in another precision; `run` takes it too."""

    @abstractmethod
    def numbers(self, tensor: Any) -> Array:
        """Return an array of the library as a NumPy array."""

    @abstractmethod
    def epsilon(self, precision: str) -> tuple[float, float]:
        """Return the rounding of a precision, and its largest number."""

    @abstractmethod
    def batched(self, operands: Sequence[Array], upstream: Array, attributes: Attributes) -> Any:
        """Run it under `vmap`: results, and gradients, of operands with one more axis in front."""

    @abstractmethod
    def gradient_as_function(self) -> Kernel:
        """Return the function that gives its gradient, of the operands and the upstream."""

    def lacks(self, error: BaseException) -> str:
        """Return the missing device that an error of the forward asks for, or an empty text."""
        return ""

    def arguments(self, operands: Sequence[Any], attributes: Attributes) -> list[Any]:
        """Order operands and constants as the arguments of a call."""
        of = iter(operands)
        return [
            next(of) if slot.is_operand else attributes.get(slot.name, slot.value)
            for slot in self.slots
        ]

    def __call__(self, *operands: Any, **attributes: Any) -> tuple[Any, Rule]:
        """Run the forward: with a rule on doubles, without one on other numbers of an oracle."""
        if any(isinstance(x, Dual) for x in operands):
            duals = self.along(operands, attributes)
            value = concatenated([dual.value for dual in duals])
            return Dual(value, concatenated([dual.tangent for dual in duals])), _no_rule
        arrays = [np.asarray(x) for x in operands]
        if self.is_coarse and any(x.dtype.kind == "c" for x in arrays):
            raise TypeError("what computes in single precision drops an imaginary part silently")
        if any(x.dtype.kind == "c" or x.dtype == np.longdouble for x in arrays):
            return concatenated(self.values(list(map(_narrowed, arrays)), attributes)), _no_rule
        run = self.run(arrays, attributes)

        def backward(upstream: Array) -> tuple[Array, ...]:
            gradients = run.pull(split_like(upstream, run.results))
            return tuple(
                np.zeros(x.shape, x.dtype) if a is None else a
                for a, x in zip(gradients, arrays, strict=True)
            )

        return concatenated(run.results), backward

    def runnable(self, program: str, definition: Sequence[str]) -> str:
        """Put the imports and the definition of the function before a program."""
        ours = f"from {self.home} import check_gradient"
        return "\n".join([*sorted({self.prelude, ours}), *definition, program])


def _no_rule(upstream: Array) -> tuple[Any, ...]:
    raise TypeError("there is a rule for real numbers only")


def _narrowed(array: Array) -> Array:
    """Return numbers of double precision: other libraries know no wider ones."""
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(np.float64) if array.dtype == np.longdouble else array


def concatenated(arrays: Sequence[Array]) -> Array:
    """Concatenate several flattened arrays; return a single one unchanged."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.reshape(array, -1) for array in arrays])


def split_like(whole: Array, like: Sequence[Array]) -> list[Array]:
    """Undo `concatenated`: split an array into parts of the given shapes."""
    if len(like) == 1:
        return [whole]
    ends = np.cumsum([math.prod(array.shape) for array in like])[:-1]
    parts = np.split(whole, ends)
    return [part.reshape(array.shape) for part, array in zip(parts, like, strict=True)]


def pulled(
    kernel: Kernel, call: Call, requires_grad: Sequence[bool] | None = None
) -> list[Array | None]:
    """Run a call, and pull its upstream gradient back."""
    run = kernel.run(call.inputs, call.attributes, requires_grad)
    return run.pull(split_like(call.given_upstream.copy(), run.results))


@cache
def library(name: str) -> Any:
    """Import an optional library; if it is missing, name the extra that installs it."""
    try:
        return import_module(name)
    except ImportError:
        message = f"{name} is not installed: pip install 'autolm[{name}]'"
        raise ModuleNotFoundError(message, name=name) from None
