"""A step reads as one line: position, operation, scope, name, arithmetic, before and after."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, ops, scope
from autolm.engine.graph import topological_order
from autolm.walking.wording import NOT_COMPUTED, expression, extent, norm, show, slope
from tests.programs import programs


def the_neuron():
    x1, x2 = Value(2, name="x1"), Value(0, name="x2")
    w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
    b = Value(6.8813735870195432, name="b")
    products = x1 * w1, x2 * w2
    total = products[0] + products[1]
    n = total + b
    o = n.tanh()
    for node, name in zip((*products, total, n, o), ("x1w1", "x2w2", "sum", "n", "o"), strict=True):
        node.name = name
    return o


# Numbers and arrays


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.70710678, "0.7071"),
        (-3.0, "−3"),
        (1e-9, "1e−09"),
        (math.inf, "inf"),
        (-math.inf, "−inf"),
        (math.nan, "nan"),
        (None, "–"),
        (np.float32(0.5), "0.5"),
        (np.array(2.0), "2"),
        (np.array([3.0, 4.0]), "2 ‖5‖ [3 4]"),
        (np.arange(6.0).reshape(2, 3), "2×3 ‖7.416‖ [0 1 2 …]"),
        (np.zeros((0, 3)), "0×3 ‖0‖ []"),
        (np.array([1.0, math.nan]), "2 ‖nan‖ [1 nan]"),
    ],
)
def test_numbers_are_short_and_arrays_are_shape_norm_and_peek(value, text):
    assert show(value) == text


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
def test_norm_is_the_euclidean_length_at_any_size(numbers):
    assert norm(np.array(numbers)) == pytest.approx(math.hypot(*numbers), rel=1e-12)


# Backward and forward steps


def test_backward_steps_of_the_neuron_read_in_one_line_each():
    assert [repr(step) for step in the_neuron().steps()] == [
        "1  tanh  o = tanh(n)   n: 1 × 0.5 = 0.5, grad – → 0.5",
        "2  +  n = sum + b   sum: 0.5 × 1 = 0.5, grad – → 0.5   b: 0.5 × 1 = 0.5, grad – → 0.5",
        "3  +  sum = x1w1 + x2w2   x1w1: 0.5 × 1 = 0.5, grad – → 0.5   "
        "x2w2: 0.5 × 1 = 0.5, grad – → 0.5",
        "4  ×  x2w2 = x2 · w2   x2: 0.5 × 1 = 0.5, grad – → 0.5   w2: 0.5 × 0 = 0, grad – → 0",
        "5  ×  x1w1 = x1 · w1   x1: 0.5 × −3 = −1.5, grad – → −1.5   w1: 0.5 × 2 = 1, grad – → 1",
    ]


def test_step_of_arrays_tells_scope_shapes_and_norms():
    with scope("head"):
        y = Tensor([[3.0, 4.0]], name="x") @ Tensor([[1.0], [0.0]], name="W")
    assert repr(next(y.steps([[2.0]]))) == (
        "1  @  y = x @ W   head   ḡ = 1×1 ‖2‖ [2]   "
        "x: 1×2 ‖2‖ [2 0], grad – → ‖2‖   W: 2×1 ‖10‖ [6 8], grad – → ‖10‖"
    )


def test_constant_operand_is_said_to_be_one():
    assert repr(next((Value(3, name="x") * 2).steps())).endswith("2: a constant")


def test_forward_steps_of_the_neuron_carry_the_numbers():
    assert [repr(step) for step in the_neuron().forward_steps()] == [
        "1  ×  x1w1 = x1 · w1 = 2 · −3 = −6",
        "2  ×  x2w2 = x2 · w2 = 0 · 1 = 0",
        "3  +  sum = x1w1 + x2w2 = −6 + 0 = −6",
        "4  +  n = sum + b = −6 + 6.881 = 0.8814",
        "5  tanh  o = tanh(n) = tanh(0.8814) = 0.7071",
    ]


@pytest.mark.parametrize("leaf", [Value, Tensor])
def test_forward_steps_come_in_the_order_in_which_operations_were_done(leaf):
    x = leaf(2.0)
    second_used = x.exp()
    first_used = x * 3
    root = first_used - second_used
    assert [step.node for step in root.forward_steps()] == [second_used, first_used, root]


@given(programs(), st.sampled_from([Value, Tensor]))
def test_forward_steps_replay_every_operation_after_its_operands(program, leaf):
    _, root = program.run(leaf)
    done = {node for node in topological_order(root) if not node.parents}
    for index, step in enumerate(root.forward_steps()):
        assert step.index == index
        assert done.issuperset(step.node.parents)
        assert step.operands == tuple(parent.data for parent in step.node.parents)
        assert step.result == step.node.data
        done.add(step.node)
    assert done == set(topological_order(root))


# Expressions and slopes

a, b = Value(2.0, name="a"), Value(3.0, name="b")
p, q = Value(5.0, name="p"), Value(7.0, name="q")


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (p + q, "p + q"),
        (p - 1, "p − 1"),
        (p / q, "p / q"),
        (p**2, "p ^ 2"),
        (-p, "−p"),
        (abs(p), "abs(p)"),
        (p.exp(), "exp(p)"),
        (p.maximum(q), "maximum(p, q)"),
        (Value.sum([p, q, p]), "sum(p, q, p)"),
        (Value.sum([p] * 20), "sum(p, p, p, … 17 more)"),
        (Tensor([1.0], name="t") @ Tensor([1.0], name="u"), "t @ u"),
        (Tensor([1.0], name="t").softmax(axis=0), "softmax(t, axis=0)"),
        (
            ops.cross_entropy(Tensor([1.0], name="t"), targets=np.array(0)),
            "cross_entropy(t, targets=0)",
        ),
        (p * q + q, "mul + q"),
    ],
)
def test_expression_is_what_a_person_would_write(node, text):
    assert expression(node) == text


@pytest.mark.parametrize(
    ("node", "texts"),
    [
        (p + q, ["1", "1"]),
        (p - q, ["1", "−1"]),
        (p * q, ["q", "p"]),
        (p / q, ["1 / q", "−div / q"]),
        (p.tanh(), ["1 − tanh²"]),
        (p.exp(), ["exp"]),
        (p.sigmoid(), ["sigmoid · (1 − sigmoid)"]),
        (p.cos(), ["−sin p"]),
        (p.relu(), [""]),
        (p**q, ["q · p^(q − 1)", "pow · ln p"]),
        (a * b, ["b", "a"]),
        (b * a, ["a", "b"]),
        (Value.dot([a, p], [q, b]), ["q", "b", "a", "p"]),
        (Value.sum([a, p, q]), ["1", "1", "1"]),
    ],
)
def test_slope_is_told_in_the_names_of_the_nodes(node, texts):
    assert [slope(node, i) for i in range(len(node.parents))] == texts


def test_the_extent_of_arrays_leaves_out_those_without_numbers_and_mixes_them_with_numbers():
    row = np.array([1.0, 2.0])
    assert extent([np.zeros(0), row]) == "1 … 2"
    assert extent([np.float64(3.0), row]) == "1 … 3"
    assert extent([np.zeros(0)] * 2) == NOT_COMPUTED
