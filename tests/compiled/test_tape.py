"""Tape: it trains, returns to the graph, stops where numbers go wrong, and refuses what it must."""

import subprocess
import sys

import numpy as np
import pytest

from autolm import Tape, Tensor, Value, blame_nonfinite, explain, no_grad
from autolm.engine.graph import topological_order
from autolm.engine.value import operation
from tests.compiled.tapes import bits, either_loop


@either_loop
def test_parameters_trained_on_the_tape_are_those_trained_on_values(native):
    recorded, trained = [network() for _ in range(2)]
    tape = Tape(recorded[2], inputs=recorded[0], parameters=recorded[1], native=native)
    rows = np.random.default_rng(0).normal(size=(30, 3))
    for row in rows:
        tape.forward(row)
        tape.parameters[:] -= 0.1 * tape.backward()
    for row in rows:
        loss = network_loss([Value(x) for x in row], trained[1])
        loss.backward()
        for parameter in trained[1]:
            parameter.data -= 0.1 * parameter.grad
            parameter.grad = None
    assert bits(tape.parameters) == bits(parameter.data for parameter in trained[1])


def network():
    """Make a small network: its inputs, its parameters and its loss."""
    rng = np.random.default_rng(1)
    parameters = [Value(x, name=f"w{i}") for i, x in enumerate(rng.normal(size=12))]
    inputs = [Value(0.0, name=f"x{i}") for i in range(3)]
    return inputs, parameters, network_loss(inputs, parameters)


def network_loss(inputs, parameters):
    hidden = [Value.dot(parameters[3 * i : 3 * i + 3], inputs).tanh() for i in range(3)]
    return (Value.dot(parameters[9:], hidden) - 1) ** 2


# Back on the graph


@either_loop
def test_after_write_back_the_graph_is_as_if_recorded_with_these_numbers(native):
    inputs, parameters, loss = network()
    tape = Tape(loss, inputs=inputs, parameters=parameters, native=native)
    tape.forward([1.0, -2.0, 0.5])
    tape.parameters[:] -= tape.backward()
    tape.write_back()
    fresh = network_loss([Value(x) for x in (1.0, -2.0, 0.5)], map_to_values(tape.parameters))
    fresh.backward()
    for old, new in zip(topological_order(loss), topological_order(fresh), strict=True):
        assert bits([old.data, old.grad]) == bits([new.data, new.grad])
    assert told_alike(loss) == told_alike(fresh)


def map_to_values(numbers):
    return [Value(float(number), name=f"w{i}") for i, number in enumerate(numbers)]


def told_alike(loss):
    """Tell the steps; in either graph the inputs go by their number, and the root by one name."""
    for node in topological_order(loss):
        node.name = ""
    return [repr(step) for step in loss.steps()]


def test_written_back_gradients_replace_those_that_were_there():
    inputs, parameters, loss = network()
    loss.backward()
    tape = Tape(loss, inputs=inputs, parameters=parameters, native=False)
    tape.forward([1.0, 2.0, 3.0])
    expected = tape.backward().copy()
    for _ in range(2):
        tape.write_back()
        assert [parameter.grad for parameter in parameters] == expected.tolist()


def test_written_back_graph_can_be_explained():
    inputs, parameters, loss = network()
    tape = Tape(loss, inputs=inputs, parameters=parameters, native=False)
    tape.forward([1.0, 2.0, 3.0])
    tape.write_back()
    assert f"{parameters[0].grad:.4g}".replace("-", "−") in str(explain(parameters[0]))


def test_constants_stay_as_they_were_when_the_graph_was_frozen():
    w, constant = Value(2.0), Value(3.0)
    tape = Tape(w * constant, parameters=[w], native=False)
    constant.data = 100.0
    assert tape.forward() == 6.0


def test_leaves_changed_since_the_recording_count():
    w = Value(2.0)
    loss = w * w
    w.data = 3.0
    tape = Tape(loss, parameters=[w], native=False)
    assert (tape.forward(), tape.backward().tolist()) == (9.0, [6.0])


# Where numbers stop being finite


@either_loop
def test_forward_stops_at_the_first_result_that_is_not_finite_and_names_it(native):
    x, w = Value(1.0, name="x"), Value(2.0, name="w")
    risky = (x * w).log()
    risky.name = "risky"
    loss = risky + 3
    tape = Tape(loss, inputs=[x], parameters=[w], native=native)
    assert tape.forward([0.5]) == 3.0
    with pytest.raises(FloatingPointError, match=r"log 'risky': log\(0\) = −inf.*blame_nonfinite"):
        tape.forward([0.0])
    with pytest.raises(RuntimeError, match="call forward first"):
        tape.backward()
    tape.write_back()
    assert blame_nonfinite(loss).node is risky
    assert tape.forward([0.5]) == 3.0


@either_loop
def test_backward_stops_at_the_first_gradient_that_is_not_finite_and_names_it(native):
    x, w = Value(4.0), Value(0.25, name="w")
    product = x * w
    product.name = "product"
    tape = Tape(product.sqrt() + 1, inputs=[x], parameters=[w], native=native)
    tape.forward([0.0])
    with pytest.raises(FloatingPointError, match="stopped at mul 'product': its gradient is inf"):
        tape.backward()


@either_loop
def test_gradient_of_a_parameter_that_is_not_finite_is_told(native):
    fine, w = Value(1.0), Value(0.0, name="w")
    tape = Tape(w.sqrt() + fine, parameters=[fine, w], native=native)
    tape.forward()
    with pytest.raises(FloatingPointError, match="stopped at leaf 'w': its gradient is inf"):
        tape.backward()


@either_loop
def test_constant_exponent_of_a_negative_base_does_not_stop_backward(native):
    w = Value(-3.0)
    tape = Tape(w**2, parameters=[w], native=native)
    tape.forward()
    assert tape.backward().tolist() == [-6.0]


# What can be frozen, and what is told to whom asks for more


def test_loss_that_is_a_leaf_is_its_own_gradient():
    w = Value(2.0)
    tape = Tape(w, parameters=[w], native=False)
    assert (tape.forward(), tape.backward().tolist()) == (2.0, [1.0])


def test_inputs_may_come_in_any_shape():
    xs = [Value(float(i)) for i in range(4)]
    w = Value(1.0)
    tape = Tape(Value.sum(xs) * w, inputs=xs, parameters=[w], native=False)
    assert tape.forward(np.eye(2)) == 2.0


@pytest.mark.parametrize("wrong", [[], [1.0], [1.0, 2.0, 3.0]], ids=len)
def test_wrong_number_of_inputs_is_an_error(wrong):
    x, y = Value(1.0), Value(2.0)
    tape = Tape(x * y * 3, inputs=[x, y], parameters=[], native=False)
    with pytest.raises(ValueError, match=f"{len(wrong)} numbers for 2 inputs"):
        tape.forward(wrong)


def test_graph_of_tensors_is_told_how_to_become_values():
    x = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"loss must be one Value, not a Tensor.*to_values\(\)"):
        Tape((x * x).sum(), parameters=[])


def test_expanded_graph_of_tensors_can_be_frozen():
    x = Tensor([1.0, 2.0], name="x")
    loss = (x * x).sum().to_values().item()
    leaves = [node for node in topological_order(loss) if node.name.startswith("x[")]
    tape = Tape(loss, parameters=leaves, native=False)
    assert (tape.forward(), tape.backward().tolist()) == (5.0, [2.0, 4.0])


def test_leaf_that_is_not_under_the_loss_is_an_error():
    x, stranger = Value(1.0), Value(1.0, name="stranger")
    with pytest.raises(ValueError, match=r"parameter 1 \(leaf 'stranger'\) is not under the loss"):
        Tape(x * 2, parameters=[x, stranger])
    with pytest.raises(ValueError, match=r"input 0 .* is not under the loss"):
        Tape(x * 2, inputs=[stranger], parameters=[x])


def test_program_recorded_under_no_grad_has_nothing_under_its_loss():
    x = Value(1.0)
    with no_grad():
        loss = x * 2
    with pytest.raises(ValueError, match="is not under the loss"):
        Tape(loss, parameters=[x])


def test_result_is_no_parameter():
    x = Value(1.0)
    y = x * 2
    with pytest.raises(ValueError, match=r"parameter 0 \(mul 'y'\) is the result of an operation"):
        Tape(y + 1, parameters=[y])


def test_leaf_told_twice_is_an_error():
    x = Value(1.0)
    with pytest.raises(ValueError, match=r"input 0 .* is given twice: it is parameter 0 already"):
        Tape(x * 2, inputs=[x], parameters=[x])


def test_constant_is_no_parameter():
    constant = Value(1.0, requires_grad=False)
    with pytest.raises(ValueError, match=r"parameter 0 .* is a constant"):
        Tape(constant * 2, parameters=[constant])


def test_operation_of_the_user_is_refused_even_under_a_known_name():
    @operation("exp", "eᵃ", "ḡ · y")
    def exp(a):
        def backward(grad):
            return (2 * grad,)

        return 2 * a, backward

    x = Value(1.0)
    with pytest.raises(ValueError, match="exp is no operation of Value's own"):
        Tape(exp(x), parameters=[x])


def test_result_whose_rule_was_replaced_is_refused():
    x = Value(1.0)
    y = x.exp()
    y.backward_rule = lambda grad: (grad,)
    with pytest.raises(ValueError, match="exp 'y' is no operation of Value's own"):
        Tape(y, parameters=[x])


def test_result_cut_off_from_gradients_is_refused():
    x = Value(1.0)
    y = x * 2
    y.requires_grad = False
    with pytest.raises(ValueError, match="mul 'y' is a result that requires no gradient"):
        Tape(y + x, parameters=[x])


# Numba is an extra


def in_a_process_without_numba(code):
    program = f"import sys; sys.modules['numba'] = None\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )


def test_insisting_on_machine_code_without_numba_says_what_to_install(monkeypatch):
    code = "from autolm import *; x = Value(1); Tape(x + x, parameters=[x], native=True)"
    assert "pip install 'autolm[fast]'" in in_a_process_without_numba(code).stderr


def test_without_numba_a_tape_runs_all_the_same():
    code = (
        "from autolm import *; x = Value(3); tape = Tape(x * x, parameters=[x])\n"
        "print(tape.native, tape.forward(), tape.backward())"
    )
    assert in_a_process_without_numba(code).stdout == "False 9.0 [6.]\n"


def test_import_of_autolm_does_not_import_numba():
    code = "import autolm, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"
