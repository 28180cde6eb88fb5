"""Right operations as people write them are proved, also without complex numbers."""

import pytest

from autolm.testing import Verdict
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject

from .everyday_operations import RIGHT

EXAMPLES = 3


def test_there_are_enough_of_them():
    assert len(RIGHT) >= 60


@pytest.mark.table(6)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_operation_is_proved(name):
    forward, options = RIGHT[name]
    report = report_on(Subject.of(forward, **options), EXAMPLES)
    assert report.verdict is Verdict.CORRECT, report
