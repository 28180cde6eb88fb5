"""Wrong rules of each family of mistakes, written before the diagnosis knew how to name them.

Each has words, one of which a right diagnosis contains; none if no cause is known.
"""

import numpy as np

from autolm.ops.array_operation import Case

WRONG = {}  # name -> (forward, options of check_op, words of a right diagnosis)


def wrong(*words, **options):
    """Register a wrong forward with what names its mistake."""

    def register(forward):
        WRONG[forward.__name__] = (forward, options, words)
        return forward

    return register


def softmax(x, axis=-1):
    e = np.exp(x - x.real.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


POS = (0.0, np.inf)


@wrong("not linear")
def tanh_sq_up(x):
    y = np.tanh(x)
    return (y, lambda g: (g * g * (1 - y * y),))


@wrong("not linear")
def matmul_relu_grad(a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("2-D")

    def backward(g):
        g = np.maximum(g, 0)
        return (g @ b.T, a.T @ g)

    return a @ b, backward


@wrong("not linear")
def exp_clip_upstream(x):
    y = np.exp(x)
    return (y, lambda g: (np.clip(g, -1, 1) * y,))


@wrong("not linear")
def sum_abs_up(x):
    if x.ndim != 2:
        raise ValueError("matrix")
    return (x.sum(axis=1), lambda g: (np.abs(g)[:, None] * np.ones_like(x),))


@wrong("not linear")
def normalized_up(x):
    y = x * x
    return (y, lambda g: (2 * x * g / (np.sqrt((g * g).sum()) + 1e-08),))


@wrong("factor that is", "rule computes")
def mul_extra_a(a, b):
    return (a * b, lambda g: (g * b, g * a * a))


@wrong("factor that is", "rule computes")
def sqrt_no_half_by_y(x):
    y = np.sqrt(x)
    return (y, lambda g: (0.5 * g * y,))


WRONG["sqrt_no_half_by_y"][1]["domain"] = POS


@wrong("factor that is", "rule computes", "half of the product")
def cube_forgot_power(x):
    return (x**3, lambda g: (3 * x * g,))


@wrong("factor that is", "rule computes")
def swish_gate(a, b):
    s = 1 / (1 + np.exp(-b))
    return (a * s, lambda g: (g * s * s, g * a * s * (1 - s)))


@wrong("factor that is", "rule computes")
def tanh_y_extra(x):
    y = np.tanh(x)
    return (y, lambda g: (g * (1 - y * y) * y,))


@wrong("factor that is w", "factor that is 1 / w", "factor that is")
def linear_scaled_twice(x, w):
    if x.ndim != 2 or w.ndim != 1 or x.shape[1] != w.shape[0]:
        raise ValueError("x (n,k), w (k,)")
    return (x * w, lambda g: (g * w * w, (g * x).sum(axis=0)))


RN = (Case(((3, 4), (4,))), Case(((2, 5), (5,))), Case(((2, 3, 4), (4,))))


@wrong("weight is taken as 1", cases=(Case(((3, 4), (4,), (4,))), Case(((2, 5), (5,), (5,)))))
def layernorm_no_gamma(x, weight, bias):
    m = x.mean(-1, keepdims=True)
    d = x - m
    inv = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-05)
    n = d * inv

    def backward(g):
        return (
            inv * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True)),
            (g * n).sum(0),
            g.sum(0),
        )

    return n * weight + bias, backward


@wrong("c is taken as 1", "factor that is 1 / c")
def triple_product_one(a, b, c):
    return (a * b * c, lambda g: (g * b * c, g * a, g * a * b))


@wrong("v is taken as 1", "v")
def attn_scores_value(q, v):
    if q.shape != v.shape:
        raise ValueError("same")
    return (np.sin(q) * np.exp(v), lambda g: (g * np.cos(q), g * np.sin(q) * np.exp(v)))


@wrong("eps", cases=RN)
def rms_eps_left_out(x, w):
    ms = (x * x).mean(-1, keepdims=True)
    inv = 1 / np.sqrt(ms + 0.01)
    y = x * inv * w
    i2 = 1 / np.sqrt(ms)

    def backward(g):
        h = g * w
        s = tuple(range(x.ndim - 1))
        return (i2 * (h - x * i2 * i2 * (h * x).mean(-1, keepdims=True)), (g * x * inv).sum(axis=s))

    return y, backward


@wrong("eps", cases=(Case(((3, 4),)), Case(((2, 5),))))
def layernorm_eps_left_out(x):
    m = x.mean(-1, keepdims=True)
    d = x - m
    v = (d * d).mean(-1, keepdims=True)
    inv = 1 / np.sqrt(v + 0.1)
    n = d * inv
    i2 = 1 / np.sqrt(v)
    return (
        n,
        lambda g: (
            i2 * (g - g.mean(-1, keepdims=True) - d * i2 * i2 * (g * d).mean(-1, keepdims=True)),
        ),
    )


@wrong("eps", domain=POS)
def log_eps_out(x):
    return (np.log(x + 0.1), lambda g: (g / x,))


@wrong("eps")
def div_eps_out(a, b):
    return (a / (b * b + 0.01), lambda g: (g / (b * b + 0.01), -2 * g * a * b / (b * b) ** 2))


@wrong("last", cases=(Case(((4, 3), (3,))), Case(((5, 2), (2,)))))
def bias_last_row(x, b):
    return (x + b, lambda g: (g, g[:-1].sum(0)))


@wrong("last", "left out", cases=(Case(((5, 3),)), Case(((7, 2),))))
def blocks_of_two(x):
    y = np.tanh(x)
    n = len(x) // 2 * 2

    def backward(g):
        out = np.zeros_like(x)
        out[:n] = (g * (1 - y * y))[:n]
        return (out,)

    return y, backward


@wrong("first", "last", "left out")
def diff_lost_end(x):
    if x.ndim != 1 or len(x) < 3:
        raise ValueError("1-D")

    def backward(g):
        out = np.zeros_like(x)
        out[1:] += g
        out[:-2] -= g[:-1]
        return (out,)

    return x[1:] - x[:-1], backward


@wrong("last", "left out", cases=(Case(((3, 2, 4), (3, 4, 2))), Case(((2, 3, 2), (2, 2, 3)))))
def bmm_last_batch(a, b):

    def backward(g):
        ga = g @ b.swapaxes(1, 2)
        gb = a.swapaxes(1, 2) @ g
        gb[-1] = 0
        return (ga, gb)

    return a @ b, backward


@wrong("left out", "last", cases=(Case(((4, 4),)), Case(((6, 2),))))
def half_of_rows(x):

    def backward(g):
        out = 2 * x * g
        out[len(x) // 2 :] = 0
        return (out,)

    return x * x, backward


@wrong("left out", "nothing")
def mean_every_second(x):
    if x.ndim != 1 or len(x) < 4:
        raise ValueError("1d")

    def backward(g):
        out = np.zeros_like(x)
        out[::2] = g * np.exp(x)[::2]
        return (out,)

    return np.exp(x).sum(), backward


@wrong("mask", cases=(Case(((4, 4),)), Case(((2, 3, 3),))))
def causal_softmax_leaks(s):
    t = s.shape[-1]
    keep = np.tri(t, dtype=bool)
    y = softmax(np.where(keep, s, -1000000000.0))
    p = softmax(s)
    return (y, lambda g: (p * (g - (g * p).sum(-1, keepdims=True)),))


@wrong("mask", "masked", cases=(Case(((4, 4),)), Case(((2, 3, 3),))))
def masked_scores_pass(s):
    keep = np.tri(s.shape[-1], dtype=bool)
    return (np.where(keep, s * 2, -5.0), lambda g: (2 * g,))


@wrong("mask", "ignored", cases=(Case(((5, 3),)), Case(((5, 4),))))
def ce_ignored_rows_leak(x):
    keep = np.array([1.0, 0, 1, 1, 0])
    t = np.array([0, 1, 2, 1, 0])
    p = softmax(x)
    loss = -(keep * np.log(p[np.arange(5), t])).sum()
    return (loss, lambda g: (g * (p - np.eye(x.shape[1])[t]),))


@wrong("mask", cases=(Case(((3, 4),)), Case(((2, 5),))))
def dropout_mask_lost(x):
    m = (np.arange(x.size).reshape(x.shape) % 3 != 0) * 1.5
    return (x * m, lambda g: (g * 1.5,))


@wrong("mask")
def relu_leak(x):
    return (np.where(x.real > 0, x, 0 * x), lambda g: (g,))


@wrong("number of elements", "length of")
def mean_wrong_count(x):
    if x.ndim != 2:
        raise ValueError("m")
    return (x.mean(axis=0), lambda g: (np.broadcast_to(g / x.shape[1], x.shape),))


@wrong("length of", "n − 1", "number of")
def var_ddof(x):
    if x.ndim != 1 or x.size < 3:
        raise ValueError("v")
    d = x - x.mean()
    return ((d * d).sum() / (x.size - 1), lambda g: (g * 2 * d / x.size,))


@wrong("length of", "number of elements", cases=(Case(((3, 4), (3, 4))), Case(((2, 5), (2, 5)))))
def mse_batch_count(p, t):
    d = p - t
    return ((d * d).mean(), lambda g: (2 * g * d / p.shape[0], -2 * g * d / d.size))


@wrong("root of", cases=(Case(((3, 4), (5, 4))), Case(((2, 6), (3, 6)))))
def attn_scale_by_d(q, k):
    s = np.sqrt(q.shape[1])
    return (q @ k.T / s, lambda g: (g @ k / s**2, g.T @ q / s))


@wrong("length of", "number", cases=(Case(((2, 3, 4),)), Case(((3, 2, 5),))))
def pool_not_divided(x):
    return (x.mean(axis=(1, 2)), lambda g: (np.ones_like(x) * g[:, None, None] / x.shape[2],))


@wrong("wrong axis", cases=(Case(((3, 4),)), Case(((2, 3, 4),)), Case(((3, 3),))))
def logsoftmax_axis(x):
    y = softmax(x)
    return (np.log(y), lambda g: (g - y * g.sum(axis=0, keepdims=True),))


@wrong("axis", cases=(Case(((3, 4),)), Case(((4, 2),))))
def batchnorm_mean_wrong_axis(x):
    m = x.mean(0)
    d = x - m
    inv = 1 / np.sqrt((d * d).mean(0) + 1e-05)
    n = d * inv
    return (n, lambda g: (inv * (g - g.mean(1, keepdims=True) - n * (g * n).mean(0)),))


@wrong("axis", cases=(Case(((2, 3, 4),)), Case(((3, 2, 2),)), Case(((2, 2, 3),))))
def groupnorm_axes(x):
    m = x.mean((1, 2), keepdims=True)
    d = x - m
    inv = 1 / np.sqrt((d * d).mean((1, 2), keepdims=True) + 1e-05)
    n = d * inv
    return (
        n,
        lambda g: (inv * (g - g.mean(2, keepdims=True) - n * (g * n).mean(2, keepdims=True)),),
    )


@wrong("axis", "transposed", cases=(Case(((3, 3),)), Case(((2, 2),)), Case(((3, 3),))))
def sum_rows_wrong_square(x):
    return (x.sum(axis=1), lambda g: (np.broadcast_to(g, x.shape),))


@wrong("transpos", cases=(Case(((2, 3, 4),)), Case(((3, 3, 3),))))
def perm_not_inverse(x):
    return (
        x.transpose(2, 0, 1),
        lambda g: (
            g.transpose(2, 0, 1)
            if x.shape[0] == x.shape[1] == x.shape[2]
            else g.transpose(2, 0, 1).reshape(x.shape),
        ),
    )


@wrong("transpos", "places", cases=(Case(((2, 3, 4),)), Case(((3, 2, 2),))))
def swap_reshape(x):
    return (x.swapaxes(1, 2), lambda g: (g.reshape(x.shape),))


@wrong("transpos", cases=(Case(((2, 3, 3), (2, 3, 3))), Case(((3, 2, 2), (3, 2, 2)))))
def bmm_no_t(a, b):
    return (a @ b, lambda g: (g @ b, a.swapaxes(1, 2) @ g))


@wrong("transpos", cases=(Case(((2, 3, 3),)), Case(((3, 2, 2),))))
def batched_gram(x):
    return (x @ x.swapaxes(1, 2), lambda g: (2 * g @ x,))


@wrong("transpos", "places", cases=(Case(((2, 3, 4),)), Case(((2, 2, 6),))))
def heads_split(x):
    b, t, d = x.shape

    def backward(g):
        return (g.reshape(b, t, d),)

    return x.reshape(b, t, 2, d // 2).transpose(0, 2, 1, 3), backward


@wrong("term", "path")
def self_product_sum(x):
    if x.ndim != 1:
        raise ValueError
    return (x * x.sum(), lambda g: (g * x.sum(),))


@wrong("operands swapped", "factor of −1")
def sub_sign(a, b):
    return (a - b, lambda g: (g, g))


@wrong("overwritten", "repeat", cases=(Case(((4,),)), Case(((5,),))))
def gather_rep(x):
    i = np.array([1, 1, 3, 0, 1])

    def backward(g):
        o = np.zeros_like(x)
        o[i] = g
        return (o,)

    return x[i], backward


@wrong("at the result", "rule computes")
def sin_cos_y(x):
    y = np.sin(x)
    return (y, lambda g: (g * np.cos(y),))


@wrong()
def weird(x):
    return (
        np.sin(x) * np.exp(x),
        lambda g: (g * (np.cos(x) * np.exp(x) + np.sin(x) * np.exp(0.5 * x)),),
    )


@wrong("wrong axis", cases=(Case(((3, 4),)),))
def weird_axis(x):
    return (np.cumsum(x * x, axis=1), lambda g: (2 * x * np.cumsum(g, axis=0),))


@wrong("beyond a multiple of 4")
def tail_of_blocks(x):
    def backward(g):
        out = g * np.cos(x)
        out[..., x.shape[-1] // 4 * 4 :] = 0
        return (out,)

    if not x.ndim:
        raise ValueError("x must have an axis")
    return np.sin(x), backward


@wrong("left out: the last along axis 0 of the result")
def last_batch(a, b):
    def backward(g):
        to_b = a.swapaxes(-1, -2) @ g
        if to_b.ndim > 2:
            to_b[-1] = 0
        return g @ b.swapaxes(-1, -2), to_b

    return a @ b, backward


@wrong("number of elements of the result")
def mean_over_everything(x):
    return (x * x).mean(-1), lambda g: (2 * x * g[..., None] / x.size,)


@wrong("(n − 1) / n, n being the length of axis -1")
def sample_variance_over_n(x):
    n = x.shape[-1]
    off = x - x.mean(-1, keepdims=True)
    return (off * off).sum(-1) / (n - 1), lambda g: (2 * off * g[..., None] / n,)


@wrong("transposed")
def axes_turned_the_wrong_way(x):
    return x.transpose(1, 2, 0), lambda g: (g.transpose(1, 2, 0),)


# What a stranger wrote, before anybody looked whether it is named


ANY_ROWS = (Case(((3, 4),)), Case(((2, 3),)), Case(((2, 2, 3),)))


def normal_of(x):
    d = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    return d * inverse, inverse


@wrong("a term is missing", cases=ANY_ROWS)
def layer_norm_of_a_constant_variance(x):
    y, inverse = normal_of(x)
    return y, lambda g: (inverse * (g - g.mean(-1, keepdims=True)),)


@wrong("a term is missing", cases=ANY_ROWS)
def layer_norm_over_one_less(x):
    y, inverse = normal_of(x)
    n = x.shape[-1] - 1

    def backward(g):
        return (inverse * (g - g.mean(-1, keepdims=True) - y * (g * y).sum(-1, keepdims=True) / n),)

    return y, backward


@wrong("smoothing is taken as 0")
def loss_without_its_smoothing(x, *, smoothing=0.1):
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError("rows of two at least")
    hot = np.eye(x.shape[1])[np.arange(len(x)) % x.shape[1]]
    wanted = hot * (1 - smoothing) + smoothing / x.shape[1]
    p = softmax(x)
    return -(wanted * np.log(p)).sum(-1), lambda g: (g[:, None] * (p - hot),)


def attention_scaled_by(factor):
    def attention(q, k, v):
        if not q.ndim == k.ndim == v.ndim == 2:
            raise ValueError("matrices")
        p = softmax(q @ k.T / np.sqrt(q.shape[1]))

        def backward(g):
            to_p = g @ v.T
            scores = p * (to_p - (p * to_p).sum(-1, keepdims=True)) * factor(q.shape[1])
            return scores @ k, scores.T @ q, p.T @ g

        return p @ v, backward

    return attention


ROOT = "the root of the length of the last axis"
WRONG["attention_without_its_scale"] = (attention_scaled_by(lambda d: 1), {}, (ROOT,))
WRONG["attention_scaled_twice"] = (attention_scaled_by(lambda d: 1 / d), {}, (f"1 / {ROOT}",))


@wrong("x: reversed: w is read in the opposite order")
def convolution_with_its_kernel_turned(x, w):
    (n,), (k,) = x.shape, w.shape
    if k > n:
        raise ValueError("the kernel is longer than the signal")
    y = np.convolve(x, w[::-1], mode="valid")
    return y, lambda g: (np.convolve(g, w[::-1]), np.convolve(x, g[::-1], mode="valid"))


@wrong()
def gelu_with_a_typing_error(x):
    t = np.tanh(0.8 * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + t) + 0.4 * x * (1 - t * t) * (1 + 0.044715 * x * x)
    return 0.5 * x * (1 + t), lambda g: (g * slope,)


@wrong("rule computes x")
def huber_that_is_not_cut(x):
    far = np.abs(x) > 1
    return np.where(far, np.abs(x) - 0.5, 0.5 * x * x), lambda g: (g * x,)


@wrong("the slope of the forward itself")
def running_total_not_turned(x):
    return np.cumsum(x, -1), lambda g: (np.cumsum(g, -1),)


@wrong("half of the product rule", "a term is missing")
def unit_rows_of_a_constant_norm(x):
    norm = np.sqrt((x * x).sum(-1, keepdims=True))
    return x / norm, lambda g: (g / norm,)


@wrong("elements in the wrong places", cases=(Case(((3, 4),)), Case(((2, 6),))))
def gated_halves_exchanged(x):
    a, b = np.split(x, 2, axis=-1)
    s = 1 / (1 + np.exp(-b))
    return a * s, lambda g: (np.concatenate([g * a * s * (1 - s), g * s], -1),)


@wrong("factor that is y", cases=ANY_ROWS)
def deviation_without_its_root(x):
    d = x - x.mean(-1, keepdims=True)
    return np.sqrt((d * d).mean(-1)), lambda g: (g[..., None] * d / x.shape[-1],)


@wrong("a term is missing: a ·")
def cosine_without_its_norms(a, b):
    if a.shape != b.shape:
        raise ValueError("shapes differ")
    norms = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return (a * b).sum() / norms, lambda g: (g * b / norms, g * a / norms)


@wrong("rounded to half precision")
def product_through_half(x):
    return x * x, lambda g: ((g.astype(np.float16) * 2 * x.astype(np.float16)).astype(x.dtype),)
