"""Functions that were wrong in public: each is found, and none is given a false cause.

The figures of `torch.autograd.gradcheck`, and `gradgradcheck` for a second order, at the same
examples are compared.
"""

import os
from functools import cache

import pytest

torch = pytest.importorskip("torch")

from autolm.testing import GradientError, Verdict  # noqa: E402
from autolm.testing.torch import check_function  # noqa: E402

from ..table_of_reported import kind_of  # noqa: E402
from .reported_functions import REPORTED, passes_gradcheck  # noqa: E402

LONG = os.environ.get("HYPOTHESIS_PROFILE") in ("ci", "nightly")
EXAMPLES = None if LONG else 2
NAMES = list(REPORTED)[:: 1 if LONG else 4]  # all of them are tried where there is time
TWINS = list(REPORTED)[:: 1 if LONG else 9]
NAMED = 0.8
BY_GRADCHECK = 17  # of 28; the figure of PyTorch 2.13


@cache
def report_of(name, which="wrong"):
    case = REPORTED[name]
    F = getattr(case, which)
    try:
        return check_function(F, *case.examples, examples_count=EXAMPLES, **case.options)
    except GradientError as error:
        return error.report


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_and_given_no_false_cause(name):
    report = report_of(name)
    assert report.verdict is Verdict.WRONG, report
    assert kind_of(report_of(name), REPORTED[name].words) != "false", report


@pytest.mark.parametrize("name", TWINS)
def test_its_right_twin_is_proved(name):
    report = report_of(name, "right")
    assert report.verdict is Verdict.CORRECT, report


def test_most_are_named_and_gradcheck_finds_fewer():
    kinds = [kind_of(report_of(name), REPORTED[name].words) for name in NAMES]
    assert len(REPORTED) >= 25
    assert kinds.count("right") >= NAMED * len(kinds)
    actual = [name for name, case in REPORTED.items() if not passes_gradcheck(case)]
    assert len(actual) == BY_GRADCHECK, actual


def test_purity_and_gradient_are_told_apart():
    assert report_of("silu_into_its_upstream").wrong == "the purity"
    assert report_of("rms_norm_without_its_weight").wrong == "the gradient"


def test_each_has_the_address_of_its_report():
    addresses = [case.address for case in REPORTED.values()]
    assert len(set(addresses)) == len(addresses)
    assert all(len(address.split("/")) == 7 for address in addresses)
