"""The loops of a Tape: every number is that of the Values, bit for bit, compiled or not."""

import math
import random
from itertools import product
from math import inf, nan
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolm import Tape, Value
from autolm.compiled.tape import _loops_by_definition
from autolm.compiled.tape_loops import NAMES
from autolm.engine.graph import describe, topological_order
from autolm.engine.value import OPERATIONS, operation
from tests.compiled.tapes import bits, either_loop

UNARY = ["relu", "exp", "log", "neg", "sqrt", "tanh", "sigmoid", "abs", "sin", "cos"]
UNARY += ["softplus", "erf", "erfc"]
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
# Where conventions are: zeros, kinks, ties, the edges of what a float can be.
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -3.0, 5e-324, 1e308, 709.5, -745.0, inf, -inf, nan]
RNG = random.Random(0)
GENERIC = [RNG.uniform(-3, 3) for _ in range(10)]  # with all digits, so that rounding shows
NUMBERS = st.sampled_from(SPECIAL[:8]) | st.integers().map(lambda seed: in_all_digits(seed))


def in_all_digits(seed):
    return random.Random(seed).uniform(-3, 3)


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
def programs_and_points(draw):
    step = st.tuples(st.sampled_from(NAMES), st.lists(st.integers(0, 6), min_size=1, max_size=5))
    leaves = draw(st.integers(1, 4))
    program = Program(draw(st.lists(step, min_size=1, max_size=12)), leaves)
    points = st.lists(NUMBERS, min_size=leaves, max_size=leaves)
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
@settings(max_examples=10 * settings().max_examples)  # they are cheap
@given(case=programs_and_points())
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


@pytest.mark.table(3)
@either_loop
@pytest.mark.parametrize("name", NAMES)
def test_each_operation_on_special_floats_is_that_of_values_bit_for_bit(name, native):
    leaves = [Value(1.0) for _ in range(1 if name in UNARY else 2)]
    factor = Value(1.0)  # makes the upstream gradient other than 1
    tape = Tape(APPLY[name](*leaves) * factor, inputs=[factor], parameters=leaves, native=native)
    for numbers in product(SPECIAL + GENERIC, repeat=len(leaves)):
        for upstream in (1.0, 0.0, -0.0, 1 / 3):
            assert_same_as_values(tape, APPLY[name], numbers, upstream)


def assert_same_as_values(tape, operation, numbers, upstream):
    leaves = [Value(number) for number in numbers]
    node = operation(*leaves)
    root = node * upstream
    tape.parameters[:] = numbers
    if not math.isfinite(node.data):
        with pytest.raises(FloatingPointError, match=f"forward stopped at {node.op.name}"):
            tape.forward([upstream])
        assert bits(tape._data[-2:-1]) == bits([node.data])
        return
    assert bits([tape.forward([upstream])]) == bits([root.data])
    root.backward()
    expected = [leaf.grad for leaf in leaves]
    if np.isfinite(expected).all():
        tape.backward()
    else:
        with pytest.raises(FloatingPointError, match="backward stopped at leaf"):
            tape.backward()
    assert bits(tape.gradient) == bits(expected)


@either_loop
@pytest.mark.parametrize("seed", range(10))
def test_dot_that_meets_one_value_on_both_sides_adds_up_in_the_order_of_backward(native, seed):
    a, x, y, z = leaves = [Value(in_all_digits(4 * seed + i)) for i in range(4)]
    loss = Value.dot([a, x, x], [x, y, z])
    tape = Tape(loss, parameters=leaves, native=native)
    tape.forward()
    loss.backward()
    assert bits(tape.backward()) == bits(leaf.grad for leaf in leaves)


def test_every_operation_in_the_loops_is_tried_here():
    assert set(NAMES) == APPLY.keys() <= OPERATIONS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_computing_a_node_again_gives_its_data_and_its_rule(name):
    node = APPLY[name](*[Value(x) for x in (0.5, 0.25, -1.5, 2.0)])
    before = node.data, node.backward_rule(0.5)
    node.recompute()
    assert (node.data, node.backward_rule(0.5)) == before


@pytest.fixture
def arctan(monkeypatch):
    """An operation of Value's own that the loops do not know."""

    @operation("arctan", "arctan a", "ḡ / (1 + a²)")
    def arctan(a):
        def backward(grad):
            return (grad / (1 + a * a),)

        return math.atan(a), backward

    monkeypatch.setitem(OPERATIONS, "arctan", arctan.operation)
    return arctan


@given(case=programs_and_points())
def test_loops_by_definition_agree_with_the_written_ones_bit_for_bit(case):
    program, recorded_at, numbers = case
    written, loss, used = frozen(program, recorded_at, native=False)
    defined, _, _ = frozen(program, recorded_at, native=False)
    loops = _loops_by_definition([node.op for node in topological_order(loss) if node.parents])
    defined._loops = loops
    found = []
    for tape in (written, defined):
        try:
            found.append(replay(tape, used, numbers))
        except FloatingPointError as error:
            found.append(str(error))
    assert found[0] == found[1]
    assert bits(written._data) == bits(defined._data)
    if not isinstance(found[0], str):
        assert bits(written._gradients) == bits(defined._gradients)


def test_operation_without_a_twin_is_replayed_by_its_definition(arctan):
    x, w = Value(0.5), Value(-0.25)
    tape = Tape(arctan(x * w) + x, inputs=[x], parameters=[w])
    assert not tape.native
    again, other = Value(0.75), Value(-0.25)
    loss = arctan(again * other) + again
    loss.backward()
    assert tape.forward([0.75]) == loss.data
    assert bits(tape.backward()) == bits([other.grad])


def test_insisting_on_machine_code_for_it_names_what_is_missing(arctan):
    pytest.importorskip("numba")
    x = Value(0.5)
    with pytest.raises(ValueError, match=r"Tape\(native=True\): there is no compiled arctan"):
        Tape(arctan(x), parameters=[x], native=True)
