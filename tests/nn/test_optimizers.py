"""Optimizers follow their papers, never write into an array, and continue from a saved state."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autolm import Tensor
from autolm.nn import SGD, Adam, AdamW, Optimizer, clip_gradients, gradient_norm

Array = NDArray[Any]
GRADIENTS = [np.array([0.5, -2.0, 0.0]), np.array([1.5, 1.0, -0.1]), np.array([-3.0, 0.2, 0.3])]
START = np.array([1.0, -2.0, 3.0])
OPTIMIZERS: list[Any] = [
    lambda parameters: SGD(parameters, 0.1),
    lambda parameters: SGD(parameters, 0.1, momentum=0.5),
    lambda parameters: Adam(parameters, 0.1),
    lambda parameters: AdamW(parameters, 0.1, weight_decay=0.1),
]
each_optimizer = pytest.mark.parametrize(
    "make", OPTIMIZERS, ids=["SGD", "momentum", "Adam", "AdamW"]
)


def after_steps(optimizer: Optimizer, parameter: Tensor, gradients: list[Array]) -> Array:
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return np.asarray(parameter.data)


def adamw_by_the_paper(p: Array, gradients: list[Array | None]) -> Array:
    """Compute AdamW for one array, in the order of the paper's formulas."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        if g is None:
            continue
        m = 0.8 * m + (1 - 0.8) * g
        v = 0.95 * v + (1 - 0.95) * (g * g)
        change = m / (1 - 0.8**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8)
        p = p - 0.1 * (change + 0.3 * p if p.ndim > 1 else change)
    return p


@pytest.mark.parametrize(
    "dtypes",
    [["f8"] * 6, ["f4"] * 6, ["f8", "f4", "f4", "f8", "f8", "f4"]],
    ids=["f8", "f4", "both"],
)
def test_adamw_moves_each_parameter_bit_for_bit_as_alone_with_or_without_gradient(
    dtypes: list[str],
) -> None:
    rng, shapes = np.random.default_rng(1), [(3, 2), (4,), (2, 2), (5,), (), (1, 6)]
    start = [rng.normal(size=s).astype(d) for s, d in zip(shapes, dtypes, strict=True)]
    parameters = [Tensor(array.copy()) for array in start]
    optimizer = AdamW(parameters, 0.1, betas=(0.8, 0.95), weight_decay=0.3)
    gradients: list[list[Array | None]] = [[] for _ in start]
    for _ in range(5):
        for parameter, past in zip(parameters, gradients, strict=True):
            gradient = rng.normal(size=parameter.shape).astype(parameter.dtype)
            past.append(gradient if rng.random() < 0.7 else None)
            parameter.grad = past[-1]
        optimizer.step()
    for parameter, array, past in zip(parameters, start, gradients, strict=True):
        assert parameter.dtype == array.dtype
        assert parameter.data.tobytes() == adamw_by_the_paper(array, past).tobytes()


def test_momentum_sums_past_gradients_with_decreasing_weight() -> None:
    w, (g1, g2, g3) = Tensor(START), GRADIENTS
    result = after_steps(SGD([w], 0.1, momentum=0.5), w, GRADIENTS)
    total = g1 + (g2 + 0.5 * g1) + (g3 + 0.5 * g2 + 0.25 * g1)
    np.testing.assert_allclose(result, START - 0.1 * total, rtol=1e-14)


@each_optimizer
def test_a_graph_made_before_a_step_keeps_its_gradient(make: Any) -> None:
    w = Tensor(START.copy())
    loss = (w * w * w).sum()
    loss.backward()
    make([w]).step()
    w.grad = None
    loss.backward()
    np.testing.assert_allclose(w.grad, 3 * START**2, rtol=1e-15)


@each_optimizer
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_restored_optimizer_continues_bit_for_bit_in_its_dtype(make: Any, dtype: str) -> None:
    w, restored = Tensor(START.astype(dtype)), Tensor(START.astype(dtype))
    optimizer = make([w])
    restored.data = after_steps(optimizer, w, GRADIENTS[:2])
    state, other = optimizer.state(), make([restored])
    other.load_state(state)
    expected = after_steps(optimizer, w, GRADIENTS[2:])
    assert after_steps(other, restored, GRADIENTS[2:]).tobytes() == expected.tobytes()
    assert {a.dtype for n, a in state.items() if n != "steps"} <= {w.dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_parameters_and_optimizer_is_independent(duplicate: Any) -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([3.0])
    optimizer = SGD([a, b], 0.5)
    a.grad, b.grad = [1.0, 1.0], [1.0]
    optimizer.step()
    (c, d), other = duplicate(([a, b], optimizer))
    c.data[0] = 100.0
    other.step()
    assert (c.data.tolist(), d.data.tolist()) == ([99.5, 1.0], [2.0])
    assert (a.data.tolist(), b.data.tolist()) == ([0.5, 1.5], [2.5])


def test_a_parameter_assigned_between_steps_continues_from_there() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([3.0])
    optimizer = SGD([a, b], 0.5)
    a.grad, b.grad = [1.0, 1.0], [1.0]
    optimizer.step()
    a.data = [10.0, 20.0]
    optimizer.step()
    assert (a.data.tolist(), b.data.tolist()) == ([9.5, 19.5], [2.0])


def test_clipping_scales_all_gradients_by_one_factor_if_they_exceed_the_norm() -> None:
    a, b, unused = Tensor([0.0, 0.0]), Tensor(0.0), Tensor(0.0)
    a.grad, b.grad = [2.0, 3.0], 6.0
    assert clip_gradients([a, b, unused], 7.0) == 7.0
    assert [*a.grad, b.grad] == [2.0, 3.0, 6.0]
    assert clip_gradients([a, b, unused], 6.5) == 7.0
    np.testing.assert_allclose([*a.grad, b.grad], np.multiply([2, 3, 6], 6.5 / 7), rtol=1e-15)
    assert not unused.has_grad


def test_the_norm_of_a_float32_gradient_does_not_overflow() -> None:
    a = Tensor(np.zeros(2, np.float32))
    a.grad = np.array([3e20, 4e20], np.float32)
    assert gradient_norm([a]) == pytest.approx(5e20)


REFUSED: list[tuple[Any, str]] = [
    (lambda w: SGD([w], -0.1), "learning_rate must be finite and at least 0, not -0.1"),
    (lambda w: SGD([w], 0.1, momentum=1.0), "momentum must be at least 0 and below 1, not 1.0"),
    (lambda w: AdamW([w], 0.1, betas=(0.9, 1.0)), "betas must be at least 0 and below 1, not 1.0"),
    (lambda w: SGD([w], lr=1), "^SGD: there is no lr=; .* learning_rate"),
    (lambda w: SGD([w, w * 2], 0.1), "SGD: parameter 1 is the result of an operation"),
    (lambda w: Adam([Tensor([1.0], False), w], 0.1), "Adam: parameter 0 is a constant"),
    (lambda w: Adam([Tensor(np.arange(2))], 0.1), "Adam: parameter 0 is a constant"),
    (lambda w: AdamW([w, w], 0.1), "AdamW: parameter 1 is given twice"),
    (lambda w: SGD([("w", w), ("w", Tensor(1.0))], 0.1), "parameter w shares its name"),
    (lambda w: SGD(w, 0.1), "SGD: parameters must be a list of Tensors"),
    (lambda w: clip_gradients({"w": w}, 0.1), "clip_gradients: parameters must be a list"),
    (lambda w: AdamW(iter([]), 0.1), "AdamW: there are no parameters"),
    (lambda w: SGD([w, (w, "w")], 0.1), "SGD: parameters must be a list of Tensors"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_wrong_parameters_and_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(Tensor([1.0]))


@pytest.mark.parametrize("rate", [math.nan, math.inf, "0.1", None, True, -1e-9])
def test_a_learning_rate_is_checked_when_it_is_set(rate: Any) -> None:
    optimizer = SGD([Tensor(1.0)], 0.1)
    with pytest.raises((TypeError, ValueError), match="SGD: learning_rate must be"):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.1


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("first_moment/v", np.zeros(3), r"has shape \(3,\), and \(1, 3\) is needed"),
        ("second_moment/w", np.zeros(3, int), "has dtype int64, and float64 is needed"),
        ("third_moment/w", np.zeros(3), "is unknown"),
        ("second_moment/v", None, "is missing"),
        ("steps", None, "is missing"),
        ("steps", np.array(1.0), "has dtype float64, and int64 is needed"),
        ("steps", np.array(-1), "must be at least 0, not -1"),
    ],
)
def test_a_state_with_one_wrong_array_is_refused_and_changes_nothing(
    name: str, array: Any, message: str
) -> None:
    w, v = Tensor(START), Tensor(START.reshape(1, 3))
    optimizer = Adam([("w", w), ("v", v)], 0.1)
    after_steps(optimizer, w, GRADIENTS)
    before = optimizer.state()
    state = {path: saved + np.ones_like(saved) for path, saved in before.items()} | {name: array}
    with pytest.raises((TypeError, ValueError), match=f"optimizer state: {name} {message}"):
        optimizer.load_state({path: a for path, a in state.items() if a is not None})
    after = optimizer.state()
    assert all(np.array_equal(after[path], before[path]) for path in before)
