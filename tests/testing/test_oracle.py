import math

import numpy as np
import pytest

from autolm.testing import differentiate
from autolm.testing.oracle import UnsuitableError, complex_step, dual_step

# A function, its derivative, and where to look.
SMOOTH = [
    (np.exp, np.exp, 1.5),
    (np.sin, np.cos, 2.5),
    (np.tanh, lambda x: 1 / np.cosh(x) ** 2, 0.75),
    (lambda x: np.log(x) / x, lambda x: (1 - np.log(x)) / x**2, 3.0),
    (lambda x: x**2.5, lambda x: 2.5 * x**1.5, 2.0),
    (lambda x: np.sqrt(x * x + 1), lambda x: x / np.sqrt(x * x + 1), -1.25),
    (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, -2.0),
]


def slope(derivative):
    return derivative.jacobians()[0][0].item()


@pytest.mark.parametrize(("function", "slope_at", "x"), SMOOTH)
def test_smooth_functions_are_differentiated_exactly_by_the_complex_step(function, slope_at, x):
    derivative = differentiate(function, [np.array(x)])
    assert derivative.method == "complex step"
    assert slope(derivative) == pytest.approx(slope_at(x), rel=1e-13)


@pytest.mark.parametrize(("function", "slope_at", "x"), SMOOTH)
def test_dual_numbers_are_exact_too(function, slope_at, x):
    actual = dual_step(function, [np.array(x)], [np.array(1.0)])
    assert actual.item() == pytest.approx(slope_at(x), rel=1e-13)


def test_the_jacobian_has_the_axes_of_the_result_and_then_of_the_operand():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    to_a, to_b = differentiate(np.matmul, [a, b]).jacobians()[0]
    assert to_a.shape == (2, 4, 2, 3)
    assert np.array_equal(to_a, np.einsum("ip,kj->ijpk", np.eye(2), b))
    assert np.array_equal(to_b, np.einsum("ik,jq->ijkq", a, np.eye(4)))


def test_a_forward_that_drops_all_imaginary_parts_is_not_stepped_into_the_imaginary():
    with pytest.raises(UnsuitableError, match="imaginary"):
        complex_step(np.abs, [np.array(-2.0)], [np.array(1.0)])
    derivative = differentiate(np.abs, [np.array(-2.0)])
    assert (derivative.method, slope(derivative)) == ("dual numbers", -1)


def test_a_forward_that_drops_an_imaginary_part_inside_is_found_out():
    derivative = differentiate(lambda x: x * np.abs(x), [np.array(-3.0)])
    assert derivative.method == "dual numbers"
    assert slope(derivative) == 6


def test_a_function_beyond_numpy_is_differentiated_by_extrapolation():
    erf = np.vectorize(math.erf, otypes=[float])
    derivative = differentiate(lambda x: erf(np.asarray(x, dtype=float)), [np.array(0.5)])
    truth = 2 / math.sqrt(math.pi) * math.exp(-0.25)
    assert derivative.method == "Ridders"
    assert slope(derivative) == pytest.approx(truth, rel=1e-10)


def test_the_error_of_extrapolation_covers_what_it_is_wrong_by():
    coarse = np.vectorize(lambda x: round(math.sin(x), 6), otypes=[float])
    derivative = differentiate(lambda x: coarse(np.asarray(x, dtype=float)), [np.array(0.5)])
    actual, error = (parts[0].item() for parts in derivative.jacobians())
    assert derivative.method == "Ridders"
    assert error > 1e-7
    assert abs(actual - math.cos(0.5)) <= 10 * error


def test_steps_stay_inside_the_domain():
    def strict(x):
        assert np.all(np.real(x) > 0), "stepped outside of the domain"
        return np.log(x)

    derivative = differentiate(strict, [np.array(1e-3)], domains=[(0.0, np.inf)])
    assert slope(derivative) == pytest.approx(1e3, rel=1e-12)


def test_a_record_of_the_function_that_is_not_the_function_loses_to_the_judge():
    derivative = differentiate(lambda x: x * 2, [np.array(2.0)], judge=lambda x: x * x)
    assert derivative.method == "Ridders"
    assert slope(derivative) == pytest.approx(4, rel=1e-10)


def test_conditions_and_integers_are_not_differentiated():
    arrays = [np.array([True, False]), np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    jacobians, _ = differentiate(np.where, arrays).jacobians()
    assert jacobians[0] is None
    assert np.array_equal(jacobians[1], np.diag([1, 0]))
