"""Gradient rules that were really wrong, each after a public report, with what names its mistake.

The reports are of many languages; here is the mistake alone, in NumPy and in words of our own. What
a diagnosis must say to be right is one of a few words; to say nothing is allowed, to say anything
else is a false cause.
"""

import math

import numpy as np

from autolm.ops.array_operation import Case

REPORTED = {}  # name -> (forward, options of check_op, address, words of a right diagnosis)

LOG_2 = math.log(2)
SITE = "https://github.com/"


def reported(address, *words, **options):
    """Register a wrong forward with the address of its report."""

    def register(forward):
        REPORTED[forward.__name__] = (forward, options, SITE + address, words)
        return forward

    return register


def softmax(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal_and_inverse(x, axis=-1):
    d = x - x.mean(axis=axis, keepdims=True)
    inverse = 1 / np.sqrt((d * d).mean(axis=axis, keepdims=True) + 1e-5)
    return d * inverse, inverse


ROWS = (Case(((3, 4),)), Case(((2, 3),)), Case(((2, 2, 3),)))
NORMS = (Case(((3, 4), (4,))), Case(((2, 3), (3,))))


@reported("pjreddie/darknet/pull/96", "the rule computes ḡ")
def softmax_copies_its_upstream(x):
    return softmax(x), lambda g: (g,)


@reported("HomericIntelligence/Odyssey/issues/2134", "a term is missing: −y · Σ(ḡ · y)")
def softmax_without_the_sum(x):
    y = softmax(x)
    return y, lambda g: (g * y,)


@reported("markroxor/fromscratchtoml/issues/65", "off by a factor of 2", cases=ROWS)
def softmax_doubled(x):
    y = softmax(x)
    return y, lambda g: (2 * y * (g - (g * y).sum(axis=-1, keepdims=True)),)


@reported("mlpack/mlpack/issues/2360", "no factor", cases=ROWS)
def log_softmax_adds_its_upstream(x):
    y = softmax(x)
    return np.log(y), lambda g: (g + y,)


@reported("karpathy/nn-zero-to-hero/issues/52", "the rule computes x · ḡ", "instead")
def exponential_by_its_operand(x):
    return np.exp(x), lambda g: (x * g,)


@reported("ahrefs/ocannl/issues/73", "the rule computes ḡ", domain=(0.5, 4.0))
def power_with_the_rule_of_relu(x):
    return x**3, lambda g: (np.where(x > 0, g, 0),)


@reported("pytorch/pytorch/issues/187460", "nothing is sent")
def ldexp_of_integers(x):
    return x * 2.0**-1, lambda g: (g * (2**1 // 4),)


@reported("apache/mxnet/issues/18563", "ties")
def largest_to_all_that_tie(x):
    y = x.max(axis=0)
    return y, lambda g: (g * (x == y),)


@reported("pytorch/pytorch/issues/2421", "not a number on a kink")
def norm_at_zero(x):
    y = np.sqrt((x * x).sum())
    return y, lambda g: (g * x / y,)


@reported("jax-ml/jax/issues/21723", "not a number at a smooth point")
def squared_norm_at_zero(x):
    y = np.sqrt((x * x).sum())
    return y**2, lambda g: (g * 2 * y * (x / y),)


@reported("tinygrad/tinygrad/pull/17404", "not a number at a smooth point")
def product_with_zeros(x):
    y = x.prod()
    return y, lambda g: (g * y / x,)


@reported("unslothai/unsloth/issues/45", "weight: a path is missing: nothing is sent", cases=NORMS)
def rms_norm_without_its_weight(x, weight):
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    n = x * inverse

    def backward(g):
        inner = g * weight
        along = (inner * n).mean(axis=-1, keepdims=True)
        return inverse * (inner - n * along), np.zeros_like(weight)

    return n * weight, backward


@reported("karpathy/llm.c/pull/763", "x: weight is taken as 1", cases=NORMS)
def rms_norm_forgets_the_weight(x, weight):
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    n = x * inverse

    def backward(g):
        along = (g * n).mean(axis=-1, keepdims=True)
        return inverse * (g - n * along), (g * n).sum(axis=0)

    return n * weight, backward


@reported("ooples/AiDotNet/pull/695", "x: a term is missing", cases=NORMS)
def rms_norm_of_a_constant_root(x, weight):
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    return x * inverse * weight, lambda g: (g * weight * inverse, (g * x * inverse).sum(axis=0))


@reported("flagos-ai/FlagGems/issues/5392", "wrong axis", cases=(*ROWS, Case(((2, 3, 2),))))
def layer_norm_of_two_axes(x):
    y, inverse = normal_and_inverse(x)

    def backward(g):
        rest = tuple(range(1, x.ndim))
        mean = g.mean(axis=rest, keepdims=True)
        along = (g * y).mean(axis=rest, keepdims=True)
        return (inverse * (g - mean - y * along),)

    return y, backward


@reported("tenstorrent/tt-metal/pull/53215", "a term is missing", cases=ROWS)
def layer_norm_subtracts_twice(x):
    y, inverse = normal_and_inverse(x)

    def backward(g):
        along = (g * y).mean(axis=-1, keepdims=True)
        return (inverse * (g - 2 * g.mean(axis=-1, keepdims=True) - y * along),)

    return y, backward


@reported("pytorch/pytorch/pull/18233", "weight: ", cases=(Case(((3, 4), (4,), (4,))),))
def layer_norm_weight_for_the_normal(x, weight, bias):
    y, inverse = normal_and_inverse(x)

    def backward(g):
        inner = g * weight
        along = (inner * y).mean(axis=-1, keepdims=True)
        to_x = inverse * (inner - inner.mean(axis=-1, keepdims=True) - y * along)
        return to_x, (g * weight).sum(axis=0), g.sum(axis=0)

    return y * weight + bias, backward


@reported("Oneflow-Inc/oneflow/pull/6149", "operands swapped", cases=(Case(((3, 4), (4,), (4,))),))
def layer_norm_swaps_weight_and_bias(x, weight, bias):
    y, inverse = normal_and_inverse(x)

    def backward(g):
        inner = g * weight
        along = (inner * y).mean(axis=-1, keepdims=True)
        to_x = inverse * (inner - inner.mean(axis=-1, keepdims=True) - y * along)
        return to_x, g.sum(axis=0), (g * y).sum(axis=0)

    return y * weight + bias, backward


@reported(
    "jxgu1016/MNIST_center_loss_pytorch/issues/9",
    "factor of the length of the first axis",
    cases=(Case(((3, 2), (3, 2))), Case(((4, 3), (4, 3)))),
)
def center_loss_not_divided(x, centers):
    d = x - centers
    return (d * d).sum() / 2 / len(x), lambda g: (g * d, -g * d / len(x))


@reported(
    "PaddlePaddle/Paddle/pull/28622", "a mask leaks", cases=(Case(((4, 3),)), Case(((4, 2),)))
)
def cross_entropy_of_ignored_rows(x):
    targets, kept = np.array([0, 1, 1, 0]), np.array([1.0, 0.0, 1.0, 1.0])
    p = softmax(x)
    chosen = np.log(p[np.arange(4), targets])

    def backward(g):
        hot = np.eye(x.shape[1])[targets]
        return (g[:, None] * (p - hot * kept[:, None]),)

    return -chosen * kept, backward


@reported("bshillingford/autobw.torch/pull/7", "stale")
def scaled_by_a_cached_adjoint(x):
    uses = []

    def backward(g):
        uses.append(g)
        return (3 * x * x * sum(uses),)

    return x**3, backward


_latest = {}


@reported("Genesis-Embodied-AI/quadrants/pull/501", "stale")
def tanh_of_the_last_iteration(x):
    _latest["y"] = np.tanh(x)
    return _latest["y"], lambda g: (g * (1 - _latest["y"] ** 2),)


@reported("davisking/dlib/issues/1169", "off by a factor of ½")
def squared_error_without_two(x, t):
    d = x - t
    return d * d, lambda g: (g * d, -g * d)


@reported("bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10", "w: off by a factor of 2")
def layer_with_a_doubled_weight(x, w):
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError("matrices only")
    return x @ w, lambda g: (g @ w.T, 2 * x.T @ g)


@reported("HIPS/autograd/pull/412", "off by a factor of −1")
def covariance_with_the_wrong_sign(x):
    return -0.5 * np.log(x), lambda g: (0.5 * g / x,)


REPORTED["covariance_with_the_wrong_sign"][1].update(domain=(0.0, np.inf))


@reported("apache/singa/pull/484", "operand", "power")
def quotient_as_a_product(a, b):
    return a / b, lambda g: (g / a, g * b)


@reported("kaldi-asr/kaldi/issues/3890", "at a smooth point", "wrong where")
def dropout_by_comparing(x):
    y = x * (np.arange(x.size).reshape(x.shape) % 2 * 2.0).astype(x.dtype)
    return y, lambda g: (np.where(x == 0, g, g * y / np.where(x == 0, 1, x)),)


@reported("rohitg00/ai-engineering-from-scratch/pull/17", "off by a factor of 0.8")
def dropout_without_its_mask(x):
    return x * 1.25, lambda g: (g,)


@reported("PacktPublishing/Neural-Network-Projects-with-Python/issues/4", "x · (1 − x)")
def sigmoid_slope_at_its_operand(x):
    return sigmoid(x), lambda g: (g * x * (1 - x),)


@reported("rasmusbergpalm/DeepLearnToolbox/issues/165", "taken at the result")
def sigmoid_slope_at_its_result(x):
    y = sigmoid(x)
    return y, lambda g: (g * sigmoid(y) * (1 - sigmoid(y)),)


@reported("yizt/numpy_neural_network/issues/3", "no factor", "not linear")
def sigmoid_of_the_upstream(x):
    return sigmoid(x), lambda g: (sigmoid(1 - sigmoid(g)),)


@reported("eggzec/ad/pull/10", "off by a factor of 0.69314718056", domain=(0.0, np.inf))
def logarithm_of_another_base(x):
    return np.log(x) / LOG_2, lambda g: (g / x,)


@reported("shader-slang/slang/issues/9176", "off by a factor of", domain=(0.0, np.inf))
def logarithm_with_a_typing_error(x):
    return np.log(x) / LOG_2, lambda g: (g / (x * 50.69314718055994),)


@reported("denizyuret/Knet.jl/issues/288", "scale is taken as 1", cases=NORMS)
def batch_norm_without_its_scale(x, scale):
    y, inverse = normal_and_inverse(x, axis=0)

    def backward(g):
        along = (g * y).mean(axis=0, keepdims=True)
        return inverse * (g - g.mean(axis=0, keepdims=True) - y * along), (g * y).sum(axis=0)

    return y * scale, backward


@reported("NVIDIA/apex/issues/1430", "upstream mutated")
def softmax_over_its_upstream(x):
    y = softmax(x)

    def backward(g):
        g -= (g * y).sum(axis=-1, keepdims=True)
        g *= y
        return (g,)

    return y, backward


@reported("pytorch/pytorch/issues/31938", "the rule computes ḡ")
def leaky_relu_by_its_result(x):
    y = np.where(x.real > 0, x, -2 * x)
    return y, lambda g: (np.where(y.real > 0, g, -2 * g),)


@reported("pytorch/pytorch/issues/47671", "the rule computes ḡ")
def elu_by_its_result(x):
    y = np.where(x.real > 0, x, -2 * (np.exp(np.where(x.real > 0, 0 * x, x)) - 1))
    return y, lambda g: (np.where(y.real > 0, g, g * (y - 2)),)


@reported("pytorch/pytorch/issues/1528", "overwritten", cases=(Case(((3, 2),)), Case(((4,),))))
def lookup_keeps_the_last(x):
    ids = np.array([0, 2, 0])

    def backward(g):
        gradient = np.zeros_like(x)
        gradient[ids] = g
        return (gradient,)

    return x[ids], backward


@reported("webonnx/wonnx/issues/112", "transposed", cases=(Case(((3, 3, 3),)), Case(((2, 2, 2),))))
def axes_moved_twice(x):
    return x.transpose(1, 2, 0), lambda g: (g.transpose(1, 2, 0),)
