"""One evaluation for every face: it sees the step that is next, the graph and the program."""

import pytest

from autolm import Tensor, Value, record_locations, scope
from autolm.walking import Walk
from autolm.walking.names import Names
from autolm.walking.namespace import Namespace


def opened(root, **variables):
    walk = Walk(root)
    return walk, Namespace(walk, Names(walk.operations, variables), variables)


@pytest.fixture
def neuron():
    x, w, k = Value(2.0), [Value(-3.0), Value(1.0)], 10
    with record_locations():
        root = (x * w[0] + x * w[1]).tanh()
    return opened(root, x=x, w=w, k=k)


def test_names_of_the_step_are_those_of_the_next_in_both_directions(neuron):
    walk, here = neuron
    evaluated = [
        here.evaluate("node is walk.root, up, len(step.contributions), a is node.parents[0]")
    ]
    walk.step()
    evaluated.append(
        here.evaluate("node is walk.next_node, up == node.grad, step.index, b is node.parents[1]")
    )
    walk.step()
    walk.back()
    evaluated.append(here.evaluate("step.index"))
    assert evaluated == [(True, 1.0, 1, True), (True, True, 1, True), 1]


def test_at_the_end_the_node_is_the_root(neuron):
    walk, here = neuron
    walk.goto(len(walk.operations))
    assert here.evaluate("node is walk.root, step, up") == (True, None, 1.0)


def test_comprehensions_lambdas_and_functions_find_every_name(neuron):
    _, here = neuron
    assert here.evaluate("[each.data * k for each in w]") == [-30.0, 10.0]
    assert here.evaluate("(lambda: [k + up for _ in (1, 2)])()") == [11.0, 11.0]
    here.execute("def total():\n    return sum(each.data + k for each in w)")
    assert here.evaluate("total()") == 18.0
    assert here.evaluate("[step.index for _ in '1']") == [0]


def test_what_is_assigned_stays_and_does_not_reach_the_program(neuron):
    walk, here = neuron
    here.execute("k = 5")
    here.execute("up = 'mine'")
    walk.step()
    assert here.evaluate("k, up") == (5, "mine")
    assert here.names.program_names and here.evaluate("step.index") == 1


def test_the_source_of_a_node_is_that_node(neuron):
    _, here = neuron
    assert here.evaluate("x*w[0] is walk.operations[1].parents[0]")
    assert not here.evaluate("x*w[0]*1 is walk.operations[1].parents[0]")


def test_conditions_ask_of_the_step_that_is_next_and_bad_text_raises_at_once(neuron):
    walk, here = neuron
    stop = walk.break_at(when=here.condition("len(node.parents) == 2 and up < 1"))
    assert walk.run().breakpoints == (stop,) and walk.position == 1
    with pytest.raises(SyntaxError):
        here.condition("node ==")


def test_a_message_holds_values_and_says_what_is_wrong_in_their_place(neuron):
    walk, here = neuron
    write = here.log_message("up={up} w={w[1].grad} {nobody} {step.index}")
    assert write(walk.preview()) == "up=1.0 w=– NameError: name 'nobody' is not defined 0"


def test_what_has_not_arrived_is_told_wherever_it_stands(neuron):
    walk, here = neuron
    assert here.value_text("w[0].grad") == "–"
    assert here.missing_gradients("w[0].grad + w[-1].grad * x.grad") == [
        "w[0].grad",
        "w[-1].grad",
        "x.grad",
    ]
    assert here.missing_gradients("k + nobody.grad + next(iter(w)).grad") == []
    walk.goto(len(walk.operations))
    assert here.missing_gradients("w[0].grad") == [] and here.value_text("w[0].grad") == repr(
        2 * here.evaluate("up * (1 - node.data**2)")
    )


@pytest.mark.parametrize("back", [0, 1])
def test_what_a_segment_let_go_is_what_it_is_without_segments(back):
    texts_by_walk, gradient_counts = [], []
    for segment in (None, 1):
        x = Value(0.5, name="x")
        nodes = [x]
        for _ in range(8):
            nodes.append(nodes[-1].tanh() + x * nodes[-1])
        walk = Walk(nodes[-1], segment=segment)
        variables = {"h": nodes[6], "late": nodes[1], "nodes_of": nodes[1:7]}
        here = Namespace(walk, Names(walk.operations, variables), variables)
        walk.goto(len(walk.operations) - 4)
        gradient_counts.append(sum(node.has_grad for node in walk.operations))
        texts = ["h.grad", "h", "nodes_of[4].grad * 2", "late.grad", "[n.grad for n in nodes_of]"]
        texts += ["max(n.grad for n in (h, late))"]
        for _ in range(back + 1):
            texts_by_walk.append([here.value_text(text) for text in texts])
            texts_by_walk[-1] += [here.condition("h.grad > 0.1")(walk.preview())]
            texts_by_walk[-1] += [here.log_message("{nodes_of[3].grad}")(walk.preview())]
            texts_by_walk[-1] += [here.missing_gradients("h.grad + late.grad")]
            here.execute("kept = [h.grad for _ in (1,)]")
            texts_by_walk[-1] += [here.evaluate("kept")]
            walk.back()
        walk.goto(0)
        texts_by_walk[-1] += [here.missing_gradients("h.grad")]
        walk.finish()
    assert texts_by_walk[: len(texts_by_walk) // 2] == texts_by_walk[len(texts_by_walk) // 2 :]
    assert "0.0" not in texts_by_walk[0]
    assert gradient_counts[1] < gradient_counts[0]


def test_nothing_is_done_by_completing():
    class Loud:
        @property
        def value(self):
            raise AssertionError("asked")

    _, here = opened(Tensor([1.0]).sum(), loud=Loud())
    assert list(here.completions("loud.va")) == ["loud.value"]
    assert list(here.completions("loud.value.x")) == []
    assert list(here.completions("print(1).x")) == []
    assert "node.data" in here.completions("node.da") and "step" in here.completions("st")


def test_of_nodes_called_alike_the_one_in_the_scope_of_the_step_is_meant():
    x = Tensor([1.0], name="x")
    for layer in ("first", "second"):
        with scope(layer):
            x = x * Tensor([3.0 if layer == "first" else 5.0], name=f"{layer}.gain")
    walk, here = opened(x + 0)
    with pytest.raises(NameError):
        here.evaluate("gain")
    walk.step()
    assert here.evaluate("float(gain.data[0]), [gain.name for _ in '1']") == (5.0, ["second.gain"])
    walk.step()
    assert here.evaluate("float(gain.data[0])") == 3.0
    assert here.evaluate("nodes['second.gain'] is node") is False


def test_a_name_that_is_no_python_is_a_node_all_the_same():
    W = Tensor([2.0], name="blocks.0.W")
    walk, here = opened((W * 3).sum())
    assert here.evaluate("blocks.0.W") is W
    assert here.value_text("blocks.0.W.grad") == "–"
    walk.goto(2)
    assert here.evaluate("blocks.0.W.grad") == 3.0
    assert here.is_expression("blocks.0.W") and not here.is_expression("blocks.1.W")
