"""Keywords with a default are tried at other values; legitimate refusals are not failures."""

import numpy as np
import pytest

from autolm.ops.array_operation import Case
from autolm.testing import Verdict
from autolm.testing.keyword_variants import with_other_keywords
from autolm.testing.operation_checks import report_on
from autolm.testing.registry import LAWS
from autolm.testing.subject import Subject

RULE = [law for law in LAWS if law.name == "rule"]


def softmax(rule_axis):
    def softmax(x, axis=-1):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        y = e / e.sum(axis=axis, keepdims=True)
        along = axis if rule_axis is None else rule_axis
        return y, lambda g: (y * (g - (g * y).sum(axis=along, keepdims=True)),)

    return softmax


def total(mind_keepdims):
    def total(x, *, axis=None, keepdims=False):
        def backward(g):
            if axis is not None and not (mind_keepdims and keepdims):
                g = np.expand_dims(g, axis)
            return (np.broadcast_to(g, x.shape),)

        return x.sum(axis=axis, keepdims=keepdims), backward

    return total


def leaky(slope_of_rule):
    def leaky(x, *, slope=0.01):
        of_rule = slope if slope_of_rule is None else slope_of_rule
        return np.where(x > 0, x, slope * x), lambda g: (np.where(x > 0, g, of_rule * g),)

    return leaky


def loss(divides):
    def loss(a, b, reduction="mean"):
        if a.shape != b.shape or reduction not in ("mean", "sum"):
            raise ValueError("equal shapes, and mean or sum")
        d = a - b
        own = 1 if reduction == "sum" else d.size
        of_rule = d.size if divides else own
        return (d * d).sum() / own, lambda g: (2 * g * d / of_rule, -2 * g * d / of_rule)

    return loss


def rows(adds):
    def rows(x, *, index):
        def backward(g):
            gradient = np.zeros_like(x)
            if adds:
                np.add.at(gradient, index, g)
            else:
                gradient[index] = g
            return (gradient,)

        return x[index], backward

    return rows


# of each family a right one, a wrong one, the keywords where it is wrong, and its diagnosis
PAIRS = {
    "axis": (softmax(None), softmax(-1), "axis=0", "summed over the wrong axis"),
    "keepdims": (total(True), total(False), "keepdims=True", ""),
    "number": (leaky(None), leaky(0.01), "slope=0.005", "slope is ignored"),
    "reduction": (loss(False), loss(True), "reduction='sum'", "factor of 1 / the number"),
    "index": (rows(True), rows(False), "", "a repeated index keeps one"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_that_is_wrong_for_another_keyword_is_found_and_the_keyword_named(name):
    right, wrong, where, diagnosis = PAIRS[name]
    proved = report_on(Subject.of(right), 2, RULE)
    assert proved.verdict is Verdict.CORRECT, proved
    assert f"with {where}" in proved.reason or where in proved.reason
    report = report_on(Subject.of(wrong), 4, RULE)
    assert report.verdict is Verdict.WRONG
    assert where in report.failure.message
    assert diagnosis in " ".join(report.failure.diagnosis.split())


def test_what_is_told_stays_as_it_is():
    options = Subject.of(total(False), attributes={"keepdims": False})
    assert report_on(options, 2, RULE).verdict is Verdict.CORRECT


def test_what_a_case_tells_stays_beside_another_keyword():
    def rows(x, *, ids, scale=1.0):
        return scale * x[ids], lambda g: (
            np.add.at(gradient := np.zeros_like(x), ids, g) or gradient,
        )

    options = Subject.of(rows, cases=[Case(((4, 2),), {"ids": [0, 2, 0]})])
    report = report_on(options, 2, RULE)
    assert "with scale=0.5" in report.failure.message
    assert "scale is ignored" in report.failure.diagnosis


def test_what_is_refused_random_in_place_or_of_the_gradient_alone_is_left_out():
    def pinned(x, *, axis=-1, noise=0.0, inplace=False, detach=False):
        if axis != -1:
            raise ValueError("the last axis only")
        if inplace:
            x += 1
        y = x + noise * np.random.default_rng().random(x.shape)
        return y, lambda g: (0 * g if detach else g,)

    assert with_other_keywords(Subject.of(pinned)).variants == ()


def test_every_kind_of_index_is_tried():
    options = [
        case.attributes["index"] for _, case in with_other_keywords(Subject.of(rows(True))).variants
    ]
    kinds = {type(index) for index in options}
    assert {int, slice, list, np.ndarray} <= kinds
    assert slice(None, None, -1) in [index for index in options if isinstance(index, slice)]


def test_no_axis_at_all_is_left_out_where_only_numpy_takes_it_and_not_where_it_is_wrong():
    def cumulative(a, *, axis=0):
        def backward(grad):
            return (np.flip(np.cumsum(np.flip(grad, axis), axis), axis),)

        return np.cumsum(a, axis), backward

    def doubled(a, *, axis=-1):
        def backward(grad):
            if axis is None:
                return (np.full_like(a, 2.0) * grad,)
            return (np.broadcast_to(np.expand_dims(grad, axis), a.shape).copy(),)

        return a.sum(axis=axis), backward

    assert "axis=None" not in with_other_keywords(Subject.of(cumulative)).note
    assert report_on(Subject.of(doubled), 4, RULE).verdict is Verdict.WRONG
