"""Operations with classic mistakes, each with its correct twin and what the kit should say."""

import numpy as np

from autolm.ops.primitive import primitive

from .right_operations import (
    average,
    column_sums,
    exponential,
    hyperbolic,
    largest,
    leaky,
    linear_layer,
    logarithm,
    look_back,
    lookup,
    matrix_product,
    normal_and_inverse,
    normalized,
    probabilities,
    product,
    ratio,
    rectified,
    running_average,
    scaled,
    scores,
    shifted,
    soft,
    softplus,
    square,
    turned,
    wave,
)

WRONG = []  # (wrong operation, correct twin, what its diagnosis must say)


def instead_of(twin, diagnosis, **record):
    """Register a wrong version of an operation, with the twin's record except for `record`."""

    def register(function):
        options = {"domain": twin.domain, "cases": twin.cases, "relations": twin.relations}
        operation = primitive(**{**options, **record})(function)
        WRONG.append((operation, twin, diagnosis))
        return operation

    return register


# A constant factor


@instead_of(exponential, "factor of −1")
def exponential_negated(a):
    y = np.exp(a)
    return y, lambda grad: (-grad * y,)


@instead_of(square, "factor of ½")
def square_halved(a):
    return a * a, lambda grad: (a * grad,)


@instead_of(square, "factor of 2")
def square_doubled(a):
    return a * a, lambda grad: (4 * a * grad,)


@instead_of(exponential, "factor of 1.000001")
def exponential_almost(a):
    y = np.exp(a)
    return y, lambda grad: (grad * y * (1 + 1e-6),)


@instead_of(average, "factor of the number of elements reduced")
def average_not_divided(a):
    return a.sum(axis=-1) / a.shape[-1], lambda grad: (np.broadcast_to(grad[..., None], a.shape),)


@instead_of(scores, "the root of the length of the last axis")
def scores_not_scaled(q, k):
    root = float(np.sqrt(q.shape[-1]))
    return q @ k.T / root, lambda grad: (grad @ k, grad.T @ q)


# Operands swapped


@instead_of(product, "operands swapped", rule=("ḡ · b", "ḡ · a"))
def product_swapped(a, b):
    return a * b, lambda grad: (grad * a, grad * b)


@instead_of(ratio, "operands swapped")
def ratio_swapped(a, b):
    return a / b, lambda grad: (grad / a, -grad * b / (a * a))


@instead_of(matrix_product, "operands swapped")
def matrix_product_swapped(a, b):
    return a @ b, lambda grad: (a.T @ grad, grad @ b.T)


# Transposed


@instead_of(turned, "transposed")
def turned_not_back(a):
    return a.T, lambda grad: (grad,)


@instead_of(matrix_product, "transposed")
def matrix_product_not_transposed(a, b):
    return a @ b, lambda grad: (grad @ b, a @ grad)


@instead_of(linear_layer, "transposed")
def linear_layer_transposed(x, weight):
    return x @ weight.T, lambda grad: (grad @ weight, x.T @ grad)


# Summed over the wrong axis, or not at all


@instead_of(shifted, "summed over the wrong axis")
def shifted_wrong_axis(x, bias):
    return x + bias, lambda grad: (grad, grad.sum(axis=1))


@instead_of(shifted, "not summed")
def shifted_one_row(x, bias):
    return x + bias, lambda grad: (grad, grad[-1])


@instead_of(shifted, "factor of 1 / the number of repeats")
def shifted_averaged(x, bias):
    return x + bias, lambda grad: (grad, grad.mean(axis=0))


@instead_of(scaled, "summed over the wrong axis")
def scaled_wrong_axis(x, gain):
    return x * gain, lambda grad: (grad * gain, (grad * x).sum(axis=1))


@instead_of(column_sums, "transposed")
def column_sums_spread_wrong(a):
    return a.sum(axis=0), lambda grad: (np.broadcast_to(grad[:, None], a.shape),)


@instead_of(matrix_product, "summed over an axis")
def matrix_product_summed(a, b):
    return a @ b, lambda grad: (
        np.broadcast_to((grad @ b.T).sum(axis=0), a.shape),
        a.T @ grad,
    )


# A path, or a term, missing


@instead_of(product, "a path is missing: nothing is sent")
def product_one_operand(a, b):
    return a * b, lambda grad: (grad * b, np.zeros_like(grad))


@instead_of(wave, "a term is missing: half of the product rule")
def wave_half_the_product_rule(a):
    return a * np.sin(a), lambda grad: (grad * np.sin(a),)


@instead_of(soft, "a term is missing: −y · Σ(ḡ · y)")
def soft_without_normalizer(a):
    y = probabilities(a)
    return y, lambda grad: (y * grad,)


@instead_of(soft, "a path is missing: that from each element to the others")
def soft_like_sigmoid(a):
    y = probabilities(a)
    return y, lambda grad: (grad * y * (1 - y),)


@instead_of(normalized, "a term is missing: a sum or mean, the same along an axis")
def normalized_without_mean(a):
    normal, inverse = normal_and_inverse(a)
    return normal, lambda grad: (
        (grad - normal * (grad * normal).mean(axis=-1, keepdims=True)) * inverse,
    )


@instead_of(normalized, "a term is missing")
def normalized_without_scale(a):
    normal, inverse = normal_and_inverse(a)
    return normal, lambda grad: ((grad - grad.mean(axis=-1, keepdims=True)) * inverse,)


@instead_of(leaky, "a path is missing where a < 0", kinks="a = 0")
def leaky_cut_off(a):
    slope = np.where(a.real > 0, 1.0, 0.1)
    slope = slope.astype(a.dtype) if a.dtype.kind == "f" else slope
    return a * slope, lambda grad: (np.where(a > 0, grad, 0),)


# Stale or overwritten


@instead_of(lookup, "overwritten")
def lookup_overwritten(table, *, ids):
    def backward(grad):
        scattered = np.zeros(table.shape, grad.dtype)
        scattered[ids] = grad
        return (scattered,)

    return table[ids], backward


_latest = {}


@instead_of(square, "stale")
def square_of_the_latest(a):
    _latest["a"] = a
    return a * a, lambda grad: (2 * _latest["a"] * grad,)


@instead_of(square, "stale")
def square_accumulating(a):
    total = np.zeros(a.shape)

    def backward(grad):
        nonlocal total
        total = total + 2 * a * grad
        return (total,)

    return a * a, backward


_kept = []


@instead_of(square, "stale")
def square_kept_elsewhere(a):
    _kept.append(a)
    return a * a, lambda grad: (2 * _kept[-1] * grad,)


# The upstream gradient


@instead_of(hyperbolic, "upstream ignored")
def hyperbolic_ignoring(a):
    y = np.tanh(a)
    return y, lambda grad: (1 - y * y,)


@instead_of(column_sums, "upstream ignored")
def column_sums_ignoring(a):
    return a.sum(axis=0), lambda grad: (np.ones_like(a),)


@instead_of(hyperbolic, "upstream mutated")
def hyperbolic_in_place(a):
    y = np.tanh(a)

    def backward(grad):
        grad *= 1 - y * y
        return (grad,)

    return y, backward


@instead_of(rectified, "upstream mutated", kinks="a = 0")
def rectified_in_place(a):
    def backward(grad):
        grad[a <= 0] = 0
        return (grad,)

    return np.where(a.real > 0, a, 0), backward


# Shared memory, and inputs changed


_results = {}
_contributions = {}


@instead_of(square, "shared buffers")
def square_into_one_buffer(a):
    result = _results.setdefault((a.shape, a.dtype), np.empty_like(a))
    np.multiply(a, a, out=result)
    return result, lambda grad: (2 * a * grad,)


@instead_of(exponential, "shared buffers")
def exponential_into_one_buffer(a):
    y = np.exp(a)

    def backward(grad):
        gradient = _contributions.setdefault((a.shape, grad.dtype), np.empty_like(grad))
        np.multiply(grad, y, out=gradient)
        return (gradient,)

    return y, backward


@instead_of(exponential, "shared buffers: both uses")
def exponential_into_its_own_buffer(a):
    y = np.exp(a)
    gradient = np.empty_like(y)

    def backward(grad):
        np.multiply(grad, y, out=gradient)
        return (gradient,)

    return y, backward


@instead_of(soft, "input mutated")
def soft_in_place(a):
    a -= a.real.max(axis=-1, keepdims=True)
    y = probabilities(a)
    return y, lambda grad: (y * (grad - (grad * y).sum(axis=-1, keepdims=True)),)


# Order, precision, kinks and extremes


@instead_of(turned, "elements in the wrong places")
def turned_by_memory(a):
    return a.T, lambda grad: (grad.ravel(order="K").reshape(a.shape).T,)


@instead_of(largest, "ties")
def largest_gives_to_all(a):
    y = a.max(axis=-1, keepdims=True)
    return y[..., 0], lambda grad: (np.where(a == y, grad[..., None], 0),)


@instead_of(softplus, "overflows")
def softplus_naive(a):
    return np.log(1 + np.exp(a)), lambda grad: (grad / (1 + np.exp(-a)),)


@instead_of(logarithm, "another slope: the rule computes y · ḡ")
def logarithm_like_exponential(a):
    y = np.log(a)
    return y, lambda grad: (grad * y,)


# Forwards that are not what they say, with the right gradient


@instead_of(running_average, "not causal: position 0 of the result depends on position 1")
def running_average_sees_ahead(x):
    return look_back(x, lambda n: np.tri(n, k=1))


@instead_of(running_average, "no position of the result depends on its own")
def running_average_blind(x):
    return look_back(x, lambda n: np.tri(n, k=-1))


@instead_of(soft, "not shift_invariant(-1)")
def soft_of_squares(a):
    weights = a * a + 1
    total = weights.sum(axis=-1, keepdims=True)
    y = weights / total

    def backward(grad):
        return ((grad - (grad * y).sum(axis=-1, keepdims=True)) * 2 * a / total,)

    return y, backward
