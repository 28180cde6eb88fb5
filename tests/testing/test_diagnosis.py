"""Mistakes of each family are named, in several spellings; where there is a doubt, no cause is."""

import numpy as np
import pytest
from hypothesis import settings

from autolm.ops.array_operation import Case
from autolm.testing.accepted_shapes import with_accepted_shapes
from autolm.testing.diagnosis import diagnose, what_is_known
from autolm.testing.hypotheses import HYPOTHESES
from autolm.testing.subject import Subject

from .mistakes_by_family import WRONG

# What stands for the others where little time is spent; of a doubtful one no cause is told.
SOME = ["log_eps_out", "half_of_rows", "relu_leak", "mean_wrong_count", "cube_forgot_power"]
SOME += [
    "attention_without_its_scale",
    "convolution_with_its_kernel_turned",
    "product_through_half",
]
SOME += ["swish_gate", "tail_of_blocks", "axes_turned_the_wrong_way"]
LINEAR = [name for name, (_, _, words) in WRONG.items() if words != ("not linear",)]
NIGHTLY = settings().max_examples >= 1000


def diagnosis_of(name):
    forward, options, _ = WRONG[name]
    return diagnose(with_accepted_shapes(Subject.of(forward, **options)), None)


@pytest.mark.parametrize("name", LINEAR if NIGHTLY else SOME)
def test_a_mistake_is_named_or_no_cause_is_told(name):
    diagnosis = diagnosis_of(name)
    assert not diagnosis or any(word in diagnosis for word in WRONG[name][2])
    assert bool(diagnosis) == (name != "swish_gate") or name not in SOME


def test_a_leak_that_does_not_explain_what_is_wrong_elsewhere_is_no_cause():
    def rectified(x):
        return np.where(x.real > 0, x, 0 * x), lambda g: (np.where(x > 0, g * np.cos(x), g),)

    assert "leaks" not in diagnose(Subject.of(rectified), None, HYPOTHESES)


def test_a_slope_that_is_reached_faster_than_by_a_power_is_no_eps_left_out():
    def bump(x):
        return x + np.exp(-x * x), lambda g: (g,)

    assert "rule computes ḡ" in diagnose(Subject.of(bump), None)


def test_where_no_cause_is_known_it_is_said_how_the_error_depends_on_each_operand():
    def shifted(a, b):
        return a * b, lambda g: (g * (b + np.cos(a)), g * (a + 3 * b * b * np.sin(a)))

    known = what_is_known(Subject.of(shifted), None)
    assert "a is wrong" in known and "its error does not depend on b" in known
    assert "its error is proportional to b to the 2" in known


def test_rows_that_a_mask_may_leave_out_are_no_wrong_count_by_one():
    def counted(x, *, kept):
        size = kept.sum()
        return (x * kept).sum() / size, lambda g: (g * kept / kept.size + 0 * x,)

    kept = np.array([True, False, True, True])
    options = {"cases": (Case(((4,),), {"kept": kept}), Case(((2, 4),), {"kept": kept}))}
    assert "(n − 1)" not in diagnose(Subject.of(counted, **options), None)


def test_a_constant_is_told_from_a_number_of_elements_by_other_lengths():
    def mean(x):
        return x.sum(axis=-1) / x.shape[-1], lambda g: (np.ones_like(x) * g[..., None] / 2,)

    from_two = Subject.of(mean, cases=WRONG["half_of_rows"][1]["cases"])
    assert "factor of 2" not in diagnose(from_two, None)
    assert "x is wrong in some calls" in what_is_known(from_two, None)
