"""The parameters of a recorded step and their gradients: flat arrays, one per group.

A program writes gradients into these arrays, and the optimizer updates the parameters in place.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.kernels import FLOATS, kernels
from autolm.nn.optimizers import AdamW, Optimizer
from autolm.nn.parameter_group import ParameterGroup
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


class FlatRun(NamedTuple):
    """Adjacent parameters of a group, for an optimizer; see `nn.parameter_group.Run`."""

    data: Array
    gradient: Array
    memory: dict[str, Array]

    def gradients(self) -> Array:
        """Return the gradients, which may be overwritten."""
        return self.gradient

    def bind(self, data: Array) -> None:
        """Store the updated parameters."""
        self.data[...] = data


class ParameterMemory:
    """Flat arrays for the parameters of an optimizer.

    Attributes
    ----------
    data, gradient
        For each parameter, its part of a flat array, in the shape of the parameter.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._flat: list[tuple[bool, ParameterGroup, Array, Array]] = []
        self.data: dict[Tensor, Array] = {}
        self.gradient: dict[Tensor, Array] = {}
        for (_, is_matrix), group in optimizer.groups.items():
            size = group.parts[-1].place.stop
            dtype = group.parts[0].parameter.dtype
            data, gradient = np.zeros(size, dtype), np.zeros(size, dtype)
            self._flat.append((is_matrix, group, data, gradient))
            for _, parameter, place in group.parts:
                self.data[parameter] = data[place].reshape(parameter.shape)
                self.gradient[parameter] = gradient[place].reshape(parameter.shape)
        self._has_kernel = (
            type(optimizer).updated is AdamW.updated and find_spec("numba") is not None
        )

    def gather(self) -> None:
        """Copy the current numbers of the parameters into this memory, and bind them to it."""
        for parameter, view in self.data.items():
            if parameter._array is not view:
                view[...] = parameter._array
                parameter.data = view

    def norm(self, reached: Collection[Tensor]) -> float:
        """Return the norm of the gradient: √(Σ g²)."""
        runs = [run.gradient for _, run in self._runs(reached)]
        squares = sum(float(np.vdot(g, g)) for g in runs)
        if not 1e-20 < squares < 1e30:  # squares need the range of float64
            wide = [g.astype(np.float64) for g in runs]
            squares = sum(float(np.vdot(g, g)) for g in wide)
        return math.sqrt(squares)

    def largest_gradient(self, reached: Collection[Tensor]) -> float:
        """Return the largest absolute value in the ``.grad`` of parameters; nan if one is nan."""
        return float(np.max([np.abs(p.grad).max(initial=0) for p in reached], initial=0))

    def is_close(self, reached: Collection[Tensor], bound: float, smallest: float) -> bool:
        """Whether the gradient equals ``.grad`` up to a relative error of `bound`.

        The error is relative to the largest value in the parameter's gradient plus a tenth of the
        largest of all, or `smallest` if that is larger, so that rounding errors do not count.
        """
        largest = max(self.largest_gradient(reached) / 10, smallest)
        for parameter in reached:
            size = float(np.abs(parameter.grad).max(initial=0))
            error = float(np.abs(self.gradient[parameter] - parameter.grad).max(initial=0))
            if not error <= bound * (size + largest):
                return False
        return True

    def scale(self, factor: float) -> None:
        """Multiply the gradient."""
        for _, _, _, gradient in self._flat:
            gradient *= factor

    def store_gradients(self, reached: Collection[Tensor]) -> None:
        """Store a copy of each gradient in the parameter's ``.grad``."""
        for parameter, gradient in self.gradient.items():
            parameter.grad = gradient.copy() if parameter in reached else None

    def update(self, reached: Collection[Tensor]) -> None:
        """Take the optimizer's step."""
        move = self._move if self._has_kernel else self._optimizer.updated
        self._optimizer.take_step(self._runs(reached), move)

    def _move(self, run: Any, is_matrix: bool) -> Array:
        optimizer: Any = self._optimizer
        if run.data.dtype not in FLOATS:
            return optimizer.updated(run, is_matrix)
        beta1, beta2 = optimizer.betas
        rate, steps = optimizer.learning_rate, optimizer.steps
        decay = rate * optimizer.weight_decay if is_matrix else 0.0
        rates = (rate / (1 - beta1**steps), 1 / (1 - beta2**steps), optimizer.eps, decay)
        moments = run.memory["first_moment"], run.memory["second_moment"]
        kernels().adamw(run.data, run.gradient, *moments, (beta1, beta2), rates)
        return run.gradient  # the loop has written the updated parameters here

    def _runs(self, reached: Collection[Tensor]) -> Iterator[tuple[bool, FlatRun]]:
        """Yield adjacent parameters that have a gradient, mostly a whole group at once."""
        for is_matrix, group, data, gradient in self._flat:
            for has_gradient, parts in groupby(group.parts, key=lambda p: p.parameter in reached):
                if has_gradient:
                    places = [part.place for part in parts]
                    span = slice(places[0].start, places[-1].stop)
                    memory = {slot: flat[span] for slot, flat in group.memory.items()}
                    yield is_matrix, FlatRun(data[span], gradient[span], memory)
