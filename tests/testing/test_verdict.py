import math

import numpy as np
import pytest

from autolm.testing import Verdict, differentiate
from autolm.testing.verdict import compare, gradient_scale

X = np.array([0.5, -2.0, 3.0])
U = np.array([1.0, 0.25, -0.75])


def verdict_on(analytic, function=np.sin, x=X, u=U):
    return compare(["x"], [analytic], differentiate(function, [x]), u)


def test_the_right_gradient_is_correct_to_many_digits():
    comparison = verdict_on(U * np.cos(X))
    assert comparison.verdict is Verdict.CORRECT
    assert comparison.digits > 14


def test_a_constant_wrong_by_a_millionth_is_caught():
    assert verdict_on(U * np.cos(X) * (1 + 1e-6)).verdict is Verdict.WRONG


def test_rounding_is_not_taken_for_a_mistake():
    assert verdict_on(U * np.cos(X) * (1 + 1e-12)).verdict is Verdict.CORRECT


def test_only_wrong_elements_are_listed_with_what_they_should_be():
    analytic = U * np.cos(X)
    analytic[1] += 0.5
    (row,) = verdict_on(analytic).rows
    assert (row.operand, row.index) == ("x", (1,))
    assert row.error == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_wrong_where_the_true_one_is(bad):
    assert verdict_on(np.array([bad, 0.0, 0.0])).verdict is Verdict.WRONG


def test_no_gradient_is_held_for_zero():
    assert verdict_on(None).verdict is Verdict.WRONG
    assert verdict_on(None, lambda x: 0 * x).verdict is Verdict.CORRECT


def test_the_scale_is_of_the_gradient_or_of_the_result_per_input():
    assert gradient_scale([np.array([3.0])], [X], np.zeros(3), U) == 3
    assert gradient_scale([np.array([0.0])], [X], np.array([6.0, 0, 0]), U) == 2


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [
        (0.0, Verdict.CORRECT),
        (0.5, Verdict.CORRECT),
        (1.0, Verdict.CORRECT),
        (1.1, Verdict.WRONG),
        (-0.1, Verdict.WRONG),
    ],
)
def test_on_a_kink_any_slope_between_the_two_sides_is_right(slope, verdict):
    def relu(x):
        return np.where(x.real > 0, x, 0)

    comparison = verdict_on(np.array([slope]), relu, np.array([0.0]), np.array([1.0]))
    assert comparison.verdict is verdict


def test_a_derivative_that_cannot_be_told_leaves_it_undecided():
    noise = np.vectorize(lambda x: x + 1e-6 * math.sin(1e15 * x), otypes=[float])
    comparison = verdict_on(U, lambda x: noise(np.asarray(x, dtype=float)))
    assert comparison.verdict is Verdict.UNDECIDED
    assert "Ridders" in comparison.reason


def test_in_a_large_array_one_wrong_element_is_found():
    x = np.linspace(-1, 1, 900).reshape(30, 30)
    u = np.cos(np.arange(900)).reshape(30, 30)
    analytic = u * np.cos(x)
    assert verdict_on(analytic, x=x, u=u).verdict is Verdict.CORRECT
    analytic[17, 4] *= 1.001
    comparison = verdict_on(analytic, x=x, u=u)
    assert comparison.verdict is Verdict.WRONG
    assert [row.index for row in comparison.rows] == [(17, 4)]
