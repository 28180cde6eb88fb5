"""The update of a training step, and the loss after it for a range of step sizes.

A leaf θ moves to θ − α·d, where d is the gradient or the direction of an optimizer. The loss is
computed in advance for each position of the slider of the page; all data is restored afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autolm.engine.backprop import Backprop
from autolm.engine.graph import Node, topological_order
from autolm.engine.value import Value
from autolm.nn.optimizers import SGD, AdamW, Optimizer
from autolm.tensor.quiet import quiet
from autolm.walking.array_adapter import adapter_of

RATES = 40  # positions of the slider, from 0 to the largest α
DEFAULT_RATE = 1.0  # largest α, if the loss falls for all α
MAX_NUMBERS = 4_000_000  # in a graph that is recomputed
PLAIN = "θ − α·g"
LOOP = 10  # steps of a training loop
MAX_NUMBERS_IN_LOOPS = 200_000  # in a graph for which training loops are computed
FOREIGN_CALL = 10_000  # cost of a call of another library, in numbers that take as long

LossWith = Callable[[Mapping[Node, Any]], float]


@dataclass
class Direction:
    """The direction d of one leaf, with its formula."""

    step: Any
    formula: str = "g"
    made_of: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainingStep:
    """The loss as a function of the step size.

    Attributes
    ----------
    directions
        The direction of each leaf that moves.
    rates, losses
        Values of α, beginning with 0, and the loss at each.
    rule
        The formula of the optimizer.
    loops
        For each index of an α in `rates`, the losses after 1, 2, … steps of gradient descent. Empty
        for other optimizers, and for Values, which the page recomputes itself.
    """

    directions: dict[Node, Direction]
    rates: list[float]
    losses: list[float]
    rule: str
    loops: dict[int, list[float]] = field(default_factory=dict)


def training_step(
    root: Node, gradients: Mapping[Node, Any], optimizer: Optimizer | None = None
) -> TrainingStep | None:
    """Compute the losses of a step; None if no leaf can move, or the graph is too large.

    Examples
    --------
    >>> from autolm import Value
    >>> w = Value(3.0, name="w")
    >>> step = training_step(w * w, {w: 6.0})
    >>> step.rates[-1], step.losses[:2]
    (2.0, [9.0, 7.290000000000001])
    >>> w.data
    3.0
    """
    order = topological_order(root)
    leaves = [n for n in order if not n.parents and n.requires_grad and n in gradients]
    size = sum(
        adapter_of(node.data).size + FOREIGN_CALL * (node.in_numpy is not None) for node in order
    )
    if size > MAX_NUMBERS:
        return None
    if optimizer is None:
        directions = {leaf: Direction(gradients[leaf]) for leaf in leaves}
        rule = PLAIN
    else:
        directions, rule = _directions(optimizer, {leaf: gradients[leaf] for leaf in leaves})
    if not directions:
        return None
    try:
        with _moving(order, directions) as loss_with:
            return _losses(
                root, directions, rule, loss_with, has_loops=size <= MAX_NUMBERS_IN_LOOPS
            )
    except ValueError:  # operations of PyTorch that were not recorded cannot be recomputed
        return None


def _losses(
    root: Node,
    directions: dict[Node, Direction],
    rule: str,
    loss_with: LossWith,
    *,
    has_loops: bool,
) -> TrainingStep:
    """Compute the loss for each α, and the losses of a training loop with this α."""

    def loss_at(rate: float) -> float:
        return loss_with({leaf: rate * direction.step for leaf, direction in directions.items()})

    largest = _largest_rate(loss_at)
    rates = [largest * i / RATES for i in range(RATES + 1)]
    step = TrainingStep(directions, rates, list(map(loss_at, rates)), rule)
    if rule == PLAIN and has_loops and not isinstance(root, Value):
        leaves = list(directions)
        step.loops = {i: _loop(root, leaves, loss_with, rates[i]) for i in range(1, RATES + 1)}
    return step


def _loop(root: Node, leaves: Sequence[Node], loss_with: LossWith, rate: float) -> list[float]:
    """Do several steps of gradient descent; return the loss after each."""
    displacements: dict[Node, Any] = dict.fromkeys(leaves, 0.0)
    losses = [loss_with(displacements)]
    with quiet():
        while len(losses) <= LOOP:
            backprop = Backprop(root)
            backprop.run()
            displacements = {
                leaf: displacements[leaf] + rate * backprop.gradients[leaf] for leaf in leaves
            }
            losses.append(loss_with(displacements))
    return losses[1:]


def _largest_rate(loss_at: Any) -> float:
    """Return the first α of 0.001, 0.002, 0.005, 0.01, … that increases the loss."""
    before = loss_at(0.0)
    for power in range(-3, 2):
        for digit in (1, 2, 5):
            rate = float(f"{digit}e{power}")
            if not loss_at(rate) <= before:
                return rate
    return DEFAULT_RATE


@contextmanager
def _moving(order: Sequence[Node], directions: Mapping[Node, Direction]) -> Iterator[LossWith]:
    """Yield a function from displacements of leaves to the loss; afterwards restore all data."""
    moving = set(directions)
    for node in order:
        if not moving.isdisjoint(node.parents):
            moving.add(node)
    affected = [node for node in order if node in moving]
    states = {node: [getattr(node, slot) for slot in node.computed] for node in affected}
    start = {leaf: leaf.data for leaf in directions}

    def loss_with(displacements: Mapping[Node, Any]) -> float:
        with quiet():
            for leaf, way in displacements.items():
                leaf.data = _like(start[leaf], start[leaf] - way)
            for node in affected:
                if node.parents:
                    node.recompute()
        return float(order[-1].data)

    try:
        yield loss_with
    finally:
        for node, state in states.items():
            for slot, value in zip(node.computed, state, strict=True):
                setattr(node, slot, value)


def _like(before: Any, after: Any) -> Any:
    return np.asarray(after, before.dtype) if isinstance(before, np.ndarray) else after


def _directions(
    optimizer: Optimizer, gradients: Mapping[Node, Any]
) -> tuple[dict[Node, Direction], str]:
    """Return the direction of each parameter of an optimizer, without changing anything."""
    memory = optimizer.state()
    paths: dict[Node, str] = {
        leaf: path for path, leaf in optimizer.parameters.items() if leaf in gradients
    }
    if isinstance(optimizer, AdamW):
        directions = {
            leaf: _adam(optimizer, memory, path, gradients[leaf], np.asarray(leaf.data))
            for leaf, path in paths.items()
        }
        decay = " + λ·θ" if optimizer.weight_decay else ""
        return directions, f"θ − α·(m̂ / (√v̂ + ε){decay})"
    if isinstance(optimizer, SGD) and optimizer.momentum:
        return {
            leaf: _momentum(optimizer.momentum, memory[f"velocity/{path}"], gradients[leaf])
            for leaf, path in paths.items()
        }, "θ − α·v"
    if isinstance(optimizer, SGD):
        return {leaf: Direction(gradients[leaf]) for leaf in paths}, PLAIN
    raise TypeError(
        f"player: optimizer is a {type(optimizer).__name__}, and the page knows the arithmetic of "
        "SGD, Adam and AdamW"
    )


def _momentum(momentum: float, velocity: Any, grad: Any) -> Direction:
    step = momentum * velocity + grad
    return Direction(step, f"{momentum:g}·v + g", {"v": velocity, "g": grad, "d": step})


def _adam(
    optimizer: AdamW, memory: Mapping[str, Any], path: str, grad: Any, data: Any
) -> Direction:
    beta1, beta2 = optimizer.betas
    steps = optimizer.steps + 1
    first = beta1 * memory[f"first_moment/{path}"] + (1 - beta1) * grad
    second = beta2 * memory[f"second_moment/{path}"] + (1 - beta2) * np.square(grad)
    mean, square = first / (1 - beta1**steps), second / (1 - beta2**steps)
    direction = mean / (np.sqrt(square) + optimizer.eps)
    formula = "m̂ / (√v̂ + ε)"
    if optimizer.weight_decay and data.ndim > 1:
        direction = direction + optimizer.weight_decay * data
        formula += f" + {optimizer.weight_decay:g}·θ"
    return Direction(direction, formula, {"m̂": mean, "v̂": square, "d": direction})
