"""The error function and what is left to 1: one by Python, and one by series, for other types."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor
from autolm.ops.error_function import erf, erfc

# The integral of the normal distribution up to −x, from tables.
LEFT_OF = {
    -1.0: 0.15865525393145705,
    -5.0: 2.866515718791939e-07,
    -10.0: 7.619853024160526e-24,
    -20.0: 2.7536241186062337e-89,
    -30.0: 4.906713927148187e-198,
}
numbers = st.floats(-26, 26) | st.floats(-2.1, 2.1)


@pytest.mark.parametrize("kind", [np.longdouble, complex])
@given(numbers)
def test_other_types_have_what_floats_have(kind, x):
    z = np.asarray(x, kind)
    assert erf(z).dtype == erfc(z).dtype == z.dtype
    np.testing.assert_allclose(erf(z).real.astype(float), math.erf(x), rtol=4e-15, atol=0)
    # a complex number is a pair of floats: up to 2 it is a difference, and then e^(-x²)
    precise = kind is np.longdouble and np.finfo(kind).eps < np.finfo(float).eps
    rtol = 4e-15 if precise else 1e-12
    np.testing.assert_allclose(erfc(z).real.astype(float), math.erfc(x), rtol=rtol, atol=0)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_ends_are_reached_and_shapes_and_types_kept(kind):
    z = np.array([[-np.inf, -200, 0], [np.inf, 200, np.nan]], kind)
    for found, expected in (
        (erf(z), [[-1, -1, 0], [1, 1, np.nan]]),
        (erfc(z), [[2, 2, 1], [0, 0, np.nan]]),
    ):
        assert found.dtype == kind
        np.testing.assert_array_equal(found, expected)
    assert erf(z[0, 0]).shape == () and erfc(z[:0]).shape == (0, 3)


@pytest.mark.parametrize("kind", [float, np.longdouble])
@pytest.mark.parametrize("a", LEFT_OF)
def test_gelu_and_its_gradient_keep_their_digits_far_below_zero(a, kind):
    x = Tensor(kind(a))
    y = x.gelu()
    y.backward()
    rtol = 1e-15 + a * a * np.finfo(float).eps  # as far as a/√2 can be rounded
    np.testing.assert_allclose(float(y.data), a * LEFT_OF[a], rtol=rtol, atol=0)
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(float(x.grad), LEFT_OF[a] + a * density, rtol=rtol, atol=0)
