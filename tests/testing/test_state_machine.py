import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from autolm import ops, primitive
from autolm.testing import GraphMachine

from .wrong_operations import hyperbolic_in_place, square_of_the_latest

TestGraphs = GraphMachine.TestCase
TestGraphs.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)

UNSHRUNK = settings(
    max_examples=100,
    stateful_step_count=40,
    phases=[Phase.generate],
    derandomize=True,
    deadline=None,
)


@primitive
def product_of_the_first_use(a, b):
    return a * b, lambda grad: (grad * b, np.zeros_like(grad) if a is b else grad * a)


@pytest.mark.parametrize(
    "wrong",
    [hyperbolic_in_place, square_of_the_latest, product_of_the_first_use],
    ids=lambda op: op.name,
)
def test_a_wrong_operation_is_found_by_using_the_engine(wrong):
    class Machine(GraphMachine):
        operations = (ops.add, wrong)

    with pytest.raises((AssertionError, TypeError)):  # or a contribution that is none
        run_state_machine_as_test(Machine, settings=UNSHRUNK)
