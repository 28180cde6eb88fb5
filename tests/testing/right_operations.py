"""Correct operations: the twins of those with planted mistakes."""

import numpy as np

from autolm.ops.array_operation import POSITIVE, Case
from autolm.ops.primitive import primitive
from autolm.testing import causal, shift_invariant

SQUARE = (Case(((3, 3),)), Case(((2, 2),)))
ROWS = (Case(((4,),)), Case(((3, 3),)), Case(((2, 3),)))
AFFINE = (Case(((3, 3), (3,))), Case(((2, 2), (2,))), Case(((2, 3), (3,))))
PRODUCTS = (Case(((3, 3), (3, 3))), Case(((2, 2), (2, 2))))


@primitive(rule=("ḡ · b", "ḡ · a"))
def product(a, b):
    return a * b, lambda grad: (grad * b, grad * a)


@primitive
def ratio(a, b):
    return a / b, lambda grad: (grad / b, -grad * a / (b * b))


@primitive
def square(a):
    return a * a, lambda grad: (2 * a * grad,)


@primitive
def exponential(a):
    y = np.exp(a)
    return y, lambda grad: (grad * y,)


@primitive
def hyperbolic(a):
    y = np.tanh(a)
    return y, lambda grad: (grad * (1 - y * y),)


@primitive
def wave(a):
    return a * np.sin(a), lambda grad: (grad * (np.sin(a) + a * np.cos(a)),)


@primitive(kinks="a = 0")
def rectified(a):
    return np.where(a.real > 0, a, 0), lambda grad: (np.where(a > 0, grad, 0),)


@primitive(kinks="a = 0")
def leaky(a):
    slope = np.where(a.real > 0, 1.0, 0.1)
    slope = slope.astype(a.dtype) if a.dtype.kind == "f" else slope
    return a * slope, lambda grad: (grad * slope,)


@primitive(cases=ROWS)
def average(a):
    return a.sum(axis=-1) / a.shape[-1], lambda grad: (
        np.broadcast_to(grad[..., None] / a.shape[-1], a.shape),
    )


@primitive(cases=SQUARE)
def column_sums(a):
    return a.sum(axis=0), lambda grad: (np.broadcast_to(grad[None, :], a.shape),)


@primitive(cases=SQUARE)
def turned(a):
    return a.T, lambda grad: (grad.T,)


@primitive(cases=AFFINE)
def shifted(x, bias):
    return x + bias, lambda grad: (grad, grad.sum(axis=0))


@primitive(cases=AFFINE)
def scaled(x, gain):
    return x * gain, lambda grad: (grad * gain, (grad * x).sum(axis=0))


@primitive(cases=PRODUCTS)
def matrix_product(a, b):
    return a @ b, lambda grad: (grad @ b.T, a.T @ grad)


@primitive(cases=PRODUCTS)
def linear_layer(x, weight):
    return x @ weight.T, lambda grad: (grad @ weight, grad.T @ x)


@primitive(cases=PRODUCTS)
def scores(q, k):
    root = float(np.sqrt(q.shape[-1]))
    return q @ k.T / root, lambda grad: (grad @ k / root, grad.T @ q / root)


def probabilities(a):
    shifted = np.exp(a - a.real.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


@primitive(cases=ROWS, relations=(shift_invariant(-1),))
def soft(a):
    y = probabilities(a)
    return y, lambda grad: (y * (grad - (grad * y).sum(axis=-1, keepdims=True)),)


def normal_and_inverse(a):
    deviation = a - a.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt((deviation * deviation).mean(axis=-1, keepdims=True) + 1e-5)
    return deviation * inverse, inverse


@primitive(cases=ROWS)
def normalized(a):
    normal, inverse = normal_and_inverse(a)

    def backward(grad):
        along = (grad * normal).mean(axis=-1, keepdims=True)
        return ((grad - grad.mean(axis=-1, keepdims=True) - normal * along) * inverse,)

    return normal, backward


@primitive(cases=(Case(((4, 2),), {"ids": np.array([1, 3, 1])}),))
def lookup(table, *, ids):
    def backward(grad):
        scattered = np.zeros(table.shape, grad.dtype)
        np.add.at(scattered, ids, grad)
        return (scattered,)

    return table[ids], backward


@primitive(cases=ROWS, kinks="where several are largest")
def largest(a):
    y = a.max(axis=-1, keepdims=True)
    chosen = a == y
    count = chosen.sum(axis=-1, keepdims=True)
    return y[..., 0], lambda grad: (np.where(chosen, grad[..., None] / count, 0),)


@primitive
def softplus(a):
    low = np.where(a.real > 0, -a, a)
    return np.where(a.real > 0, a, 0) + np.log1p(np.exp(low)), lambda grad: (
        grad * np.where(a > 0, 1, np.exp(low)) / (1 + np.exp(low)),
    )


@primitive(domain=(POSITIVE,))
def logarithm(a):
    return np.log(a), lambda grad: (grad / a,)


def look_back(x, mask):
    allowed = mask(x.shape[0])
    weights = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
    weights = weights.astype(x.dtype) if x.dtype.kind == "f" else weights
    return weights @ x, lambda grad: (weights.T @ grad,)


@primitive(cases=(Case(((3, 2),)), Case(((4, 1),))), relations=(causal,))
def running_average(x):
    return look_back(x, lambda n: np.tri(n))


@primitive(cases=ROWS, kinks="where several are equal")
def in_order(a):
    order = np.argsort(a.real, axis=-1)

    def backward(grad):
        gradient = np.empty_like(grad)
        np.put_along_axis(gradient, order, grad, -1)
        return (gradient,)

    return np.take_along_axis(a, order, -1), backward


@primitive(cases=(Case(((3, 3), (3,))),))
def solution(a, b):
    x = np.linalg.solve(a, b)

    def backward(grad):
        gradient = np.linalg.solve(a.T, grad)
        return -np.outer(gradient, x), gradient

    return x, backward
