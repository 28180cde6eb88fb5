"""The record of each operation, and primitives that users write."""

import numpy as np
import pytest

from autolm import Tensor, ops, primitive
from autolm.ops.array_operation import ArrayOperation
from tests.calls import each_operation

PROMISED = """add sub mul div pow neg abs exp log sqrt sin cos tanh sigmoid relu gelu maximum
minimum where clip sum mean var max min logsumexp reshape transpose swapaxes broadcast_to getitem
concatenate stack matmul softmax log_softmax layer_norm rms_norm embedding masked_fill dropout
attention cross_entropy"""


def test_every_promised_operation_is_there():
    assert {op.name for op in ops.OPERATIONS} >= set(PROMISED.split())
    assert all(getattr(ops, op.name) is op for op in ops.OPERATIONS)


def test_names_are_unique():
    assert len({op.name for op in ops.OPERATIONS}) == len(ops.OPERATIONS)


def test_every_operation_of_the_package_is_in_the_table():
    assert {op for op in vars(ops).values() if isinstance(op, ArrayOperation)} == set(
        ops.OPERATIONS
    )


@pytest.mark.parametrize(**each_operation)
def test_record_is_complete(op):
    assert op.name and op.symbol and op.formula and op.__doc__
    operands = {len(case.shapes) for case in op.cases} or {len(op.rule)}
    needed = len(op.rule) - len(op.optional)
    assert all(needed <= (1 if op.joins else n) <= len(op.rule) for n in operands)
    assert all(op.rule)
    assert len(op.domain) in {1, len(op.rule)}
    assert all(low < high for low, high in filter(None, op.domain))


@pytest.mark.parametrize(**each_operation)
def test_record_prints_as_its_formula(op):
    assert repr(op) == f"<{op.kind} {op.name}: {op.formula}>"


def test_users_primitive_needs_no_record():
    @primitive
    def cube(a):
        """Raise to the third power."""

        def backward(grad):
            return (3 * a * a * grad,)

        return a * a * a, backward

    x = Tensor([2.0])
    y = cube(x)
    y.backward()
    assert (cube.name, cube.__doc__, repr(cube)) == (
        "cube",
        "Raise to the third power.",
        "<primitive cube>",
    )
    assert (y.op, x.grad.tolist()) == (cube, [12.0])
    assert [value.data for value in y.to_values()] == [8.0]


def test_composite_users_primitive_expands_for_a_single_number():
    @primitive
    def polynomial(a):
        def backward(grad):
            return (grad * (3 * a * a + 2),)

        return a * a * a + 2 * a, backward

    x = Tensor(2.0)
    value = polynomial(x).to_values().item()
    value.backward()
    assert value.data == 12.0


def test_keyword_arguments_are_attributes_and_not_differentiated():
    @primitive
    def scale(a, *, factor):
        return a * factor, lambda grad: (grad * factor,)

    x = Tensor([2.0])
    y = scale(x, factor=3)
    y.backward()
    assert (y.attributes, y.parents, x.grad.tolist()) == ({"factor": 3}, (x,), [3.0])


def test_operands_may_be_numbers_arrays_and_lists():
    assert ops.add(1, 2).data == 3
    assert ops.mul(np.ones(2), [3, 4]).data.tolist() == [3.0, 4.0]


def test_joining_takes_operands_one_by_one_or_in_a_list():
    a, b = Tensor([1.0]), Tensor([2.0])
    assert ops.concatenate(a, b).data.tolist() == ops.concatenate([a, b]).data.tolist() == [1, 2]
    assert ops.stack([a, b], axis=1).parents == (a, b)
