"""A walk through backprop is the pass of backward(), in any direction, and leaves no trace."""

import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, primitive, record_locations, scope
from autolm.engine.backprop import latest_root
from autolm.engine.graph import topological_order
from autolm.walking import Walk
from autolm.walking.breakpoints import at_word, hit_condition
from tests.programs import programs

each_engine = pytest.mark.parametrize("leaf", [Value, Tensor])
engines = st.sampled_from([Value, Tensor])
segments = st.sampled_from([None, 1, 2, 5])
moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["step", "send", "back", "unsend"]), st.integers(1, 4)),
        st.tuples(st.just("goto"), st.floats(0, 1)),
        st.tuples(st.sampled_from(["run", "run_back"]), st.integers(0, 5)),
        st.tuples(
            st.sampled_from(["out", "back_out"]), st.sampled_from(["", "outer", "outer.inner"])
        ),
    ),
    max_size=12,
)


def bits(nodes):
    """What is in the gradients, and where there is none."""
    return [(node.has_grad, np.asarray(node.gradient, float).tobytes()) for node in nodes]


def go(walk, move):
    """Do one random move."""
    how, number = move
    if how == "goto":
        k = round(number * len(walk.operations))
        several = k < len(walk.operations) and len(walk.operations[k].parents) > 1
        takes = several and all(parent.requires_grad for parent in walk.operations[k].parents)
        walk.goto(k, int(takes and number > 0.5))
    elif how in ("step", "send", "back", "unsend"):
        for _ in range(number):
            getattr(walk, how)()
    elif how in ("run", "run_back"):
        getattr(walk, how)(until=lambda step: step.index % 6 == number)
    else:
        getattr(walk, how)(number)


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


@given(programs(), engines, st.booleans(), st.sampled_from([True, False, None]), moves, segments)
def test_any_walk_ends_bit_identical_to_backward(program, leaf, earlier, retain, moves, segment):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    if earlier:
        root.backward(retain_grads=True)
    start = [node.gradient for node in nodes]
    root.backward(retain_grads=retain)
    expected = bits(nodes)
    for node, grad in zip(nodes, start, strict=True):
        node.gradient = grad
    with Walk(root, retain_grads=retain, segment=segment) as walk:
        for move in moves:
            go(walk, move)
        walk.run()
    assert bits(nodes) == expected


@given(programs(), engines, moves)
def test_the_step_ahead_is_that_of_steps_and_nothing_of_it_is_done(program, leaf, moves):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    expected = [*(repr(step) for step in root.steps()), "None"]
    with Walk(root) as walk:
        for move in moves:
            go(walk, move)
            before = bits(nodes)
            assert repr(walk.preview()) == expected[walk.position]
            assert bits(nodes) == before
            assert walk.next_node is (None if walk.finished else walk.preview().node)


@given(programs(), engines, moves, segments)
def test_gradients_at_a_place_do_not_depend_on_the_way_there(program, leaf, moves, segment):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    with Walk(root) as walk:
        at = {(0, 0): bits(nodes)}
        while walk.send():
            at[walk.position, walk.edge] = bits(nodes)
        walk.abandon()
    with Walk(root, segment=segment) as walk:
        for move in moves:
            go(walk, move)
            gone = set(walk.operations[: walk.position] if segment else ())
            for node, now, then in zip(
                nodes, bits(nodes), at[walk.position, walk.edge], strict=True
            ):
                assert now == then or (node in gone and now[0] is False)
                if node.parents and then[0]:
                    assert np.asarray(walk.gradient_so_far(node), float).tobytes() == then[1]


@pytest.mark.parametrize("leaf", [Value, Tensor])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("segment", [None, 7])
def test_hundreds_of_random_moves_on_a_graph_with_sharing_end_as_backward(leaf, seed, segment):
    rng = random.Random(seed)
    leaves = [leaf(rng.uniform(-1, 1)) for _ in range(4)]
    nodes, constant = list(leaves), leaf(0.5, requires_grad=False)
    for i in range(60):
        a, b = rng.choices(nodes[-12:], k=2)
        with scope(f"layer{i // 10}"), scope("inner" if i % 3 else ""):
            nodes.append(rng.choice([a * b, (a + b) * constant, a - b, a * a, (a + b).tanh()]))
    root = nodes[-1] + nodes[-2] * leaves[0] + sum(leaves)
    nodes = topological_order(root)
    root.backward()
    expected = bits(nodes)
    root.zero_grad()
    walk = Walk(root, segment=segment)
    stops = [walk.break_at(op="mul"), walk.break_at(watch=leaves[1]), walk.break_at(name="x")]
    at = {}
    for _ in range(500):
        match rng.randrange(10):
            case 0:
                walk.run(stops)
            case 1:
                walk.run_back(stops)
            case 2:
                walk.out(f"layer{rng.randrange(6)}")
            case 3:
                walk.back_out(f"layer{rng.randrange(6)}.inner")
            case 4:
                walk.goto(rng.randrange(len(walk.operations)))
            case 5:
                walk.back()
            case 6:
                walk.unsend()
            case 7:
                change = walk.set(leaves[0], rng.uniform(-1, 1))
                walk.set(leaves[0], change.data[leaves[0]].before)
            case 8:
                walk.step()
            case 9:
                walk.send()
        done = set(walk.operations[: walk.position] if segment else ())
        here = bits(node for node in nodes if node not in done)
        assert at.setdefault((walk.position, walk.edge), here) == here
    walk.finish()
    assert bits(nodes) == expected


@given(programs(), engines, moves)
def test_leaving_before_the_end_restores_every_gradient(program, leaf, moves):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    root.backward(retain_grads=True)
    before = bits(nodes)
    with Walk(root) as walk:
        for move in moves:
            go(walk, move)
        if walk.finished:
            walk.back()
    assert bits(nodes) == before


@given(programs(), engines)
def test_live_gradients_are_the_sums_so_far(program, leaf):
    leaves, root = program.run(leaf)
    with Walk(root) as walk:
        sums = {}
        while step := walk.step():
            for contribution in step.contributions:
                if contribution.parent.requires_grad:
                    sums[contribution.parent] = contribution.value + sums.get(
                        contribution.parent, 0
                    )
            for node in leaves:
                assert node.has_grad == (node in sums)
                assert node not in sums or np.array_equal(node.grad, sums[node])


@each_engine
def test_live_gradients_of_leaves_include_those_of_earlier_passes(leaf):
    x = leaf(3.0)
    (x * 10).backward()
    with Walk(x * x) as walk:
        assert x.grad == 10.0
        walk.send()
        assert x.grad == 13.0
        walk.step()
        assert x.grad == 16.0
        walk.back()
        assert x.grad == 10.0
        assert walk.grad_before_pass(x) == 10.0


def test_interior_gradients_of_earlier_passes_do_not_show_before_their_step():
    _, square, total, y = a_graph()
    y.backward()
    with Walk(y):
        assert (y.grad, total.has_grad, square.has_grad) == (1.0, False, False)
    assert (total.grad, square.grad) == (3.0, 3.0)


@each_engine
def test_error_inside_the_block_restores_everything(leaf):
    x = leaf(3.0)
    y = x * x * x
    with pytest.raises(KeyError), Walk(y) as walk:
        walk.send()
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
    with Walk(y) as walk:
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
    with Walk(x, 5.0) as walk:
        assert walk.finished and walk.preview() is None and walk.step() is None
    assert x.grad == 5.0
    with Walk(x * 2, 5.0) as walk:
        walk.run()
    assert x.grad == 15.0


def test_closing_twice_changes_nothing_more():
    x = Value(3.0)
    walk = Walk(x * x * x)
    walk.step()
    walk.close()
    x.grad = 100.0
    walk.close()
    assert x.grad == 100.0


def test_whole_walk_is_the_latest_pass_and_a_part_of_one_is_not():
    x = Value(3.0)
    y, z = x * x, x * 2
    with Walk(y) as walk:
        walk.run()
    with Walk(z):
        pass
    assert latest_root.get()() is y


# Moving


def test_moves_say_what_they_did():
    x, *_, y = a_graph()
    with Walk(y) as walk:
        assert walk.step().index == 0 and walk.step().index == 1
        assert walk.send().parent is x and walk.edge == 1
        assert (walk.back(), walk.position, walk.edge) == (True, 2, 0)
        assert walk.send() and walk.send() and walk.finished
        assert walk.step() is None and walk.send() is None
        assert (walk.unsend(), walk.position, walk.edge) == (True, 2, 1)
        walk.goto(0)
        assert not walk.back() and not walk.unsend()


def test_the_rest_of_a_half_sent_step_is_a_step():
    *_, y = a_graph()
    with Walk(y) as walk:
        assert walk.send().value == 3.0 * 1.0
        assert (walk.position, walk.edge) == (0, 1)
        assert walk.step() is not None
        assert (walk.position, walk.edge) == (1, 0)


def test_constants_are_sent_nothing_and_are_no_edges():
    x, c = Value(3.0, name="x"), Value(2.0, requires_grad=False)
    with Walk(Value.sum([c, x, c, x, c])) as walk:
        assert walk.send().parent is x and (walk.position, walk.edge) == (0, 1)
        assert walk.send().parent is x and walk.finished
        assert walk.unsend() and (walk.position, walk.edge) == (0, 1)
        assert x.grad == 1.0
        walk.goto(0, 1)
        assert x.grad == 1.0
        walk.goto(1)
        assert x.grad == 2.0 and not c.has_grad


@pytest.mark.parametrize("k", [-1, 4])
def test_goto_outside_of_the_pass_is_refused(k):
    *_, y = a_graph()
    with Walk(y) as walk, pytest.raises(ValueError, match=r"k must be 0…3"):
        walk.goto(k)


@pytest.mark.parametrize("edge", [-1, 2])
def test_goto_an_edge_that_there_is_not_is_refused(edge):
    *_, y = a_graph()
    with Walk(y) as walk, pytest.raises(ValueError, match=r"at step 1 edge must be 0…1"):
        walk.goto(1, edge)


@pytest.mark.parametrize("way", ["run", "run_back", "goto"])
def test_who_wants_to_stop_is_heard_between_two_steps(way):
    y = Value(1.0)
    for _ in range(20):
        y = y * 2
    with Walk(y) as walk:
        walk.goto(10)
        answers = iter([False, False, True])
        if way == "goto":
            walk.goto(20, interrupted=lambda: next(answers))
        else:
            stopped = getattr(walk, way)(interrupted=lambda: next(answers))
            assert stopped.reason == "interrupted"
        assert walk.position == (7 if way == "run_back" else 13)


@each_engine
@pytest.mark.parametrize("way", ["step", "send", "back"])
@pytest.mark.parametrize("segment", [None, 1])
def test_ctrl_c_in_a_move_leaves_the_place_or_comes_to_the_next(leaf, way, segment):
    x = leaf(3.0)
    y = (x * x + x) * x
    nodes = [x] if segment else topological_order(y)
    for allowed in range(500):
        walk = Walk(y, segment=segment)
        walk.goto(1, 1 if way == "back" else 0)
        before = bits(nodes)
        getattr(walk, way)()
        after, there = bits(nodes), (walk.position, walk.edge)
        walk.abandon()
        walk = Walk(y, segment=segment)
        walk.goto(1, 1 if way == "back" else 0)
        here = (walk.position, walk.edge)
        try:
            interrupted_after(allowed, getattr(walk, way))
            assert allowed > 5
            break
        except KeyboardInterrupt:
            expected = {here: before, there: after}[walk.position, walk.edge]
            assert bits(nodes) == expected
            walk.goto(0)
            assert not x.has_grad
            walk.goto(3)
            assert x.grad == 33.0
        finally:
            walk.abandon()
    else:
        raise AssertionError("never done")


def interrupted_after(lines, move):
    """Make a move, and raise KeyboardInterrupt after so many lines of the machine's file."""
    remaining = lines

    def trace(frame, event, _):
        nonlocal remaining
        if not frame.f_code.co_filename.endswith(("stepper.py", "segments.py", "walk.py")):
            return None
        if event == "line":
            remaining -= 1
            if remaining < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    usual = sys.gettrace()
    sys.settrace(trace)
    try:
        move()
    finally:
        sys.settrace(usual)


def test_out_and_back_out_of_a_scope():
    x = Value(2.0)
    y = x * 2
    with scope("a"):
        y = y * 3
        with scope("b"):
            y = y * 4 * 5
        y = y * 6
    y = y * 7  # 1 "", 2 a, 3 a.b, 4 a.b, 5 a, 6 ""
    with Walk(y) as walk:
        walk.goto(1)
        assert (walk.out("a").reason, walk.position) == ("until", 5)
        assert (walk.back_out("a").reason, walk.position) == ("until", 1)
        walk.goto(2)
        assert (walk.out("a.b").reason, walk.position) == ("until", 4)
        assert (walk.back_out("a.b").reason, walk.position) == ("until", 2)
        assert (walk.out("").reason, walk.finished) == ("end", True)
        assert (walk.back_out("").reason, walk.position) == ("start", 0)
        walk.goto(1)
        stop = walk.break_at(scope="a.b")
        assert walk.out("a") == ("breakpoint", (stop,)) and walk.position == 2
    with scope("b"):
        y = y * 8  # the first step, and the last is outside
    with Walk(y) as walk:
        walk.goto(1)
        assert (walk.back_out("b").reason, walk.position) == ("start", 0)


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
def test_run_stops_before_the_step_in_both_directions(where, stops):
    *_, y = a_graph()
    with Walk(y) as walk:
        stop = walk.break_at(**where)
        assert stop.is_verified == (where != {"name": "nobody"})
        forwards = [walk.next_node.name] if walk.breakpoints_here() else []
        while walk.run() == ("breakpoint", (stop,)):
            forwards.append(walk.next_node.name)
        assert walk.finished and walk.run().reason == "end"
        backwards = []
        while walk.run_back() == ("breakpoint", (stop,)):
            backwards.append(walk.next_node.name)
        assert walk.run_back().reason == "start" and walk.position == 0
        assert (forwards, backwards) == (stops, stops[::-1])


def test_watch_stops_before_a_gradient_changes():
    x, square, _, y = a_graph()
    with Walk(y) as walk:
        walk.break_at(watch=x)
        assert walk.breakpoints_here()
        assert [walk.run().reason and walk.next_node.name for _ in range(2)] == ["total", "square"]
    with Walk(y) as walk:
        walk.break_at(watch=square)
        walk.run()
        assert walk.next_node.name == "total" and not square.has_grad
        assert walk.run().reason == "end"


def test_watch_does_not_stop_where_zero_is_added():
    x = Value(3.0)
    y = x * 0 + x * 2  # the right operand is visited first
    with Walk(y) as walk:
        walk.break_at(watch=x)
        assert [walk.run().reason, walk.position, walk.run().reason] == ["breakpoint", 1, "end"]


def test_nonfinite_stops_before_the_first_infinity():
    x = Value(0.0, name="x")
    root = x.sqrt()
    y = root * 2 + 1
    with Walk(y) as walk:
        walk.break_at(nonfinite=True)
        walk.run()
        assert walk.next_node is root and not x.has_grad


def test_until_stops_once_and_breakpoints_come_before_it():
    *_, y = a_graph()
    with Walk(y) as walk:
        stop = walk.break_at(op="mul")
        assert walk.run(until=lambda step: step.index > 0).reason == "until"
        assert walk.run(until=lambda step: step.index > 0) == ("breakpoint", (stop,))


def test_a_line_stops_at_what_it_made_and_once_at_what_it_called(tmp_path):
    program = tmp_path / "model.py"
    program.write_text(
        "def double(x):\n"
        "    return (x + x) * 1\n"
        "y = x * 3\n"
        "y = double(y)\n"
        "y = (y\n"
        "     - 1)\n"
        "y = double(y)\n"
    )
    x = Value(3.0, name="x")
    names = {"x": x}
    with record_locations():
        exec(compile(program.read_text(), str(program), "exec"), names)
    # 1 ×, 2 + of line 7; 3 − of lines 5 and 6; 4 ×, 5 + of line 4; 6 × of line 3
    steps = {}
    with Walk(names["y"]) as walk:
        for line in range(1, 9):
            stop = walk.break_at(line=f"{program}:{line}")
            steps[line] = sorted(index + 1 for index in stop.selection.steps)
            assert stop.is_verified == bool(steps[line])
    assert steps == {1: [], 2: [1, 2, 4, 5], 3: [6], 4: [4], 5: [3], 6: [3], 7: [1], 8: []}


# Hits, conditions, logs


def test_hits_are_counted_along_the_pass_in_both_directions():
    y = Value(1.0)
    for _ in range(9):
        y = y * 2
    with Walk(y) as walk:
        stop = walk.break_at(op="mul")
        stop.hits = hit_condition("3")
        assert walk.run().breakpoints == (stop,) and walk.position == 3
        assert walk.run().reason == "end"
        assert walk.run_back().breakpoints == (stop,) and walk.position == 3
        assert stop.hit_steps == list(range(1, 9))


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("3", [3]),
        ("==2", [2]),
        ("= 2", [2]),
        (">=6", [6, 7]),
        (">6", [7]),
        ("<2", [1]),
        ("<=2", [1, 2]),
        ("% 3", [3, 6]),
    ],
)
def test_hit_conditions(text, hits):
    assert [n for n in range(1, 8) if hit_condition(text)(n)] == hits


@pytest.mark.parametrize("text", ["", "x", "-1", "%0", "1.5", "> "])
def test_a_hit_condition_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="must be a number of hits, such as 3, >=2 or %5"):
        hit_condition(text)


def test_a_log_does_not_stop_and_tells_in_both_directions():
    *_, y = a_graph()
    logged = []
    with Walk(y) as walk:
        walk.break_at(op="mul").log = lambda step: logged.append(step.index)
        assert walk.run().reason == "end" and walk.run_back().reason == "start"
        assert logged == [2, 2, 0]


def test_a_condition_that_raises_stops_and_is_reported():
    *_, y = a_graph()
    with Walk(y) as walk:
        stop = walk.break_at(op="mul", when=lambda step: 1 / 0)
        assert walk.run().breakpoints == (stop,)
        assert isinstance(stop.error, ZeroDivisionError)
        stop.condition = None
        walk.goto(0)
        assert walk.run().breakpoints == (stop,) and stop.error is None


def test_disabled_and_ignored_breakpoints_do_not_stop():
    *_, y = a_graph()
    with Walk(y) as walk:
        stop = walk.break_at(when=lambda step: True)
        stop.ignored = 1
        assert walk.run().reason == "breakpoint" and walk.position == 2
        stop.is_enabled = False
        walk.goto(0)
        assert walk.run().reason == "end"


def test_temporary_breakpoint_is_gone_after_its_hit():
    *_, y = a_graph()
    with Walk(y) as walk:
        walk.break_at(op="mul").is_temporary = True
        assert walk.run().reason == "breakpoint" and walk.position == 2
        assert not walk.breakpoints
        assert walk.run_back().reason == "start"
        stop = walk.break_at(op="mul")
        stop.is_temporary = True
        assert walk.run([stop]).breakpoints == (stop,)
        assert walk.run_back([stop]).reason == "start"


@pytest.mark.parametrize(
    ("word", "text", "steps"),
    [
        ("mul", "operation mul", {0, 2}),
        ("*", "operation ×", {0, 2}),
        ("inner.*", "scope inner.*", {2}),
        ("total", "name total", {1}),
        ("x", "change of x.grad", {0, 1, 2}),
        ("nobody", "name nobody", set()),
    ],
)
def test_a_bare_word_is_an_operation_a_scope_a_name_or_a_leaf(word, text, steps):
    *_, y = a_graph()
    with Walk(y) as walk:
        places = at_word(walk.operations, word)
        assert (places.text, set(places.steps)) == (text, steps)


def test_condition_narrows_a_breakpoint():
    *_, y = a_graph()
    with Walk(y) as walk:
        walk.break_at(op="mul").condition = lambda step: step.index > 0
        assert not walk.breakpoints_here()
        walk.run()
        assert walk.next_node.name == "square"


def test_breakpoint_without_a_place_is_refused():
    *_, y = a_graph()
    with Walk(y) as walk, pytest.raises(ValueError, match="a location is required"):
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
    with Walk(root) as walk:
        for _ in range(data.draw(st.integers(0, 9))):
            walk.send()
        place = walk.position, walk.edge
        walk.set(leaves[chosen], number)
        assert (walk.position, walk.edge) == place
        walk.run()
    numbers = [number if i == chosen else n for i, n in enumerate(program.numbers)]
    other_leaves, other = program._replace(numbers=numbers).run(leaf)
    other.backward()
    assert np.array_equal(root.data, other.data)
    assert bits(leaves) == bits(other_leaves)


@pytest.mark.parametrize("position", [0, 1])
def test_what_was_previewed_before_an_edit_is_previewed_anew(position):
    x, *_, y = a_graph()
    with Walk(y) as walk:
        walk.goto(position)
        walk.preview()
        walk.set(x, 5.0)
        # y = (x·x + x) · x: of the product its slopes, and of the sum what has arrived
        values = tuple(contribution.value for contribution in walk.preview().contributions)
        assert values == [(5.0, 30.0), (5.0, 5.0)][position]


@given(programs(), engines, st.data())
def test_leaving_before_the_end_undoes_edits(program, leaf, data):
    _, root = program.run(leaf)
    nodes = topological_order(root)
    before = [np.asarray(node.data).tobytes() for node in nodes]
    root.backward()
    gradients = bits(nodes)
    with Walk(root) as walk:
        for node in data.draw(st.lists(st.sampled_from(nodes), max_size=3)):
            walk.set(node, data.draw(st.floats(-1, 1)))
        walk.goto(len(walk.operations) - 1)
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
    with Walk(root) as walk:
        for node in data.draw(st.lists(st.sampled_from(results), max_size=4)):
            walk.set(node, data.draw(st.floats(-1, 1)))
        assert walk.overridden <= set(results)
        for leaf_node, number in zip(leaves, program.numbers, strict=True):
            if any(leaf_node is node for node in nodes):
                change = walk.set(leaf_node, number)
                assert set(change.overwritten) <= set(change.data)
        assert not walk.overridden
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
        with Walk(root) as walk:
            for number in numbers:
                walk.set(nodes[place % len(nodes)], number)
            walk.run()
        return [root.data, *(leaf.grad for leaf in leaves if leaf.has_grad)]

    np.testing.assert_array_equal(after(first, second), after(second))  # nan is nan, of either sign


def test_a_change_tells_which_results_it_overrules_and_only_once():
    x = Value(3.0, name="x")
    square = x * x
    root = square + 1
    with Walk(root) as walk:
        assert not walk.set(square, 1.0).overwritten
        assert walk.overridden == {square}
        assert not walk.set(square, 2.0).overwritten  # it still is what it was set to
        change = walk.set(x, 5.0)
        assert list(change.overwritten) == [square]
        assert str(change).endswith("\n  square too, which was set to 2: now it is 25")
        assert not walk.overridden
        assert not walk.set(x, 6.0).overwritten


@pytest.mark.parametrize("left_at", [1, 2])
def test_a_closed_walk_goes_nowhere(left_at):
    x = Value(3.0)
    with Walk(x * x + x) as walk:
        walk.goto(left_at)
    before = x.grad
    for move in (walk.step, walk.send, walk.back, walk.run, walk.run_back, lambda: walk.goto(0)):
        with pytest.raises(RuntimeError, match="this walk is closed"):
            move()
    assert x.grad == before


def test_watch_of_a_constant_never_stops():
    x, constant = Value(3.0), Value(2.0, requires_grad=False)
    with Walk(x * constant + constant) as walk:
        walk.break_at(watch=constant)
        assert walk.run().reason == "end"


def test_a_walk_says_how_far_it_has_come():
    x = Value(3.0, name="x")
    root = x * x + x
    root.name = "loss"
    with Walk(root) as walk:
        assert repr(walk) == "<backward of loss = 12: 0 of 2 steps done>"
        walk.step()
        assert repr(walk) == "<backward of loss = 12: 1 of 2 steps done>"
        walk.send()
        progress = "1 of the next's contributions sent"
        assert repr(walk) == f"<backward of loss = 12: 1 of 2 steps done and {progress}>"
        walk.back()
    assert repr(walk) == "<backward of loss = 12: 1 of 2 steps done, and left>"
    with Walk(root) as walk:
        walk.run()
    assert repr(walk) == "<backward of loss = 12: 2 of 2 steps done>"


# Who sent what, and the end


@given(programs(), engines, moves, segments)
def test_what_the_uses_sent_adds_up_to_the_gradient(program, leaf, moves, segment):
    leaves, root = program.run(leaf)
    with Walk(root, segment=segment) as walk:
        for move in moves:
            go(walk, move)
            for node in leaves:
                total = None
                for use in walk.uses(node):
                    total = use.value if total is None else total + use.value
                assert np.array_equal(total, walk.gradients.get(node))
                assert walk.explain(node).uses == walk.uses(node)


# In segments


def test_a_walk_in_segments_holds_a_few_of_them_and_goes_all_the_way_back():
    x = Tensor(np.linspace(0.1, 1.0, 5), name="x")
    y = x
    for _ in range(50):
        y = y.tanh() + x
    root = y.sum()
    root.backward()
    expected, x.grad = x.grad, None
    with Walk(root, segment=10) as walk:
        walk.run()
        assert np.array_equal(x.grad, expected)
        assert sum(node.has_grad for node in walk.operations) <= 20 + 1  # and the root
        assert len(walk.gradients) <= 20 + 2
        arrived = [bits([node for node in walk.operations if node.has_grad])]
        while walk.back():
            assert sum(node.has_grad for node in walk.operations) <= 20 + 2
        assert not x.has_grad
        walk.run()
        assert arrived == [bits([node for node in walk.operations if node.has_grad])]
        held_ids = {
            id(gradient)
            for start in walk._segments._starts.values()
            for gradient in start.sums.values()
        }
        held_ids |= {id(gradient) for gradient in walk._previous_sums if gradient is not None}
        assert len(held_ids) < 60  # of 101 gradients and 50 sums


def test_a_rule_that_answers_otherwise_the_second_time_is_named_and_nothing_moves():
    answers = iter(range(1, 1000))

    @primitive
    def moody(a):
        return a * 1.0, lambda grad: (grad * next(answers),)

    x = Tensor([1.0, 2.0], name="x")
    y = x
    for _ in range(6):
        y = y.sin()
    with Walk(moody(y).sum(), segment=2) as walk:  # 8 steps, and the second is moody
        walk.run()
        grad = x.grad
        with pytest.raises(RuntimeError, match=r"rule of moody .* leave segment= out"):
            walk.goto(0)
        assert walk.position == 2
        walk.run()
        assert np.array_equal(x.grad, grad)


def test_uses_are_those_sent_so_far_and_consumers_all():
    x, square, total, y = a_graph()
    with Walk(y) as walk:
        walk.goto(2, 1)
        assert [(use.consumer, use.operand) for use in walk.uses(x)] == [
            (y, 1),
            (total, 1),
            (square, 0),
        ]
        assert walk.consumers(x) == [(0, 1), (1, 1), (2, 0), (2, 1)]
        assert walk.uses(y) == () and walk.consumers(y) == []


@each_engine
def test_finish_completes_and_abandon_restores_even_at_the_end(leaf):
    x = leaf(3.0)
    y = x * x * x
    walk = Walk(y)
    walk.send()
    walk.finish()
    assert x.grad == 27.0
    walk = Walk(y)
    walk.set(x, 5.0)
    walk.goto(len(walk.operations))
    walk.abandon()
    assert (x.grad, x.data, y.data) == (27.0, 3.0, 27.0)
