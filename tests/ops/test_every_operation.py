"""Every operation of ours is proved by the kit that users have, from nothing but its record."""

import math

import numpy as np
import pytest

from autolm import Tensor, Value, ops
from autolm.engine.value import operation
from autolm.ops.arithmetic import on_each_element
from autolm.ops.array_operation import REALS, Case
from autolm.ops.primitive import Primitive
from autolm.testing import (
    GradientError,
    Verdict,
    causal,
    check_op,
    permutation_equivariant,
    shift_invariant,
)
from autolm.testing.law_runner import Status, examine
from autolm.testing.laws.equivalent_definitions import relations
from autolm.testing.subject import Subject
from tests.calls import each_operation

SELF = Case(((3, 2), (3, 2), (3, 1)), {"causal": True, "scale": None})
HEADS = Case(((3, 4), (3, 4), (3, 2)), {"num_heads": 2, "causal": True})
ALL = Case(((4, 2), (4, 2), (4, 3)), {"causal": False, "scale": None})
ROWS = (Case(((3, 4),)),)

WITH_CHOICES = (ops.gelu, ops.leaky_relu)  # which have defaults

# What holds of a forward besides its gradient.
RELATIONS = [
    (ops.attention, causal, (SELF, HEADS)),
    (ops.attention, permutation_equivariant(-2), (ALL,)),
    (ops.softmax, shift_invariant(-1), ROWS),
    (ops.softmax, permutation_equivariant(-1), ROWS),
    (ops.log_softmax, shift_invariant(-1), ROWS),
    (ops.cross_entropy, shift_invariant(-1), ops.cross_entropy.cases),
    (ops.layer_norm, shift_invariant(-1), ops.layer_norm.cases),
    (ops.layer_norm, permutation_equivariant(-1), ops.layer_norm.cases),
    (ops.rms_norm, permutation_equivariant(-1), ops.rms_norm.cases),
    (ops.var, shift_invariant(-1), (Case(((3, 4),), {"axis": -1}),)),
]


@pytest.mark.table(6)
@pytest.mark.parametrize(**each_operation)
def test_every_law_holds_and_is_exercised(op):
    report = check_op(op)
    assert report.verdict is Verdict.CORRECT
    assert report.digits > 10
    came_out = {o.law.name: o.status for o in report.outcomes}
    assert came_out["scalar"] is Status.HOLDS
    assert set(came_out.values()) <= {Status.HOLDS, Status.DOES_NOT_APPLY}, report


@pytest.mark.parametrize(
    "op",
    [op for op in ops.OPERATIONS if len(op.rule) == 1 and (not op.cases or op in WITH_CHOICES)],
    ids=lambda op: op.name,
)
def test_what_is_of_one_number_is_a_values_operation_too(op):
    numbers = np.array([0.25, 1.0, 3.0, 20.0])
    for sign in (1, -1) if op.domain[0] == REALS else (1,):
        x = Tensor(sign * numbers)
        y = op(x)
        y.sum().backward()
        for i, number in enumerate(x.data):
            v = Value(number)
            w = getattr(v, op.name)()
            w.backward()
            np.testing.assert_allclose([w.data, v.grad], [y.data[i], x.grad[i]], atol=1e-12)


def test_an_operation_of_one_value_runs_on_arrays_element_by_element():
    @operation("arctan", "arctan a", "ḡ / (1 + a²)")
    def arctan(a):
        return math.atan(a), lambda grad: (grad / (1 + a * a),)

    op = on_each_element(arctan)
    assert check_op(op).verdict is Verdict.CORRECT
    assert (op.name, op.rule, op.__doc__) == ("arctan", ("ḡ / (1 + a²)",), "Return arctan a.")
    for dtype in (np.float32, np.float64, np.longdouble):
        x = Tensor(np.array([[0.5, -2.0, np.inf]], dtype))
        y = op(x)
        y.backward(np.ones((1, 3), dtype))
        assert y.dtype == x.grad.dtype == dtype
        np.testing.assert_array_equal(y.data, np.arctan(x.data.astype(float)).astype(dtype))
    assert op(1).data == math.pi / 4
    with pytest.raises(TypeError, match="arctan: only real numbers are taken, not complex128"):
        op.forward(np.array(1j))


@pytest.mark.parametrize(
    ("op", "relation", "cases"), RELATIONS, ids=lambda each: getattr(each, "name", "")
)
def test_relations_hold(op, relation, cases):
    subject = Subject.of(op, relations=[relation], cases=cases)
    (outcome,) = examine(subject, 4, [relations])
    assert outcome.status is Status.HOLDS, outcome.reason


def test_a_causal_mask_off_by_one_is_found():
    def attention(q, k, v, *, causal, scale):
        positions = q.shape[-2]
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        scores = np.where(np.tri(positions, k=1, dtype=bool), scores, -np.inf)
        weights, soft_rule = ops.softmax.forward(scores)
        result, product_rule = ops.matmul.forward(weights, v)

        def backward(grad):
            to_weights, to_v = product_rule(grad)
            (to_scores,) = soft_rule(to_weights)
            to_scores = to_scores / math.sqrt(q.shape[-1])
            return to_scores @ k, to_scores.swapaxes(-1, -2) @ q, to_v

        return result, backward

    right_gradient = Primitive(attention, "attention", cases=(SELF,))
    assert check_op(right_gradient, max_examples=4).verdict is Verdict.CORRECT
    with pytest.raises(GradientError, match="position 0 of the result depends on position 1"):
        check_op(right_gradient, relations=[causal], max_examples=4)
