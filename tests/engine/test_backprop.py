"""The pass: what it computes, where it writes; and that an interrupt leaves all of it or none."""

import gc
import sys
import threading
from contextvars import copy_context

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value
from autolm.engine.backprop import (
    Backprop,
    _Slots,
    backward,
    backward_of_values,
    write_gradients,
)
from autolm.engine.graph import topological_order
from autolm.engine.value import operation
from tests.programs import programs

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


@given(programs(), st.booleans(), st.lists(st.floats(-2, 2), max_size=3), st.floats(-2, 2))
def test_pass_in_the_slots_is_the_pass_of_backprop_bit_for_bit(program, retain, earlier, seed):
    found = []
    for run in (backward, backward_of_values):
        leaves, root = program.run(Value)
        for node, grad in zip(topological_order(root), earlier, strict=False):
            node.grad = grad
        for _ in range(2):
            run(root, seed, retain)
        found.append(gradients([*leaves, *topological_order(root)]))
    assert found[0] == found[1]


OF_MANY = {
    "sum": Value.sum,
    "dot": lambda values: Value.dot(values, values[::-1]),
    "maximum": lambda values: values[0].maximum(values[-1]),
    "minimum": lambda values: values[0].minimum(values[-1]),
    "mean": lambda values: Value.sum(values) / len(values),
    "constant": lambda values: Value.sum([*values, 2.0]) * 0.5,
}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(OF_MANY)), st.lists(st.integers(0, 9), min_size=1)),
        min_size=1,
        max_size=12,
    ),
    st.sets(st.integers(0, 12)),
)
def test_operations_of_many_in_the_slots_are_those_of_backprop_bit_for_bit(steps, made_constant):
    found = []
    for run in (backward, backward_of_values):
        results = [Value(0.1), Value(-0.3), Value(0.7)]
        for name, places in steps:
            results.append(OF_MANY[name]([results[-1 - i % len(results)] for i in places]))
        for i in made_constant:
            if 2 < i < len(results) - 1:
                results[i].requires_grad = False
        for _ in range(2):
            run(results[-1])
        found.append(gradients(topological_order(results[-1])))
    assert found[0] == found[1]


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
    """Raises KeyboardInterrupt at the n-th instruction that the engine executes, as Ctrl-C may."""

    def __init__(self, instruction):
        self.left = instruction

    def trace(self, frame, event, argument):
        if "autolm/engine" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
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
def test_interrupt_at_any_instruction_leaves_all_gradients_or_none(leaf, retain, no_collector):
    root, nodes = with_a_past(leaf)
    before = gradients(nodes)
    root.backward(retain_grads=retain)
    after = gradients(nodes)
    for instruction in range(1, 100_000):
        root, nodes = with_a_past(leaf)
        try:
            with Interrupt(instruction):  # what it leaves of variables ends with their context
                copy_context().run(root.backward, retain_grads=retain)
        except KeyboardInterrupt:
            while _Slots.lock._is_owned():  # as no signal could leave it
                _Slots.lock.release()
            _Slots.in_use = None
            found = gradients(nodes)
            assert found in (before, after), f"interrupted at instruction {instruction}"
            if found == before:
                root.backward(retain_grads=retain)
                assert gradients(nodes) == after
        else:
            break
    assert instruction > 300  # it was interrupted indeed
    assert gradients(nodes) == after


class Signal:
    """Raises KeyboardInterrupt at the n-th call, where a real signal may: at no other instruction.

    It comes as a Python function begins, or when a call of C has just ended.
    """

    def __init__(self, call):
        self.left = call

    def watch(self, frame, event, argument):
        if event in ("call", "c_return") and frame.f_code.co_filename != __file__:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt  # and Python watches no more

    def __enter__(self):
        sys.setprofile(self.watch)

    def __exit__(self, *_):
        sys.setprofile(None)


@each_engine
def test_interrupt_at_any_call_leaves_every_gradient_no_pass_in_use_and_no_lock(leaf, no_collector):
    root, nodes = with_a_past(leaf)
    before = gradients(nodes)
    for call in range(1, 10_000):
        root, nodes = with_a_past(leaf)
        try:
            with Signal(call):
                copy_context().run(root.backward)  # whose variables end with it
        except KeyboardInterrupt:
            assert not _Slots.lock._is_owned(), f"interrupted at call {call}"
            assert _Slots.in_use is None, f"interrupted at call {call}"
            assert gradients(nodes) == before, f"interrupted at call {call}"
        else:
            break
    assert call > 20


@pytest.mark.parametrize("first", [KeyboardInterrupt, ZeroDivisionError])
def test_interrupt_while_the_first_error_is_tidied_up_leaves_every_gradient(first, no_collector):
    signal = None

    def fail():
        sys.setprofile(signal.watch)
        raise first

    for call in range(1, 10_000):
        signal = Signal(call)
        x, y = Value(2.0), Value(3.0)
        root = operation_that_runs(fail)(x * y) * y + x
        nodes = topological_order(root)
        x.grad, y.grad, root.grad = 7.0, 5.0, 9.0
        before = gradients(nodes)
        try:
            root.backward()
        except (KeyboardInterrupt, ZeroDivisionError):
            sys.setprofile(None)
        assert gradients(nodes) == before, f"interrupted again at call {call}"
        again = x * y
        again.backward()
        assert (x.grad, y.grad) == (7.0 + 3.0, 5.0 + 2.0)
        if signal.left > 0:
            break


def test_gradient_that_a_rule_reads_in_the_middle_is_a_gradient_like_any_other():
    seen = []
    x = Value(1.0)
    product = x * 3
    first_visited = operation_that_runs(lambda: seen.append(x.grad))(Value(2.0))
    (product + first_visited).backward()
    assert seen == [0.0]
    for number in seen:
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


def test_pass_that_fails_takes_nothing_from_that_of_another_thread():
    x = Value(2.0)
    other, meanwhile = in_another_thread((x * 3 + x).backward)

    def fail():
        meanwhile()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        operation_that_runs(fail)(x * x).backward()
    other.join()
    assert x.grad == 4.0


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
    assert [sent.after for sent in first.contributions] == [1.0, 1.0]
    assert [(sent.before, sent.after) for sent in second.contributions] == [(1.0, 4.0), (4.0, 7.0)]
    assert walk.advance() is None


def test_pass_reads_as_its_root_and_how_far_it_has_come():
    x = Value(3.0)
    walk = Backprop((x * x + x).tanh())
    walk.advance()
    assert repr(walk) == "<backward of tanh: 1 of 3 operations done>"
