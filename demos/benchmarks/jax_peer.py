"""TinyLM on JAX, whose training step is compiled as a whole. This file needs JAX.

The loss is that of `array_peers`, by JAX's functions; the step is its gradient and AdamW under one
`jit`, and the old weights are given up for the new.
"""

import os
from typing import Any

from autolm.lm.tinylm import TinyLM
from benchmarks.array_peers import BETAS, DECAY, EPSILON, LEARNING_RATE, tinylm_loss
from benchmarks.race import Contestant


def jax_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train by AdamW; the number of threads applies only before JAX has started."""
    single = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if threads == 1:
        os.environ["XLA_FLAGS"] = single
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import jax
    from jax import numpy as jnp

    if threads == 1 and hasattr(os, "sched_setaffinity"):  # it takes all that it may have
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, [min(allowed)])
        jax.devices()  # begins its threads, which keep to what is allowed now
        os.sched_setaffinity(0, allowed)
    weights = {path: jnp.asarray(p.data) for path, p in model.named_parameters()}
    zeros = {path: jnp.zeros_like(weight) for path, weight in weights.items()}
    state = (weights, zeros, {path: jnp.zeros_like(w) for path, w in weights.items()}, 0)
    loss_of = tinylm_loss(jnp, model, tokens, targets)

    def step(weights: Any, firsts: Any, seconds: Any, steps: Any) -> Any:
        number, gradients = jax.value_and_grad(loss_of)(weights)
        steps = steps + 1
        for path, gradient in gradients.items():
            first = BETAS[0] * firsts[path] + (1 - BETAS[0]) * gradient
            second = BETAS[1] * seconds[path] + (1 - BETAS[1]) * gradient * gradient
            size = jnp.sqrt(second / (1 - BETAS[1] ** steps)) + EPSILON
            change = first / (1 - BETAS[0] ** steps) / size
            if gradient.ndim > 1:
                change += DECAY * weights[path]
            weights = weights | {path: weights[path] - LEARNING_RATE * change}
            firsts, seconds = firsts | {path: first}, seconds | {path: second}
        return number, (weights, firsts, seconds, steps)

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))

    def run() -> float:
        nonlocal state
        number, state = compiled(*state)
        return float(number)

    return Contestant(name, run)
