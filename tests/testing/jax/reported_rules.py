"""Rules of JAX that were wrong as public reports tell, each with its right twin."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

SITE = "https://github.com/"


class Reported(NamedTuple):
    wrong: Any
    right: Any
    examples: tuple
    address: str
    words: tuple[str, ...]  # of a right diagnosis
    options: dict = {}  # noqa: RUF012  (never changed)


REPORTED: dict[str, Reported] = {}


def rows(*shape):
    return np.linspace(-1.5, 2.0, int(np.prod(shape))).reshape(shape) + 0.1


def reverse(function, forward, backward):
    """Make a custom_vjp; `forward` gives what is kept."""
    made = jax.custom_vjp(function)
    made.defvjp(lambda *args: (function(*args), forward(*args)), backward)
    return made


def reported(address, *words, examples):
    def register(make):
        REPORTED[make.__name__] = Reported(*make(), examples, SITE + address, words)
        return make

    return register


def wave(x, y):
    return jnp.sin(x) * y


def wave_kept(x, y):
    return jnp.cos(x), jnp.sin(x), y


@reported("jax-ml/jax/issues/13048", "factor of −1", examples=(rows(2, 3), rows(2, 3)))
def wave_with_a_sign():
    def wrong(kept, g):
        return kept[0] * g * kept[2], -kept[1] * g

    def right(kept, g):
        return kept[0] * g * kept[2], kept[1] * g

    return reverse(wave, wave_kept, wrong), reverse(wave, wave_kept, right)


@reported("jax-ml/jax/issues/3213", "factor of −1", examples=(rows(2, 3), rows(2, 3)))
def wave_of_tangents_with_a_sign():
    def made(sign):
        function = jax.custom_jvp(lambda x, y: jnp.sin(x) * y)

        @function.defjvp
        def tangent(point, along):
            (x, y), (dx, dy) = point, along
            return function(x, y), jnp.cos(x) * dx * y + sign * jnp.sin(x) * dy

        return function

    return made(-1), made(1)


@reported("jax-ml/jax/issues/2107", "at a smooth point", examples=(rows(2, 3),))
def softplus_with_nothing_at_zero():
    def softplus(x):
        return jnp.logaddexp(x, 0.0)

    def wrong(x, g):
        return (g * jnp.where(x == 0, 0, jax.nn.sigmoid(x)),)

    def right(x, g):
        return (g * jax.nn.sigmoid(x),)

    return reverse(softplus, lambda x: x, wrong), reverse(softplus, lambda x: x, right)


def weighted(b):
    return jnp.log(jnp.sum(jnp.exp(b) * b * b + 1))


@reported("jax-ml/jax/issues/22398", "is wrong", "a path is missing", examples=(rows(4),))
def logarithm_without_a_term():
    def right(b, g):
        whole = jnp.sum(jnp.exp(b) * b * b + 1)
        return (g * jnp.exp(b) * (b * b + 2 * b) / whole,)

    def wrong(b, g):
        whole = jnp.sum(jnp.exp(b) * b * b + 1)
        return (g * jnp.exp(b) * (b * b) / whole,)

    return reverse(weighted, lambda b: b, wrong), reverse(weighted, lambda b: b, right)


MASK = np.array([True, False, True, True])


@reported(
    "jax-ml/jax/issues/23842",
    "a mask leaks",
    "is wrong",
    "left out",
    "0 · inf",
    examples=(rows(4), MASK),
)
def logsumexp_that_leaks_through_its_mask():
    def logsumexp(x, mask):
        return jax.nn.logsumexp(jnp.where(mask, x, -jnp.inf))

    def kept(x, mask):
        return x, mask, logsumexp(x, mask)

    def wrong(res, g):
        x, _, y = res
        return g * jnp.exp(x - y), None

    def right(res, g):
        x, mask, y = res
        return g * jnp.where(mask, jnp.exp(x - y), 0), None

    return reverse(logsumexp, kept, wrong), reverse(logsumexp, kept, right)


@reported("jax-ml/jax/pull/28757", "raised", examples=(rows(2, 3),))
def identity_with_a_gradient_of_another_shape():
    def same(x):
        return x * 1

    def wrong(_, g):
        return (jnp.ones((10,), g.dtype),)

    return reverse(same, lambda x: (), wrong), reverse(same, lambda x: (), lambda _, g: (g,))


@reported("jax-ml/jax/pull/40598", "precision", examples=(rows(3, 4),))
def log_softmax_that_overflows_in_half():
    def log_softmax(x):
        return jax.nn.log_softmax(x)

    def wrong(y, g):
        many = jnp.exp(y) * 32768 * 2 * jnp.sum(g, -1, keepdims=True)
        return (g - many / 65536,)

    def right(y, g):
        return (g - jnp.exp(y) * jnp.sum(g, -1, keepdims=True),)

    return reverse(log_softmax, log_softmax, wrong), reverse(log_softmax, log_softmax, right)


@reported("karpathy/llm.c/pull/763", "w is taken as 1", examples=(rows(3, 4), rows(4)))
def rms_norm_without_its_weight():
    def inverse(x):
        return 1 / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5)

    def rms_norm(x, w):
        return x * inverse(x) * w

    def backward(weigh):
        def rule(kept, g):
            x, w = kept
            r = inverse(x)
            gradient, normal = weigh(g, w), x * r
            dx = r * (gradient - normal * jnp.mean(gradient * normal, -1, keepdims=True))
            return dx, jnp.sum(g * normal, 0)

        return rule

    return (
        reverse(rms_norm, lambda x, w: (x, w), backward(lambda g, w: g)),
        reverse(rms_norm, lambda x, w: (x, w), backward(lambda g, w: g * w)),
    )


@reported("paiml/aprender/pull/2182", "factor of", examples=(rows(3, 4),))
def sum_of_squares_divided_by_the_batch():
    def loss(x):
        return jnp.sum(x * x, -1)

    return (
        reverse(loss, lambda x: x, lambda x, g: (2 * x * g[:, None] / len(x),)),
        reverse(loss, lambda x: x, lambda x, g: (2 * x * g[:, None],)),
    )


def passes_check_grads(case):
    """Whether JAX's own check lets the wrong one pass."""
    floats = [x for x in case.examples if x.dtype.kind == "f"]
    fixed = [x for x in case.examples if x.dtype.kind != "f"]
    try:
        with jax.enable_x64(True):
            check_grads(lambda *those: case.wrong(*those, *fixed), floats, 1, modes=["rev"])
    except Exception:
        return False
    return True
