"""The error function, its complement and its inverse keep their digits, in every type."""

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
    for computed, expected in (
        (erf(z), [[-1, -1, 0], [1, 1, np.nan]]),
        (erfc(z), [[2, 2, 1], [0, 0, np.nan]]),
    ):
        assert computed.dtype == kind
        np.testing.assert_array_equal(computed, expected)
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


# By mpmath with 60 digits; every one of them as a float64.
INVERSE = {
    5e-324: 5e-324,
    1e-300: 8.86226925452758e-301,
    1e-09: 8.86226925452758e-10,
    0.1: 0.08885599049425769,
    -0.25: -0.2253120550121781,
    0.4999999999999999: 0.47693627620446977,
    0.5: 0.4769362762044699,
    -0.75: -0.8134198475976185,
    0.9: 1.1630871536766743,
    0.999: 2.3267537655135246,
    1 - 2.0**-30: 4.328028275800946,
    1 - 2.0**-52: 5.805018683193453,
    1 - 2.0**-53: 5.8635847487551676,
}
ENDS = {0.0: 0.0, 1.0: math.inf, -1.0: -math.inf, 1.5: math.nan, -2.0: math.nan, math.nan: math.nan}


@pytest.mark.parametrize(("a", "expected"), INVERSE.items())
def test_erfinv_keeps_its_digits_and_its_slope_is_that_of_the_inverse(a, expected):
    x, v = Tensor(a), Value(a)
    for node, y in ((x, x.erfinv()), (v, v.erfinv())):
        y.backward()
        np.testing.assert_array_max_ulp(np.float64(y.data), np.float64(expected), 2)
        slope = math.sqrt(math.pi) / 2 * math.exp(expected**2)
        assert float(node.grad) == pytest.approx(slope, rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_erfinv_is_infinite_at_the_ends_and_nan_beyond(dtype):
    y = Tensor(np.array([*ENDS], dtype)).erfinv()
    np.testing.assert_array_equal(y.data, np.array([*ENDS.values()], dtype))
    np.testing.assert_array_equal([Value(a).erfinv().data for a in ENDS], [*ENDS.values()])
    assert y.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erfinv_is_scipys_over_the_whole_domain(dtype):
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(0)
    near_one = 1 - 10 ** rng.uniform(-17, 0, 1000)
    small = 10 ** rng.uniform(-30, 0, 1000)
    a = np.concatenate([rng.uniform(-1, 1, 1000), near_one, -near_one, small, -small]).astype(dtype)
    a = a[np.abs(a) < 1]
    np.testing.assert_array_max_ulp(
        Tensor(a).erfinv().data, special.erfinv(a.astype(float)).astype(dtype), 4
    )


@pytest.mark.parametrize("number", [0.3, -0.9999, 1.0, -1.0, 1.5, math.nan])
def test_erfinv_follows_pytorch(number):
    torch = pytest.importorskip("torch")
    x, theirs = Tensor(number), torch.tensor(number, dtype=torch.float64, requires_grad=True)
    y, expected = x.erfinv(), theirs.erfinv()
    y.backward()
    expected.backward()
    ours = float(y.data), float(x.grad)
    assert ours == pytest.approx((expected.item(), theirs.grad.item()), rel=1e-12, nan_ok=True)
