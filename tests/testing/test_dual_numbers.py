import numpy as np
import pytest

from autolm.testing import ridders
from autolm.testing.dual_numbers import BILINEAR, SLOPE_PAIRS, SLOPES, Dual
from autolm.testing.oracle import UnsuitableError, dual_step

X = np.array([[0.3, 0.7, 0.2], [0.6, 0.1, 0.9]])
FUNCTIONS = {
    "sum": lambda a: a.sum(axis=0),
    "mean": lambda a: np.mean(a, axis=-1, keepdims=True),
    "max": lambda a: a.max(axis=1),
    "min over all": lambda a: np.min(a),
    "var": lambda a: a.var(axis=0, ddof=1),
    "std": lambda a: np.std(a, axis=1),
    "prod": lambda a: np.prod(a, axis=0),
    "reshape": lambda a: a.reshape(3, -1),
    "transpose": lambda a: a.T * 2 + a.transpose(1, 0),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "where": lambda a: np.where(a > 0.5, a * a, -a),
    "clip": lambda a: np.clip(a, 0.25, 0.65),
    "sort": lambda a: np.sort(a, axis=-1),
    "cumsum": lambda a: np.cumsum(a, axis=1),
    "concatenate": lambda a: np.concatenate([a, a * a, np.ones((1, 3))]),
    "stack": lambda a: np.stack([a, np.exp(a)], axis=1),
    "split": lambda a: np.split(a, 3, axis=1)[1] * a,
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a * a),
    "index": lambda a: a[[0, 1, 0], [2, 2, 2]],
    "take along axis": lambda a: np.take_along_axis(a, np.array([[1], [0]]), 1),
    "norm": lambda a: np.linalg.norm(a),
    "reduce": lambda a: np.add.reduce(a, axis=1) * np.maximum.reduce(a, axis=1),
    "cast": lambda a: a.astype(a.dtype) ** 2,
}


def agrees_with_extrapolation(function, *arrays):
    directions = [np.cos(np.arange(x.size)).reshape(x.shape) for x in arrays]
    actual = dual_step(function, arrays, directions)
    truth, _ = ridders.central(function, arrays, directions)
    return actual == pytest.approx(truth.astype(float), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("ufunc", SLOPES, ids=lambda ufunc: ufunc.__name__)
def test_functions_of_one_operand(ufunc):
    assert agrees_with_extrapolation(ufunc, X)


@pytest.mark.parametrize("ufunc", SLOPE_PAIRS, ids=lambda ufunc: ufunc.__name__)
def test_functions_of_two_operands(ufunc):
    assert agrees_with_extrapolation(ufunc, X, X[::-1, ::-1] * 1.5)


@pytest.mark.parametrize(
    "product", sorted(BILINEAR, key=lambda f: f.__name__), ids=lambda product: product.__name__
)
def test_products(product):
    vector = product in (np.convolve, np.vdot, np.inner)
    a, b = (X[0], X[1]) if vector else (X, X * 2 if product is np.tensordot else X.T * 0.5)
    assert agrees_with_extrapolation(product, a, b)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_arrays(name):
    assert agrees_with_extrapolation(FUNCTIONS[name], X)


def test_assignment_to_an_element():
    def function(a):
        b = a * a
        b[0] = 1.0
        b[1, 2] = a[0, 0]
        return b

    tangent = dual_step(function, [X], [np.ones((2, 3))])
    assert np.allclose(tangent, [[0, 0, 0], [1.2, 0.2, 1]])


@pytest.mark.parametrize(
    "function",
    [lambda a: np.asarray(a), lambda a: np.fft.fft(a), lambda a: a.astype(int), lambda a: a.tofile],
)
def test_what_is_not_known_is_refused_and_nothing_dropped(function):
    with pytest.raises(UnsuitableError):
        dual_step(function, [X], [np.ones((2, 3))])


def test_a_result_without_derivative_is_refused():
    with pytest.raises(UnsuitableError, match="drops the derivative"):
        dual_step(lambda a: np.argmax(a), [X], [np.ones((2, 3))])


def test_arithmetic_reads_from_both_sides():
    x = Dual(2.0, 1.0)
    assert (3 / x).tangent == -0.75
    assert (np.array(3.0) - x).tangent == -1
