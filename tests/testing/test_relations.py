import numpy as np
import pytest

from autolm import ops
from autolm.testing import (
    Call,
    GradientError,
    causal,
    causal_along,
    check_op,
    permutation_equivariant,
    shift_invariant,
)

X = np.array([[0.5, -1.0], [2.0, 0.25], [1.5, 3.0]])


@pytest.mark.parametrize(
    ("relation", "function", "holds"),
    [
        (shift_invariant(-1), lambda x: x - x.mean(axis=-1, keepdims=True), True),
        (shift_invariant(-1), lambda x: x - x.mean(axis=0), False),
        (permutation_equivariant(0), lambda x: x - x.mean(axis=0), True),
        (permutation_equivariant(0), lambda x: np.cumsum(x, axis=0), False),
        (causal, lambda x: np.cumsum(x, axis=0), True),
        (causal, lambda x: np.cumsum(x[::-1], axis=0)[::-1], False),
        (causal, lambda x: np.concatenate([0 * x[:1], x[:-1]]), False),
        (causal_along(-1), lambda x: np.cumsum(x, axis=1), True),
        (causal_along(-1), lambda x: np.cumsum(x, axis=0), True),
        (causal_along(-1), lambda x: x[:, ::-1], False),
    ],
)
def test_a_relation_holds_or_says_how_not(relation, function, holds):
    call = Call(X)
    assert relation.applies(call)
    assert (relation.violation(function, call) == "") is holds


def test_the_violation_says_which_position_sees_which():
    said = causal.violation(lambda x: np.cumsum(x[::-1], axis=0)[::-1], Call(X))
    assert said == "position 0 of the result depends on position 1 of operand 0"


def test_where_there_are_more_keys_than_queries_the_last_belong_together():
    last = Call(X[:1], X, X)
    attention = ops.attention.forward
    assert causal.violation(lambda *a: attention(*a, causal=True)[0], last) == ""


def test_a_call_that_is_not_causal_by_its_own_word_is_let_off():
    assert not causal.applies(Call(X, causal=False))


def test_a_relation_that_does_not_hold_fails_the_check():
    with pytest.raises(GradientError, match="the forward is not shift_invariant"):
        check_op(ops.rms_norm, relations=[shift_invariant(-1)], max_examples=4)


def test_a_relation_that_no_call_reached_is_reported():
    report = check_op(ops.sin, relations=[causal_along(-9)], max_examples=4)
    assert "relations: never met: causal" in report.reason
