"""The kit against operations with planted mistakes: all are found, and nearly all are named."""

import pytest

from autolm.testing import Verdict
from autolm.testing.check import report_on
from autolm.testing.subject import Subject

from .wrong_operations import WRONG

EXAMPLES = 4
by_name = {
    "argvalues": [(wrong, diagnosis) for wrong, _, diagnosis in WRONG],
    "ids": [wrong.name for wrong, _, _ in WRONG],
}


def test_there_are_enough_of_them():
    assert len(WRONG) >= 30


@pytest.mark.parametrize(("operation", "diagnosis"), **by_name)
def test_a_planted_mistake_is_found_and_named(operation, diagnosis):
    report = report_on(Subject.of(operation), EXAMPLES)
    assert report.verdict is Verdict.WRONG
    assert diagnosis in report.failure.diagnosis, report


@pytest.mark.parametrize("twin", dict.fromkeys(twin for _, twin, _ in WRONG), ids=lambda t: t.name)
def test_the_correct_twin_passes(twin):
    report = report_on(Subject.of(twin), EXAMPLES)
    assert report.verdict is Verdict.CORRECT, report
