"""Right rules of NumPy and SciPy functions, as their users write them: none may be accused.

Four entries of the first round were wrong where they divide 0 by 0: a length of 0, equal rows, a
product with a factor of 0. Since then each has a domain without such points, or sends 0 there.
"""

import numpy as np
import pytest

from autolm.ops.array_operation import Case

from .wrong_rules import POSITIVE, ROUND_1, unbroadcast

scipy = pytest.importorskip("scipy")
special = pytest.importorskip("scipy.special")
linalg = pytest.importorskip("scipy.linalg")

RIGHT = {}  # name -> (forward, arguments of check_op, date)


def right(date, **options):
    """Register a right rule with the arguments of `check_op`."""

    def register(forward):
        RIGHT[forward.__name__] = (forward, options, date)
        return forward

    return register


def of_one(date, **options):
    """Register a right rule of one operand, from a function that returns value and slope."""

    def register(function):
        def forward(a):
            y, slope = function(a)
            return y, lambda g: (g * slope,)

        forward.__name__ = function.__name__
        return right(date, **options)(forward)

    return register


# SciPy's special functions


@of_one(ROUND_1)
def erf(a):
    return special.erf(a), 2 / np.sqrt(np.pi) * np.exp(-a * a)


@of_one(ROUND_1)
def erfc(a):
    return special.erfc(a), -2 / np.sqrt(np.pi) * np.exp(-a * a)


@of_one(ROUND_1)
def normal_distribution(a):
    return special.ndtr(a), np.exp(-a * a / 2) / np.sqrt(2 * np.pi)


@of_one(ROUND_1, domain=POSITIVE)
def log_gamma(a):
    return special.gammaln(a), special.digamma(a)


@of_one(ROUND_1, domain=(0.1, 30))
def gamma(a):
    y = special.gamma(a)
    return y, y * special.digamma(a)


@of_one(ROUND_1, domain=POSITIVE)
def digamma(a):
    return special.digamma(a), special.polygamma(1, a)


@of_one(ROUND_1)
def logistic(a):
    y = special.expit(a)
    return y, y * (1 - y)


@of_one(ROUND_1)
def log_logistic(a):
    return special.log_expit(a), special.expit(-a)


@of_one(ROUND_1, domain=(0, 1))
def logit(a):
    return special.logit(a), 1 / (a * (1 - a))


@of_one(ROUND_1)
def bessel_j0(a):
    return special.j0(a), -special.j1(a)


@of_one(ROUND_1)
def bessel_i0_scaled(a):
    return special.i0e(a), special.i1e(a) - np.sign(a) * special.i0e(a)


@of_one(ROUND_1)
def sine_integral(a):
    return special.sici(a)[0], np.sinc(a / np.pi)


@of_one(ROUND_1)
def dawson(a):
    y = special.dawsn(a)
    return y, 1 - 2 * a * y


@of_one(ROUND_1, domain=(-1, 1))
def inverse_erf(a):
    y = special.erfinv(a)
    return y, np.sqrt(np.pi) / 2 * np.exp(y * y)


@of_one(ROUND_1, domain=POSITIVE)
def lambert_w(a):
    w = special.lambertw(a).real
    return w, w / (a * (1 + w))


@of_one(ROUND_1, domain=(0, 1))
def entropy(a):
    return special.entr(a), -np.log(a) - 1


@right(ROUND_1, cases=[Case(((3, 4),))])
def log_sum_exp(a):
    y = special.logsumexp(a, axis=-1)
    return y, lambda g: (g[:, None] * special.softmax(a, axis=-1),)


@right(ROUND_1, cases=[Case(((3, 4),))])
def softmax(a):
    y = special.softmax(a, axis=-1)
    return y, lambda g: (y * (g - (g * y).sum(-1, keepdims=True)),)


@right(ROUND_1, cases=[Case(((3, 4),))])
def log_softmax(a):
    y = special.log_softmax(a, axis=-1)
    return y, lambda g: (g - np.exp(y) * g.sum(-1, keepdims=True),)


@right(ROUND_1, domain=POSITIVE)
def x_log_y(a, b):
    def backward(g):
        return unbroadcast(g * np.log(b), a.shape), unbroadcast(g * a / b, b.shape)

    return special.xlogy(a, b), backward


# NumPy, element by element


@of_one(ROUND_1)
def hyperbolic_tangent(a):
    y = np.tanh(a)
    return y, 1 - y * y


@of_one(ROUND_1)
def hyperbolic_sine(a):
    return np.sinh(a), np.cosh(a)


@of_one(ROUND_1)
def exponential_minus_one(a):
    return np.expm1(a), np.exp(a)


@of_one(ROUND_1, domain=(-1, np.inf))
def log_one_plus(a):
    return np.log1p(a), 1 / (1 + a)


@of_one(ROUND_1)
def cube_root(a):
    y = np.cbrt(a)
    return y, 1 / (3 * y * y)


@of_one(ROUND_1)
def swish(a):
    s = special.expit(a)
    return a * s, s * (1 + a * (1 - s))


@of_one(ROUND_1)
def gelu(a):
    cdf = special.ndtr(a)
    return a * cdf, cdf + a * np.exp(-a * a / 2) / np.sqrt(2 * np.pi)


@of_one(ROUND_1)
def mish(a):
    t = np.tanh(np.logaddexp(0, a))
    return a * t, t + a * (1 - t * t) * special.expit(a)


@of_one(ROUND_1)
def sinc(a):
    x = np.pi * a
    safe = np.where(a == 0, 1, x)
    slope = (np.cos(x) - np.sinc(a)) / safe * np.pi
    return np.sinc(a), np.where(a == 0, 0, slope)


@of_one(ROUND_1)
def step_by_rounding(a):
    return np.round(a), np.zeros_like(a)


@of_one(ROUND_1)
def huber(a):
    small = np.abs(a) < 1
    return np.where(small, a * a / 2, np.abs(a) - 0.5), np.where(small, a, np.sign(a))


@of_one(ROUND_1)
def hard_sigmoid(a):
    return np.clip(a / 6 + 0.5, 0, 1), np.where(np.abs(a) < 3, 1 / 6, 0)


@of_one(ROUND_1)
def between_points(a):
    xs, ys = np.array([-8.0, -1.1, 0.3, 2.7, 9.0]), np.array([0.0, 1.0, -2.0, 0.5, 4.0])
    place = np.clip(np.searchsorted(xs, a) - 1, 0, 3)
    inside = (xs[0] < a) & (a < xs[-1])
    return np.interp(a, xs, ys), np.where(inside, np.diff(ys)[place] / np.diff(xs)[place], 0)


@right(ROUND_1)
def hypotenuse(a, b):
    y = np.hypot(a, b)
    safe = np.where(y == 0, 1, y)

    def backward(g):
        return unbroadcast(g * a / safe, a.shape), unbroadcast(g * b / safe, b.shape)

    return y, backward


@right(ROUND_1)
def angle(a, b):
    square = a * a + b * b

    def backward(g):
        return unbroadcast(g * b / square, a.shape), unbroadcast(-g * a / square, b.shape)

    return np.arctan2(a, b), backward


@right(ROUND_1)
def log_add_exp(a, b):
    y = np.logaddexp(a, b)

    def backward(g):
        return unbroadcast(g * np.exp(a - y), a.shape), unbroadcast(g * np.exp(b - y), b.shape)

    return y, backward


@right(ROUND_1)
def larger(a, b):
    first = a > b
    tie = np.where(a == b, 0.5, 0)

    def backward(g):
        of_a = g * (first + tie)
        return unbroadcast(of_a, a.shape), unbroadcast(g - of_a, b.shape)

    return np.maximum(a, b), backward


@right(ROUND_1)
def remainder(a, b):
    def backward(g):
        return unbroadcast(g, a.shape), unbroadcast(-g * np.floor(a / b), b.shape)

    return np.mod(a, b), backward


@right(ROUND_1, domain=POSITIVE)
def power(a, b):
    y = a**b

    def backward(g):
        return unbroadcast(g * b * y / a, a.shape), unbroadcast(g * y * np.log(a), b.shape)

    return y, backward


# NumPy, along axes


@right(ROUND_1, cases=[Case(((3, 4),))])
def variance(a):
    centred = a - a.mean(-1, keepdims=True)
    return a.var(-1), lambda g: (2 * centred / a.shape[-1] * g[:, None],)


@right(ROUND_1, cases=[Case(((3, 4),))])
def deviation(a):
    centred, y = a - a.mean(-1, keepdims=True), a.std(-1)
    safe = np.where(y == 0, 1, y)
    return y, lambda g: (centred / a.shape[-1] * (g / safe)[:, None],)


@right(ROUND_1, cases=[Case(((5,),))], domain=POSITIVE)
def running_product(a):
    y = np.cumprod(a)
    return y, lambda g: (np.cumsum((g * y)[::-1])[::-1] / a,)


@right(ROUND_1, cases=[Case(((3, 4),))])
def median_of_rows(a):
    order = np.argsort(a, axis=-1)
    n = a.shape[-1]
    middle = order[:, [(n - 1) // 2, n // 2]]

    def backward(g):
        gradient = np.zeros(a.shape)
        for k in (0, 1):
            np.add.at(gradient, (np.arange(len(a)), middle[:, k]), g / 2)
        return (gradient,)

    return np.median(a, axis=-1), backward


@right(ROUND_1, cases=[Case(((6,),))])
def differences(a):
    def backward(g):
        return (np.concatenate([-g[:1], -np.diff(g), g[-1:]]),)

    return np.diff(a), backward


@right(ROUND_1, cases=[Case(((5,), (3,)))])
def convolution(a, b):
    def backward(g):
        return np.correlate(g, b, "valid"), np.correlate(g, a, "valid")

    return np.convolve(a, b), backward


@right(ROUND_1, cases=[Case(((8,),))])
def spectrum_and_back(a):
    n = a.shape[-1]
    low = np.arange(n // 2 + 1) < 2

    def passed(x):
        return np.fft.irfft(np.fft.rfft(x) * low, n)

    return passed(a), lambda g: (passed(g),)


@right(ROUND_1, cases=[Case(((8,),))])
def cosine_transform(a):
    fft = scipy.fft
    return fft.dct(a, norm="ortho"), lambda g: (fft.idct(g, norm="ortho"),)


@right(ROUND_1)
def sum_along(a, *, axis=-1, keepdims=False):
    def backward(g):
        return (np.broadcast_to(g if keepdims else np.expand_dims(g, axis), a.shape),)

    return a.sum(axis=axis, keepdims=keepdims), backward


@right(ROUND_1)
def rolled(a, *, shift=1, axis=-1):
    return np.roll(a, shift, axis), lambda g: (np.roll(g, -shift, axis),)


@right(ROUND_1, cases=[Case(((4, 2),), {"ids": np.array([0, 2, 2])})])
def rows_chosen(table, *, ids):
    def backward(g):
        gradient = np.zeros(table.shape, g.dtype)
        np.add.at(gradient, ids, g)
        return (gradient,)

    return table[ids], backward


# Linear algebra


@right(ROUND_1, cases=[Case(((3, 3),))])
def inverse(a):
    y = np.linalg.inv(a)
    return y, lambda g: (-y.T @ g @ y.T,)


@right(ROUND_1, cases=[Case(((3, 3),))])
def determinant(a):
    y = np.linalg.det(a)
    return y, lambda g: (g * y * np.linalg.inv(a).T,)


@right(ROUND_1, cases=[Case(((3, 3), (3, 2)))])
def solution(a, b):
    x = linalg.solve(a, b)

    def backward(g):
        gradient = linalg.solve(a.T, g)
        return -gradient @ x.T, gradient

    return x, backward


@right(ROUND_1, cases=[Case(((3, 3),))])
def matrix_exponential(a):
    return linalg.expm(a), lambda g: (linalg.expm_frechet(a.T, g, compute_expm=False),)


@right(ROUND_1, cases=[Case(((3, 4), (4, 2)))])
def matrix_product(a, b):
    return a @ b, lambda g: (g @ b.T, a.T @ g)


@right(ROUND_1, cases=[Case(((3, 4),))])
def identity_times(a):
    return np.eye(a.shape[0]) @ a, lambda g: (g,)


@right(ROUND_1, cases=[Case(((3, 2), (4, 2)))])
def pairwise_distances(a, b):
    apart = a[:, None] - b[None]
    y = np.sqrt((apart**2).sum(-1))
    safe = np.where(y == 0, 1, y)

    def backward(g):
        gradient = (g / safe)[..., None] * apart
        return gradient.sum(1), -gradient.sum(0)

    return y, backward


@right(ROUND_1, cases=[Case(((3, 4), (4,), (4,)))])
def layer_norm(x, gain, bias):
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    normal = centred * inverse

    def backward(g):
        h = g * gain
        along = (h * normal).mean(-1, keepdims=True)
        gradient = (h - h.mean(-1, keepdims=True) - normal * along) * inverse
        return gradient, (g * normal).sum(0), g.sum(0)

    return normal * gain + bias, backward


@right(ROUND_1, cases=[Case(((2, 3), (4, 3), (4, 3)))])
def attention(q, k, v):
    root = np.sqrt(q.shape[-1])
    weights = special.softmax(q @ k.T / root, axis=-1)

    def backward(g):
        of_weights = g @ v.T
        scores = weights * (of_weights - (of_weights * weights).sum(-1, keepdims=True)) / root
        return scores @ k, scores.T @ q, weights.T @ g

    return weights @ v, backward
