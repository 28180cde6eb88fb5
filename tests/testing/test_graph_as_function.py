"""Nodes as functions: what users write on Values is held to its own definition, by any name."""

import math

import pytest

from autolm import Value
from autolm.engine.value import operation
from autolm.testing import check_graph
from autolm.testing.check_report import GradientError


def erf_with(factor):
    @operation("erf", "erf a", "ḡ · 2/√π · e^(−a²)")
    def erf(a):
        def backward(grad):
            return (factor * grad * 2 / math.sqrt(math.pi) * math.exp(-a * a),)

        return math.erf(a), backward

    return erf


def test_right_operation_of_the_users_is_correct():
    x = Value(0.5)
    assert check_graph(erf_with(1)(x * 0.7) * x).verdict.name == "CORRECT"


@pytest.mark.parametrize("factor", [2, -1, 1.01])
def test_wrong_operation_of_the_users_is_named(factor):
    x = Value(0.5)
    with pytest.raises(GradientError, match="the rule of erf is wrong"):
        check_graph(erf_with(factor)(x * 0.7) * x)


def test_operation_under_a_known_name_is_held_to_its_own_definition():
    @operation("exp", "2a", "2ḡ")
    def exp(a):
        def backward(grad):
            return (2 * grad,)

        return 2 * a, backward

    assert check_graph(exp(Value(0.5))).verdict.name == "CORRECT"


def test_rule_that_was_replaced_is_held_to_the_operation_that_it_replaces():
    y = Value(0.5).tanh()
    y.backward_rule = lambda grad: (grad * (1 - math.tanh(0.5) ** 2),)
    assert check_graph(y).verdict.name == "CORRECT"
    y.backward_rule = lambda grad: (grad,)
    with pytest.raises(GradientError, match="the rule of tanh 'y' is wrong"):
        check_graph(y)
