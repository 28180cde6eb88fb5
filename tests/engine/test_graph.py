"""The graph and the backward pass, on both kinds of node."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from inspect import currentframe

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, no_grad, primitive, record_locations, scope
from autolm.engine.backprop import Backprop, write_gradients
from autolm.engine.graph import topological_order
from tests.programs import programs

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])
engines = st.sampled_from([Value, Tensor])


class Boom(Exception):
    """What a rule that fails raises here."""


def bits(nodes):
    return [np.asarray(node.grad).tobytes() for node in nodes]


def a_diamond(leaf):
    """Build y = (x·x + x) · x with x = 3: a repeat, and paths of unequal length."""
    x = leaf(3.0)
    square = x * x
    total = square + x
    return x, square, total, total * x


def line_here():
    return f"{__file__}:{currentframe().f_back.f_lineno}"


# The order


@each_engine
def test_parents_are_a_tuple_in_operand_order_with_repeats(leaf):
    a, b = leaf(2.0), leaf(3.0)
    assert (a - b).parents == (a, b)
    assert (a * a).parents == (a, a)


@each_engine
def test_topological_order_puts_left_operands_first_and_parents_before_children(leaf):
    x, square, total, y = a_diamond(leaf)
    assert topological_order(y) == [x, square, total, y]
    a, b = leaf(1.0), leaf(2.0)
    assert topological_order(a + b)[:2] == [a, b]


@given(programs(), engines)
def test_topological_order_lists_each_node_once_after_its_parents(program, leaf):
    _, root = program.run(leaf)
    place = {node: i for i, node in enumerate(topological_order(root))}
    assert len(place) == len(topological_order(root))
    assert all(place[parent] < place[node] for node in place for parent in node.parents)


# Equality and order of nodes


def test_values_are_equal_if_they_are_the_same_one():
    a, b = Value(2.0), Value(2.0)
    assert a == a
    assert a != b


@each_engine
def test_nodes_hash_by_identity(leaf):
    a, b = leaf(2.0), leaf(2.0)
    assert len({a, b, a}) == 2
    assert {a: 1, b: 2}[b] == 2


@each_engine
def test_less_and_greater_compare_data(leaf):
    a, b = leaf(2.0), leaf(3.0)
    assert a < b and b > a and a < 2.5 and b > 2.5
    assert a <= b and b >= a and a <= 2.0 and b >= 3.0
    assert not (a > b or a >= b or b <= a)
    assert [number < b for number in (2.5, 3.5)] == [True, False]


# Accumulation


@each_engine
def test_uses_of_one_node_add_up(leaf):
    x, *_, y = a_diamond(leaf)
    y.backward()
    assert x.grad == 33.0  # d(x³ + x²)/dx = 3x² + 2x


@each_engine
def test_interior_gradients_are_those_of_the_latest_pass(leaf):
    x, square, _, y = a_diamond(leaf)
    y.backward(retain_grads=True)
    y.backward(retain_grads=True)
    assert (square.grad, y.grad, x.grad) == (3.0, 1.0, 66.0)


def test_values_retain_interior_gradients_and_tensors_do_not():
    _, square, _, y = a_diamond(Value)
    y.backward()
    assert square.grad == 3.0
    _, square, _, y = a_diamond(Tensor)
    y.backward()
    assert square.grad is None and y.grad is None


@each_engine
def test_pass_without_retaining_clears_stale_interior_gradients(leaf):
    x, square, _, y = a_diamond(leaf)
    y.backward(retain_grads=True)
    y.backward(retain_grads=False)
    assert not square.has_grad and not y.has_grad
    assert x.grad == 66.0


@given(programs(), engines)
def test_second_backward_doubles_leaf_gradients(program, leaf):
    leaves, root = program.run(leaf)
    root.backward()
    once = [2 * leaf.grad if leaf.has_grad else leaf.grad for leaf in leaves]
    root.backward()
    assert [leaf.grad for leaf in leaves] == once


@each_engine
def test_two_roots_accumulate_into_a_shared_leaf(leaf):
    x = leaf(3.0)
    (x * 2).backward()
    (x * 5).backward()
    assert x.grad == 7.0


@each_engine
def test_zero_grad_forgets_the_whole_graph(leaf):
    x, square, _, y = a_diamond(leaf)
    y.backward(retain_grads=True)
    y.zero_grad()
    assert not any(node.has_grad for node in (x, square, y))


@each_engine
def test_leaf_as_root_gets_its_seed(leaf):
    x = leaf(3.0)
    x.backward()
    x.backward(2.0)
    assert x.grad == 3.0


@each_engine
def test_a_result_made_constant_by_hand_stops_the_gradient(leaf):
    x, square, total, y = a_diamond(leaf)
    square.requires_grad = False
    y.backward()
    assert x.grad == total.data + x.data  # the square counts as a number
    assert not square.has_grad


@each_engine
@pytest.mark.parametrize("retained", [True, False])
def test_a_pass_that_was_interrupted_goes_on_where_it_was(leaf, retained):
    x, square, _, y = a_diamond(leaf)
    rule, calls = square.backward_rule, []

    def interrupted_once(grad):
        calls.append(grad)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return rule(grad)

    square.backward_rule = interrupted_once
    walk = Backprop(y, retain_grads=retained)
    with pytest.raises(KeyboardInterrupt):
        walk.run()
    assert not x.has_grad
    walk.run()
    write_gradients(walk)
    assert x.grad == 3 * 9 + 2 * 3  # of x³ + x²


@each_engine
def test_a_walk_from_a_leaf_sets_its_seed(leaf):
    x = leaf(3.0)
    assert list(x.steps(2.0)) == []
    assert x.grad == 2.0


@each_engine
def test_writing_a_finished_pass_again_spares_what_a_later_one_retained(leaf):
    _, square, _, y = a_diamond(leaf)
    done = Backprop(y, retain_grads=False)
    done.run()
    write_gradients(done)
    y.backward(retain_grads=True)
    write_gradients(done)
    assert square.grad == 3.0


@each_engine
def test_running_and_writing_a_finished_pass_again_changes_nothing(leaf):
    x, *_, y = a_diamond(leaf)
    done = Backprop(y)
    done.run()
    write_gradients(done)
    once = bits([x])
    done.run()
    write_gradients(done)
    assert done.advance() is None
    assert bits([x]) == once


# Failure


@given(programs(), engines, st.data())
def test_exception_in_any_rule_leaves_every_gradient_as_it_was(program, leaf, data):
    _, root = program.run(leaf)
    root.backward(retain_grads=True)
    nodes = topological_order(root)
    before = bits(nodes)
    wrong = data.draw(st.sampled_from([node for node in nodes if node.op and node.requires_grad]))

    def explode(grad):
        raise Boom

    wrong.backward_rule = explode
    with pytest.raises(Boom) as error:
        root.backward(retain_grads=True)
    assert bits(nodes) == before
    (note,) = error.value.__notes__
    assert note.startswith(f"in the backward rule of {wrong.op.name}")


@each_engine
def test_error_in_a_rule_tells_operation_name_scope_and_location(leaf):
    with scope("blocks.0"), record_locations():
        y, where = leaf(2.0) * 3, line_here()
    y.name = "scores"
    y.backward_rule = lambda grad: 1 / 0
    with pytest.raises(ZeroDivisionError) as error:
        y.backward()
    assert error.value.__notes__ == [f"in the backward rule of mul 'scores' in blocks.0 at {where}"]


@each_engine
def test_backward_from_a_constant_is_refused(leaf):
    with pytest.raises(RuntimeError, match="nothing here requires a gradient"):
        leaf(2.0, requires_grad=False).backward()


# Steps


@given(programs(), engines)
def test_steps_equal_backward_bit_for_bit(program, leaf):
    _, root = program.run(leaf)
    root.backward(retain_grads=True)
    expected = bits(topological_order(root))
    root.zero_grad()
    for _ in root.steps(retain_grads=True):
        pass
    assert bits(topological_order(root)) == expected


@given(programs(), engines, st.integers(0, 10))
def test_steps_then_run_equal_backward_bit_for_bit(program, leaf, count):
    leaves, root = program.run(leaf)
    root.backward()
    expected = bits(leaves)
    root.zero_grad()
    backprop = Backprop(root)
    for _ in range(count):
        backprop.advance()
    backprop.run()
    write_gradients(backprop)
    assert bits(leaves) == expected


@given(programs(), engines)
def test_unfinished_steps_leave_every_gradient_as_it_was(program, leaf):
    _, root = program.run(leaf)
    root.backward()
    nodes = topological_order(root)
    before = bits(nodes)
    walk = root.steps()
    for _ in range(sum(bool(node.parents) and node.requires_grad for node in nodes) - 1):
        next(walk)
        assert bits(nodes) == before


@given(programs(), engines)
def test_contributions_of_the_steps_chain_up_to_each_gradient(program, leaf):
    _, root = program.run(leaf)
    sums = {}
    for index, step in enumerate(root.steps(retain_grads=True)):
        assert step.index == index
        assert step.rule == step.node.op.rule
        assert [contribution.parent for contribution in step.contributions] == list(
            step.node.parents
        )
        for contribution in step.contributions:
            if contribution.parent.requires_grad:
                assert contribution.before is sums.get(contribution.parent)
                assert contribution.after == contribution.value + (contribution.before or 0)
                sums[contribution.parent] = contribution.after
    assert all(node.grad == total for node, total in sums.items())


@given(programs())
def test_contribution_of_a_value_is_upstream_times_local_slope(program):
    _, root = program.run(Value)
    for step in root.steps():
        for contribution in step.contributions:
            if contribution.parent.requires_grad:
                product = step.upstream * contribution.local
                assert contribution.value == pytest.approx(product, rel=1e-12, abs=1e-300)


@given(programs())
def test_contribution_of_a_tensor_has_no_single_slope(program):
    _, root = program.run(Tensor)
    assert all(
        contribution.local is None for step in root.steps() for contribution in step.contributions
    )


# Recording


@each_engine
def test_no_grad_makes_constants(leaf):
    x = leaf(2.0)
    with no_grad():
        y = x * 3
    assert (y.data, y.parents, y.op, y.backward_rule, y.requires_grad) == (
        6.0,
        (),
        None,
        None,
        False,
    )
    assert (x * 3).requires_grad


@each_engine
@pytest.mark.parametrize("decorate", [no_grad, no_grad()], ids=["bare", "called"])
def test_no_grad_decorates(leaf, decorate):
    x = leaf(2.0)

    @decorate
    def triple():
        return x * 3

    assert not triple().parents
    assert not triple().parents
    assert (x * 3).parents


@pytest.mark.parametrize("decorate", [record_locations, record_locations()], ids=["bare", "called"])
def test_record_locations_decorates(decorate):
    @decorate
    def double(x):
        return x * 2

    assert double(Value(1)).location is not None
    assert (Value(1) * 2).location is None
    assert double.__name__ == "double"


def later():
    yield


async def awaited():
    pass


async def both():
    yield


@pytest.mark.parametrize("decorate", [no_grad, no_grad(), record_locations(), scope("s")])
@pytest.mark.parametrize("function", [later, awaited, both])
def test_what_runs_after_its_call_is_not_decorated_in_vain(decorate, function):
    with pytest.raises(TypeError, match=f"{function.__name__}, which runs after it is called"):
        decorate(function)


@pytest.mark.parametrize("decorate", [no_grad, no_grad(), record_locations, scope("s")])
def test_what_is_no_function_is_not_decorated(decorate):
    with pytest.raises(TypeError, match="can only decorate a function, not 3"):
        decorate(3)


def test_no_grad_nests_and_is_restored_on_exception():
    x = Value(2)
    with pytest.raises(Boom), no_grad():
        with no_grad():
            pass
        assert not (x * 3).parents
        raise Boom
    assert (x * 3).parents


def test_no_grad_does_not_reach_other_threads():
    recorded = []
    with no_grad():
        thread = threading.Thread(target=lambda: recorded.append((Value(2) * 3).parents != ()))
        thread.start()
        thread.join()
    assert recorded == [True]


@each_engine
def test_scopes_nest_and_mark_leaves_and_operations(leaf):
    with scope("blocks.0"):
        with scope("attention"):
            x = leaf(2.0)
        y = x * x
    assert (x.scope, y.scope, (y + x).scope) == ("blocks.0.attention", "blocks.0", "")


def test_scope_is_restored_on_exception():
    with pytest.raises(Boom), scope("attention"):
        raise Boom
    assert Value(1).scope == ""


@each_engine
def test_record_locations_tells_the_line_of_the_user(leaf):
    with record_locations():
        x, leaf_line = leaf(2.0), line_here()
        y, line = x * x + 1, line_here()
        z, method_line = x.tanh(), line_here()
    assert [str(node.location) for node in (x, y, z)] == [leaf_line, line, method_line]
    assert leaf(2.0).location is None


def test_record_locations_looks_through_n_ary_operations():
    with record_locations():
        y, line = Value.sum([1, Value(2)]), line_here()
    assert [str(node.location) for node in (y, *y.parents)] == [line] * 3


def run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_environment_variable_records_locations():
    program = "from autolm import Value\nprint((Value(2)\n * 3).location)"
    assert run(program, AUTOLM_LOCATIONS="1") == "<string>:2"
    assert run(program, AUTOLM_DEBUG="1") == "<string>:2"
    assert run(program, AUTOLM_DAP="1") == "<string>:2"
    assert run(program, AUTOLM_LOCATIONS="") == "None"


@pytest.mark.parametrize("scoped", ["scope('a')", "record_locations()"])
def test_environment_is_read_at_the_first_node_and_not_by_importing(scoped):
    setting = "import os\nfrom autolm import Value, record_locations, scope\n"
    setting += "os.environ['AUTOLM_LOCATIONS'] = '1'\n"
    made = "x = Value(2) * 3\nos.environ['AUTOLM_LOCATIONS'] = ''\n"
    assert run(f"{setting}{made}print(x.location, (x * 2).location)") == "<string>:4 <string>:6"
    made += f"with {scoped}: y = Value(2) * 3\n"
    assert run(f"{setting}{made}print(y.location)") == "<string>:6"


# Determinism and memory


def test_two_processes_agree_bit_for_bit():
    program = """
import numpy as np
from autolm import Tensor, Value, ops
rng = np.random.default_rng(0)
x, w = (Tensor(rng.normal(size=(7, 7)).astype("float32")) for _ in "xw")
ops.attention(x @ w, x, w + x, causal=True).tanh().sum().backward()
numbers = [Value(number) for number in rng.normal(size=20)]
y = Value.sum(a.tanh() * b for a in numbers for b in numbers)
y.backward()
print(x.grad.tobytes().hex(), w.grad.tobytes().hex(), [v.grad.hex() for v in numbers])
"""
    assert run(program, PYTHONHASHSEED="1") == run(program, PYTHONHASHSEED="2")


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(("leaf", "length"), [(Value, 200_000), (Tensor, 20_000)])
def test_long_chain_builds_differentiates_and_is_freed_without_the_collector(
    leaf, length, no_collector
):
    x = leaf(0.0)
    first = y = x + 1
    for _ in range(length - 1):
        y = y + 1
    y.backward()
    assert (y.data, x.grad) == (length, 1.0)
    gone = weakref.ref(first)
    del first, y
    assert gone() is None


@given(programs(), engines)
def test_graph_leaves_nothing_for_the_collector(program, leaf):
    gc.disable()
    gc.freeze()  # what was there before is left alone, so that collecting is quick
    try:
        leaves, root = program.run(leaf)
        root.backward()
        list(root.steps())
        del leaves, root
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()


def test_failed_pass_leaves_no_reference_cycle(no_collector):
    @primitive
    def explode(a):
        def backward(grad):
            raise Boom

        return a * 1, backward

    y = explode(Tensor(1.0))
    with pytest.raises(Boom):
        y.backward()
    gone = weakref.ref(y)
    del y
    assert gone() is None
