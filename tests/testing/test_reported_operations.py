"""Rules that were wrong in public: each is found, most are named, none is given a false cause."""

from collections import Counter
from functools import cache

import pytest
from hypothesis import settings

from autolm.testing import Verdict
from autolm.testing.operation_checks import report_on
from autolm.testing.subject import Subject

from .reported_operations import REPORTED
from .right_twins import TWINS
from .table_of_reported import kind_of, lines_of, row

NAMED = 0.8  # of them, at least
EXAMPLES = 12
LONG = settings().max_examples >= 1000


@cache
def report_of(name):
    forward, options, _, _ = REPORTED[name]
    return report_on(Subject.of(forward, **options), EXAMPLES)


@pytest.mark.table(8)
@pytest.mark.parametrize("name", REPORTED)
def test_it_is_found_and_given_no_false_cause(name):
    assert report_of(name).verdict is Verdict.WRONG
    assert kind_of(report_of(name), REPORTED[name][3]) != "false", report_of(name)


def test_most_are_named(rows_of):
    tried = rows_of(list(REPORTED), 8)
    table = Counter(kind_of(report_of(name), REPORTED[name][3]) for name in tried)
    assert len(REPORTED) >= 30
    assert table["right"] >= NAMED * len(tried), table


@pytest.mark.parametrize("name", list(REPORTED)[:: 1 if LONG else 8])
def test_its_right_twin_is_proved(name):
    report = report_on(Subject.of(TWINS[name], **REPORTED[name][1]), 2)
    assert report.verdict is Verdict.CORRECT, report


def test_the_table_counts_what_was_checked(monkeypatch):
    name = "exponential_by_its_operand"
    (line,) = lines_of("NumPy", 2, [name])
    assert (line.kind, line.alarm, line.by_the_library) == ("right", "", None)
    monkeypatch.setitem(TWINS, name, REPORTED[name][0])  # which is wrong: an alarm
    (line,) = lines_of("NumPy", 2, [name])
    assert "is WRONG" in line.alarm
    assert row("NumPy", [line])[:7] == ["NumPy", "1", "1", "1", "0", "1", "1"]


def test_each_has_the_address_of_its_report():
    addresses = [address for _, _, address, _ in REPORTED.values()]
    assert len(set(addresses)) == len(addresses)
    assert all(len(address.split("/")) == 7 for address in addresses)


def test_what_is_known_is_said_where_no_cause_is():
    text = " ".join(str(report_of("layer_norm_weight_for_the_normal")).split())
    assert "diagnosis" not in text
    assert "known: x is right; weight is wrong" in text


def test_purity_is_told_apart_from_the_gradient():
    assert "the purity of softmax_over_its_upstream is WRONG" in str(
        report_of("softmax_over_its_upstream")
    )
    assert "the gradient of softmax_doubled is WRONG" in str(report_of("softmax_doubled"))
