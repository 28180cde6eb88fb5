"""The spellings of micrograd's package and of its lecture, on a Value."""

import math
import random

import pytest

from autolm import Value
from autolm.nn.scalar import MLP, Neuron


def test_label_is_the_name():
    x, y = Value(2.0, label="x"), Value(3.0, "y")
    z = x * y
    z.label = "x*y"
    assert [(v.label, v.name) for v in (x, y, z)] == [("x", "x"), ("y", "y"), ("x*y", "x*y")]
    assert Value(1.0).label == ""


def test_prev_are_the_operands_once_each():
    x, y = Value(2.0), Value(3.0)
    assert (x + y)._prev == {x, y}
    assert (x * x)._prev == {x}
    assert x._prev == set()


def test_op_is_the_sign_that_micrograd_writes():
    x, y = Value(2.0), Value(3.0)
    results = (x, x + y, x * y, x - y, x / y, -x, x.relu(), x.tanh(), x.exp())
    assert [v._op for v in results] == ["", "+", "*", "-", "/", "-", "ReLU", "tanh", "exp"]
    powers = (x**2, x**-0.5, x**y, 2**x)
    assert [v._op for v in powers] == ["**2", "**-0.5", "**", "**"]


def test_drawing_by_hand_has_a_box_a_number_and_an_edge_an_operand():
    """What the lecture's `draw_dot` reads of a node: its operands, its operation, three words."""
    leaves, (*_, o) = the_lectures_neuron()
    o.label = "o"
    o.backward()
    boxes, edges, seen, waiting = {}, [], set(), [o]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            boxes[str(id(node)) + node._op] = f"{node.label}|%.4f|%.4f" % (node.data, node.grad)
            edges += [(str(id(child)) + child._op, node._op) for child in node._prev]
            waiting += node._prev
    assert len(boxes) == 10 and all(source in boxes for source, _ in edges)
    assert sorted(sign for _, sign in edges) == ["*"] * 4 + ["+"] * 4 + ["tanh"]
    words = {"x1|2.0000|-1.5000", "w1|-3.0000|1.0000", "x2|0.0000|0.5000", "o|0.7071|1.0000"}
    assert words <= set(boxes.values())
    of_leaves = " ".join(boxes[str(id(leaf))].partition("|")[0] for leaf in leaves)
    assert of_leaves == "x1 w1 x2 w2 b"


def the_lectures_neuron():
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    return (x1, w1, x2, w2, b), (x1w1, x2w2, both, n, n.tanh())


def test_backward_by_hand_node_by_node_is_the_backward_pass():
    leaves, (x1w1, x2w2, both, n, o) = the_lectures_neuron()
    o.grad = 1.0
    for node in (o, n, leaves[-1], both, x2w2, x1w1):
        node._backward()
    again, (*_, root) = the_lectures_neuron()
    root.backward()
    assert [leaf.grad for leaf in leaves] == [leaf.grad for leaf in again]
    assert both.grad == pytest.approx(0.5)


def test_backward_by_hand_adds_to_what_is_there_and_sends_both_ways_of_a_repeat():
    x = Value(3.0)
    y = x * x
    x.grad, y.grad = 1.0, 2.0
    y._backward()
    assert x.grad == 1.0 + 2.0 * 6.0
    y._backward()
    assert x.grad == 1.0 + 2 * 2.0 * 6.0


def test_backward_by_hand_reaches_no_constant():
    x, c = Value(3.0), Value(4.0, requires_grad=False)
    y = x * c
    y.grad = 1.0
    y._backward()
    assert (x.grad, c.has_grad) == (4.0, False)


def test_topological_order_by_hand_over_prev_gives_every_gradient():
    leaves, (*_, o) = the_lectures_neuron()
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node._prev:
                visit(parent)
            order.append(node)

    visit(o)
    o.grad = 1.0
    for node in reversed(order):
        node._backward()
    again, (*_, root) = the_lectures_neuron()
    root.backward()
    assert [leaf.grad for leaf in leaves] == [leaf.grad for leaf in again]


@pytest.mark.parametrize("children", [(Value(1.0),), [Value(1.0)], {Value(1.0)}])
@pytest.mark.parametrize("operation", [(), ("+",)])
def test_children_without_an_operation_are_refused_and_told_how(children, operation):
    with pytest.raises(TypeError, match=r"^Value: name must be a str, not a .*value\.operation"):
        Value(2.0, children, *operation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((3,), "name must be a str, not a int"), (("x", "+"), "unexpected argument '\\+'")],
)
def test_anything_else_after_the_data_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        Value(2.0, *arguments)


def test_numbers_format_and_compare_as_floats_do():
    a, b = Value(2.0), Value(3.0)
    assert f"{a / b:.3f}" == "0.667"
    assert a <= b and a <= 2 and not b <= a and b >= a and b >= 3 and not a >= b
    assert sorted([b, a])[0] is a
    assert max(a, b) is b


def test_lectures_network_learns_its_four_examples():
    class Tanh(Neuron):
        def __call__(self, x):
            return sum((w * xi for w, xi in zip(self.w, x, strict=True)), self.b).tanh()

    random.seed(0)
    layers = [[Tanh(i) for _ in range(o)] for i, o in ((3, 4), (4, 4), (4, 1))]

    def net(x):
        for layer in layers:
            x = [neuron(x) for neuron in layer]
        return x[0]

    xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    ys = [1.0, -1.0, -1.0, 1.0]
    parameters = [p for layer in layers for neuron in layer for p in neuron.parameters()]
    losses = []
    for _ in range(60):
        loss = sum((out - y) ** 2 for y, out in zip(ys, map(net, xs), strict=True))
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        for p in parameters:
            p.data += -0.1 * p.grad
        losses.append(loss.data)
    assert losses[-1] < 0.05 < losses[0]


def test_micrograds_own_network_has_the_same_losses_and_gradients():
    theirs = pytest.importorskip("micrograd.nn")
    other = pytest.importorskip("micrograd.engine").Value
    results = []
    for make, value in ((MLP, Value), (theirs.MLP, other)):
        random.seed(1337)
        model = make(2, [4, 4, 1])
        history = []
        for x, y in (((0.5, -1.0), 1), ((-2.0, 0.25), -1), ((1.5, 1.0), 1)):
            score = model([value(number) for number in x])
            loss = (1 + -y * score).relu() + 1e-4 * sum(p * p for p in model.parameters())
            model.zero_grad()
            loss.backward()
            history += [loss.data, *(p.grad for p in model.parameters())]
            for p in model.parameters():
                p.data -= 0.1 * p.grad
        results.append((repr(model), history))
    assert results[0][0] == results[1][0]
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-12, abs=1e-15)


def test_value_formats_as_its_number():
    assert f"{Value(math.pi):8.3f}|{Value(2.0):g}" == "   3.142|2"
