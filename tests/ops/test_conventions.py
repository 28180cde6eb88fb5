"""What primitives promise at kinks and at extremes, number by number; and that nothing leaks.

That every rule is right is proved in `test_every_operation.py`.
"""

import math

import numpy as np
import pytest

from autolm import Tensor, ops
from tests.calls import arity

inf, nan = math.inf, math.nan
SOFT = math.log1p(math.exp(-9))

# Each row: operation, attributes, operands, result, gradients.

ROOT_HALVES = [[-math.sqrt(0.5), math.sqrt(0.5)], [0, 0]]
KINKS = [
    (ops.relu, {}, [[0.0, -0.0]], [0, 0], [[0, 0]]),
    (ops.abs, {}, [[0.0, -0.0]], [0, 0], [[0, 0]]),
    (ops.sqrt, {}, [[0.0]], [0], [[inf]]),
    (ops.maximum, {}, [[1.0, 2.0], [1.0, 3.0]], [1, 3], [[0.5, 0], [0.5, 1]]),
    (ops.minimum, {}, [[1.0, 2.0], [1.0, 3.0]], [1, 2], [[0.5, 1], [0.5, 0]]),
    (ops.pow, {}, [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [1, 0, 0], [[0, 1, 0], [0, 0, 0]]),
    (ops.pow, {}, [[2.0, -2.0], [0.0, 0.0]], [1, 1], [[0, 0], [math.log(2), nan]]),
    (ops.leaky_relu, {"negative_slope": 0.25}, [[0.0, -2.0]], [0, -0.5], [[0.25, 0.25]]),
    (ops.clamp_min, {}, [[0.0, 1.0, 2.0], [1.0] * 3], [1, 1, 2], [[0, 1, 1], [1, 0, 0]]),
    (ops.clamp_max, {}, [[0.0, 1.0, 2.0], [1.0] * 3], [0, 1, 1], [[1, 1, 0], [0, 0, 1]]),
    (
        ops.clip,
        {},
        [[0.0, 1.0, 2.0, 3.0, 1.0], [1.0, 1.0, 1.0, 1.0, 3.0], [2.0, 2.0, 2.0, 2.0, 2.0]],
        [1, 1, 2, 2, 2],
        [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 1]],
    ),
    (ops.clip, {"low": 0.0, "high": 1.0}, [[0.0, 1.0, -1.0, 2.0]], [0, 1, 0, 1], [[1, 1, 0, 0]]),
    (ops.clip, {"low": 3, "high": 1}, [[0.0, 2.0, 4.0]], [1, 1, 1], [[0, 0, 0]]),
    (ops.clip, {"low": 2.0}, [[1.0, 2.0, 3.0]], [2, 2, 3], [[0, 1, 1]]),
    (ops.clip, {"high": 2.0}, [[1.0, 2.0, 3.0]], [1, 2, 2], [[1, 1, 0]]),
    (ops.norm, {}, [[0.0, -0.0]], 0, [[0, 0]]),
    (ops.norm, {"ord": 1}, [[0.0, -3.0]], 3, [[0, -1]]),
    (ops.norm, {"ord": 3, "axis": 0}, [[[0.0, 0.0], [0.0, 2.0]]], [0, 2], [[[0, 0], [0, 1]]]),
    (ops.norm, {"ord": inf}, [[-2.0, 2.0, 1.0]], 2, [[-0.5, 0.5, 0]]),
    (ops.norm, {"ord": inf}, [[0.0, 0.0]], 0, [[0, 0]]),
    (ops.std, {}, [[2.0, 2.0, 2.0]], 0, [[0, 0, 0]]),
    (ops.std, {"axis": 1, "ddof": 1}, [[[1.0, 3.0], [5.0, 5.0]]], [math.sqrt(2), 0], [ROOT_HALVES]),
    (ops.sort, {}, [[2.0, 1.0, 2.0]], [1, 2, 2], [[1, 1, 1]]),
    (ops.ordered, {}, [[2.0, 1.0, 2.0]], [1, 2, 2], [[1, 1, 1]]),
    (ops.topk, {"k": 1}, [[2.0, 1.0, 2.0]], [2], [[1, 0, 0]]),
    (ops.topk, {"k": 2, "largest": False}, [[2.0, 1.0, 2.0]], [1, 2], [[1, 1, 0]]),
    (ops.max, {}, [[2.0, 5.0, 5.0]], 5, [[0, 0.5, 0.5]]),
    (ops.max, {"axis": 0}, [[[1.0, 1.0], [1.0, 2.0]]], [1, 2], [[[0.5, 0], [0.5, 1]]]),
    (ops.min, {}, [[2.0, 2.0, 2.0, 2.0]], 2, [[0.25, 0.25, 0.25, 0.25]]),
]
EXTREMES = [
    (ops.log, {}, [[0.0, -1.0]], [-inf, nan], [[inf, -1]]),
    (
        ops.div,
        {},
        [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]],
        [inf, -inf, nan],
        [[inf] * 3, [-inf, inf, nan]],
    ),
    (ops.exp, {}, [[1000.0, -1000.0]], [inf, 0], [[inf, 0]]),
    (ops.sigmoid, {}, [[1000.0, -1000.0]], [1, 0], [[0, 0]]),
    (ops.tanh, {}, [[1000.0, -1000.0]], [1, -1], [[0, 0]]),
    (ops.gelu, {}, [[1000.0, -1000.0]], [1000, 0], [[1, 0]]),
    (ops.silu, {}, [[1000.0, -1000.0]], [1000, 0], [[1, 0]]),
    (ops.softplus, {}, [[1000.0, -1000.0, -9.0]], [1000, 0, SOFT], [[1, 0, 1 / (1 + math.exp(9))]]),
    (ops.leaky_relu, {}, [[inf, -inf]], [inf, -inf], [[1, 0.01]]),
    (ops.erf, {}, [[1000.0, -1e200, inf]], [1, -1, 1], [[0, 0, 0]]),
    (ops.erfc, {}, [[1000.0, -1e200, inf]], [0, 2, 0], [[0, 0, 0]]),
    (ops.gelu, {"approximate": "tanh"}, [[1000.0, -1000.0]], [1000, 0], [[1, 0]]),
    (ops.gelu, {"approximate": "tanh"}, [[1e200, -1e200]], [1e200, 0], [[1, 0]]),
    (ops.logsumexp, {}, [[1000.0, -1000.0, 1000.0]], 1000 + math.log(2), [[0.5, 0, 0.5]]),
    (ops.logsumexp, {}, [[-1000.0, -1000.0]], -1000 + math.log(2), [[0.5, 0.5]]),
    (ops.logsumexp, {}, [[-inf, -inf]], -inf, [[nan, nan]]),
    (ops.logsumexp, {}, [[inf, 0.0]], inf, [[nan, 0]]),
    (ops.logsumexp, {}, [[]], -inf, [[]]),
    (  # the odd zero of "same" comes behind, as in PyTorch
        ops.conv1d,
        {"padding": "same"},
        [[[1.0, 2.0, 3.0]], [[[1.0, 10.0]]]],
        [[21, 32, 3]],
        [[[1, 11, 11]], [[[6, 5]]]],
    ),
    (ops.std, {}, [[3e200, -3e200]], 3e200, [[0.5, -0.5]]),
    (ops.std, {}, [[]], nan, [[]]),
    (ops.prod, {}, [[0.0, 3.0, 2.0]], 0, [[6, 0, 0]]),
    (ops.prod, {"axis": 1}, [[[0.0, 3.0, 0.0], [2.0, 3.0, 4.0]]], [0, 24], [[[0] * 3, [12, 8, 6]]]),
    (ops.prod, {}, [[1e-200, 1e-200, 1e300]], 0, [[1e100, 1e100, 0]]),
    (ops.prod, {}, [[]], 1, [[]]),
    (ops.norm, {}, [[3e200, 4e200]], 5e200, [[0.6, 0.8]]),
    (ops.norm, {}, [[3e-200, -4e-200]], 5e-200, [[0.6, -0.8]]),
    (ops.norm, {}, [[5e-324, 0.0]], 5e-324, [[1, 0]]),
    (ops.norm, {}, [[]], 0, [[]]),
    (ops.norm, {"ord": inf}, [[nan, 1.0]], nan, [[0, 0]]),
    (ops.mean, {}, [[]], nan, [[]]),
    (ops.var, {"ddof": 9}, [[1.0, 2.0, 6.0]], inf, [[-inf, -inf, inf]]),
    (ops.var, {"ddof": 2}, [[1.0, 1.0]], nan, [[nan, nan]]),
    (ops.max, {}, [[1.0, nan, 3.0]], nan, [[0, 1, 0]]),
    (ops.min, {}, [[nan, 1.0, nan]], nan, [[0.5, 0, 0.5]]),
    (ops.softmax, {}, [3.0], 1, [0]),
    (ops.log_softmax, {}, [3.0], 0, [0]),
    (ops.attention, {}, [[[1.0]], np.ones((0, 1)), np.ones((0, 2))], [[0, 0]], [[[0]], [], []]),
    (ops.logsumexp, {}, [[-inf, 1.0]], 1, [[0, 1]]),
    (ops.softmax, {}, [[1000.0, -1000.0, 1000.0]], [0.5, 0, 0.5], [[0, 0, 0]]),
    (ops.softmax, {}, [[[-inf, -inf], [-inf, 1.0]]], [[nan, nan], [0, 1]], [[[nan] * 2, [0, 0]]]),
    (ops.log_softmax, {}, [[-inf, -inf]], [nan, nan], [[nan, nan]]),
    (ops.softmax, {}, [[inf, 1.0]], [nan, nan], [[nan, nan]]),
    (ops.cross_entropy, {"targets": np.array(1)}, [[-inf, -inf]], nan, [[nan, nan]]),
    (ops.relu, {}, [[nan, inf, -inf]], [nan, inf, 0], [[1, 1, 0]]),
    (ops.abs, {}, [[nan, inf, -inf]], [nan, inf, inf], [[0, 1, -1]]),
    (ops.maximum, {}, [[nan, 1.0, nan], [1.0, nan, nan]], [nan] * 3, [[1] * 3, [1] * 3]),
    (ops.minimum, {}, [[nan, 1.0, nan], [1.0, nan, nan]], [nan] * 3, [[1] * 3, [1] * 3]),
    (ops.clamp_min, {}, [[nan, 1.0, nan], [1.0, nan, nan]], [nan] * 3, [[0] * 3, [0] * 3]),
    (ops.clamp_max, {}, [[nan, 1.0, nan], [1.0, nan, nan]], [nan] * 3, [[0] * 3, [0] * 3]),
    (ops.clip, {"low": 0.0, "high": 1.0}, [[nan, inf, -inf]], [nan, 1, 0], [[0, 0, 0]]),
    (ops.log_softmax, {}, [[1000.0, -1000.0]], [0, -2000], [[-1, 1]]),
    (ops.softmax, {}, [[-1000.0, -1000.0]], [0.5, 0.5], [[0, 0]]),
    (ops.log_softmax, {}, [[-1000.0, -1000.0]], [-math.log(2)] * 2, [[0, 0]]),
    (ops.cross_entropy, {"targets": np.array(1)}, [[1000.0, -1000.0]], 2000, [[1, -1]]),
    (ops.cross_entropy, {"targets": np.array(0)}, [[1000.0, -1000.0]], 0, [[0, 0]]),
    (ops.cross_entropy, {"targets": np.array(0)}, [[0.0, -inf]], 0, [[0, 0]]),
    (
        ops.attention,  # the second query comes before any key: it sees nothing, and says nothing
        {"causal": True},
        [[[1.0], [2.0]], [[3.0]], [[4.0]]],
        [[0], [4]],
        [[[0], [0]], [[0]], [[1]]],
    ),
    (
        ops.attention,
        {"causal": False},
        [[[1000.0]], [[1000.0], [-1000.0]], [[1.0], [2.0]]],
        [[1]],
        [[[0]], [[0], [0]], [[1], [0]]],
    ),
]


@pytest.mark.parametrize(("op", "attributes", "operands", "result", "gradients"), KINKS + EXTREMES)
def test_kinks_and_extremes_follow_the_convention(op, attributes, operands, result, gradients):
    tensors = [Tensor(operand) for operand in operands]
    y = op(*tensors, **attributes)
    y = y[0] if isinstance(y, tuple) else y
    np.testing.assert_allclose(y.data, result, rtol=1e-15)
    y.backward(np.ones(y.shape))
    for tensor, gradient in zip(tensors, gradients, strict=True):
        expected = np.reshape(gradient, tensor.shape)
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-15)


@pytest.mark.parametrize("numbers", [[2.0, 1.0, 2.0, nan, 1.0, -inf], [3.0, 3.0], [], [nan, nan]])
@pytest.mark.parametrize("descending", [False, True])
def test_a_sort_is_stable_and_its_places_are_where_the_values_were(numbers, descending):
    x, sign = Tensor(numbers), -1 if descending else 1

    def rank(i):
        return (sign, 0) if math.isnan(numbers[i]) else (0, sign * numbers[i])

    values, places = x.sort(descending=descending)
    assert places.tolist() == sorted(range(len(numbers)), key=rank)
    np.testing.assert_array_equal(values.data, x.data[places])
    if not descending:
        np.testing.assert_array_equal(values.data, np.sort(numbers))


@pytest.mark.parametrize("numbers", [[nan, 1.0], [1.0, nan, 0.0], [nan, nan]])
@pytest.mark.parametrize("op", [ops.max, ops.min])
def test_nan_is_the_largest_and_the_smallest_of_values_too(op, numbers):
    x = Tensor(numbers)
    value = op(x).to_values().item()
    assert math.isnan(value.data)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool"])
@pytest.mark.parametrize(
    "op",
    [
        *(ops.layer_norm, ops.rms_norm, ops.softmax),
        *(ops.sigmoid, ops.gelu, ops.silu, ops.softplus, ops.leaky_relu, ops.erf, ops.erfc),
    ],
)
def test_small_integers_do_not_overflow(op, dtype):
    x = np.array([100, 100, 3]).astype(dtype)
    ones = [np.ones(3)] * (arity(op) - 1)
    whole, floats = op(x, *ones), op(x.astype(float), *ones)
    np.testing.assert_allclose(whole.data, floats.data, rtol=1e-12)


@pytest.mark.parametrize("value", [100, 300, -300, 2**62, 2**70])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool"])
def test_no_number_wraps_around_among_small_integers(dtype, value):
    filled = ops.masked_fill(np.array([0, 1], dtype), mask=np.array([True, False]), value=value)
    assert filled.data.tolist() == [value, 1]
    if value < 2**63:  # larger ones are no numbers to NumPy
        limited = ops.clip(np.array([0, 1], dtype), low=value, high=value)
        assert limited.data.tolist() == [value, value]


def test_every_recorded_kink_is_tested():
    assert {op for op in ops.OPERATIONS if op.kinks} == {op for op, *_ in KINKS}


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_nothing_leaks_through_the_branch_not_taken(bad):
    a, b = Tensor([2.0, bad]), Tensor([bad, 3.0])
    y = ops.where(np.array([True, False]), a, b)
    y.backward(np.array([1.0, 1.0]))
    assert (y.data.tolist(), a.grad.tolist(), b.grad.tolist()) == ([2, 3], [1, 0], [0, 1])


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_no_upstream_leaks_into_the_branch_not_taken(bad):
    a, b = Tensor([2.0, 2.0]), Tensor([3.0, 3.0])
    ops.where(np.array([True, False]), a, b).backward(np.array([bad, bad]))
    assert (a.grad[1], b.grad[0]) == (0, 0)


def test_no_gradient_of_a_masked_logarithm_leaks():
    x = Tensor([0.0, 2.0])
    ops.where(x > 0, x.masked_fill(x.data <= 0, 1.0).log(), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    "op",
    [ops.add, ops.relu, ops.abs, ops.maximum, ops.minimum, ops.clip, ops.clamp_min, ops.clamp_max],
)
def test_nan_is_not_hidden(op):
    attributes = {"low": 0.0, "high": 1.0} if op is ops.clip else {}
    assert np.isnan(op(*[Tensor([nan])] * arity(op), **attributes).data)
    if arity(op) == 2:
        assert np.isnan(op(Tensor([nan]), Tensor([1.0])).data)
        assert np.isnan(op(Tensor([1.0]), Tensor([nan])).data)
    assert np.isnan(ops.clip(1.0, nan, 2.0).data)
    assert np.isnan(ops.clip(1.0, high=nan).data)


@pytest.mark.parametrize("length", [4, 400])  # added one by one, and sorted
def test_a_row_of_an_embedding_collects_the_gradients_of_its_token_and_no_other(length):
    rng = np.random.default_rng(0)
    ids, upstream = rng.integers(1, 5, size=(2, length)), rng.normal(size=(2, length, 3))
    upstream[0, 0] = inf
    weight = Tensor(np.zeros((6, 3)))
    ops.embedding(weight, token_ids=ids).backward(upstream)
    expected = np.stack([upstream[ids == token].sum(axis=0) for token in range(6)])
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-12, atol=1e-12)
