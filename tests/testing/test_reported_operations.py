"""Rules that were wrong in public: each is found, most are named, none is given a false cause."""

from collections import Counter
from functools import cache

import pytest

from autolm.testing import Verdict
from autolm.testing.checking_operations import report_on
from autolm.testing.under_test import Subject

from .reported_operations import REPORTED

NAMED = 0.8  # of them, at least
EXAMPLES = 12


@cache
def report_of(name):
    forward, told, _, _ = REPORTED[name]
    return report_on(Subject.of(forward, **told), EXAMPLES)


def kind_of(name):
    """Say how its diagnosis came out: right, none or false."""
    report, words = report_of(name), REPORTED[name][3]
    diagnosis = report.failure.diagnosis if report.failure else ""
    if not diagnosis:
        return "none"
    return "right" if any(word in diagnosis for word in words) else "false"


@pytest.mark.parametrize("name", REPORTED)
def test_it_is_found_and_given_no_false_cause(name):
    assert report_of(name).verdict is Verdict.WRONG
    assert kind_of(name) != "false", report_of(name)


def test_most_are_named():
    table = Counter(map(kind_of, REPORTED))
    assert len(REPORTED) >= 30
    assert table["right"] >= NAMED * len(REPORTED), table


def test_each_has_the_address_of_its_report():
    addresses = [address for _, _, address, _ in REPORTED.values()]
    assert len(set(addresses)) == len(addresses)
    assert all(len(address.split("/")) == 7 for address in addresses)


def test_what_is_known_is_said_where_no_cause_is():
    text = " ".join(str(report_of("layer_norm_weight_for_the_normal")).split())
    assert "diagnosis" not in text
    assert "known: x is right; weight is wrong" in text


def test_conduct_is_told_apart_from_the_gradient():
    assert "the conduct of softmax_over_its_upstream is WRONG" in str(
        report_of("softmax_over_its_upstream")
    )
    assert "the gradient of softmax_doubled is WRONG" in str(report_of("softmax_doubled"))
