"""Operations that are right, and easily taken for wrong."""

import numpy as np
import pytest

from autolm import ops, primitive
from autolm.testing import GradientError, Verdict, check_gradient, check_op
from autolm.testing.operation_checks import report_on
from autolm.testing.registry import LAWS
from autolm.testing.subject import Subject

from .everyday_operations import RIGHT
from .right_operations import in_order, solution


def test_a_sort_may_put_those_that_tie_in_any_order():
    assert check_op(in_order, max_examples=15).verdict is Verdict.CORRECT
    assert check_gradient(in_order, [0.0, 0.0, 0.0, 0.0]).verdict is Verdict.CORRECT


def test_an_operation_may_refuse_the_edges_and_the_report_says_so():
    report = check_op(solution, max_examples=15)
    assert report.verdict is Verdict.CORRECT
    assert "Singular matrix" in report.reason


def test_outside_of_the_domain_there_is_nothing_to_prove():
    with pytest.warns(UserWarning, match="not a number"):
        check_gradient(lambda x: ops.log(x).sum(), [-1.0, 2.0])
    with pytest.warns(UserWarning, match="not a number"):
        check_gradient(lambda x: ops.log(x).sum(), np.linspace(-1, 2, 100))


@pytest.mark.parametrize("x", [-4.0, -5.25, -6.0])
def test_a_rule_may_be_as_rough_as_its_forward_is_rounded(x):
    gelu = primitive(RIGHT["gelu_by_tanh"][0])
    assert check_gradient(gelu, x).verdict is Verdict.CORRECT


def test_a_wrong_rule_in_a_tail_is_no_rounding():
    def cut_off(x):
        y, rule = RIGHT["gelu_by_tanh"][0](x)
        return y, lambda g: (np.where(x < -5, 0, rule(g)[0]),)

    with pytest.raises(GradientError):
        check_gradient(primitive(cut_off), -5.25)


def test_a_jump_is_no_kink():
    report = check_op(RIGHT["sign"][0], max_examples=12)
    kinks = {o.law.name: o for o in report.outcomes}["kinks"]
    assert kinks.tally.exercised["jump"]
    assert not kinks.tally.exercised["kink"]


def test_a_wrong_share_of_a_tie_is_no_matter_of_one_operand_used_twice():
    def larger(a, b):
        first, second = a.real >= b.real, b.real >= a.real
        return np.where(first, a, b), lambda g: (np.where(first, g, 0), np.where(second, g, 0))

    report = report_on(Subject.of(larger), 6, [law for law in LAWS if law.name == "aliases"])
    assert "ties: wrong where operands are equal" in report.failure.diagnosis
