"""Subclasses of arrays: one with a meaning of its own is refused, never read as plain numbers."""

import operator
from itertools import product

import numpy as np
import pytest

from autolm import Tensor, ops, primitive

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

NUMBERS = np.array([[0.5, 2.0], [1.5, 3.0]])
OTHERS = np.array([[2.0, 0.5], [1.0, 4.0]])


class Metres(np.ndarray):
    """An array with a unit."""


def in_a_file(numbers, folder):
    array = np.memmap(folder / "numbers", numbers.dtype, "w+", shape=numbers.shape)
    array[...] = numbers
    return array


REFUSED = {
    "masked": lambda a: np.ma.array(a, mask=[[0, 1], [0, 0]]),
    "matrix": np.matrix,
    "record": lambda a: a.view(np.recarray),
    "unit": lambda a: a.view(Metres),
}
OPERATORS = {
    name: getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "matmul", "pow", "floordiv", "mod")
}
PLACES = {"left": lambda operate, a, x: operate(a, x), "right": lambda operate, a, x: operate(x, a)}
CASES = [
    pytest.param(operate, place, make, id=f"{op}-{where}-{kind}")
    for (op, operate), (where, place), (kind, make) in product(
        OPERATORS.items(), PLACES.items(), REFUSED.items()
    )
]


def same(found, expected):
    """Whether NumPy's own result was given, with its kind and its mask."""
    kinds = type(found) is type(expected)
    masks = np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
    return kinds and masks and np.ma.allequal(found, expected)


@pytest.mark.parametrize(("operate", "place", "make"), CASES)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_an_operator_refuses_a_subclass_or_gives_numpys_own_result(
    operate, place, make, requires_grad
):
    x, a = Tensor(NUMBERS, requires_grad=requires_grad), make(OTHERS)
    try:
        result = place(operate, a, x)
    except TypeError:
        return
    assert operate is operator.floordiv or not requires_grad  # its slope is 0
    assert same(result, place(operate, a, NUMBERS))


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize(
    "take",
    [
        Tensor,
        lambda a: Tensor(a, requires_grad=False),
        lambda a: Tensor(NUMBERS) * a,
        lambda a: ops.add(a, Tensor(NUMBERS)),
        lambda a: np.multiply(a, Tensor(NUMBERS)),
        lambda a: ops.concatenate([a, a]),
        lambda a: ops.where(a > 1, Tensor(NUMBERS), 0),
        lambda a: Tensor(NUMBERS)[a > 1],
        lambda a: Tensor(NUMBERS).masked_fill(a > 1, 0.0),
        lambda a: setattr(Tensor(NUMBERS), "data", a),
        lambda a: setattr(Tensor(NUMBERS), "grad", a),
        lambda a: Tensor(NUMBERS).exp().backward(a),
    ],
)
def test_a_subclass_is_refused_wherever_an_array_is_read(take, make):
    with pytest.raises(
        TypeError, match=r"is a \w+, and its meaning .* would be lost; .*np\.asarray\(a\)"
    ):
        take(make(OTHERS))


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_a_subclass_is_refused_as_a_result_and_as_a_contribution(make):
    @primitive
    def returned(a):
        return make(a), lambda grad: (grad,)

    @primitive
    def contributed(a):
        return a * 1, lambda grad: (make(grad),)

    with pytest.raises(TypeError, match=r"^returned: the result is a .*np\.asarray"):
        returned(Tensor(NUMBERS))
    with pytest.raises(TypeError, match=r"the contribution to operand 0 .* is a .*np\.asarray"):
        contributed(Tensor(NUMBERS)).sum().backward()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "matmul", "pow"])
def test_an_array_in_a_file_is_an_array(name, place, tmp_path):
    x, operate = Tensor(NUMBERS), OPERATORS[name]
    y = place(operate, in_a_file(OTHERS, tmp_path), x)
    np.testing.assert_array_equal(y.data, place(operate, OTHERS, NUMBERS))
    y.sum().backward()
    found, x.grad = x.grad, None
    place(operate, OTHERS, x).sum().backward()
    np.testing.assert_array_equal(found, x.grad)


def test_the_plain_numbers_of_a_subclass_are_taken_where_that_is_asked_for():
    for make in REFUSED.values():
        a = make(OTHERS)
        numbers = a.filled(7.0) if isinstance(a, np.ma.MaskedArray) else np.asarray(a)
        np.testing.assert_array_equal(Tensor(numbers).data, numbers)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("sequence", [list, tuple])
def test_a_list_of_subclasses_is_refused_as_each_of_them_is(make, sequence):
    with pytest.raises(TypeError, match="and its meaning"):
        Tensor(sequence([OTHERS[0], make(OTHERS)]))
