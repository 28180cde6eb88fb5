"""A walk through backprop is the pass of backward(), in any direction, and leaves no trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, primitive, scope
from autolm.engine.backprop import latest_root
from autolm.engine.graph import topological_order
from autolm.walking import Backprop
from tests.programs import programs

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])
engines = st.sampled_from([Value, Tensor])
moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["forward", "back"]), st.integers(0, 4)),
        st.tuples(st.just("goto"), st.floats(0, 1)),
        st.tuples(st.sampled_from(["run", "run_back"]), st.integers(0, 5)),
    ),
    max_size=8,
)


def bits(nodes):
    """What is in the gradients, and where there is none."""
    return [(node.has_grad, np.asarray(node.gradient, float).tobytes()) for node in nodes]


def go(walk, move):
    """Do one random move."""
    how, number = move
    if how == "goto":
        walk.goto(round(number * len(walk.operations)))
    elif how in ("forward", "back"):
        getattr(walk, how)(number)
    else:
        getattr(walk, how)(lambda step: step.index % 6 == number)


def a_graph():
    """Build y = (x·x + x) · x at x = 3, named."""
    x = Value(3.0, name="x")
    with scope("inner.square"):
        square = x * x
    square.name = "square"
    with scope("inner"):
        total = square + x
    total.name = "total"
    y = total * x
    y.name = "y"
    return x, square, total, y


# The same pass as backward()


@given(programs(), engines, st.booleans(), st.sampled_from([True, False, None]), moves)
def test_any_walk_ends_bit_identical_to_backward(program, leaf, earlier, retain, moves):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    if earlier:
        root.backward(retain_grads=True)
    start = [node.gradient for node in nodes]
    root.backward(retain_grads=retain)
    expected = bits(nodes)
    for node, grad in zip(nodes, start, strict=True):
        node.gradient = grad
    with Backprop(root, retain_grads=retain) as walk:
        for move in moves:
            go(walk, move)
        walk.run()
    assert bits(nodes) == expected


@given(programs(), engines, moves)
def test_steps_shown_on_a_walk_are_those_of_steps(program, leaf, moves):
    _, root = program.run(leaf)
    expected = [repr(step) for step in root.steps()]
    with Backprop(root) as walk:
        for move in moves:
            go(walk, move)
            shown = repr(walk.step) if walk.position else None
            assert shown == ([None, *expected][walk.position])


@given(programs(), engines, moves)
def test_gradients_at_a_position_do_not_depend_on_the_way_there(program, leaf, moves):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    with Backprop(root) as walk:
        at = [bits(nodes)]
        while walk.forward():
            at.append(bits(nodes))
        for move in moves:
            go(walk, move)
            assert bits(nodes) == at[walk.position]


@given(programs(), engines, moves)
def test_leaving_before_the_end_restores_every_gradient(program, leaf, moves):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    root.backward(retain_grads=True)
    before = bits(nodes)
    with Backprop(root) as walk:
        for move in moves:
            go(walk, move)
        walk.goto(min(walk.position, len(walk.operations) - 1))
    assert bits(nodes) == before


@given(programs(), engines)
def test_live_gradients_are_the_sums_so_far(program, leaf):
    leaves, root = program.run(leaf)
    with Backprop(root) as walk:
        sums = {}
        while step := walk.forward():
            for sent in step.contributions:
                if sent.parent.requires_grad:
                    sums[sent.parent] = sent.value + sums.get(sent.parent, 0)
            for node in leaves:
                assert node.has_grad == (node in sums)
                assert node not in sums or np.array_equal(node.grad, sums[node])


@each_engine
def test_live_gradients_of_leaves_include_those_of_earlier_passes(leaf):
    x = leaf(3.0)
    (x * 10).backward()
    with Backprop(x * x) as walk:
        assert x.grad == 10.0
        walk.forward()
        assert x.grad == 16.0
        walk.back()
        assert x.grad == 10.0
        assert walk.earlier(x) == 10.0


def test_interior_gradients_of_earlier_passes_do_not_show_before_their_step():
    _, square, total, y = a_graph()
    y.backward()
    with Backprop(y):
        assert (y.grad, total.has_grad, square.has_grad) == (1.0, False, False)
    assert (total.grad, square.grad) == (3.0, 3.0)


@each_engine
def test_error_inside_the_block_restores_everything(leaf):
    x = leaf(3.0)
    y = x * x * x
    with pytest.raises(KeyError), Backprop(y) as walk:
        walk.forward()
        raise KeyError
    assert not any(node.has_grad for node in topological_order(y))


def test_rule_that_fails_leaves_the_walk_where_it_was_and_can_be_undone():
    @primitive
    def explode(a):
        def backward(grad):
            raise ArithmeticError("boom")

        return a * 1, backward

    x = Tensor(2.0)
    y = explode(x * x) * 3
    with Backprop(y) as walk:
        with pytest.raises(ArithmeticError):
            walk.run()
        assert walk.position == 1
        walk.back()
        with pytest.raises(ArithmeticError):
            walk.goto(3)
    assert not x.has_grad


@each_engine
def test_seed_and_leaf_root(leaf):
    x = leaf(3.0)
    with Backprop(x, 5.0) as walk:
        assert walk.finished and walk.step is None and walk.forward() is None
    assert x.grad == 5.0
    with Backprop(x * 2, 5.0) as walk:
        walk.run()
    assert x.grad == 15.0


def test_closing_twice_changes_nothing_more():
    x = Value(3.0)
    walk = Backprop(x * x * x)
    walk.forward()
    walk.close()
    x.grad = 100.0
    walk.close()
    assert x.grad == 100.0


def test_whole_walk_is_the_latest_pass_and_a_part_of_one_is_not():
    x = Value(3.0)
    y, z = x * x, x * 2
    with Backprop(y) as walk:
        walk.run()
    with Backprop(z):
        pass
    assert latest_root.get()() is y


# Moving


def test_moves_return_the_step_that_is_the_last_then():
    *_, y = a_graph()
    with Backprop(y) as walk:
        assert walk.forward(2).index == 1
        assert walk.back().index == 0
        assert walk.back() is None and walk.back() is None
        assert walk.goto(3).index == 2
        assert walk.forward() is None
        assert walk.goto(0) is None


@pytest.mark.parametrize("k", [-1, 4])
def test_goto_outside_of_the_pass_is_refused(k):
    *_, y = a_graph()
    with Backprop(y) as walk, pytest.raises(ValueError, match=r"and the steps are 0 … 3"):
        walk.goto(k)


@pytest.mark.parametrize("way", ["forward", "back"])
def test_negative_numbers_of_steps_are_refused(way):
    *_, y = a_graph()
    with Backprop(y) as walk, pytest.raises(ValueError, match="n is -1"):
        getattr(walk, way)(-1)


# Breakpoints


@pytest.mark.parametrize(
    ("where", "stops"),
    [
        ({"op": "mul"}, ["y", "square"]),
        ({"op": "×"}, ["y", "square"]),
        ({"op": "*"}, ["y", "square"]),
        ({"name": "total"}, ["total"]),
        ({"name": "*t*"}, ["total"]),
        ({"name": "?quar[a-f]"}, ["square"]),
        ({"scope": "inner"}, ["total", "square"]),
        ({"scope": "inner.*"}, ["square"]),
        ({"scope": "*.square"}, ["square"]),
        ({"op": "mul", "scope": "inner"}, ["square"]),
        ({"when": lambda step: step.upstream == 3.0}, ["total", "square"]),
        ({"nonfinite": True}, []),
        ({"name": "nobody"}, []),
    ],
)
def test_run_stops_at_breakpoints_in_both_directions(where, stops):
    *_, y = a_graph()
    with Backprop(y) as walk:
        stop = walk.break_at(**where)
        forwards = []
        while step := walk.run():
            forwards.append(step.node.name)
            assert walk.stopped_by is stop
        assert walk.finished and walk.stopped_by is None
        backwards = [walk.step.node.name] if stop.stops(walk.step) else []
        while step := walk.run_back():
            backwards.append(step.node.name)
        assert (forwards, backwards) == (stops, stops[::-1])
        assert walk.position == 0


def test_watch_stops_where_a_gradient_changes():
    x, square, _, y = a_graph()
    with Backprop(y) as walk:
        walk.break_at(watch=x)
        assert [walk.run().node.name for _ in range(3)] == ["y", "total", "square"]
    with Backprop(y) as walk:
        walk.break_at(watch=square)
        assert walk.run().node.name == "total"
        assert walk.run() is None


def test_watch_does_not_stop_where_zero_is_added():
    x = Value(3.0)
    y = x * 0 + x * 2  # the right operand is visited first
    with Backprop(y) as walk:
        walk.break_at(watch=x)
        assert [walk.run().index, walk.run()] == [1, None]


def test_nonfinite_stops_at_the_first_infinity():
    x = Value(0.0, name="x")
    root = x.sqrt()
    y = root * 2 + 1
    with Backprop(y) as walk:
        walk.break_at(nonfinite=True)
        assert walk.run().node is root


def test_until_stops_once_and_breakpoints_count_their_hits():
    *_, y = a_graph()
    with Backprop(y) as walk:
        stop = walk.break_at(op="mul")
        assert walk.run(until=lambda step: step.index == 1).index == 0
        assert walk.run(until=lambda step: step.index == 1).index == 1
        assert walk.stopped_by is None
        assert walk.run().index == 2
        assert stop.hits == 2


def test_temporary_breakpoint_is_gone_after_its_hit():
    *_, y = a_graph()
    with Backprop(y) as walk:
        walk.break_at(op="mul").temporary = True
        assert walk.run().index == 0
        assert walk.run() is None
        assert not walk.breakpoints


def test_condition_narrows_a_breakpoint():
    *_, y = a_graph()
    with Backprop(y) as walk:
        walk.break_at(op="mul").condition = lambda step: step.index > 0
        assert walk.run().node.name == "square"


def test_breakpoint_without_a_place_is_refused():
    *_, y = a_graph()
    with Backprop(y) as walk, pytest.raises(ValueError, match="say where"):
        walk.break_at()


# Editing on the way


@given(programs(), engines, st.data())
def test_edit_on_the_way_gives_the_pass_of_the_edited_program(program, leaf, data):
    _, root = program.run(leaf)
    chosen = data.draw(st.integers(0, len(program.numbers) - 1))
    number = data.draw(st.floats(-1, 1, allow_subnormal=False))
    leaves, root = program.run(leaf)
    if leaves[chosen] not in topological_order(root):
        return
    with Backprop(root) as walk:
        walk.forward(data.draw(st.integers(0, 5)))
        position = walk.position
        walk.set(leaves[chosen], number)
        assert walk.position == position
        walk.run()
    numbers = [number if i == chosen else n for i, n in enumerate(program.numbers)]
    other_leaves, other = program._replace(numbers=numbers).run(leaf)
    other.backward()
    assert np.array_equal(root.data, other.data)
    assert bits(leaves) == bits(other_leaves)


@given(programs(), engines, st.data())
def test_leaving_before_the_end_undoes_edits(program, leaf, data):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    before = [np.asarray(node.data).tobytes() for node in nodes]
    root.backward()
    gradients = bits(nodes)
    with Backprop(root) as walk:
        for node in data.draw(st.lists(st.sampled_from(nodes), max_size=3)):
            walk.set(node, data.draw(st.floats(-1, 1)))
        walk.forward(len(walk.operations) - 1)
    assert [np.asarray(node.data).tobytes() for node in nodes] == before
    assert bits(nodes) == gradients
    root.zero_grad()
    root.backward()
    assert bits(nodes) == gradients


@given(programs(), engines, st.data())
def test_setting_the_leaves_overrules_whatever_was_set_before(program, leaf, data):
    leaves, root = program.run(leaf)
    nodes = topological_order(root)
    results = [node for node in nodes if node.parents]
    with Backprop(root) as walk:
        for node in data.draw(st.lists(st.sampled_from(results), max_size=4)):
            walk.set(node, data.draw(st.floats(-1, 1)))
        assert walk.replaced <= set(results)
        for each, number in zip(leaves, program.numbers, strict=True):
            if any(each is node for node in nodes):
                change = walk.set(each, number)
                assert set(change.overruled) <= set(change.data)
        assert not walk.replaced
        walk.run()
    other_leaves, other = program.run(leaf)
    other.backward()
    assert np.array_equal(root.data, other.data)
    assert bits(leaves) == bits(other_leaves)


@given(programs(), engines, st.data())
def test_of_two_settings_of_a_node_the_latest_counts(program, leaf, data):
    place, first, second = data.draw(st.tuples(st.integers(0), st.floats(-1, 1), st.floats(-1, 1)))

    def after(*numbers):
        leaves, root = program.run(leaf)
        nodes = topological_order(root)
        with Backprop(root) as walk:
            for number in numbers:
                walk.set(nodes[place % len(nodes)], number)
            walk.run()
        return [root.data, *(each.grad for each in leaves if each.has_grad)]

    np.testing.assert_array_equal(after(first, second), after(second))  # nan is nan, of either sign


def test_a_change_tells_which_results_it_overrules_and_only_once():
    x = Value(3.0, name="x")
    square = x * x
    root = square + 1
    with Backprop(root) as walk:
        assert not walk.set(square, 1.0).overruled
        assert walk.replaced == {square}
        assert not walk.set(square, 2.0).overruled  # it still is what it was set to
        change = walk.set(x, 5.0)
        assert list(change.overruled) == [square]
        assert str(change).endswith("\n  square too, which was set to 2: now it is 25")
        assert not walk.replaced
        assert not walk.set(x, 6.0).overruled


@pytest.mark.parametrize("left_at", [1, 2])
def test_a_closed_walk_goes_nowhere(left_at):
    x = Value(3.0)
    with Backprop(x * x + x) as walk:
        walk.goto(left_at)
    before = x.grad
    for move in (walk.forward, walk.back, walk.run, walk.run_back, lambda: walk.goto(0)):
        with pytest.raises(RuntimeError, match="this walk is closed"):
            move()
    assert x.grad == before


def test_watch_of_a_constant_never_stops():
    x, constant = Value(3.0), Value(2.0, requires_grad=False)
    with Backprop(x * constant + constant) as walk:
        walk.break_at(watch=constant)
        assert walk.run() is None


def test_a_walk_says_how_far_it_has_come():
    x = Value(3.0, name="x")
    root = x * x + x
    root.name = "loss"
    with Backprop(root) as walk:
        assert repr(walk) == "<backward of loss = 12: 0 of 2 steps done>"
        walk.forward()
        assert repr(walk) == "<backward of loss = 12: 1 of 2 steps done>"
    assert repr(walk) == "<backward of loss = 12: 1 of 2 steps done, and left>"
    with Backprop(root) as walk:
        walk.run()
    assert repr(walk) == "<backward of loss = 12: 2 of 2 steps done>"
