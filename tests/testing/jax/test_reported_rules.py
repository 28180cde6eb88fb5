"""Rules of JAX that were wrong in public: each is found, and none is given a false cause.

The figure of `jax.test_util.check_grads` at the same examples is compared.
"""

import os
from functools import cache

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from autolm.testing import GradientError, Verdict  # noqa: E402
from autolm.testing.jax import check_function, check_gradient  # noqa: E402

from .reported_rules import REPORTED, passes_check_grads  # noqa: E402

LONG = os.environ.get("HYPOTHESIS_PROFILE") in ("ci", "nightly")
FEW = ["wave_with_a_sign"]  # JAX compiles each shape
NAMES = list(REPORTED) if LONG else FEW
BY_CHECK_GRADS = 7  # of 9; the figure of JAX 0.10


@cache
def report_of(name, which="wrong"):
    case = REPORTED[name]
    try:
        return check_function(
            getattr(case, which), *case.examples, examples_count=None if LONG else 2
        )
    except GradientError as error:
        return error.report


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_and_given_no_false_cause(name):
    report = report_of(name)
    assert report.verdict is Verdict.WRONG, report
    failure = report.failure
    text = " ".join((failure.diagnosis or f"{failure.message} {failure.known}").split())
    assert not failure.diagnosis or any(word in text for word in REPORTED[name].words), report


@pytest.mark.parametrize("name", NAMES)
def test_its_right_twin_is_proved(name):
    report = report_of(name, "right")
    assert report.verdict is Verdict.CORRECT, report


def test_check_grads_finds_fewer():
    assert len(REPORTED) >= 8
    actual = [name for name, case in REPORTED.items() if not passes_check_grads(case)]
    assert len(actual) == BY_CHECK_GRADS, actual


def test_trees_of_arguments_are_differentiated_by_their_leaves():
    def loss(parameters, x):
        return x * parameters["scale"] + parameters["shift"][0]

    given = {"scale": np.ones(3), "shift": [np.ones(3)]}
    report = check_gradient(loss, given, np.ones(3))
    assert report.verdict is Verdict.CORRECT


def test_an_array_that_a_forward_makes_is_of_its_users_precision():
    @jax.custom_vjp
    def regularized(a):
        return a @ a.T + jax.numpy.eye(len(a))

    regularized.defvjp(lambda a: (regularized(a), a), lambda a, ḡ: ((ḡ + ḡ.T) @ a,))
    assert check_function(regularized, jax.numpy.ones((2, 2))).verdict is Verdict.CORRECT


def test_a_wrong_call_is_refused_in_one_line():
    for message, call in {
        "F must be": lambda: check_function(3, np.ones(2)),
        "at least one array": lambda: check_function(jax.numpy.sin, 1),
        "cannot be called": lambda: check_function(jax.numpy.sin, np.ones(2), "a"),
    }.items():
        with pytest.raises((TypeError, ValueError), match=message) as raised:
            call()
        assert "\n" not in str(raised.value)
