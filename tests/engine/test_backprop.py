"""The backward pass: its sums, where it stores them, and that it stores all of them or none."""

import gc
import signal
import sys
import threading
from contextvars import copy_context
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm import Tensor, Value
from autolm.engine.backprop import Backprop, backward, write_gradients
from autolm.engine.fast_values import backward_of_values
from autolm.engine.graph import topological_order
from autolm.engine.value import operation
from tests.programs import Program, programs

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])


@pytest.fixture
def no_collector():
    """Keep interrupts out of what hypothesis does when the collector runs."""
    gc.disable()
    yield
    gc.enable()


def gradients(nodes):
    """Every gradient, bit for bit; None where there is none."""
    return [node.has_grad and np.asarray(node.grad).tobytes() for node in nodes]


OF_MANY = {
    "sum": Value.sum,
    "dot": lambda values: Value.dot(values, values[::-1]),
    "maximum": lambda values: values[0].maximum(values[-1]),
    "minimum": lambda values: values[0].minimum(values[-1]),
    "mean": lambda values: Value.sum(values) / len(values),
    "constant": lambda values: Value.sum([*values, 2.0]) * 0.5,
}
operands_of_many = st.tuples(
    st.sampled_from(sorted(OF_MANY)), st.lists(st.integers(0, 9), min_size=1, max_size=4)
)


class Scenario(NamedTuple):
    """A program of operations of one, two or many, and the passes that are run over it."""

    program: Program
    of_many: list[tuple[str, list[int]]]
    made_constant: set[int]  # which nodes
    earlier: dict[int, float]  # gradients that nodes have before
    passes: list[tuple[int, float, bool | None]]  # root, counted from the latest; seed; retain

    def run(self, run):
        """Return every gradient after all passes, each run by `run`."""
        nodes, last = self.program.run(Value)
        nodes = [*nodes, last]
        for name, places in self.of_many:
            nodes.append(OF_MANY[name]([nodes[-1 - i % len(nodes)] for i in places]))
        under = list(
            dict.fromkeys(ancestor for node in nodes for ancestor in topological_order(node))
        )
        for i in self.made_constant:
            under[i % len(under)].requires_grad = False
        for i, grad in self.earlier.items():
            under[i % len(under)].grad = grad
        for i, seed, retain in self.passes:
            root = nodes[-1 - i % len(nodes)]
            if root.requires_grad:
                run(root, seed, retain)
        return gradients(under)


index, number = st.integers(0, 30), st.floats(-2, 2)
scenarios = st.builds(
    Scenario,
    programs(),
    st.lists(operands_of_many, max_size=8),
    st.sets(index, max_size=2),
    st.dictionaries(index, number, max_size=4),
    st.lists(
        st.tuples(index, number, st.sampled_from([None, True, False])), min_size=1, max_size=3
    ),
)


CONSTANTS_ALONE = Scenario(Program([0.5], [("abs", 0, 0)]), [], {0}, {1: 2.0}, [(0, 1.0, False)])


@given(scenarios)
@example(CONSTANTS_ALONE)
def test_fast_pass_equals_the_textbooks_bit_for_bit(scenario):
    assert scenario.run(backward_of_values) == scenario.run(backward)


@each_engine
def test_backprop_computes_and_writes_nothing(leaf):
    x = leaf(3.0)
    square = x * x
    done = Backprop(square + x, retain_grads=True)
    done.run()
    assert done.finished
    assert {float(grad) for grad in (done.gradients[x], done.gradients[square])} == {7.0, 1.0}
    assert not x.has_grad and not square.has_grad
    write_gradients(done)
    assert (x.grad, square.grad) == (7.0, 1.0)


def with_a_past(leaf):
    """Build a graph that has gradients already: its root and all its nodes."""
    x, y, constant = leaf(0.5), leaf(-2.0), leaf(3.0, requires_grad=False)
    x.grad, constant.grad = 0.25, 9.0
    product = x * y * constant
    root = (product - product.tanh()) / x
    root.backward(retain_grads=True)
    if leaf is Value:
        root = Value.dot([root, x], [product, 2.0])
    return root, topological_order(root)


class Interrupt:
    """Raises KeyboardInterrupt before the n-th line that the engine executes, as Ctrl-C may."""

    def __init__(self, line):
        self.left = line

    def trace(self, frame, event, argument):
        if "autolm/engine" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_):
        sys.settrace(self.before)


@each_engine
@pytest.mark.parametrize("retain", [True, False])
def test_interrupt_at_any_line_leaves_all_gradients_or_none(leaf, retain, no_collector):
    root, nodes = with_a_past(leaf)
    before = gradients(nodes)
    root.backward(retain_grads=retain)
    after = gradients(nodes)
    for line in range(1, 10_000):
        root, nodes = with_a_past(leaf)
        try:
            with Interrupt(line):  # what it leaves set ends with the context
                copy_context().run(root.backward, retain_grads=retain)
        except KeyboardInterrupt:
            computed = gradients(nodes)
            assert computed in (before, after), f"interrupted at line {line}"
            if computed == before:
                root.backward(retain_grads=retain)
                assert gradients(nodes) == after
        else:
            break
    assert line > 50  # it was interrupted indeed
    assert gradients(nodes) == after


@pytest.fixture
def ctrl_c():
    """Let SIGINT raise KeyboardInterrupt, also where the tests were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_within_a_rule_leaves_every_gradient(ctrl_c):
    x = Value(2.0)
    root = operation_that_runs(ctrl_c)(x * x) * x
    nodes = topological_order(root)
    x.grad, root.grad = 7.0, 9.0
    before = gradients(nodes)
    with pytest.raises(KeyboardInterrupt):
        root.backward()
    assert gradients(nodes) == before


def test_gradient_that_a_rule_reads_in_the_middle_is_a_gradient_like_any_other():
    grads = []
    x = Value(1.0)
    product = x * 3
    first_visited = operation_that_runs(lambda: grads.append(x.grad))(Value(2.0))
    (product + first_visited).backward()
    assert grads == [0.0]
    for number in grads:
        w = Value(2.0)
        product = w * 3
        product.grad = number
        (product * 2).backward()
        assert w.grad == 6.0


def operation_that_runs(something):
    """Make an operation whose rule does something besides."""

    @operation("f", "f(a)", "ḡ")
    def f(a):
        def backward(grad):
            something()
            return (grad,)

        return a, backward

    return f


@pytest.mark.parametrize("backward", [Value.backward, lambda root: list(root.steps())])
def test_pass_within_a_rule_adds_to_the_pass_around_it(backward):
    x = Value(2.0)
    square = x * x
    x.grad = 0.5
    y = operation_that_runs(lambda: backward(square * 3 + x))(square) + x
    y.backward()
    assert x.grad == 0.5 + (4.0 + 1.0) + (12.0 + 1.0)
    assert (square.grad, y.grad) == (1.0, 1.0)


def test_pass_within_a_rule_that_fails_afterwards_is_kept():
    x = Value(2.0)
    square = x * x

    def differentiate_and_fail():
        (square * 3).backward()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        operation_that_runs(differentiate_and_fail)(square).backward()
    assert (x.grad, square.grad) == (12.0, 3.0)


def in_another_thread(run):
    """Return the thread, and what starts it and waits for its end a while, as it may never come."""
    thread = threading.Thread(target=run)

    def meanwhile():
        thread.start()
        thread.join(timeout=0.1)

    return thread, meanwhile


def test_passes_in_two_threads_both_reach_a_leaf_that_they_share():
    x = Value(2.0)
    other, meanwhile = in_another_thread((x * 3 + x).backward)
    (operation_that_runs(meanwhile)(x * x) + x).backward()
    other.join()
    assert x.grad == 5.0 + 4.0


def test_leaf_that_has_minus_zero_already_is_not_lost():
    x = Value(2.0)
    x.grad = -0.0
    (x * 3).backward()
    assert x.grad == 3.0


UNFIT = {
    "float": 1.0,
    "ndarray": np.array([1.0]),
    "NoneType": None,
    "()": (),
    "(float, float)": (1.0, 2.0),
    "(ndarray)": (np.array([1.0, 2.0]),),
    "(Value)": (Value(1.0),),
    "(str)": ("1",),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("walk", [Value.backward, lambda root: list(root.steps())])
def test_rule_that_does_not_send_one_number_to_each_operand_is_named(kind, walk):
    @operation("f", "f(a)", "ḡ")
    def f(a):
        return a, lambda grad: UNFIT[kind]

    x = Value(2.0)
    with pytest.raises(TypeError) as error:
        walk(f(x) * x)
    assert str(error.value) == (
        f"f: its backward rule must return a tuple of floats, one for each operand (1), not {kind}"
    )
    assert not x.has_grad


def test_step_in_the_middle_of_a_pass_tells_sums_before_and_after():
    x = Value(3.0)
    walk = Backprop(x * x + x)
    first, second = walk.advance(), walk.advance()
    assert [contribution.after for contribution in first.contributions] == [1.0, 1.0]
    assert [(contribution.before, contribution.after) for contribution in second.contributions] == [
        (1.0, 4.0),
        (4.0, 7.0),
    ]
    assert walk.advance() is None


def test_pass_reads_as_its_root_and_how_far_it_has_come():
    x = Value(3.0)
    walk = Backprop((x * x + x).tanh())
    walk.advance()
    assert repr(walk) == "<backward of tanh: 1 of 3 operations done>"
