"""Correct rules for the wrong ones in `reported_operations`, with the same forwards."""

import inspect

import numpy as np

from .reported_operations import LOG_2, REPORTED, normal_and_inverse, sigmoid, softmax

TWINS = {}  # name of the wrong one -> the same forward with a right rule


def right_for(*names):
    """Register `rule(ḡ, *operands)` as right for these."""

    def register(rule):
        for name in names:
            TWINS[name] = _of(REPORTED[name][0], rule)
        return rule

    return register


def _of(wrong, rule):
    def of_one(x):
        return wrong(x)[0], lambda g: rule(g, x)

    def of_two(a, b):
        return wrong(a, b)[0], lambda g: rule(g, a, b)

    def of_three(a, b, c):
        return wrong(a, b, c)[0], lambda g: rule(g, a, b, c)

    return (of_one, of_two, of_three)[len(inspect.signature(wrong).parameters) - 1]


def along(x):
    return x.sum(axis=-1, keepdims=True)


@right_for("softmax_copies_its_upstream", "softmax_without_the_sum", "softmax_doubled")
@right_for("softmax_over_its_upstream")
def of_softmax(g, x):
    y = softmax(x)
    return (y * (g - along(g * y)),)


def stable_log_softmax(x):
    shifted = x - x.real.max(axis=-1, keepdims=True)
    y = shifted - np.log(along(np.exp(shifted)))
    return y, lambda g: (g - np.exp(y) * along(g),)


def loss_of_kept_rows(x):
    targets, kept = [0, 1, 1, 0], np.array([True, False, True, True])
    y, rule = stable_log_softmax(x)

    def backward(g):
        gradient = np.zeros_like(x)
        gradient[np.arange(4), targets] = -g * kept
        return rule(gradient)

    return -y[np.arange(4), targets] * kept, backward


# The logarithm of a softmax is lost where that is 0: the forwards of these are wrong there too.
TWINS["log_softmax_adds_its_upstream"] = stable_log_softmax
TWINS["cross_entropy_of_ignored_rows"] = loss_of_kept_rows


@right_for("exponential_by_its_operand")
def of_exponential(g, x):
    return (g * np.exp(x),)


@right_for("power_with_the_rule_of_relu", "scaled_by_a_cached_adjoint")
def of_cube(g, x):
    return (g * 3 * x * x,)


@right_for("ldexp_of_integers")
def of_half(g, x):
    return (g / 2,)


@right_for("largest_to_all_that_tie")
def of_largest(g, x):
    share = x == x.max(axis=0)
    return (g * share / share.sum(axis=0),)


@right_for("norm_at_zero")
def of_norm(g, x):
    y = np.sqrt((x * x).sum())
    return (g * x / (y if y else 1),)


@right_for("squared_norm_at_zero")
def of_squared_norm(g, x):
    return (g * 2 * x,)


@right_for("product_with_zeros")
def of_product(g, x):
    other_axes = [np.prod(np.delete(x.ravel(), i)) for i in range(x.size)]
    return (g * np.reshape(other_axes, x.shape),)


@right_for("rms_norm_without_its_weight", "rms_norm_forgets_the_weight")
@right_for("rms_norm_of_a_constant_root")
def of_rms_norm(g, x, weight):
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    normal, inner = x * inverse, g * weight
    gradient = inverse * (inner - normal * along(inner * normal) / x.shape[-1])
    return gradient, (g * normal).sum(axis=0)


@right_for("layer_norm_of_two_axes", "layer_norm_subtracts_twice")
def of_layer_norm(g, x):
    y, inverse = normal_and_inverse(x)
    return (inverse * (g - along(g) / x.shape[-1] - y * along(g * y) / x.shape[-1]),)


@right_for("layer_norm_weight_for_the_normal", "layer_norm_swaps_weight_and_bias")
def of_affine_layer_norm(g, x, weight, bias):
    y, _ = normal_and_inverse(x)
    return *of_layer_norm(g * weight, x), (g * y).sum(axis=0), g.sum(axis=0)


@right_for("center_loss_not_divided")
def of_center_loss(g, x, centers):
    d = g * (x - centers) / len(x)
    return d, -d


@right_for("tanh_of_the_last_iteration")
def of_tanh(g, x):
    return (g * (1 - np.tanh(x) ** 2),)


@right_for("squared_error_without_two")
def of_squared_error(g, x, t):
    return 2 * g * (x - t), -2 * g * (x - t)


@right_for("layer_with_a_doubled_weight")
def of_layer(g, x, w):
    return g @ w.T, x.T @ g


@right_for("covariance_with_the_wrong_sign")
def of_covariance(g, x):
    return (-0.5 * g / x,)


@right_for("quotient_as_a_product")
def of_quotient(g, a, b):
    return g / b, -g * a / b**2


@right_for("dropout_by_comparing")
def of_dropout(g, x):
    return (g * (np.arange(x.size).reshape(x.shape) % 2 * 2.0).astype(x.dtype),)


@right_for("dropout_without_its_mask")
def of_scale(g, x):
    return (1.25 * g,)


@right_for("sigmoid_slope_at_its_operand", "sigmoid_slope_at_its_result")
@right_for("sigmoid_of_the_upstream")
def of_sigmoid(g, x):
    return (g * sigmoid(x) * (1 - sigmoid(x)),)


@right_for("logarithm_of_another_base", "logarithm_with_a_typing_error")
def of_logarithm(g, x):
    return (g / (x * LOG_2),)


@right_for("batch_norm_without_its_scale")
def of_batch_norm(g, x, scale):
    y, inverse = normal_and_inverse(x, axis=0)
    inner = g * scale
    gradient = inverse * (inner - inner.mean(axis=0) - y * (inner * y).mean(axis=0))
    return gradient, (g * y).sum(axis=0)


@right_for("leaky_relu_by_its_result")
def of_leaky_relu(g, x):
    return (np.where(x > 0, g, -2 * g),)


@right_for("elu_by_its_result")
def of_elu(g, x):
    return (np.where(x > 0, g, -2 * g * np.exp(np.minimum(x, 0))),)


@right_for("lookup_keeps_the_last")
def of_lookup(g, x):
    gradient = np.zeros_like(x)
    np.add.at(gradient, [0, 2, 0], g)
    return (gradient,)


@right_for("axes_moved_twice")
def of_moved_axes(g, x):
    return (g.transpose(2, 0, 1),)
