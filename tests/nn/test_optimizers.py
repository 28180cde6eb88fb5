"""Optimizers do what their papers say, never write into an array, and go on where they were."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm import Tensor
from autolm.nn import SGD, Adam, AdamW, Optimizer, clip_gradients, gradient_norm

Array = NDArray[Any]
GRADIENTS = [np.array([0.5, -2.0, 0.0]), np.array([1.5, 1.0, -0.1]), np.array([-3.0, 0.2, 0.3])]
START = np.array([1.0, -2.0, 3.0])


def after_steps(optimizer: Optimizer, parameter: Tensor, gradients: list[Array]) -> Array:
    for gradient in gradients:
        parameter.grad = gradient.reshape(parameter.shape)
        optimizer.step()
    return np.asarray(parameter.data)


def test_gradient_descent_goes_against_the_gradient() -> None:
    w = Tensor(START)
    result = after_steps(SGD([("w", w)], 0.1), w, GRADIENTS)
    np.testing.assert_allclose(result, START - 0.1 * sum(GRADIENTS), rtol=1e-15)


def test_momentum_sums_past_gradients_with_falling_weight() -> None:
    w = Tensor(START)
    result = after_steps(SGD([("w", w)], 0.1, momentum=0.5), w, GRADIENTS)
    g1, g2, g3 = GRADIENTS
    v1, v2, v3 = g1, g2 + 0.5 * g1, g3 + 0.5 * g2 + 0.25 * g1
    np.testing.assert_allclose(result, START - 0.1 * (v1 + v2 + v3), rtol=1e-14)


def adam_reference(decay: float, eps: float = 1e-8) -> Array:
    """Follow Adam's algorithm 1 number by number, with averages written out as sums."""
    beta1, beta2, rate = 0.8, 0.95, 0.01
    w = START.copy()
    for t in range(1, len(GRADIENTS) + 1):
        past = list(enumerate(GRADIENTS[:t], 1))
        m = sum((1 - beta1) * beta1 ** (t - i) * g for i, g in past)
        v = sum((1 - beta2) * beta2 ** (t - i) * g**2 for i, g in past)
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        w = w - rate * m_hat / (np.sqrt(v_hat) + eps) - rate * decay * w
    return w


def test_adam_corrects_its_averages_for_starting_at_zero() -> None:
    w = Tensor(START)
    result = after_steps(Adam([("w", w)], 0.01, betas=(0.8, 0.95)), w, GRADIENTS)
    np.testing.assert_allclose(result, adam_reference(decay=0), rtol=1e-12)


def test_first_step_of_adam_is_the_learning_rate_whatever_the_gradient() -> None:
    w = Tensor([1.0, 1.0, 1.0])
    result = after_steps(Adam([("w", w)], 0.01), w, [np.array([1e-3, -1e3, 5.0])])
    np.testing.assert_allclose(result, [0.99, 1.01, 0.99], rtol=1e-6)


def test_adamw_decays_matrices_beside_the_gradient() -> None:
    w = Tensor(START.reshape(1, 3))
    optimizer = AdamW([("w", w)], 0.01, betas=(0.8, 0.95), weight_decay=0.1)
    result = after_steps(optimizer, w, GRADIENTS)
    np.testing.assert_allclose(result[0], adam_reference(decay=0.1), rtol=1e-12)


def test_adamw_does_not_decay_gains_and_biases() -> None:
    w = Tensor(START)
    optimizer = AdamW([("w", w)], 0.01, betas=(0.8, 0.95), weight_decay=0.1)
    np.testing.assert_allclose(after_steps(optimizer, w, GRADIENTS), adam_reference(0), rtol=1e-12)


def every_optimizer(parameters: list[tuple[str, Tensor]]) -> list[Optimizer]:
    return [
        SGD(parameters, 0.1),
        SGD(parameters, 0.1, momentum=0.9),
        Adam(parameters, 0.1),
        AdamW(parameters, 0.1, weight_decay=0.1),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_step_binds_a_new_array_and_leaves_the_old_one(number: int) -> None:
    w = Tensor(START.copy())
    before = w.data
    optimizer = every_optimizer([("w", w)])[number]
    after_steps(optimizer, w, GRADIENTS)
    assert w.data is not before
    np.testing.assert_array_equal(before, START)


@pytest.mark.parametrize("number", range(4))
def test_a_graph_made_before_a_step_has_its_own_gradient_after_it(number: int) -> None:
    w = Tensor(START.copy())
    loss = (w * w * w).sum()
    loss.backward()
    every_optimizer([("w", w)])[number].step()
    w.grad = None
    loss.backward()
    np.testing.assert_allclose(w.grad, 3 * START**2, rtol=1e-15)


@pytest.mark.parametrize("number", range(4))
def test_steps_keep_the_dtype_of_the_parameter(number: int) -> None:
    w = Tensor(START.astype(np.float32))
    optimizer = every_optimizer([("w", w)])[number]
    assert after_steps(optimizer, w, GRADIENTS).dtype == np.float32
    assert all(a.dtype == np.float32 for n, a in optimizer.state().items() if n != "steps")


@pytest.mark.parametrize("number", range(4))
def test_a_restored_optimizer_goes_on_as_the_old_one(number: int) -> None:
    w, restored = Tensor(START), Tensor(START)
    optimizer = every_optimizer([("w", w)])[number]
    restored.data = after_steps(optimizer, w, GRADIENTS[:2])
    other = every_optimizer([("w", restored)])[number]
    other.load_state(optimizer.state())
    expected = after_steps(optimizer, w, GRADIENTS[2:])
    np.testing.assert_array_equal(after_steps(other, restored, GRADIENTS[2:]), expected)


def test_parameters_without_a_gradient_stay() -> None:
    w, unused = Tensor(1.0), Tensor(2.0)
    w.grad = 1.0
    AdamW([("w", w), ("unused", unused)], 0.1, weight_decay=0.5).step()
    assert unused.item() == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": None}, "optimizer state: steps is missing"),
        ({"third_moment/w": np.zeros(3)}, "optimizer state: third_moment/w is unknown"),
        ({"first_moment/w": np.zeros(2)}, r"first_moment/w has shape \(2,\), and \(3,\) is needed"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    optimizer = Adam([("w", Tensor(START))], 0.1)
    state = optimizer.state() | change
    with pytest.raises(ValueError, match=message):
        optimizer.load_state({name: a for name, a in state.items() if a is not None})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: SGD([], 0.1), "no parameters"),
        (lambda w: SGD([("w", w)], -0.1), "learning_rate must be finite and at least 0, not -0.1"),
        (
            lambda w: SGD([("w", w)], 0.1, momentum=1.0),
            "momentum must be at least 0 and below 1, not 1.0",
        ),
        (
            lambda w: AdamW([("w", w)], 0.1, betas=(0.9, 1.0)),
            "betas must be at least 0 and below 1, not 1.0",
        ),
    ],
)
def test_choices_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(Tensor(1.0))


def test_clipping_scales_all_gradients_by_one_factor() -> None:
    a, b, unused = Tensor([0.0, 0.0]), Tensor(0.0), Tensor(0.0)
    a.grad, b.grad = [2.0, 3.0], 6.0
    assert clip_gradients([a, b, unused], 3.5) == 7.0
    np.testing.assert_allclose([*a.grad, b.grad], [1.0, 1.5, 3.0], rtol=1e-15)
    assert not unused.has_grad


def test_gradients_within_the_limit_are_not_touched() -> None:
    a = Tensor([0.0, 0.0])
    a.grad = [3.0, 4.0]
    assert clip_gradients([a], 5.0) == 5.0
    assert a.grad.tolist() == [3.0, 4.0]


def test_gradient_norm_of_float32_does_not_overflow_where_the_gradient_does_not() -> None:
    a = Tensor(np.zeros(2, np.float32))
    a.grad = np.array([3e20, 4e20], np.float32)
    assert gradient_norm([a]) == pytest.approx(5e20)


def tensor() -> Tensor:
    return Tensor([1.0, 2.0])


@pytest.mark.parametrize("make", [SGD, Adam, AdamW])
@given(data=st.data())
def test_parameters_that_cannot_be_trained_are_refused_wherever_they_stand(
    make: Any, data: Any
) -> None:
    w = tensor()
    wrong = {
        "a result": (w * 2, "is the result of an operation"),
        "a constant": (Tensor([1.0], requires_grad=False), "is a constant"),
        "integers": (Tensor(np.arange(2)), "is a constant"),
        "twice": (w, "is given twice"),
        "a name twice": (("w", tensor()), "shares its name"),
        "an array": (np.ones(2), "a list of Tensors"),
        "another's name": ((w, "w"), "a list of Tensors"),
        "a list": ([tensor()], "a list of Tensors"),
    }
    item, message = wrong[data.draw(st.sampled_from(sorted(wrong)))]
    parameters: list[Any] = [tensor() for _ in range(data.draw(st.integers(0, 3)))]
    parameters.append(("w", w))
    parameters.insert(data.draw(st.integers(0, len(parameters))), item)
    with pytest.raises((TypeError, ValueError), match=f"{make.__name__}: .*parameter.*{message}"):
        make(parameters, 0.1)


@pytest.mark.parametrize("use", [SGD, Adam, AdamW, clip_gradients])
def test_a_bare_tensor_and_what_gives_no_parameters_are_refused(use: Any) -> None:
    spent = iter([tensor()])
    list(spent)
    for parameters in (tensor(), [], (), {"w": tensor()}, spent, None, np.ones(2)):
        with pytest.raises((TypeError, ValueError), match="parameters"):
            use(parameters, 0.1)


@given(
    rate=st.one_of(
        st.sampled_from([math.nan, math.inf, "0.1", None, True]), st.floats(max_value=-1e-9)
    )
)
def test_a_learning_rate_is_checked_whenever_it_is_set(rate: Any) -> None:
    optimizer = SGD([tensor()], 0.1)
    with pytest.raises((TypeError, ValueError), match="SGD: learning_rate must be"):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.1


WRONG_ARRAYS: dict[str, Any] = {
    "complex": lambda a: a.astype(complex),
    "integers": lambda a: a.astype(int) if a.dtype.kind == "f" else a.astype(float),
    "bools": lambda a: a.astype(bool),
    "text": lambda a: a.astype(str),
    "objects": lambda a: a.astype(object),
    "one axis more": lambda a: a[np.newaxis],
    "a list": lambda a: a.tolist(),
    "nothing": lambda a: None,
}


@given(data=st.data())
def test_a_state_with_one_wrong_array_is_refused_and_changes_nothing(data: Any) -> None:
    w, v = Tensor(START), Tensor(START.reshape(1, 3))
    optimizer = Adam([("w", w), ("v", v)], 0.1)
    after_steps(optimizer, w, GRADIENTS)
    before = optimizer.state()
    other = {name: array + np.ones_like(array) for name, array in before.items()}
    name = data.draw(st.sampled_from(sorted(other)))
    spoil = WRONG_ARRAYS[data.draw(st.sampled_from(sorted(WRONG_ARRAYS)))]
    with pytest.raises((TypeError, ValueError), match=f"optimizer state: {name}"):
        optimizer.load_state(other | {name: spoil(other[name])})
    after = optimizer.state()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_negative_count_of_steps_is_refused() -> None:
    optimizer = Adam([tensor()], 0.1)
    with pytest.raises(ValueError, match="steps must be at least 0, not -1"):
        optimizer.load_state(optimizer.state() | {"steps": np.array(-1)})


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_the_name_that_pytorch_has_for_the_learning_rate_is_told_as_ours(kind):
    with pytest.raises(TypeError, match=f"^{kind.__name__}: there is no lr=; .* learning_rate"):
        kind([], lr=1)
