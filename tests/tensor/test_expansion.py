"""One model, two engines: a graph of Tensors and its expansion into Values agree."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, no_grad, ops, record_locations, scope
from autolm.engine.graph import topological_order
from autolm.lm.tinylm import TinyLM
from autolm.tensor.expansion import expand
from tests.calls import calls, each_operation
from tests.programs import programs


def differentiate(values, upstream):
    """Run the backward pass of the Values from a whole array of seeds."""
    seeds = np.asarray(upstream).ravel()
    Value.dot(
        values.ravel(), [Value(float(seed), requires_grad=False) for seed in seeds]
    ).backward()


def gradients(values):
    return np.vectorize(lambda value: value.grad, otypes=[float])(values)


def numbers(values):
    return np.vectorize(lambda value: value.data, otypes=[float])(values)


def assert_equal_to_12_digits(actual, expected):
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize(**each_operation)
@given(data=st.data())
def test_primitive_and_its_scalar_definition_agree(op, data):
    call = data.draw(calls(op))
    tensors, y = call.on_tensors()
    y.backward(call.upstream)
    expanded = expand(y)
    assert expanded[y].shape == y.shape
    assert_equal_to_12_digits(numbers(expanded[y]), y.data)
    differentiate(expanded[y], call.upstream)
    for i in call.differentiable:
        assert_equal_to_12_digits(gradients(expanded[tensors[i]]), tensors[i].grad)


@given(programs())
def test_value_and_tensor_agree_on_random_programs(program):
    values, value = program.run(Value)
    tensors, tensor = program.run(Tensor)
    value.backward()
    tensor.backward()
    assert value.data == pytest.approx(tensor.item(), rel=1e-12, abs=1e-14)
    for one, other in zip(values, tensors, strict=True):
        assert one.grad == pytest.approx(
            other.grad if other.has_grad else 0.0, rel=1e-11, abs=1e-12
        )


ELEMENTWISE = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "exp": lambda a, b: a.exp(),
    "log": lambda a, b: a.log(),
    "sqrt": lambda a, b: a.sqrt(),
    "sin": lambda a, b: a.sin(),
    "cos": lambda a, b: a.cos(),
    "tanh": lambda a, b: a.tanh(),
    "sigmoid": lambda a, b: a.sigmoid(),
    "relu": lambda a, b: a.relu(),
    "maximum": lambda a, b: (Value if isinstance(a, Value) else ops).maximum(a, b),
    "minimum": lambda a, b: (Value if isinstance(a, Value) else ops).minimum(a, b),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 1e308, -1e308, 800.0]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_tensor_agree_on_special_numbers(name):
    for a, b in product(SPECIAL, SPECIAL):
        if (name, a, b) == ("pow", -np.inf, 0.5):
            continue  # NumPy takes the square root here, which is nan; by IEEE the power is inf
        results = []
        for leaf in (Value, Tensor):
            x, y = leaf(a), leaf(b)
            result = ELEMENTWISE[name](x, y)
            result.backward()
            results.append([float(n) for n in (result.data, x.grad, y.grad or 0.0)])
        assert results[0] == pytest.approx(results[1], rel=1e-12, nan_ok=True), (a, b)


def test_whole_model_agrees_with_its_values():
    model = TinyLM(5, 4, 2, 6, 1, max_len=4, dtype="float64", seed=0)
    loss = model.compute_loss(np.array([[0, 3, 1], [2, 2, 4]]), np.array([[3, 1, 0], [2, 4, 4]]))
    loss.backward()
    expanded = expand(loss)
    value = expanded[loss].item()
    value.backward()
    assert value.data == pytest.approx(loss.item(), rel=1e-12)
    for parameter in topological_order(loss):
        if not parameter.parents and parameter.requires_grad:
            assert_equal_to_12_digits(gradients(expanded[parameter]), parameter.grad)


def test_values_keep_names_with_indices():
    W = Tensor(np.ones((4, 6)), name="W")
    b = Tensor(2.0, name="b")
    y = W * b
    y.name = "y"
    expanded = expand(y)
    assert expanded[W][3, 5].name == "W[3,5]"
    assert expanded[b].item().name == "b"
    assert expanded[y][0, 1].name == "y[0,1]"


def test_moved_elements_keep_the_name_they_had_first():
    W = Tensor(np.ones((2, 3)), name="W")
    transposed = W.T
    transposed.name = "moved"
    assert transposed.to_values()[2, 1].name == "W[1,2]"


def test_values_keep_scopes():
    with scope("attention"):
        x = Tensor([1.0, 2.0])
        with scope("softmax"):
            y = x.softmax()
    with scope("elsewhere"):
        z = (y + 1).to_values()
    scopes = {node.op.name: node.scope for node in topological_order(z[0]) if node.op}
    assert scopes["exp"] == scopes["div"] == "attention.softmax"
    assert scopes["add"] == "elsewhere"


def test_values_keep_the_location_of_their_tensor():
    with record_locations():
        x = Tensor([1.0, 2.0])
        y = x.softmax()
        expanded = expand(y)
    assert {value.location for value in expanded[x]} == {x.location}
    assert {value.location for value in expanded[y]} == {y.location}


def test_zoom_expands_one_operation_and_makes_its_operands_leaves():
    x = Tensor([1.0, 2.0], name="x")
    h = x.exp()
    h.name = "h"
    y = h * h
    values = y.to_values(zoom=True)
    assert [node.name for node in topological_order(values[1])] == ["h[1]", ""]
    assert values[1].parents[0].parents == ()
    assert values[1].data == pytest.approx(y.data[1], rel=1e-15)
    differentiate(values, [1.0, 1.0])
    y.backward(np.ones(2), retain_grads=True)
    assert [v.parents[0].grad for v in values] == h.grad.tolist()


def test_zoom_into_a_leaf_is_the_leaf():
    x = Tensor([1.0, 2.0])
    assert numbers(x.to_values(zoom=True)).tolist() == [1.0, 2.0]


def test_constants_become_constants():
    x, c = Tensor([1.0, 2.0]), Tensor([3.0, 4.0], requires_grad=False)
    values = (x * c).to_values()
    assert [parent.requires_grad for parent in values[0].parents] == [True, False]


def test_shared_tensor_becomes_shared_values():
    x = Tensor([3.0])
    (value,) = (x * x).to_values()
    assert value.parents[0] is value.parents[1]


@pytest.mark.parametrize("mask", [np.array([True, False]), np.array([1, 0])], ids=["bool", "int"])
def test_mask_of_true_and_false_or_integers_expands_as_a_factor(mask):
    x = Tensor([2.0, 3.0])
    y = x * mask
    y.backward(np.ones(2))
    expanded = expand(y)
    differentiate(expanded[y], np.ones(2))
    assert numbers(expanded[y]).tolist() == y.data.tolist() == [2.0, 0.0]
    assert gradients(expanded[x]).tolist() == x.grad.tolist() == [1.0, 0.0]


def test_expansion_leaves_the_tensors_gradients_alone():
    x = Tensor([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    y.to_values().item().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_graph_recorded_before_no_grad_still_expands_to_its_numbers():
    y = Tensor([1.0, 2.0]).exp()
    with no_grad():
        values = y.to_values()
    assert_equal_to_12_digits(numbers(values), y.data)
    assert not values[0].parents
