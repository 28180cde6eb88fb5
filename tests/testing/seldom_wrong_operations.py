"""Operations whose gradient is wrong under one condition only, or by very little."""

import numpy as np

from autolm.ops.array_operation import Case
from autolm.ops.primitive import primitive

from .right_operations import (
    average,
    exponential,
    hyperbolic,
    matrix_product,
    normal_and_inverse,
    normalized,
    product,
    ratio,
    rectified,
)
from .wrong_operations import instead_of

ALONG = tuple(Case(((2, 3),), {"axis": axis}) for axis in (0, 1, -1, -2))
BATCHES = (Case(((2, 3), (3, 2))), Case(((2, 2, 3), (3, 2))), Case(((3, 2, 3), (3, 2))))


@primitive(cases=ALONG)
def shares(a, *, axis):
    weights = np.exp(a - a.real.max(axis=axis, keepdims=True))
    y = weights / weights.sum(axis=axis, keepdims=True)
    return y, lambda grad: (y * (grad - (grad * y).sum(axis=axis, keepdims=True)),)


@primitive(cases=(Case(((4,),)), Case(((3, 2),))))
def running_sum(a):
    return np.cumsum(a, axis=0), lambda grad: (np.cumsum(grad[::-1], axis=0)[::-1],)


@primitive(cases=BATCHES)
def batched_product(a, b):
    return a @ b, lambda grad: (grad @ b.T, a.swapaxes(-1, -2) @ grad)


@instead_of(ratio, "b: off by a factor of 1.000001")
def ratio_almost(a, b):
    return a / b, lambda grad: (grad / b, -grad * a / (b * b) * (1 + 1e-6))


@instead_of(shares, "summed over the wrong axis")
def shares_along_minus_two(a, *, axis):
    y, _ = shares.forward(a, axis=axis)
    summed = -1 if axis == -2 else axis
    return y, lambda grad: (y * (grad - (grad * y).sum(axis=summed, keepdims=True)),)


@instead_of(product, "factor of 1 / the number of repeats")
def product_stretched_between(a, b):
    def sum_to(x, grad):
        grad = grad.sum(axis=tuple(range(grad.ndim - x.ndim)))
        for axis, n in enumerate(x.shape):
            inner = 0 < axis < x.ndim - 1
            if n == 1:
                grad = (np.mean if inner else np.sum)(grad, axis=axis, keepdims=True)
        return grad

    return a * b, lambda grad: (sum_to(a, grad * b), sum_to(b, grad * a))


@instead_of(hyperbolic, "stale")
def hyperbolic_wrong_the_second_time(a):
    y = np.tanh(a)
    uses = []

    def backward(grad):
        uses.append(1)
        return (grad * (1 - y * y) * len(uses),)

    return y, backward


@instead_of(hyperbolic, "wrong only for arrays that are not contiguous")
def hyperbolic_of_contiguous(a):
    y = np.tanh(a)
    return y, lambda grad: (grad * (1 - y * y if grad.flags.c_contiguous else 1 - y),)


@instead_of(hyperbolic, "a path is missing where |a| is large")
def hyperbolic_cut_off(a):
    y = np.tanh(a)
    return y, lambda grad: (np.where(np.abs(a) > 2.9, 0, grad * (1 - y * y)),)


@instead_of(product, "wrong only where an operand occurs twice")
def product_of_the_first_use(a, b):
    return a * b, lambda grad: (grad * b, np.zeros_like(grad) if a is b else grad * a)


@instead_of(batched_product, "averaged")
def batched_product_averaged(a, b):
    def backward(grad):
        to_b = a.swapaxes(-1, -2) @ grad
        return grad @ b.T, to_b if to_b.ndim == 2 else to_b.mean(axis=0)

    return a @ b, backward


@instead_of(average, "off by a factor of the length of the first axis")
def average_of_a_batch(a):
    return a.sum(axis=-1) / a.shape[-1], lambda grad: (
        np.broadcast_to(grad[..., None] * a.shape[0] / a.shape[-1], a.shape),
    )


@instead_of(running_sum, "transposed: the rule is the slope of the forward itself")
def running_sum_not_turned(a):
    return np.cumsum(a, axis=0), lambda grad: (np.cumsum(grad, axis=0),)


@instead_of(exponential, "rounded to single precision")
def exponential_narrowed(a):
    y = np.exp(a)
    return y, lambda grad: ((grad * y).astype(np.float32),)


@instead_of(hyperbolic, "result mutated")
def hyperbolic_over_its_result(a):
    y = np.array(np.tanh(a))

    def backward(grad):
        y[...] = 1 - y * y
        return (grad * y,)

    return y, backward


@instead_of(rectified, "wrong on a kink", kinks="a = 0")
def rectified_twice_on_the_kink(a):
    slope = np.where(a.real > 0, 1, np.where(a.real == 0, 2, 0))
    return np.where(a.real > 0, a, 0), lambda grad: (grad * slope.astype(grad.dtype),)


@instead_of(normalized, "a term is missing")
def normalized_by_one_less(a):
    normal, inverse = normal_and_inverse(a)

    def backward(grad):
        along = (grad * normal).sum(axis=-1, keepdims=True) / (a.shape[-1] - 1)
        return ((grad - grad.mean(axis=-1, keepdims=True) - normal * along) * inverse,)

    return normal, backward


@instead_of(matrix_product, "factor of 1.000001")
def matrix_product_almost(a, b):
    return a @ b, lambda grad: (grad @ b.T, (1 + 1e-6) * a.T @ grad)
