"""The end of a training step: where an optimizer moves the leaves, and the loss after it.

A parameter goes to θ − α·d. Of plain gradient descent d is the gradient; an optimizer with a memory
makes another d of it. The loss is computed for some forty α beforehand: the page's slider moves
among them. Whatever is tried is put back.
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

RATES = 40  # steps of the slider, from 0 to the largest α
USUAL = 1.0  # the end of the slider, where the loss falls for every α that is tried
MOST_NUMBERS = 4_000_000  # of a graph that is computed so many times
PLAIN = "θ − α·g"
LOOP = 10  # steps of the loop of training that is played
MOST_IN_LOOPS = 200_000  # numbers of a graph for which loops are computed
OF_OTHERS = 10_000  # numbers whose computing takes as long as a call of another library's function

LossWith = Callable[[Mapping[Node, Any]], float]


@dataclass
class Direction:
    """Where one leaf goes: d, and how it was made."""

    step: Any
    formula: str = "g"
    made_of: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainingStep:
    """What becomes of the loss when the leaves move.

    Attributes
    ----------
    directions
        By leaf; others stay where they are.
    rates, losses
        The values of α that were tried, and the loss at each; the first α is 0.
    rule
        What the optimizer does, in a formula.
    loops
        By the place of an α among `rates`: the losses after 1, 2, … such steps, each from where the
        one before has led. Of plain gradient descent alone, and not of Values, with which the page
        can compute.
    """

    directions: dict[Node, Direction]
    rates: list[float]
    losses: list[float]
    rule: str
    loops: dict[int, list[float]] = field(default_factory=dict)


def training_step(
    root: Node, gradients: Mapping[Node, Any], optimizer: Optimizer | None = None
) -> TrainingStep | None:
    """Try a step; None where nothing can move, or where computing it again is too long, or refused.

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
        adapter_of(node.data).size + OF_OTHERS * (node.in_numpy is not None) for node in order
    )
    if size > MOST_NUMBERS:
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
            return _tried(root, directions, rule, loss_with, has_loops=size <= MOST_IN_LOOPS)
    except ValueError:  # of PyTorch, what was done where nobody saw it cannot be done again
        return None


def _tried(
    root: Node,
    directions: dict[Node, Direction],
    rule: str,
    loss_with: LossWith,
    *,
    has_loops: bool,
) -> TrainingStep:
    """Compute the loss for each α, and for each the losses of a loop of such steps."""

    def loss_at(rate: float) -> float:
        return loss_with({leaf: rate * each.step for leaf, each in directions.items()})

    largest = _largest_rate(loss_at)
    rates = [largest * i / RATES for i in range(RATES + 1)]
    step = TrainingStep(directions, rates, list(map(loss_at, rates)), rule)
    if rule == PLAIN and has_loops and not isinstance(root, Value):
        leaves = list(directions)
        step.loops = {i: _loop(root, leaves, loss_with, rates[i]) for i in range(1, RATES + 1)}
    return step


def _loop(root: Node, leaves: Sequence[Node], loss_with: LossWith, rate: float) -> list[float]:
    """Take step after step of gradient descent, and return the loss after each."""
    gone: dict[Node, Any] = dict.fromkeys(leaves, 0.0)
    losses = [loss_with(gone)]
    with quiet():
        while len(losses) <= LOOP:
            passed = Backprop(root)
            passed.run()
            gone = {leaf: gone[leaf] + rate * passed.gradients[leaf] for leaf in leaves}
            losses.append(loss_with(gone))
    return losses[1:]


def _largest_rate(loss_at: Any) -> float:
    """Return the first α of 1, 2, 5, 10, … thousandths at which the loss is higher than before."""
    before = loss_at(0.0)
    for power in range(-3, 2):
        for digit in (1, 2, 5):
            rate = float(f"{digit}e{power}")
            if not loss_at(rate) <= before:
                return rate
    return USUAL


@contextmanager
def _moving(order: Sequence[Node], directions: Mapping[Node, Direction]) -> Iterator[LossWith]:
    """Give a function of how far each leaf has gone; at the end everything is as it was."""
    moving = set(directions)
    for node in order:
        if not moving.isdisjoint(node.parents):
            moving.add(node)
    affected = [node for node in order if node in moving]
    states = {node: [getattr(node, slot) for slot in node.computed] for node in affected}
    start = {leaf: leaf.data for leaf in directions}

    def loss_with(gone: Mapping[Node, Any]) -> float:
        with quiet():
            for leaf, way in gone.items():
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
    """Say where an optimizer would move each of its parameters, of which nothing changes."""
    memory = optimizer.state()
    mine: dict[Node, str] = {
        leaf: path for path, leaf in optimizer.parameters.items() if leaf in gradients
    }
    if isinstance(optimizer, AdamW):
        moved = {
            leaf: _adam(optimizer, memory, path, gradients[leaf], np.asarray(leaf.data))
            for leaf, path in mine.items()
        }
        decay = " + λ·θ" if optimizer.weight_decay else ""
        return moved, f"θ − α·(m̂ / (√v̂ + ε){decay})"
    if isinstance(optimizer, SGD) and optimizer.momentum:
        return {
            leaf: _momentum(optimizer.momentum, memory[f"velocity/{path}"], gradients[leaf])
            for leaf, path in mine.items()
        }, "θ − α·v"
    if isinstance(optimizer, SGD):
        return {leaf: Direction(gradients[leaf]) for leaf in mine}, PLAIN
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
