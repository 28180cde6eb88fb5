"""Examples on which any rule would pass: the verdict is that they prove nothing."""

import numpy as np
import pytest

from autolm import Tensor, ops, primitive
from autolm.ops import Case
from autolm.testing import UndecidedWarning, Verdict, assert_gradients, check_gradient, check_graph
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject

NOTHING = np.zeros((0, 2))


@primitive
def of_a_wrong_rule(a):
    return a * 2, lambda grad: (7 * grad,)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: check_gradient(of_a_wrong_rule, NOTHING), "inputs have no elements"),
        (lambda: check_gradient(lambda x: of_a_wrong_rule(x).sum(), NOTHING), "have no elements"),
        (lambda: check_gradient(lambda x: of_a_wrong_rule(x)[:0], [1.0]), "result has no elements"),
        (lambda: check_gradient(of_a_wrong_rule, [1.0], upstream=[0.0]), "upstream gradient is 0"),
        (lambda: check_gradient(of_a_wrong_rule, np.array([1])), "no input is differentiated"),
        (lambda: check_gradient(lambda x: Tensor([3.0]), [1.0]), "no path of the graph leads"),
        (lambda: check_gradient(ops.max, NOTHING), "the forward raised ValueError"),
        (lambda: check_graph(of_a_wrong_rule(Tensor(NOTHING))), "inputs have no elements"),
        (
            lambda: assert_gradients(lambda x: of_a_wrong_rule(x), NOTHING),
            "inputs have no elements",
        ),
    ],
)
def test_what_proves_nothing_is_undecided_for_its_reason(check, words):
    with pytest.warns(UndecidedWarning, match=words):
        assert check().verdict is Verdict.UNDECIDED


def test_an_operation_of_which_every_example_is_empty_is_undecided():
    report = report_on(Subject.of(of_a_wrong_rule, cases=[Case(((0,),))]), 3)
    assert report.verdict is Verdict.UNDECIDED
    assert report.outcomes[0].tally.examples == 0
    assert "the inputs have no elements" in report.reason


def test_a_node_without_elements_does_not_spoil_the_proof_of_the_others():
    joined = ops.concatenate([Tensor([1.0]), Tensor(np.zeros(0)) * 2])
    assert check_graph(joined * 2).verdict is Verdict.CORRECT


def test_an_operation_may_refuse_what_is_empty():
    def largest(a):
        if not a.size:
            raise ZeroDivisionError("nothing")
        return a * 2, lambda grad: (2 * grad,)

    assert report_on(Subject.of(largest), 12).verdict is Verdict.CORRECT


def test_a_rule_that_fails_for_what_the_forward_takes_is_found():
    def doubled(a):
        return a * 2, lambda grad: (2 * grad if grad.size else np.ones(7),)

    report = report_on(Subject.of(doubled), 25)
    assert report.verdict is Verdict.WRONG
    assert "(7,)" in report.failure.message
