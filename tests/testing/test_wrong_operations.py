"""The kit against operations with planted mistakes: each is found, named, and shown again."""

import pytest

from autolm.testing import GradientError, Verdict
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject

from . import seldom_wrong_operations
from .wrong_operations import WRONG

EXAMPLES = 4
SELDOM_WRONG = vars(seldom_wrong_operations)  # what is wrong here and there needs more examples


def test_there_are_enough_of_them():
    assert len(WRONG) >= 30


@pytest.mark.table(6)
@pytest.mark.parametrize(
    ("operation", "diagnosis"),
    [(wrong, diagnosis) for wrong, _, diagnosis in WRONG],
    ids=[wrong.name for wrong, _, _ in WRONG],
)
def test_a_planted_mistake_is_found_named_and_shown_again(operation, diagnosis):
    examples = 12 if operation.name in SELDOM_WRONG else EXAMPLES
    report = report_on(Subject.of(operation), examples)
    assert report.verdict is Verdict.WRONG
    assert diagnosis in report.failure.diagnosis
    with pytest.raises(GradientError, match=rf"{operation.name}.*is (WRONG|wrong)"):
        exec(compile(report.failure.program, "pasted", "exec"), {})


@pytest.mark.table(6)
@pytest.mark.parametrize("twin", dict.fromkeys(twin for _, twin, _ in WRONG), ids=lambda t: t.name)
def test_the_correct_twin_passes(twin):
    report = report_on(Subject.of(twin), EXAMPLES)
    assert report.verdict is Verdict.CORRECT, report
