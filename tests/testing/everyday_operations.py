"""Right operations as people write them: plain NumPy, no record, no cases, real numbers in mind.

Each is told its domain at most. Many forwards take no complex numbers, no long doubles and no
Values: a law that needs those must pass over them, and none may be called wrong.
"""

import math

import numpy as np

RIGHT = {}  # name -> (forward, options of check_op)

UNIT = (-0.9, 0.9)
ABOVE = (0.0, math.inf)


def right(**options):
    """Register a forward with the options of `check_op`."""

    def register(forward):
        RIGHT[forward.__name__] = (forward, options)
        return forward

    return register


def summed_to(grad, shape):
    """Sum a gradient over what was stretched."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=axes, keepdims=True)


# Elementwise, one operand


@right()
def relu_by_mask(x):
    mask = x > 0
    return np.where(mask, x, 0), lambda g: (np.where(mask, g, 0),)


@right()
def relu_by_product(x):
    return x * (x > 0), lambda g: (g * (x > 0),)


@right()
def elu_by_masks(x):
    y = x.copy()
    low = x <= 0
    y[low] = np.exp(x[low]) - 1

    def backward(g):
        gradient = g.copy()
        gradient[low] = g[low] * (y[low] + 1)
        return (gradient,)

    return y, backward


@right()
def selu(x):
    scale, alpha = 1.0507, 1.67326
    low = x <= 0
    y = scale * np.where(low, alpha * np.expm1(np.minimum(x, 0)), x)
    return y, lambda g: (g * np.where(low, y + scale * alpha, scale),)


@right(domain=(-1.0, math.inf))
def log_one_plus(x):
    return np.log1p(x), lambda g: (g / (1 + x),)


@right()
def expm1(x):
    y = np.expm1(x)
    return y, lambda g: (g * (y + 1),)


@right()
def sign(x):
    return np.sign(x), lambda g: (np.zeros_like(g),)


@right()
def floor(x):
    return np.floor(x), lambda g: (0 * g,)


@right()
def absolute(x):
    return np.abs(x), lambda g: (g * np.sign(x),)


@right()
def saturated_tanh(x):
    y = np.tanh(4 * x)
    return y, lambda g: (4 * g * (1 - y**2),)


@right()
def gelu_by_tanh(x):
    root = math.sqrt(2 / math.pi)
    t = np.tanh(root * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)
    return 0.5 * x * (1 + t), lambda g: (g * slope,)


@right()
def gelu_by_erf(x):
    erf = np.vectorize(math.erf, otypes=[float])
    cdf = 0.5 * (1 + erf(x / math.sqrt(2)))
    pdf = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return (x * cdf).astype(x.dtype), lambda g: (g * (cdf + x * pdf),)


@right()
def softplus_by_abs(x):
    y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y, lambda g: (g * (1 / (1 + np.exp(-x))),)


@right()
def softplus_by_logaddexp(x):
    return np.logaddexp(0, x), lambda g: (g * np.exp(x - np.logaddexp(0, x)),)


@right()
def stable_sigmoid(x):
    small = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return y, lambda g: (g * y * (1 - y),)


@right()
def sigmoid_by_masks(x):
    y = np.empty_like(x)
    high = x >= 0
    y[high] = 1 / (1 + np.exp(-x[high]))
    small = np.exp(x[~high])
    y[~high] = small / (1 + small)
    return y, lambda g: (g * y * (1 - y),)


@right()
def silu(x):
    s = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return x * s, lambda g: (g * (s + x * s * (1 - s)),)


@right()
def mish(x):
    t = np.tanh(np.logaddexp(0, x))
    s = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return x * t, lambda g: (g * (t + x * (1 - t * t) * s),)


@right()
def softsign(x):
    return x / (1 + np.abs(x)), lambda g: (g / (1 + np.abs(x)) ** 2,)


@right()
def hard_tanh(x):
    return np.clip(x, -1, 1), lambda g: (g * ((x > -1) & (x < 1)),)


@right()
def relu6(x):
    return np.minimum(np.maximum(x, 0), 6), lambda g: (g * ((x > 0) & (x < 6)),)


@right(domain=UNIT)
def arcsine(x):
    return np.arcsin(x), lambda g: (g / np.sqrt(1 - x * x),)


@right(domain=ABOVE)
def square_root(x):
    y = np.sqrt(x)
    return y, lambda g: (g / (2 * y),)


@right(domain=ABOVE)
def logarithm_base_2(x):
    return np.log2(x), lambda g: (g / (x * np.log(2)),)


@right(domain=(0.0, 1.0))
def logit(p):
    return np.log(p / (1 - p)), lambda g: (g / (p * (1 - p)),)


@right()
def huber(x):
    small = np.abs(x) <= 1
    y = np.where(small, 0.5 * x * x, np.abs(x) - 0.5)
    return y, lambda g: (g * np.where(small, x, np.sign(x)),)


@right()
def sinc(x):
    safe = np.where(x == 0, 1.0, x)
    y = np.where(x == 0, 1.0, np.sin(safe) / safe)
    slope = np.where(x == 0, 0.0, (np.cos(safe) - np.sin(safe) / safe) / safe)
    return y, lambda g: (g * slope,)


@right()
def cube_by_ufuncs(x):
    return np.power(x, 3), lambda g: (g * 3 * np.square(x),)


@right()
def cosine_of_float64(x):
    y = np.cos(np.asarray(x, dtype=np.float64)).astype(x.dtype)
    return y, lambda g: (-g * np.sin(x),)


# Elementwise, several operands


@right()
def where_with_mask(a, b):
    mask = a > b
    return np.where(mask, a, b), lambda g: (np.where(mask, g, 0), np.where(mask, 0, g))


@right(domain=(None, (-math.inf, math.inf), (-math.inf, math.inf)))
def where_of_condition(c, a, b):
    return np.where(c, a, b), lambda g: (np.zeros(c.shape), np.where(c, g, 0), np.where(c, 0, g))


@right()
def greater_of_two(a, b):
    share = np.where(a == b, 0.5, a > b)
    return np.maximum(a, b), lambda g: (g * share, g * (1 - share))


@right()
def product_summed(a, b):
    return a * b, lambda g: (summed_to(g * b, a.shape), summed_to(g * a, b.shape))


@right()
def quotient(a, b):
    return a / b, lambda g: (g / b, -g * a / b**2)


@right(domain=(ABOVE, (-3.0, 3.0)))
def general_power(a, b):
    y = a**b
    return y, lambda g: (g * b * a ** (b - 1), g * y * np.log(a))


@right()
def linear_interpolation(a, b, t):
    return a + t * (b - a), lambda g: (g * (1 - t), g * t, g * (b - a))


@right()
def hypotenuse(a, b):
    y = np.hypot(a, b)
    safe = np.where(y == 0, 1, y)
    return y, lambda g: (g * a / safe, g * b / safe)


@right()
def squared_error(a, b):
    d = a - b
    return d * d, lambda g: (2 * g * d, -2 * g * d)


@right()
def binary_cross_entropy_of_logits(x, t):
    y = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    return y, lambda g: (g * (1 / (1 + np.exp(-x)) - t), -g * x)


# Reductions and normalizations, of any shape or of any with an axis


@right()
def total(x):
    return x.sum(), lambda g: (np.broadcast_to(g, x.shape),)


@right()
def largest_of_rows(a):
    y = a.max(axis=-1, keepdims=True)
    share = a == y
    return y, lambda g: (g * share / share.sum(axis=-1, keepdims=True),)


@right()
def smallest(a):
    y = a.min()
    share = a == y
    return y, lambda g: (g * share / share.sum(),)


@right()
def average_of_rows(x):
    n = x.shape[-1]
    return x.mean(axis=-1), lambda g: (np.repeat(g[..., None] / n, n, axis=-1),)


@right()
def sum_of_columns(x):
    return x.sum(axis=0), lambda g: (np.broadcast_to(g, x.shape),)


@right()
def variance_of_rows(x):
    d = x - x.mean(axis=-1, keepdims=True)
    return (d * d).mean(axis=-1), lambda g: (2 * d * g[..., None] / x.shape[-1],)


@right()
def log_sum_exp(x):
    m = x.max(axis=-1, keepdims=True)
    e = np.exp(x - m)
    s = e.sum(axis=-1, keepdims=True)
    return (np.log(s) + m)[..., 0], lambda g: (g[..., None] * e / s,)


@right()
def softmax_of_rows(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, lambda g: (y * (g - (g * y).sum(axis=-1, keepdims=True)),)


@right()
def log_softmax_of_rows(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, lambda g: (g - np.exp(y) * g.sum(axis=-1, keepdims=True),)


@right()
def unit_vector(x):
    norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    scale = norm + 1e-3

    def backward(g):
        along = (g * x).sum(axis=-1, keepdims=True)
        inverse = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)
        return (g / scale - x * along * inverse / scale**2,)

    return x / scale, backward


@right()
def divided_by_deviation(x):
    n = x.shape[-1]
    d = x - x.mean(axis=-1, keepdims=True)
    std = np.sqrt((d * d).mean(axis=-1, keepdims=True))
    scale = std + 1e-5

    def backward(g):
        along = (g * x).sum(axis=-1, keepdims=True)
        inverse = np.divide(1, std, out=np.zeros_like(std), where=std > 0)
        return (g / scale - d * along * inverse / (n * scale**2),)

    return x / scale, backward


@right()
def layer_norm(x):
    d = x - x.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)
    y = d * inverse

    def backward(g):
        along = (g * y).mean(axis=-1, keepdims=True)
        return (inverse * (g - g.mean(axis=-1, keepdims=True) - y * along),)

    return y, backward


@right()
def rms_norm(x, weight):
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    normal = x * inverse
    if weight.shape != x.shape[-1:]:
        raise ValueError(f"weight must be {x.shape[-1:]}, not {weight.shape}")

    def backward(g):
        inner = g * weight
        along = (inner * normal).mean(axis=-1, keepdims=True)
        return inverse * (inner - normal * along), summed_to(g * normal, weight.shape)

    return normal * weight, backward


@right()
def norm_of_rows(x):
    y = np.linalg.norm(x, axis=-1)
    safe = np.where(y == 0, 1, y)
    return y, lambda g: (g[..., None] * x / safe[..., None],)


@right()
def product_of_all(x):
    def backward(g):
        flat = x.ravel()
        other_axes = [np.prod(np.delete(flat, i)) for i in range(flat.size)]
        return (g * np.array(other_axes).reshape(x.shape),)

    return x.prod(), backward


@right()
def running_total(x):
    return np.cumsum(x, axis=-1), lambda g: (np.flip(np.cumsum(np.flip(g, -1), -1), -1),)


@right()
def sorted_rows(x):
    order = np.argsort(x, axis=-1)

    def backward(g):
        gradient = np.empty_like(g)
        np.put_along_axis(gradient, order, g, -1)
        return (gradient,)

    return np.take_along_axis(x, order, -1), backward


@right()
def cosine_similarity(a, b):
    if a.shape != b.shape:
        raise ValueError("shapes differ")
    na, nb = np.linalg.norm(a), np.linalg.norm(b)
    dot = (a * b).sum()
    y = dot / (na * nb)
    return y, lambda g: (
        g * (b / (na * nb) - y * a / na**2),
        g * (a / (na * nb) - y * b / nb**2),
    )


# Operands whose shapes depend on each other


@right()
def matrix_product(a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("matrices only")
    return a @ b, lambda g: (g @ b.T, a.T @ g)


@right()
def matrix_product_of_any_rank(a, b):
    return np.einsum("ij,jk->ik", a, b), lambda g: (
        np.einsum("ik,jk->ij", g, b),
        np.einsum("ij,ik->jk", a, g),
    )


@right()
def batched_matrix_product(a, b):
    y = a @ b
    if a.ndim != 3 or b.ndim != 3 or a.shape[0] != b.shape[0]:
        raise ValueError("two batches of matrices, equally many")
    return y, lambda g: (g @ b.transpose(0, 2, 1), a.transpose(0, 2, 1) @ g)


@right()
def affine(x, weight, bias):
    assert weight.ndim == 2 and bias.ndim == 1 and x.ndim == 2
    assert weight.shape[1] == bias.shape[0]
    return x @ weight + bias, lambda g: (g @ weight.T, x.T @ g, g.sum(axis=0))


@right()
def linear_layer(x, weight, bias):
    if bias.shape != weight.shape[:1]:
        raise ValueError("one bias for each row of the weight")
    n, m = weight.shape
    return x @ weight.T + bias, lambda g: (
        g @ weight,
        g.reshape(-1, n).T @ x.reshape(-1, m),
        g.reshape(-1, n).sum(axis=0),
    )


@right()
def outer_product(a, b):
    _n, _m = *a.shape, *b.shape
    return np.outer(a, b), lambda g: (g @ b, a @ g)


@right()
def transposed_matrix(a):
    _rows, _columns = a.shape
    return a.T, lambda g: (g.T,)


@right()
def attention_of_heads(q, k, v):
    _n, d = q.shape[-2:]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(d)
    if not q.ndim == k.ndim == v.ndim == 3:
        raise ValueError("q, k and v must be (heads, time, width)")
    if not q.shape[0] == k.shape[0] == v.shape[0]:
        raise ValueError("as many heads in each")
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)

    def backward(g):
        to_p = g @ v.swapaxes(-1, -2)
        to_scores = p * (to_p - (to_p * p).sum(axis=-1, keepdims=True)) / math.sqrt(d)
        return to_scores @ k, to_scores.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g

    return p @ v, backward


@right()
def causal_attention(q, k, v):
    (_time, d), hidden = q.shape, np.triu(np.ones((len(q), len(q)), bool), 1)
    if q.shape != k.shape or k.shape[0] != v.shape[0]:
        raise ValueError("q and k must have one shape")
    scores = np.where(hidden, -1e9, q @ k.T / math.sqrt(d))
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)

    def backward(g):
        to_p = g @ v.T
        to_scores = p * (to_p - (to_p * p).sum(axis=-1, keepdims=True)) / math.sqrt(d)
        return to_scores @ k, to_scores.T @ q, p.T @ g

    return p @ v, backward


@right()
def one_dimensional_convolution(x, kernel):
    (n,), (k,) = x.shape, kernel.shape
    if k > n:
        raise ValueError("the kernel is longer than the signal")
    y = np.convolve(x, kernel[::-1], mode="valid")
    return y, lambda g: (np.convolve(g, kernel), np.convolve(x, g[::-1], mode="valid"))


@right()
def images_convolved(x, w):
    _batch, channels, height, width = x.shape
    _filters, same, kh, kw = w.shape
    if same != channels or kh > height or kw > width:
        raise ValueError("the filters do not fit")
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))

    def backward(g):
        gradient = np.zeros_like(x)
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                gradient[:, :, i : i + kh, j : j + kw] += np.einsum(
                    "bf,fcuv->bcuv", g[:, :, i, j], w
                )
        return gradient, np.einsum("bfij,bcijuv->fcuv", g, windows)

    return np.einsum("bcijuv,fcuv->bfij", windows, w), backward


@right()
def trace(a):
    n, m = a.shape
    return np.trace(a), lambda g: (g * np.eye(n, m),)


@right()
def cholesky(a):
    n, _m = a.shape
    lower = np.linalg.cholesky((a + a.T) / 2)

    def backward(g):
        p = np.tril(lower.T @ g)
        p[np.diag_indices(n)] /= 2
        inverse = np.linalg.inv(lower)
        gradient = inverse.T @ p @ inverse
        return ((gradient + gradient.T) / 2,)

    return lower, backward


@right()
def determinant(a):
    n, m = a.shape
    if n != m:
        raise ValueError("square matrices only")
    y = np.linalg.det(a)

    def backward(g):
        minors = [
            [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)]
            for i in range(n)
        ]
        return (g * np.array(minors),)

    return y, backward


@right()
def inverse_matrix(a):
    if a.ndim != 2:
        raise ValueError("a matrix, please")
    y = np.linalg.inv(a)
    return y, lambda g: (-y.T @ g @ y.T,)


@right()
def rows_looked_up(table):
    if table.ndim != 2 or len(table) < 2:
        raise IndexError("row 1 is needed")
    ids = np.array([1, 0, 1])

    def backward(g):
        gradient = np.zeros_like(table)
        np.add.at(gradient, ids, g)
        return (gradient,)

    return table[ids], backward


# With a store that all calls share

_store = {}


@right()
def square_kept_in_one_store(x):
    key = len(_store)
    _store[key] = x.copy()
    return x * x, lambda g: (2 * g * _store[key],)


class _Layer:
    """Its calls are kept in a list that grows, as a tape is."""

    def __init__(self):
        self.calls = []

    def __call__(self, x):
        self.calls.append((x, len(self.calls)))
        place = len(self.calls) - 1
        return np.tanh(x), lambda g: (g * (1 - np.tanh(self.calls[place][0]) ** 2),)


_layer = _Layer()


@right()
def tanh_kept_in_a_layer(x):
    return _layer(x)


# With attributes that have a default


@right()
def leaky_relu(x, *, slope=0.01):
    return np.where(x > 0, x, slope * x), lambda g: (np.where(x > 0, g, slope * g),)


@right()
def softmax_over_an_axis(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, lambda g: (y * (g - (g * y).sum(axis=axis, keepdims=True)),)
