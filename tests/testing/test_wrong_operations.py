"""The kit against operations with planted mistakes: each is found, named, and shown again."""

from functools import cache

import pytest

from autolm.testing import GradientError, Verdict
from autolm.testing.checking_operations import report_on
from autolm.testing.under_test import Subject

from . import seldom_wrong_operations
from .wrong_operations import WRONG

EXAMPLES = 4
SELDOM_WRONG = vars(seldom_wrong_operations)  # what is wrong here and there needs more examples
each_wrong_operation = pytest.mark.parametrize(
    ("operation", "diagnosis"),
    [(wrong, diagnosis) for wrong, _, diagnosis in WRONG],
    ids=[wrong.name for wrong, _, _ in WRONG],
)


@cache
def report_of(operation):
    return report_on(Subject.of(operation), 12 if operation.name in SELDOM_WRONG else EXAMPLES)


def test_there_are_enough_of_them():
    assert len(WRONG) >= 30


@each_wrong_operation
def test_a_planted_mistake_is_found(operation, diagnosis):
    assert report_of(operation).verdict is Verdict.WRONG


@each_wrong_operation
def test_a_planted_mistake_is_named(operation, diagnosis):
    assert diagnosis in report_of(operation).failure.diagnosis


@each_wrong_operation
def test_the_program_in_the_report_fails_as_pasted(operation, diagnosis):
    program = report_of(operation).failure.program
    with pytest.raises(GradientError, match=rf"{operation.name}.*is (WRONG|wrong)"):
        exec(compile(program, "pasted", "exec"), {})


@pytest.mark.parametrize("twin", dict.fromkeys(twin for _, twin, _ in WRONG), ids=lambda t: t.name)
def test_the_correct_twin_passes(twin):
    report = report_on(Subject.of(twin), EXAMPLES)
    assert report.verdict is Verdict.CORRECT, report
