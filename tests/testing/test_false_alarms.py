"""Operations that are right, and easily taken for wrong."""

import numpy as np
import pytest

from autolm import ops
from autolm.testing import Verdict, check_gradient, check_op

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
