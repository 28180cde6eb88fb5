import numpy as np
import pytest

from autolm import Tensor, ops, primitive
from autolm.testing import Fate, check_op, mutation_report


def weak_test():
    a, b = Tensor([2.0, 2.0]), Tensor([2.0])
    ops.mul(a, b).sum().backward()
    assert np.allclose(a.grad, 2)
    assert np.allclose(b.grad, 4, atol=0.1)


def test_what_a_weak_test_does_not_see_is_listed():
    report = mutation_report(ops.mul, weak_test)
    assert report.fates["factor 1 + 1e-6"] is Fate.SURVIVED
    assert report.fates["sign"] is Fate.KILLED
    assert report.fates["operand a dropped"] is Fate.KILLED
    assert report.fates["reduction missing"] is Fate.KILLED
    assert report.fates["upstream ignored"] is Fate.NOT_REACHED
    assert set(report.survivors) == {
        "factor 1 + 1e-6",
        "upstream ignored",
        "upstream mutated",
        "duplicate overwritten",
    }


def test_a_weak_test_of_a_users_primitive_is_no_stronger_for_being_perturbed():
    @primitive
    def gated(a):
        gate = 1 / (1 + np.exp(-a))
        return a * gate, lambda grad: (grad * (gate + a * gate * (1 - gate)),)

    def test_of_a_sign(op):
        x = Tensor([0.5, 2.0])
        op(x).sum().backward()
        assert (x.grad > 0).all()

    fates = mutation_report(gated, test_of_a_sign).fates
    assert fates["factor 1 + 1e-6"] is Fate.SURVIVED
    assert fates["sign"] is fates["operand a dropped"] is Fate.KILLED


def test_the_report_is_a_table():
    text = str(mutation_report(ops.mul, weak_test))
    assert text.startswith("mul: 4 of 8 mutations killed\n")
    assert "  factor 1 + 1e-6        survived" in text


@pytest.mark.parametrize("op", [ops.mul, ops.embedding], ids=lambda op: op.name)
def test_the_kit_itself_kills_every_mutation_that_shows(op):
    report = mutation_report(op, lambda op: check_op(op, max_examples=2))
    assert Fate.SURVIVED not in report.fates.values(), report


def test_an_overwritten_duplicate_is_a_mutation_of_repeated_operands_and_indices():
    def alias():
        x = Tensor([3.0])
        ops.mul(x, x).backward()
        assert x.grad == 6

    def index():
        x = Tensor([[1.0], [2.0]])
        ops.embedding(x, token_ids=np.array([0, 0])).sum().backward()
        assert x.grad.tolist() == [[2], [0]]

    assert mutation_report(ops.mul, alias).fates["duplicate overwritten"] is Fate.KILLED
    assert mutation_report(ops.embedding, index).fates["duplicate overwritten"] is Fate.KILLED


def test_the_operation_is_restored():
    forward = ops.mul.forward
    mutation_report(ops.mul, weak_test)
    assert ops.mul.forward is forward


def test_a_test_that_fails_as_it_is_cannot_tell_anything():
    with pytest.raises(ValueError, match="the test fails as it is: no"):
        mutation_report(ops.mul, lambda: (_ for _ in ()).throw(AssertionError("no")))


def test_a_test_may_fail_in_the_way_of_pytest():
    def judged():
        x = Tensor([3.0])
        ops.exp(x).backward()
        if x.grad < 0:
            pytest.fail("the gradient falls")

    assert mutation_report(ops.exp, judged).fates["sign"] is Fate.KILLED


def test_only_a_primitive_can_be_perturbed():
    with pytest.raises(TypeError, match="op must be a primitive, not a function"):
        mutation_report(lambda a: (a, lambda grad: (grad,)), weak_test)


def test_an_operation_that_joins_loses_its_first_operand():
    def joined():
        x, y = Tensor([1.0]), Tensor([2.0])
        ops.concatenate([x, y]).sum().backward()
        assert x.grad == 1

    assert mutation_report(ops.concatenate, joined).fates["operand 0 dropped"] is Fate.KILLED
