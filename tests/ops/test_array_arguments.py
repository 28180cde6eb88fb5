"""What is read as an axis, an order, a shape or a number: as NumPy does, or an error in our words.

The oracle is NumPy: what it takes is taken with the same meaning, and what it refuses is refused.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.ops import array_arguments
from autolm.outside.arguments import read_bool, read_int, read_number

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
axis_numbers = st.one_of(st.integers(-5, 5), st.integers(-5, 5).map(np.int64))
nonsense = st.sampled_from(
    ["a", "", "0", 1.0, 0.5, True, False, np.True_, b"0", {}, {0}, object(), float, 1j, [["0"]]]
)


def outcome(call: Any, *args: Any) -> Any:
    """What a call returns, or that it refuses."""
    try:
        return call(*args)
    except (TypeError, ValueError):
        return "refused"


@given(shapes, st.one_of(st.none(), axis_numbers, st.lists(axis_numbers, max_size=3).map(tuple)))
def test_axes_are_read_as_numpy_reads_them(shape: tuple[int, ...], axis: Any) -> None:
    def kept(axes: Any) -> Any:
        return np.zeros(shape).sum(axis=axes, keepdims=True).shape

    read = outcome(array_arguments.read_axes, "sum", axis, shape)
    if not (shape == () and isinstance(axis, tuple)):  # NumPy allows an int alone to name no axis
        assert isinstance(outcome(kept, axis), tuple) == isinstance(read, tuple)
    if isinstance(read, tuple):
        assert all(0 <= i < len(shape) for i in read)
        if shape:
            assert kept(read) == kept(axis)


@given(shapes, axis_numbers, st.integers(0, 1))
def test_one_axis_is_read_as_numpy_reads_it(shape: tuple[int, ...], axis: Any, added: int) -> None:
    read = outcome(lambda: array_arguments.read_axis("softmax", axis, shape, added=added))
    ndim = max(1, len(shape) + added)
    assert (read == axis % ndim) if -ndim <= axis < ndim else (read == "refused")


@given(shapes, st.one_of(st.none(), st.lists(axis_numbers, max_size=3).map(tuple)))
def test_an_order_of_axes_is_read_as_numpy_reads_it(shape: tuple[int, ...], axes: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    read = outcome(array_arguments.read_order, "transpose", axes, shape)
    expected = outcome(array.transpose, axes)
    assert isinstance(read, tuple) == isinstance(expected, np.ndarray)
    if isinstance(read, tuple):
        assert np.array_equal(array.transpose(read), expected)


@given(shapes, st.lists(st.integers(-1, 6), max_size=3).map(tuple))
def test_a_new_shape_is_the_one_that_numpy_makes(
    old: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    read = outcome(array_arguments.read_new_shape, "reshape", shape, old)
    expected = outcome(lambda: np.zeros(old).reshape(shape).shape)
    assert read == expected


@given(nonsense)
def test_nonsense_is_refused_in_the_name_of_operation_and_argument(value: Any) -> None:
    readers = [
        lambda: array_arguments.read_axes("mean", value, (2, 3)),
        lambda: array_arguments.read_axes("mean", (value,), (2, 3)),
        lambda: array_arguments.read_axis("softmax", value, (2, 3)),
        lambda: array_arguments.read_axis("swapaxes", value, (2, 3), "axis1"),
        lambda: array_arguments.read_order("transpose", (0, value), (2, 3)),
        lambda: array_arguments.read_shape("broadcast_to", (2, value)),
        lambda: array_arguments.read_new_shape("reshape", (2, value), (2, 3)),
        lambda: read_int("var", "ddof", value),
    ]
    for reader in readers:
        with pytest.raises(
            TypeError,
            match=r"^(mean|softmax|swapaxes|transpose|broadcast_to|reshape|var): "
            r"(axis1?|axes|shape|ddof) must be (an int|a tuple)",
        ):
            reader()


@given(nonsense.filter(lambda value: not isinstance(value, float)))
def test_what_is_no_number_is_refused_as_one(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^clip: low must be a number, not "):
        read_number("clip", "low", value)


@given(st.one_of(st.integers(), st.floats(allow_nan=False)))
def test_numbers_are_python_numbers_whatever_they_came_as(value: float) -> None:
    forms: list[Any] = [value, np.asarray(value)] if abs(value) < 2**63 else [value]
    for form in [*forms, *(np.asarray(form)[()] for form in forms)]:
        read = read_number("clip", "low", form)
        assert type(read) in (int, float)
        assert read == value


@given(st.one_of(st.integers(), st.none(), st.text(), st.floats()))
def test_a_switch_is_a_bool_and_nothing_that_serves_as_one(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^mean: keepdims must be True or False, not "):
        read_bool("mean", "keepdims", value)
    assert read_bool("mean", "keepdims", np.True_) is True
    assert read_bool("mean", "keepdims", False) is False
