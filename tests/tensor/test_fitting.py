"""Reading data, and fitting a contribution to its operand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from autolm import Tensor, Value
from autolm.tensor.fitting import fit, read_operand

shapes = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3)


@pytest.mark.parametrize("data", [2, [1, 2], [[1.5]], np.ones(3).tolist()])
def test_python_numbers_and_lists_become_float64(data):
    assert Tensor(data).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_arrays_keep_their_dtype_and_are_not_copied(dtype):
    array = np.ones(3, dtype)
    assert Tensor(array).data is array


def test_dtype_converts():
    assert Tensor([1, 2], dtype="float32").dtype == np.float32
    assert Tensor(np.ones(3), dtype="float32").dtype == np.float32


@pytest.mark.parametrize("wrong", ["text", 2j, None, np.array(["a"]), np.array([1j]), object()])
def test_what_is_not_real_numbers_is_a_type_error(wrong):
    with pytest.raises(TypeError, match="Tensor: data must be real numbers, not"):
        Tensor(wrong)


def test_value_is_sent_to_its_data():
    with pytest.raises(TypeError, match=r"a Value is no number or array; use its \.data"):
        Tensor(Value(2))


def test_numbers_and_lists_follow_the_dtype_of_the_others_and_arrays_do_not():
    single = np.dtype(np.float32)
    assert read_operand(2, single, "x").dtype == np.float32
    assert read_operand([1.0, 2.0], single, "x").dtype == np.float32
    assert read_operand(np.ones(2), single, "x").dtype == np.float64
    assert read_operand([True, False], single, "x").dtype == np.bool_


@given(st.data())
def test_fit_is_the_adjoint_of_broadcasting(data):
    """<broadcast(x), g> = <x, fit(g)> for all x and g, which only the right sum satisfies."""
    operand = data.draw(shapes)
    result = data.draw(arrays_of.broadcastable_shapes(operand, max_dims=4, max_side=3))
    result = np.broadcast_shapes(operand, result)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, g = rng.normal(size=operand), rng.normal(size=result)
    fitted = fit(g, x)
    assert fitted.shape == operand
    assert np.vdot(np.broadcast_to(x, result), g) == pytest.approx(np.vdot(x, fitted), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_casts_to_the_dtype_of_the_operand(dtype):
    assert fit(np.ones((2, 3)), np.zeros(3, dtype)).dtype == dtype
    assert fit(1, np.zeros((), dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("contribution_shape", "operand"), [((3,), (2, 3)), ((2, 2), (2, 3)), ((4,), (2,))]
)
def test_contribution_that_cannot_reduce_is_an_error(contribution_shape, operand):
    with pytest.raises(ValueError, match="does not reduce to"):
        fit(np.ones(contribution_shape), np.zeros(operand))


@pytest.mark.parametrize("wrong", [None, "text", 2j, True])
def test_contribution_that_is_not_real_numbers_is_an_error(wrong):
    with pytest.raises(TypeError, match="must be an array of real numbers"):
        fit(wrong, np.zeros(()))
