"""Rules that were written without knowledge of the laws: how many are found, and none accused."""

import pytest

from autolm.testing import Verdict

from .outsiders.figures import check

pytest.importorskip("scipy")

from .outsiders.right_rules import RIGHT  # noqa: E402
from .outsiders.wrong_rules import WRONG  # noqa: E402

EXAMPLES = 12
MISSED = 41  # of the wrong rules; only ever lowered


@pytest.mark.table(4)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_not_accused(name):
    report, _ = check(RIGHT[name], EXAMPLES)
    assert report.verdict is not Verdict.WRONG, report


@pytest.mark.long
def test_few_wrong_rules_are_missed():
    reports = {name: check(entry, EXAMPLES)[0] for name, entry in WRONG.items()}
    missed = [name for name, each in reports.items() if each.verdict is not Verdict.WRONG]
    assert len(missed) <= MISSED, missed
