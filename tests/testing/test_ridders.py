import numpy as np
import pytest

from autolm.testing import ridders

FUNCTIONS = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (np.log, lambda x: 1 / x),
    (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    (lambda x: x**5, lambda x: 5 * x**4),
    (lambda x: 1 / x, lambda x: -1 / x**2),
]
POINTS = np.array([0.004, 0.3, 1.0, 4.5])


@pytest.mark.parametrize(("function", "slope"), FUNCTIONS)
def test_smooth_functions_to_ten_digits(function, slope):
    actual, _ = ridders.central(function, [POINTS], [np.ones(4)])
    assert actual.astype(float) == pytest.approx(slope(POINTS), rel=3e-11)


@pytest.mark.parametrize(("function", "slope"), FUNCTIONS)
def test_the_estimated_error_is_honest(function, slope):
    actual, error = ridders.central(function, [POINTS], [np.ones(4)])
    truth = slope(POINTS.astype(np.longdouble))
    assert np.all(np.abs(actual - truth) <= 10 * error + 1e-16 * np.abs(truth))


def test_a_function_without_long_doubles_gets_doubles():
    def product(a):
        if a.dtype != np.float64:
            raise TypeError("array type float128 is unsupported")
        return a @ a

    actual, _ = ridders.central(product, [np.eye(2)], [np.ones((2, 2))])
    assert actual == pytest.approx(np.full((2, 2), 2.0), rel=1e-10)


def test_noise_shows_in_the_error():
    noise = np.random.default_rng(0)
    _, error = ridders.central(
        lambda x: x + 1e-3 * noise.standard_normal(), [np.array(1.0)], [np.array(1.0)]
    )
    assert error > 1e-3


def test_a_step_that_the_function_refuses_is_made_smaller():
    def near_one(x):
        if abs(x - 1) > 0.005:
            raise ValueError("out of the domain")
        return x * x

    actual, error = ridders.central(near_one, [np.array(1.0)], [np.array(1.0)])
    assert actual == pytest.approx(2, rel=1e-10)
    assert error < 1e-9


def test_steps_of_single_precision_are_not_taken_for_a_slope():
    def in_single(x):
        return np.tanh(x.astype(np.float32)).astype(x.dtype)

    points = np.array([0.5, 2.5, 3.0])
    actual, error = ridders.central(in_single, [points], [np.ones(3)])
    assert np.all(np.abs(actual - (1 - np.tanh(points) ** 2)) <= error)


def test_a_flat_function_is_not_taken_for_one_of_single_precision():
    actual, error = ridders.central(np.floor, [np.array([0.3, 2.99])], [np.ones(2)])
    assert np.all(actual == 0)
    assert np.all(error < 1e-12)


def test_rounding_counts_even_where_every_difference_is_the_same():
    _, error = ridders.central(lambda x: 1e12 + 0 * x, [np.array(0.3)], [np.array(1.0)])
    assert error >= 4 * np.finfo(np.longdouble).eps * 1e12 / ridders.FIRST_STEPS[0]
