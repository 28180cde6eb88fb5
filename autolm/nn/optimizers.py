"""Optimizers: SGD, Adam and AdamW, and gradient clipping.

An optimizer never writes into an array that a graph may still use; it assigns a new array. Its
moments and step count are saved and restored by `state` and `load_state`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from autolm.nn.parameter_group import ParameterGroup, Run
from autolm.nn.saved_arrays import fitting_arrays
from autolm.outside.arguments import quote, read_finite, read_items
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor

NamedParameters = Iterable[tuple[str, Tensor] | Tensor]


def _raise_malloc_threshold() -> None:
    """Free a large block, so that glibc reuses the memory of large arrays between steps.

    glibc keeps freed memory up to the size of the largest block that was freed. With this block a
    large step takes a tenth less time. Nothing is written into it, so it takes no memory.
    """
    np.empty(2**25 - 2**13, np.uint8)


def gradient_norm(parameters: NamedParameters) -> float:
    """Return the norm of the gradient of all parameters together: √(Σ g²)."""
    return _norm(_by_path("gradient_norm", parameters).values())


def _norm(parameters: Iterable[Tensor]) -> float:
    wide = (p.grad.astype(np.float64) for p in parameters if p.has_grad)  # squares may overflow
    return math.sqrt(sum(float(np.vdot(g, g)) for g in wide))


def clip_gradients(parameters: NamedParameters, max_norm: float) -> float:
    """Scale all gradients by one factor if their joint norm exceeds `max_norm`.

    Returns the norm before clipping; `max_norm` is above 0, and inf clips nothing. The norm after
    clipping is `max_norm`; PyTorch's is slightly smaller, since it adds 10⁻⁶ to the divisor.

    Source: Pascanu, Mikolov and Bengio, On the Difficulty of Training Recurrent Neural Networks
    (2013), algorithm 1.

    Examples
    --------
    >>> w = Tensor([3.0, 4.0])
    >>> w.grad = [30.0, 40.0]
    >>> clip_gradients([w], 1.0)
    50.0
    >>> w.grad
    array([0.6, 0.8])
    """
    leaves = _by_path("clip_gradients", parameters).values()
    if not (isinstance(max_norm, float) and max_norm == math.inf):
        max_norm = read_finite("clip_gradients", "max_norm", max_norm, above=0)
    norm = _norm(leaves)
    if norm > max_norm:
        for parameter in leaves:
            if parameter.has_grad:
                parameter.grad = parameter.grad * (max_norm / norm)
    return norm


def _by_path(name: str, parameters: NamedParameters) -> dict[str, Tensor]:
    """Check `model.named_parameters()`, or plain Tensors, which are named by their index."""
    words = "a list of Tensors, or of (path, Tensor) as model.named_parameters() gives"
    if isinstance(parameters, Tensor | Mapping | np.ndarray) or not isinstance(
        parameters, Iterable
    ):
        raise TypeError(
            message(
                "{name}: parameters must be {words}, not {parameters}",
                name=name,
                words=words,
                parameters=quote(parameters),
            )
        )
    named: dict[str, Tensor] = {}
    paths: dict[Tensor, str] = {}
    for place, item in enumerate(parameters):
        match (str(place), item) if isinstance(item, Tensor) else item:
            case (str(path), Tensor() as parameter):
                who = f"{name}: parameter {path}"
            case _:
                raise TypeError(
                    message(
                        "{name}: parameters must be {words}; at {place} is {item}",
                        name=name,
                        words=words,
                        place=place,
                        item=quote(item),
                    )
                )
        if parameter.parents:
            raise ValueError(
                message("{who} is the result of an operation; a leaf is needed", who=who)
            )
        if parameter in paths:
            raise ValueError(
                message(
                    "{who} is given twice: it is {paths} already", who=who, paths=paths[parameter]
                )
            )
        if path in named:
            raise ValueError(message("{who} shares its name with another", who=who))
        named[path], paths[parameter] = parameter, path
    if not named:
        raise ValueError(
            message("{name}: there are no parameters (a generator gives them only once)", name=name)
        )
    return named


class Optimizer:
    """The base class of optimizers: parameters, step count and saved arrays."""

    slots: tuple[str, ...] = ()  # the names of the arrays for each parameter, such as moments

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Refuse PyTorch's argument `lr`."""
        if "lr" in options:
            raise TypeError(
                message("{name}: there is no lr=; it is called learning_rate", name=cls.__name__)
            )
        return super().__new__(cls)

    def __init__(self, parameters: NamedParameters, learning_rate: float) -> None:
        self.parameters = _by_path(type(self).__name__, parameters)
        for path, parameter in self.parameters.items():
            if not parameter.requires_grad:
                raise ValueError(
                    message(
                        "{kind}: parameter {path} is a constant, which nothing trains: it was "
                        "made with requires_grad=False, or of integers",
                        kind=type(self).__name__,
                        path=path,
                    )
                )
        self.learning_rate = learning_rate
        self.steps = 0
        kinds = {path: (p.dtype, p.ndim > 1) for path, p in self.parameters.items()}
        self.groups = {
            kind: ParameterGroup(
                {path: p for path, p in self.parameters.items() if kinds[path] == kind}, self.slots
            )
            for kind in dict.fromkeys(kinds.values())
        }
        _raise_malloc_threshold()

    @property
    def learning_rate(self) -> float:
        """The step size; a schedule assigns a new one before each step."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate = read_finite(type(self).__name__, "learning_rate", rate, low=0)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        groups = self.groups.items()
        runs = ((is_matrix, run) for (_, is_matrix), group in groups for run in group.runs())
        self.take_step(runs, self.updated)

    def take_step(
        self,
        runs: Iterable[tuple[bool, Any]],
        updated: Callable[[Any, bool], NDArray[Any]],
    ) -> None:
        """Update runs of parameters; each pair is (whether they are matrices, run)."""
        self.steps += 1
        with np.errstate(all="ignore"):  # nan and inf propagate to the loss
            for is_matrix, run in runs:
                run.bind(updated(run, is_matrix))

    def updated(self, run: Run, is_matrix: bool) -> NDArray[Any]:
        """Return the updated parameters of a run as a new array."""
        raise NotImplementedError(f"{type(self).__name__} defines no updated")

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the step count and the moments, as arrays by name."""
        return {"steps": np.array(self.steps)} | {n: a.copy() for n, a in self._arrays().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a result of `state`.

        Raises
        ------
        TypeError, ValueError
            If an array is missing, unknown or of another shape or kind, or the step count is
            negative; then nothing is changed.
        """
        fitting = fitting_arrays("optimizer state", state, self.state())
        steps = fitting.pop("steps").item()
        if steps < 0:
            raise ValueError(
                message("optimizer state: steps must be at least 0, not {steps}", steps=steps)
            )
        self.steps = steps
        for name, array in self._arrays().items():
            array[...] = fitting[name]

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: a for group in self.groups.values() for name, a in group.arrays().items()}


class SGD(Optimizer):
    """Gradient descent, p ← p − η·v with v ← μ·v + g; plain if the momentum μ is 0.

    The same as PyTorch's SGD without dampening, Nesterov momentum and weight decay.

    Examples
    --------
    >>> w = Tensor(1.0, name="w")
    >>> optimizer = SGD([("w", w)], learning_rate=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w.item()
    0.8
    """

    def __init__(
        self, parameters: NamedParameters, learning_rate: float, *, momentum: float = 0.0
    ) -> None:
        self.momentum = read_finite("SGD", "momentum", momentum, low=0, below=1)
        self.slots = ("velocity",) if self.momentum else ()
        super().__init__(parameters, learning_rate)

    def updated(self, run: Run, is_matrix: bool) -> NDArray[Any]:
        """Return p − η·v."""
        velocity = run.gradients()
        if self.momentum:
            velocity += self.momentum * run.memory["velocity"]
            run.memory["velocity"][:] = velocity
        change = self.learning_rate * velocity
        return np.subtract(run.data, change, out=change)


class AdamW(Optimizer):
    """Adam with decoupled weight decay; with `weight_decay=0` it is Adam.

    m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g², both corrected for starting at 0 by 1 − βᵗ; then
    p ← p − η·(m̂ / (√v̂ + ε) + λ·p). Parameters of one axis (gains, biases) do not decay.

    Raises
    ------
    TypeError, ValueError
        If the parameters are not a list of distinct leaves that require a gradient, betas are
        outside [0, 1), or another option is negative or not finite.

    Notes
    -----
    Differences to PyTorch: its default λ is 0.01, and all parameters decay unless they are put into
    groups. Here t counts all steps; in PyTorch, for each parameter only those in which it had a
    gradient.

    Sources: Kingma and Ba, Adam (2015), algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay
    Regularization (2019), algorithm 2.
    """

    slots = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: NamedParameters,
        learning_rate: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        name = type(self).__name__
        pair = read_items(name, "betas", betas, "a pair of numbers")
        if len(pair) != 2:
            raise ValueError(
                message(
                    "{name}: betas must be a pair of numbers, not {betas}",
                    name=name,
                    betas=quote(betas),
                )
            )
        first, second = (read_finite(name, "betas", beta, low=0, below=1) for beta in pair)
        self.betas = first, second
        self.eps = read_finite(name, "eps", eps, low=0)
        self.weight_decay = read_finite(name, "weight_decay", weight_decay, low=0)
        super().__init__(parameters, learning_rate)

    def updated(self, run: Run, is_matrix: bool) -> NDArray[Any]:
        """Return p − η·(m̂ / (√v̂ + ε) + λ·p)."""
        (beta1, beta2), grad = self.betas, run.gradients()
        first, second = run.memory["first_moment"], run.memory["second_moment"]
        change = (1 - beta1) * grad
        first *= beta1
        first += change
        np.multiply(grad, grad, out=grad)  # a copy, so it can be overwritten
        grad *= 1 - beta2
        second *= beta2
        second += grad
        size = np.divide(second, 1 - beta2**self.steps, out=grad)
        np.sqrt(size, out=size)
        size += self.eps
        np.divide(first, 1 - beta1**self.steps, out=change)
        change /= size
        if self.weight_decay and is_matrix:
            change += np.multiply(self.weight_decay, run.data, out=size)
        change *= self.learning_rate
        return np.subtract(run.data, change, out=change)


class Adam(AdamW):
    """Adam: AdamW without weight decay."""

    def __init__(
        self,
        parameters: NamedParameters,
        learning_rate: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, learning_rate, betas=betas, eps=eps)
