"""The loops of a Tape: every number is that of the Values, bit for bit, compiled or not."""

import math
from math import inf, nan
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tape, Value
from autolm import value as value_module
from autolm.graph import Operation, topological_order
from autolm.replay import _computed
from autolm.replay_loops import NAMES
from autolm.step import describe
from tests.tapes import bits, either_loop

UNARY = ["relu", "exp", "log", "neg", "sqrt", "tanh", "sigmoid", "abs", "sin", "cos"]
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "maximum": Value.maximum,
    "minimum": Value.minimum,
}
APPLY = {name: lambda *a, f=f: f(a[0], a[-1]) for name, f in BINARY.items()}
APPLY |= {name: lambda *a, name=name: getattr(a[0], name)() for name in UNARY}
APPLY |= {
    "sum": lambda *a: Value.sum(a),
    "dot": lambda *a: Value.dot(a[: len(a) // 2 or 1], a[(len(a) + 1) // 2 :] or a),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 5e-324, 1e308, 710.0, inf, -inf, nan]
ANY_FLOAT = st.floats() | st.sampled_from(SPECIAL)
TAME = st.floats(-4, 4) | st.sampled_from(SPECIAL[:9])


class Program(NamedTuple):
    """Operations, each on earlier results, counted from the latest; the last is the loss."""

    steps: list[tuple[str, list[int]]]
    leaves: int

    def run(self, numbers):
        """Record it on these numbers; return the leaves that count, and the loss."""
        leaves = [Value(number, name=f"leaf {i}") for i, number in enumerate(numbers)]
        results = list(leaves)
        for name, operands in self.steps:
            results.append(APPLY[name](*[results[-1 - i % len(results)] for i in operands]))
            results[-1].name = f"result {len(results)}"
        return leaves, results[-1]


@st.composite
def programs_and_points(draw, number, max_steps=12):
    step = st.tuples(st.sampled_from(NAMES), st.lists(st.integers(0, 6), min_size=1, max_size=5))
    leaves = draw(st.integers(1, 4))
    program = Program(draw(st.lists(step, min_size=1, max_size=max_steps)), leaves)
    points = st.lists(number, min_size=leaves, max_size=leaves)
    return program, draw(points), draw(points)


def frozen(program, numbers, native):
    """Record a program and freeze it; return the tape, and which leaves are under the loss."""
    leaves, loss = program.run(numbers)
    under = set(topological_order(loss))
    used = [i for i, leaf in enumerate(leaves) if leaf in under]
    parameters = [leaves[i] for i in used[:1]]
    inputs = [leaves[i] for i in used[1:]]
    return Tape(loss, inputs=inputs, parameters=parameters, native=native), loss, used


def replay(tape, used, numbers):
    """Give the tape all leaves' numbers, and run it both ways."""
    tape.parameters[:] = [numbers[i] for i in used[:1]]
    result = tape.forward([numbers[i] for i in used[1:]])
    tape.backward()
    return result


def first_nonfinite(loss):
    """Return the first operation in order whose data is not finite, and so for gradients."""
    operations = [node for node in topological_order(loss) if node.parents]
    in_data = next((node for node in operations if not math.isfinite(node.data)), None)
    in_gradients = next((n for n in reversed(operations) if not math.isfinite(n.grad)), None)
    return in_data, in_gradients


@either_loop
@given(case=programs_and_points(TAME))
def test_replay_is_the_program_run_on_the_new_numbers_bit_for_bit(native, case):
    program, recorded_at, numbers = case
    tape, _, used = frozen(program, recorded_at, native)
    leaves, loss = program.run(numbers)
    loss.backward()
    in_data, in_gradients = first_nonfinite(loss)
    try:
        result = replay(tape, used, numbers)
    except FloatingPointError as error:
        where, node = ("forward", in_data) if in_data else ("backward", in_gradients)
        node = node or leaves[used[0]]
        assert str(error).startswith(f"{where} stopped at {describe(node)}: ")
        assert not math.isfinite(node.grad if where == "backward" else node.data)
        return
    assert in_data is None and in_gradients is None
    order = topological_order(loss)
    place = [node for node in order if node.parents]
    assert bits([result]) == bits([loss.data])
    assert bits(tape._data[-len(place) :]) == bits(node.data for node in place)
    assert bits(tape._gradients[-len(place) :]) == bits(node.grad for node in place)
    gradients = [leaves[i].grad for i in used]
    assert bits(tape._gradients[: len(used)]) == bits(gradients)


@either_loop
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_each_operation_on_any_floats_is_that_of_values_bit_for_bit(name, native, data):
    count = 1 if name in UNARY else 2
    numbers = [data.draw(ANY_FLOAT) for _ in range(count)]
    seed = data.draw(st.sampled_from([1.0, -1.0, 0.0, -0.0, 0.3]))
    leaves = [Value(number) for number in numbers]
    node = APPLY[name](*leaves)
    root = node * seed + 0.25
    tape = Tape(root, parameters=leaves, native=native)
    root.backward()
    try:
        result = tape.forward()
    except FloatingPointError:
        assert not math.isfinite(node.data) or not math.isfinite(root.data)
        return
    assert bits([result]) == bits([root.data])
    expected = [leaf.grad for leaf in leaves]
    if np.isfinite(expected).all():
        assert bits(tape.backward()) == bits(expected)
    else:
        with pytest.raises(FloatingPointError, match="backward stopped at leaf"):
            tape.backward()
        assert bits(tape.gradient) == bits(expected)


def test_every_operation_of_value_has_a_code():
    made = {APPLY[name](Value(0.5), Value(0.5)).op for name in NAMES}
    known = {item.name for item in made}
    assert all(isinstance(item, Operation) for item in made)
    source = vars(value_module).values()
    methods = {op for name in dir(Value) if (op := record_of(getattr(Value, name)))}
    functions = {op for each in source if (op := record_of(each))}
    assert known == {op.name for op in methods | functions} == set(NAMES)


def record_of(function):
    """Return the record in the closure of what `operation` made of a function."""
    cells = getattr(function, "__closure__", None) or ()
    return next((c.cell_contents for c in cells if isinstance(c.cell_contents, Operation)), None)


@pytest.mark.parametrize("name", NAMES)
def test_computing_a_node_again_gives_its_data_and_its_rule(name):
    node = APPLY[name](*[Value(x) for x in (0.5, 0.25, -1.5, 2.0)])
    data, rule = _computed(node)
    assert (data, rule(0.5)) == (node.data, node.backward_rule(0.5))
