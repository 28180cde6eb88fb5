"""The error function and what is left to 1: one by Python, and one by series, for other types."""

import math
from decimal import Decimal, localcontext
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value
from autolm.ops import definitions
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


def left_of(a):
    """Integrate the normal distribution up to a, with so many digits that 1 − erf loses none."""
    with localcontext(prec=260):
        a = Decimal(a)
        term = total = a
        for n in count(3, 2):  # Abramowitz and Stegun, 26.2.11
            term *= a * a / n
            total += term
            if abs(term) <= abs(total) * Decimal("1e-250"):
                break
        return Decimal("0.5") + total * (-a * a / 2).exp() / (2 * PI).sqrt()


PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
    "211706798214808651328230664709384460955058223172535940812848111745028410270193852110555964462"
    "294895493038196442881097566593344612847564823378678316527120190914564856692346034861045432664"
)


def gelu_and_slope(form, a):
    x = Value(float(a)) if form == "Value" else Tensor(a)
    y = definitions.gelu(x) if form == "definition" else x.gelu()
    y.backward()
    return float(y.data), float(x.grad)


@pytest.mark.parametrize("a", LEFT_OF)
def test_the_oracle_of_gelu_agrees_with_tables(a):
    assert float(left_of(a)) == pytest.approx(LEFT_OF[a], rel=1e-15)


@pytest.mark.parametrize("form", ["operation", "long double", "definition", "Value"])
@pytest.mark.parametrize("a", np.arange(-30, 10.1, 0.625))
def test_gelu_and_its_gradient_keep_their_digits(a, form):
    y, slope = gelu_and_slope(form, np.longdouble(a) if form == "long double" else a)
    gate = left_of(a)
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    rtol = 1e-15 + a * a * np.finfo(float).eps  # as far as a/√2 can be rounded
    assert y == pytest.approx(float(Decimal(a) * gate), rel=rtol, abs=0)
    both = abs(float(gate)) + abs(a) * density  # which have other signs
    assert slope == pytest.approx(float(gate) + a * density, rel=0, abs=rtol * both)
