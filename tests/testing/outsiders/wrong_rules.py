"""Wrong rules: a right forward, and a backward rule that is wrong under one condition only."""

import threading

import numpy as np

from autolm.ops.array_operation import Case

WRONG = {}  # name -> (forward, arguments of check_op, date)
POSITIVE = (0.0, np.inf)
ROUND_1 = "2026-12-03"


def wrong(date, **options):
    """Register a wrong rule with the arguments of `check_op`."""

    def register(forward):
        WRONG[forward.__name__] = (forward, options, date)
        return forward

    return register


def unbroadcast(grad, shape):
    """Sum a gradient over the axes along which an operand was broadcast."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=axes, keepdims=True)


# Magnitudes of operands


@wrong(ROUND_1)
def cube_capped_beyond_100(a):
    return a**3, lambda g: (g * 3 * np.minimum(a * a, 1e4),)


@wrong(ROUND_1)
def cube_capped_beyond_10000(a):
    return a**3, lambda g: (g * 3 * np.minimum(a * a, 1e8),)


@wrong(ROUND_1)
def square_flat_near_zero(a):
    return a * a, lambda g: (np.where(np.abs(a) < 1e-5, 0, 2 * a) * g,)


@wrong(ROUND_1, domain=POSITIVE)
def logarithm_with_a_floor(a):
    return np.log(a), lambda g: (g / np.maximum(a, 1e-7),)


@wrong(ROUND_1)
def exponential_cut_where_it_is_small(a):
    y = np.exp(a)
    return y, lambda g: (np.where(y < 1e-9, 0, y) * g,)


@wrong(ROUND_1)
def exponential_cut_where_it_is_large(a):
    y = np.exp(a)
    return y, lambda g: (np.minimum(y, 1e8) * g,)


@wrong(ROUND_1, domain=POSITIVE)
def root_with_an_epsilon(a):
    y = np.sqrt(a)
    return y, lambda g: (g / (2 * y + 1e-10),)


@wrong(ROUND_1, domain=POSITIVE)
def reciprocal_with_an_epsilon(a):
    return 1 / a, lambda g: (-g / (a * a + 1e-12),)


@wrong(ROUND_1)
def arctangent_clipped_at_50(a):
    return np.arctan(a), lambda g: (g / (1 + np.clip(a, -50, 50) ** 2),)


@wrong(ROUND_1)
def sine_reduced_beyond_1000(a):
    return np.sin(a), lambda g: (g * np.cos(np.where(np.abs(a) > 1000, a % 6.28, a)),)


@wrong(ROUND_1)
def length_with_an_epsilon(a, b):
    y = np.sqrt(a * a + b * b)
    y_safe = y + 1e-8

    def backward(g):
        return unbroadcast(g * a / y_safe, a.shape), unbroadcast(g * b / y_safe, b.shape)

    return y, backward


@wrong(ROUND_1)
def softplus_linear_beyond_20(a):
    y = np.logaddexp(0, a.real) if a.dtype.kind != "c" else np.log(1 + np.exp(a))
    return y, lambda g: (np.where(a < -20, 0, 1 / (1 + np.exp(-np.maximum(a, -20)))) * g,)


@wrong(ROUND_1)
def ratio_with_its_divisor_clipped(a, b):
    safe = np.sign(b) * np.maximum(np.abs(b), 1e-3)

    def backward(g):
        return unbroadcast(g / safe, a.shape), unbroadcast(-g * a / safe**2, b.shape)

    return a / b, backward


@wrong(ROUND_1, domain=(-1, 1))
def arcsine_with_an_epsilon(a):
    return np.arcsin(a), lambda g: (g / np.sqrt(1 - a * a + 1e-8),)


@wrong(ROUND_1, domain=(0, 1))
def logit_clipped(a):
    p = np.clip(a.real, 1e-4, 1 - 1e-4)
    return np.log(a / (1 - a)), lambda g: (g / (p * (1 - p)),)


@wrong(ROUND_1, cases=[Case(((3, 4),))])
def rows_over_their_length_with_another_epsilon(a):
    length = np.sqrt((a * a).sum(-1, keepdims=True))
    y = a / length
    return y, lambda g: ((g - y * (g * y).sum(-1, keepdims=True)) / (length + 1e-6),)


@wrong(ROUND_1, cases=[Case(((3, 4), (4, 2)))])
def matrix_product_of_clipped_operands(a, b):
    return a @ b, lambda g: (g @ np.clip(b, -1e3, 1e3).T, np.clip(a, -1e3, 1e3).T @ g)


# Magnitudes of the upstream gradient


@wrong(ROUND_1)
def product_with_upstream_clipped_at_1000(a, b):
    def backward(g):
        g = np.clip(g, -1e3, 1e3)
        return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)

    return a * b, backward


@wrong(ROUND_1)
def exponential_with_upstream_clipped_at_a_million(a):
    y = np.exp(a)
    return y, lambda g: (np.clip(g, -1e6, 1e6) * y,)


@wrong(ROUND_1)
def sine_without_tiny_upstreams(a):
    return np.sin(a), lambda g: (np.where(np.abs(g) < 1e-6, 0, g) * np.cos(a),)


@wrong(ROUND_1)
def tanh_with_upstream_in_half_precision(a):
    y = np.tanh(a)
    return y, lambda g: (np.float16(g).astype(float) * (1 - y * y),)


@wrong(ROUND_1, cases=[Case(((3, 4),))])
def sum_with_upstream_normalized_if_long(a):
    def backward(g):
        length = np.sqrt((g * g).sum())
        g = g * (1e4 / length) if length > 1e4 else g
        return (np.broadcast_to(g[:, None], a.shape),)

    return a.sum(1), backward


# Sizes and numbers of axes


@wrong(ROUND_1)
def exponential_of_the_first_64(a):
    y = np.exp(a)

    def backward(g):
        gradient = g * y
        gradient.reshape(-1)[64:] = 0
        return (gradient,)

    return y, backward


@wrong(ROUND_1)
def sine_of_the_first_1024(a):
    def backward(g):
        gradient = np.array(g * np.cos(a))
        if gradient.size > 1024:
            gradient.reshape(-1)[1024:] *= 2
        return (gradient,)

    return np.sin(a), backward


@wrong(ROUND_1)
def tanh_in_blocks_of_32(a):
    y = np.tanh(a)

    def backward(g):
        gradient = np.array(g * (1 - y * y))
        if gradient.size > 32:
            gradient.reshape(-1)[gradient.size // 32 * 32 :] = 0
        return (gradient,)

    return y, backward


@wrong(ROUND_1)
def product_for_three_axes_at_most(a, b):
    def backward(g):
        if g.ndim > 3:
            return unbroadcast(g * a, a.shape), unbroadcast(g * b, b.shape)
        return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)

    return a * b, lambda g: backward(g) if a.shape == b.shape else backward(g[..., :])


@wrong(ROUND_1)
def square_for_four_axes_doubled(a):
    return a * a, lambda g: (g * a * (4 if a.ndim == 4 else 2),)


@wrong(ROUND_1)
def cosine_of_a_number_doubled(a):
    return np.cos(a), lambda g: (-g * np.sin(a) * (2 if a.ndim == 0 else 1),)


@wrong(ROUND_1, cases=[Case(((3, 4), (4, 2)))])
def matrix_product_wrong_for_square_ones(a, b):
    def backward(g):
        if a.shape == b.shape:
            return g @ b, a.T @ g
        return g @ b.T, a.T @ g

    return a @ b, backward


@wrong(ROUND_1, cases=[Case(((2, 3),))])
def transpose_wrong_for_square_ones(a):
    return a.T, lambda g: (g if g.shape == a.shape else g.T,)


@wrong(ROUND_1, cases=[Case(((4,),))])
def running_sum_in_blocks_of_128(a):
    def backward(g):
        parts = [g[i : i + 128] for i in range(0, len(g), 128)]
        return (np.concatenate([np.cumsum(part[::-1])[::-1] for part in parts]),)

    return np.cumsum(a), backward


@wrong(ROUND_1, cases=[Case(((3, 5),))])
def mean_that_counts_32_at_most(a):
    return a.mean(1), lambda g: (np.broadcast_to(g[:, None] / min(a.shape[1], 32), a.shape),)


@wrong(ROUND_1, cases=[Case(((3, 4),))])
def softmax_of_rows_of_at_most_100(a):
    e = np.exp(a - a.real.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)

    def backward(g):
        total = (g * y)[..., :100].sum(-1, keepdims=True)
        return (y * (g - total),)

    return y, backward


# Memory layouts


@wrong(ROUND_1)
def sine_by_memory_order_of_its_operand(a):
    flat = a.ravel(order="K")
    return np.sin(a), lambda g: (g * np.cos(flat).reshape(a.shape),)


@wrong(ROUND_1)
def square_wrong_for_negative_strides(a):
    backwards = any(stride < 0 for stride in a.strides)
    return a * a, lambda g: (2 * (np.abs(a) if backwards else a) * g,)


@wrong(ROUND_1)
def exponential_wrong_in_fortran_order(a):
    y = np.exp(a)
    fortran = a.flags.f_contiguous and not a.flags.c_contiguous
    return y, lambda g: (g * y * (2 if fortran else 1),)


@wrong(ROUND_1)
def product_wrong_for_upstreams_with_gaps(a, b):
    def backward(g):
        if not g.flags.forc:
            g = np.lib.stride_tricks.as_strided(g, g.shape)
            g = np.ones_like(g)
        return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)

    return a * b, backward


@wrong(ROUND_1)
def cosine_of_upstreams_in_memory_order(a):
    return np.cos(a), lambda g: (-g.ravel(order="K").reshape(g.shape) * np.sin(a),)


@wrong(ROUND_1)
def square_of_expanded_upstreams(a):
    return a * a, lambda g: (2 * a * (g / g.size if 0 in g.strides and g.size > 1 else g),)


@wrong(ROUND_1, cases=[Case(((3, 4), (4, 2)))])
def matrix_product_by_raw_memory(a, b):
    def transposed(x):
        return np.frombuffer(x.tobytes("A"), x.dtype).reshape(x.shape).T

    return a @ b, lambda g: (g @ transposed(b), transposed(a) @ g)


@wrong(ROUND_1)
def sine_wrong_where_operands_are_read_only(a):
    return np.sin(a), lambda g: (g * (np.cos(a) if a.flags.writeable else 1.0),)


# One array twice, repeated indices, axes


@wrong(ROUND_1)
def product_wrong_for_one_array_twice(a, b):
    def backward(g):
        if a is b or (a.size and np.shares_memory(a, b)):
            return unbroadcast(g * b, a.shape), np.zeros(b.shape)
        return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)

    return a * b, backward


@wrong(ROUND_1, cases=[Case(((4, 2),), {"ids": np.array([0, 2, 3])})])
def rows_chosen_once(table, *, ids):
    def backward(g):
        gradient = np.zeros(table.shape)
        gradient[ids] += g
        return (gradient,)

    return table[ids], backward


@wrong(ROUND_1)
def sum_wrong_along_axis_minus_two(a, *, axis=-1):
    return a.sum(axis=axis), lambda g: (
        np.broadcast_to(np.expand_dims(g * (2 if axis == -2 else 1), axis), a.shape),
    )


@wrong(ROUND_1, cases=[Case(((2, 3, 4),), {"axis": -1}), Case(((2, 3, 4),), {"axis": 0})])
def mean_over_the_last_axis_for_negative_ones(a, *, axis):
    def backward(g):
        n = a.shape[axis if axis >= 0 else -1]
        return (np.broadcast_to(np.expand_dims(g / n, axis), a.shape),)

    return a.mean(axis=axis), backward


@wrong(ROUND_1)
def reversal_along_the_last_axis(a, *, axis=-1):
    return np.flip(a, axis), lambda g: (np.flip(g, axis if axis < 0 else -1),)


# Dtypes


@wrong(ROUND_1)
def tanh_wrong_in_half_precision(a):
    y = np.tanh(a)
    return y, lambda g: (g * (1 - y * y) * (2 if a.dtype == np.float16 else 1),)


@wrong(ROUND_1)
def sine_wrong_in_single_precision(a):
    return np.sin(a), lambda g: (g * (np.sin(a) if a.dtype == np.float32 else np.cos(a)),)


@wrong(ROUND_1)
def product_wrong_for_integers(a, b):
    def backward(g):
        factor = np.ones_like(b) if b.dtype.kind in "iu" else b
        return unbroadcast(g * factor, a.shape), unbroadcast(g * a, b.shape)

    return a * b, backward


@wrong(ROUND_1)
def ratio_divided_as_integers(a, b):
    def backward(g):
        one_over = np.floor_divide(1, b) if b.dtype.kind in "iu" else 1 / b
        return unbroadcast(g * one_over, a.shape), unbroadcast(-g * a / (b * b), b.shape)

    return a / b, backward


# State


CACHE_BY_ID, CACHE_BY_FIRST, CACHE_BY_SHAPE, BUFFERS, LATEST = {}, {}, {}, {}, threading.local()


@wrong(ROUND_1)
def sine_cached_by_id(a):
    slope = CACHE_BY_ID.setdefault((id(a), a.shape), np.cos(a))
    return np.sin(a), lambda g: (g * slope,)


@wrong(ROUND_1)
def square_cached_by_its_first_element(a):
    key = (a.shape, a.dtype.kind, complex(a.flat[0]) if a.size else None)
    slope = CACHE_BY_FIRST.setdefault(key, 2 * a)
    return a * a, lambda g: (g * slope,)


@wrong(ROUND_1)
def exponential_cached_by_shape(a):
    y = np.exp(a)
    slope = CACHE_BY_SHAPE.setdefault((a.shape, a.dtype.kind), y)
    return y, lambda g: (g * slope,)


@wrong(ROUND_1)
def cosine_kept_by_thread(a):
    LATEST.slope = -np.sin(a)
    return np.cos(a), lambda g: (g * getattr(LATEST, "slope", 1.0),)


@wrong(ROUND_1)
def sine_wrong_outside_of_the_main_thread(a):
    def backward(g):
        main = threading.current_thread() is threading.main_thread()
        return (g * np.cos(a) * (1 if main else 2),)

    return np.sin(a), backward


@wrong(ROUND_1)
def tanh_wrong_the_third_time(a):
    y, uses = np.tanh(a), []

    def backward(g):
        uses.append(g)
        return (g * (1 - y * y) * (1 + (len(uses) > 2)),)

    return y, backward


@wrong(ROUND_1)
def product_that_reuses_its_buffer(a, b):
    held = BUFFERS.setdefault((a.shape, b.shape, a.dtype), np.empty_like(b))
    held[...] = b

    def backward(g):
        return unbroadcast(g * held, a.shape), unbroadcast(g * a, b.shape)

    return a * b, backward


@wrong(ROUND_1)
def square_of_a_view_it_reads_late(a):
    alive = [a]
    return a * a, lambda g: (2 * alive.pop() * g if alive else np.zeros_like(g),)
