"""Operations composed of others: called as primitives are, proved by every law, open to the eye."""

import numpy as np
import pytest

from autolm import Tensor, check_gradient, check_op, edit, no_grad, ops, topological_order
from autolm.ops import Composed, OneOf, Pattern, composed
from autolm.testing import GradientError, Verdict
from autolm.testing.subject import Subject


@composed(
    rule=("2ḡ in front, ḡ behind",),
    patterns=(Pattern(("… n",), {"count": OneOf(1, 2, 3)}),),
)
def parts(a, /, *, count):
    """Cut the last axis into pieces, of which the first counts twice."""
    first, *others = [a[..., i::count] for i in range(count)]
    return [first * 2, *others]


@composed(rule=("2ḡ",), patterns=(Pattern(("…",), {"axis": None}),))
def doubled(a, /, *, axis=None):
    """Give the sum twice."""
    return a.sum(axis=axis) * 2


def test_it_is_called_with_tensors_arrays_lists_and_numbers():
    for operand in (Tensor([2.0]), np.array([2.0]), [2.0], (2,)):
        y = ops.silu(operand)
        assert isinstance(y, Tensor)
        np.testing.assert_allclose(y.data, [2 / (1 + np.exp(-2))], rtol=1e-15)
    assert ops.silu(2).shape == ()


def test_its_graph_is_one_of_primitives_with_names():
    x = Tensor([1.0, 2.0], name="x")
    y = x.silu()
    assert [node.name for node in topological_order(y)] == ["x", "gate", ""]
    assert all(node.op in ops.PRIMITIVES for node in topological_order(y) if node.op)


def test_constants_and_no_grad_record_nothing():
    x = Tensor([1.0])
    assert not ops.silu(x.data).parents
    with no_grad():
        assert not ops.silu(x).parents
    assert ops.silu(x).requires_grad


def test_several_results_come_in_a_list():
    x = Tensor([1.0, 2.0, 3.0])
    first, second = parts(x, count=2)
    (first.sum() + second.sum()).backward()
    assert (first.data.tolist(), second.data.tolist()) == ([2.0, 6.0], [2.0])
    assert x.grad.tolist() == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("op", [parts, doubled])
def test_those_of_users_are_proved_too(op):
    report = check_op(op, max_examples=10)
    assert report.verdict is Verdict.CORRECT


def test_pytorchs_spelling_of_an_axis_is_read():
    assert doubled([[1.0, 2.0]], dim=0).data.tolist() == [2.0, 4.0]


@composed
def shifted(a, by=None, /, *, twice=False):
    """Add an operand that may be left out."""
    return a * (2 if twice else 1) + (0 if by is None else by)


def test_an_optional_operand_is_given_by_place_or_by_name_or_left_out():
    x, by = Tensor([1.0]), Tensor([5.0])
    assert shifted(x).data == shifted(x, None).data == shifted(x, by=None).data == 1
    for y in (shifted(x, by), shifted(x, by=by), shifted(x, twice=False, by=[5])):
        assert y.data == 6
    shifted(x, by=by, twice=True).backward()
    assert (x.grad, by.grad) == (2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shifted([1.0], [2.0], by=3), "shifted: by is given twice"),
        (lambda: shifted([1.0], "a"), "shifted: by must be real numbers, not 'a'"),
        (lambda: shifted(None), "shifted: a must be real numbers, not None"),
        (lambda: shifted(by=1), "shifted: a is missing"),
        (lambda: shifted([1.0], 2, 3), "shifted: it takes 2 operands, a, by, not 3"),
        (lambda: shifted([1.0], up=3), "shifted: there is no argument 'up'; it takes by, twice"),
    ],
)
def test_an_optional_operand_that_is_wrong_is_refused(call, message):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_an_edited_operand_is_chosen_anew_by_what_is_clipped():
    x = Tensor([-3.0, 3.0])
    y = x.clip(-1, 1)
    edit(y.sum(), x, [0.5, -9.0])
    assert y.data.tolist() == [0.5, -1.0]


def test_a_composition_that_detaches_is_found():
    @composed
    def square(a, /):
        return a * a.data

    with pytest.raises(GradientError, match="off by a factor of ½"):
        check_op(square, max_examples=10)
    with pytest.raises(GradientError):
        check_gradient(square, [2.0])


@pytest.mark.parametrize(
    ("held", "times"), [(lambda a: a * a, 2), (lambda a: a * a.detach() / a.detach().sum(), 10)]
)
def test_a_composition_is_recorded_anew_for_each_point_only_where_it_detaches(held, times):
    calls = []

    @composed
    def cube(a, /):
        calls.append(a)
        return a * held(a)

    forward = Subject.of(cube).op.forward
    for point in np.random.default_rng(0).uniform(1, 2, (8, 4)):
        result, backward = forward(point.astype(np.longdouble))
        assert np.allclose(result, cube(point).data, rtol=1e-14)
    assert len(calls) - 8 == times
    assert np.array_equal(backward(np.ones(4))[0], forward(point)[1](np.ones(4))[0])


def test_a_wrong_scalar_definition_is_found():
    wrong = Composed(ops.silu.forward, "silu", scalar=lambda a: a * a)
    with pytest.raises(GradientError, match="scalar definition"):
        check_op(wrong, max_examples=10)


@pytest.mark.parametrize(
    ("operands", "attributes", "message"),
    [
        (("a",), {}, "doubled: a must be real numbers, not 'a'"),
        ((1j,), {}, "doubled: a must be real numbers, not a complex"),
        (([1.0], [2.0]), {}, "doubled: it takes 1 operand, a, not 2"),
        ((), {}, "doubled: a is missing"),
        (([1.0],), {"axes": 0}, "doubled: there is no argument 'axes'; it takes axis"),
        (([1.0],), {"axis": "a"}, "doubled: sum: axis must be an int, a tuple of ints or None"),
        (([1.0],), {"axis": 3}, "doubled: sum: axis 3 is out of range for"),
    ],
)
def test_wrong_calls_are_refused_in_its_name(operands, attributes, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        doubled(*operands, **attributes)
    assert str(caught.value).startswith(message)


def test_a_record_takes_no_unknown_field():
    with pytest.raises(TypeError, match="composed: there is no field 'definition'"):
        composed(definition=None)
