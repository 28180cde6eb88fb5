import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolm.testing import broadcastable_shapes, tensors, values
from autolm.testing.strategies import choices

DOMAINS = [(-math.inf, math.inf), (0, math.inf), (-math.inf, 2), (-1, 1), (3, 3.5)]


@given(tensors((3, 4)))
def test_generic_numbers_differ_by_a_gap_and_keep_away_from_zero_and_one(array):
    numbers = np.sort([*array.ravel(), 0.0, 1.0, -1.0])
    assert np.diff(numbers).min() >= 1 / 16


@pytest.mark.parametrize("domain", DOMAINS)
def test_numbers_stay_inside_an_open_domain(domain):
    @given(tensors((2, 3), domain=domain), values("extreme", domain))
    def inside(array, number):
        assert np.all((array > domain[0]) & (array < domain[1]))
        assert domain[0] < number < domain[1]

    inside()


@pytest.mark.parametrize("domain", DOMAINS)
def test_there_are_enough_generic_numbers_for_any_size(domain):
    assert len(set(choices("generic", domain, 500))) >= 500


def test_kinky_numbers_tie_and_meet_zero():
    actual = []
    given(tensors((4,), "kinky"))(lambda array: actual.append(array))()
    assert any(0 in array for array in actual)
    assert any(len(set(array)) < 4 for array in actual)


def test_extreme_numbers_are_huge_and_tiny():
    numbers = np.abs(choices("extreme", DOMAINS[0], 1))
    assert numbers.max() >= 1e8
    assert numbers.min() <= 1e-20


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: tensors((1,), "odd"), '"generic", "kinky" or "extreme"'),
        (lambda: values("odd"), '"generic", "kinky" or "extreme"'),
        (lambda: values(domain=(3, 1)), r"domain is \(3, 1\); it must be \(low, high\)"),
        (lambda: tensors((1,), dtype=int), "dtype is int64; it must be of floating point"),
        (lambda: broadcastable_shapes(0), "count must be at least 1, not 0"),
        (lambda: broadcastable_shapes(2, max_dims=-1), "max_dims must be at least 0, not -1"),
        (lambda: broadcastable_shapes(2, max_side=1), "max_side must be at least 2, not 1"),
    ],
)
def test_what_it_cannot_draw_is_an_error_at_once(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


@given(tensors(3))
def test_a_length_is_a_shape_too(array):
    assert array.shape == (3,)


@given(tensors((2,), dtype=np.float32))
def test_the_dtype_is_kept(array):
    assert array.dtype == np.float32


@given(st.data(), st.integers(1, 4))
def test_shapes_broadcast_together(data, count):
    shapes = data.draw(broadcastable_shapes(count))
    assert len(shapes) == count
    assert np.broadcast_shapes(*shapes) in shapes


def test_most_shapes_stretch_an_axis():
    actual = []
    given(broadcastable_shapes(2))(lambda shapes: actual.append(len(set(shapes)) > 1))()
    assert np.mean(actual) > 0.4


def test_an_axis_between_two_others_is_often_stretched():
    actual = []

    def note(shapes):
        result = np.broadcast_shapes(*shapes)
        inner = [shape[1] for shape in shapes if len(shape) == len(result) == 3]
        actual.append(bool(inner) and result[1] > 1 and 1 in inner)

    settings(max_examples=100)(given(broadcastable_shapes(2))(note))()
    assert np.mean(actual) > 0.42
