"""TinyLM once more, for libraries that differentiate NumPy: autograd and mygrad.

They have no fused operations, so it is written in plain ones; the same program runs on both.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from autolm.lm.tinylm import TinyLM
from benchmarks.race import Contestant

Arrays = dict[str, Any]
BETAS, EPSILON, DECAY, LEARNING_RATE = (0.9, 0.95), 1e-8, 0.1, 1e-3


Loss = Callable[[Arrays], Any]


class ArrayEngine(NamedTuple):
    """A library's functions on arrays, and its way to a loss and its gradients."""

    name: str
    functions: Any  # exp, log, sqrt, maximum, matmul and so on, as in NumPy
    loss_and_gradients: Callable[[Loss, Arrays], tuple[float, Arrays]]


def autograd_step(model: TinyLM, tokens: Any, targets: Any) -> Contestant:
    """Train with HIPS autograd; ImportError without it."""
    value_and_grad = import_module("autograd").value_and_grad

    def run(loss: Loss, weights: Arrays) -> tuple[float, Arrays]:
        number, gradients = value_and_grad(loss)(weights)
        return float(number), gradients

    engine = ArrayEngine("autograd", import_module("autograd.numpy"), run)
    return training(engine, model, tokens, targets)


def mygrad_step(model: TinyLM, tokens: Any, targets: Any) -> Contestant:
    """Train with mygrad; ImportError without it."""
    mygrad: Any = import_module("mygrad")

    def run(loss: Loss, weights: Arrays) -> tuple[float, Arrays]:
        tensors = {path: mygrad.tensor(weight) for path, weight in weights.items()}
        number = loss(tensors)
        number.backward()
        return float(number), {path: tensor.grad for path, tensor in tensors.items()}

    return training(ArrayEngine("mygrad", mygrad, run), model, tokens, targets)


def training(engine: ArrayEngine, model: TinyLM, tokens: Any, targets: Any) -> Contestant:
    """Train by AdamW, on NumPy arrays."""
    weights = {path: parameter.data.copy() for path, parameter in model.named_parameters()}
    moments = {path: (np.zeros_like(w), np.zeros_like(w)) for path, w in weights.items()}
    loss = tinylm_loss(engine.functions, model, tokens, targets)
    steps = 0

    def run() -> float:
        nonlocal steps
        steps += 1
        number, gradients = engine.loss_and_gradients(loss, weights)
        for path, gradient in gradients.items():
            first, second = moments[path]
            first += (1 - BETAS[0]) * (gradient - first)
            second += (1 - BETAS[1]) * (gradient * gradient - second)
            size = np.sqrt(second / (1 - BETAS[1] ** steps)) + EPSILON
            change = first / (1 - BETAS[0] ** steps) / size
            if gradient.ndim > 1:
                change += DECAY * weights[path]
            weights[path] = weights[path] - LEARNING_RATE * change
        return number

    return Contestant(engine.name, run)


def tinylm_loss(xp: Any, model: TinyLM, tokens: Any, targets: Any) -> Loss:
    """Return the loss as a function of the weights, by the functions of `xp`."""
    batch, time = tokens.shape
    heads = model.blocks[0].attention.num_heads
    hidden_future = np.triu(np.full((time, time), -1e9, np.float32), 1)
    rows = np.arange(tokens.size)

    def norm(x: Any, weights: Arrays, path: str) -> Any:
        center = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(center * center, axis=-1, keepdims=True)
        return center / xp.sqrt(variance + 1e-5) * weights[f"{path}.gain"] + weights[f"{path}.bias"]

    def split(x: Any) -> Any:
        return xp.swapaxes(xp.reshape(x, (batch, time, heads, -1)), 1, 2)

    def loss(weights: Arrays) -> Any:
        x = weights["embedding"][tokens] + model.positions[:time]
        for block in (f"blocks.{i}" for i in range(len(model.blocks))):
            normal = norm(x, weights, f"{block}.norm_1")
            q, k, v = (
                split(xp.matmul(normal, weights[f"{block}.attention.W_{part}"])) for part in "QKV"
            )
            scores = xp.matmul(q, xp.swapaxes(k, 2, 3)) / np.float32(q.shape[-1] ** 0.5)
            exponentials = xp.exp(scores + hidden_future)
            chances = exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
            mixed = xp.reshape(xp.swapaxes(xp.matmul(chances, v), 1, 2), (batch, time, -1))
            x = x + xp.matmul(mixed, weights[f"{block}.attention.W_O"])
            normal = norm(x, weights, f"{block}.norm_2")
            inner = xp.maximum(xp.matmul(normal, weights[f"{block}.feed_forward.W_1"]), 0)
            x = x + xp.matmul(inner, weights[f"{block}.feed_forward.W_2"])
        logits = xp.matmul(norm(x, weights, "norm"), weights["W_out"])
        logits = xp.reshape(logits, (tokens.size, -1))
        normalizers = xp.log(xp.sum(xp.exp(logits), axis=-1))
        return xp.mean(normalizers - logits[rows, targets.ravel()])

    return loss
