"""Each primitive's rule against oracles that know no rule; conventions at kinks; extremes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, ops
from tests.calls import arity, calls, each_primitive

STEP = 1e-30  # of the complex step: so small that f(x + ih) = f(x) + ih·f'(x) holds to the last bit
inf, nan = math.inf, math.nan


def complex_step(function, arrays, i):
    """Return ∂function/∂arrays[i], exact to rounding: no difference of nearby numbers is taken."""
    gradient = np.empty(arrays[i].shape)
    for index in np.ndindex(gradient.shape):
        nudged = [a if a.dtype.kind == "b" else np.array(a, complex) for a in arrays]
        nudged[i][index] += STEP * 1j
        gradient[index] = function(*nudged).imag / STEP
    return gradient


def extrapolated_slope(function, levels=5):
    """Return function'(0): central differences with steps h, h/2, h/4 …, extrapolated to h = 0.

    In long doubles, and each extrapolation cancels the leading term of the error (Romberg).
    """
    steps = [np.longdouble(2) ** -(9 + level) for level in range(levels)]
    slopes = [(function(h) - function(-h)) / (2 * h) for h in steps]
    for power in range(1, levels):
        factor = 4**power
        slopes = [(factor * fine - coarse) / (factor - 1) for coarse, fine in pairwise(slopes)]
    return slopes[0]


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_rule_equals_the_complex_step(op, data):
    call = data.draw(calls(op))
    tensors, y = call.on_tensors()
    y.backward(call.upstream)
    for i in call.differentiable:
        expected = complex_step(call.objective, call.arrays, i)
        np.testing.assert_allclose(tensors[i].grad, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_rule_equals_the_extrapolated_slope_along_a_random_direction(op, data):
    call = data.draw(calls(op))
    tensors, y = call.on_tensors()
    y.backward(call.upstream)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    directions = [rng.uniform(-1, 1, size=a.shape) for a in call.arrays]

    def along(t):
        return call.objective(
            *(
                a if a.dtype.kind == "b" else a.astype(np.longdouble) + t * direction
                for a, direction in zip(call.arrays, directions, strict=True)
            )
        )

    slope = sum(np.vdot(directions[i], tensors[i].grad) for i in call.differentiable)
    assert slope == pytest.approx(float(extrapolated_slope(along)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize(
    "op", [op for op in ops.PRIMITIVES if arity(op) > 1 and op is not ops.where]
)
@given(data=st.data())
def test_one_tensor_as_every_operand_gets_the_sum_of_its_uses(op, data):
    call = data.draw(calls(op, same_shape=True))
    x = Tensor(call.arrays[0])
    op(*[x] * len(call.arrays), **call.attributes).backward(call.upstream)

    def objective(array):
        return call.objective(*[array] * len(call.arrays))

    expected = complex_step(objective, call.arrays[:1], 0)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_dtype_is_kept_by_result_and_gradients(op, data):
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    call = data.draw(calls(op, dtype=dtype))
    tensors, y = call.on_tensors()
    y.backward(call.upstream)
    assert y.dtype == dtype
    assert all(tensors[i].grad.dtype == dtype for i in call.differentiable)


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_operands_and_upstream_are_left_as_they_were(op, data):
    call = data.draw(calls(op))
    before = [array.tobytes() for array in (*call.arrays, call.upstream)]
    _, y = call.on_tensors()
    y.backward(call.upstream)
    assert [array.tobytes() for array in (*call.arrays, call.upstream)] == before


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_gradients_share_no_memory(op, data):
    call = data.draw(calls(op))
    tensors, y = call.on_tensors()
    y.backward(call.upstream, retain_grads=True)
    arrays = [*call.arrays, call.upstream, y.grad, *(tensors[i].grad for i in call.differentiable)]
    for i, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:i])


@pytest.mark.parametrize(**each_primitive)
@given(data=st.data())
def test_rule_is_linear_in_upstream(op, data):
    call = data.draw(calls(op))
    _, rule = op.forward(*call.arrays, **call.attributes)
    rng = np.random.default_rng(0)
    other = rng.normal(size=call.upstream.shape)
    both = rule(2 * call.upstream - 3 * other)
    for i, first, second in zip(range(len(both)), rule(call.upstream), rule(other), strict=True):
        if i in call.differentiable:
            expected = 2 * np.asarray(first) - 3 * np.asarray(second)
            np.testing.assert_allclose(both[i], expected, rtol=1e-10, atol=1e-11)


# Conventions, and extremes. Each row: operation, attributes, operands, result, gradients.

KINKS = [
    (ops.relu, {}, [[0.0, -0.0]], [0, 0], [[0, 0]]),
    (ops.abs, {}, [[0.0, -0.0]], [0, 0], [[0, 0]]),
    (ops.sqrt, {}, [[0.0]], [0], [[inf]]),
    (ops.maximum, {}, [[1.0, 2.0], [1.0, 3.0]], [1, 3], [[0.5, 0], [0.5, 1]]),
    (ops.minimum, {}, [[1.0, 2.0], [1.0, 3.0]], [1, 2], [[0.5, 1], [0.5, 0]]),
    (ops.pow, {}, [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [1, 0, 0], [[0, 1, 0], [0, 0, 0]]),
    (ops.pow, {}, [[2.0, -2.0], [0.0, 0.0]], [1, 1], [[0, 0], [math.log(2), nan]]),
    (ops.clip, {"low": 0.0, "high": 1.0}, [[0.0, 1.0, -1.0, 2.0]], [0, 1, 0, 1], [[1, 1, 0, 0]]),
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
    (ops.logsumexp, {}, [[1000.0, -1000.0, 1000.0]], 1000 + math.log(2), [[0.5, 0, 0.5]]),
    (ops.logsumexp, {}, [[-1000.0, -1000.0]], -1000 + math.log(2), [[0.5, 0.5]]),
    (ops.logsumexp, {}, [[-inf, -inf]], -inf, [[0, 0]]),
    (ops.logsumexp, {}, [[-inf, 1.0]], 1, [[0, 1]]),
    (ops.softmax, {}, [[1000.0, -1000.0, 1000.0]], [0.5, 0, 0.5], [[0, 0, 0]]),
    (ops.softmax, {}, [[[-inf, -inf], [-inf, 1.0]]], [[0, 0], [0, 1]], [[[0, 0], [0, 0]]]),
    (ops.log_softmax, {}, [[1000.0, -1000.0]], [0, -2000], [[-1, 1]]),
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
    np.testing.assert_allclose(y.data, result, rtol=1e-15)
    y.backward(np.ones(y.shape))
    for tensor, gradient in zip(tensors, gradients, strict=True):
        np.testing.assert_allclose(tensor.grad, gradient, rtol=1e-15)


def test_every_recorded_kink_is_tested():
    assert {op for op in ops.PRIMITIVES if op.kinks} == {op for op, *_ in KINKS}


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


@pytest.mark.parametrize("op", [ops.add, ops.relu, ops.abs, ops.maximum, ops.minimum, ops.clip])
def test_nan_is_not_hidden(op):
    attributes = {"low": 0.0, "high": 1.0} if op is ops.clip else {}
    assert np.isnan(op(*[Tensor([nan])] * arity(op), **attributes).data)
    if arity(op) == 2:
        assert np.isnan(op(Tensor([nan]), Tensor([1.0])).data)
        assert np.isnan(op(Tensor([1.0]), Tensor([nan])).data)
