"""What a pane of variables shows of a walk: it is true, it is lazy, and it can be evaluated."""

import numpy as np
import pytest

from autolm import Tensor, Value
from autolm.walking import Walk
from autolm.walking.names import Names
from autolm.walking.namespace import Namespace
from autolm.walking.tokens import Tokens
from autolm.walking.variable_tree import VariableTree


def opened(root, tokens=None, **variables):
    walk = Walk(root)
    names = Names(walk.operations, variables)
    return walk, VariableTree(walk, names, tokens), Namespace(walk, names, variables)


def texts(branch, *way):
    """Open a branch along names; return the names and texts of what is there."""
    for name in way:
        branch = next(child for child in branch.children() if child.name == name)
    return [(child.name, child.text) for child in branch.children()]


def test_the_step_is_its_arithmetic_and_marks_what_is_sent():
    x, w = Value(2.0, name="x"), Value(3.0, name="w")
    walk, tree, _ = opened(x * w)
    assert texts(tree.step())[:5] == [
        ("step", "1 of 1"),
        ("node", "6   grad 1"),
        ("operation", "mul: a · b"),
        ("ḡ", "1.0"),
        ("→ x", "ḡ · b: 1 × 3 = 3   grad – → 3"),
    ]
    walk.send()
    assert texts(tree.step())[4:] == [
        ("→ x", "ḡ · b: 1 × 3 = 3   grad – → 3   (sent)"),
        ("→ w", "ḡ · a: 1 × 2 = 2   grad – → 2"),
    ]
    walk.step()
    assert texts(tree.step()) == [("the pass", "has ended: 1 steps are done")]
    assert texts(tree.operands()) == []


def test_nodes_tell_what_they_hold_what_has_arrived_and_from_whom():
    x, w = Value(2.0, name="x"), Value(3.0, name="w")
    walk, tree, _ = opened(x * w + x)
    assert texts(tree.leaves(), "x") == [
        ("data", "2.0"),
        ("grad", "–   nothing has arrived yet"),
    ]
    walk.goto(1)
    assert texts(tree.leaves()) == [("x", "2   grad 1"), ("w", "3   grad –")]
    assert texts(tree.leaves(), "x")[1:] == [("grad", "1.0"), ("from #1", "1   ḡ")]


def test_a_gradient_that_a_segment_let_go_is_told_again():
    x = Value(0.5, name="x")
    y = x.tanh()
    root = y.tanh().tanh().tanh() + y
    walk = Walk(root, segment=1)
    first = walk.operations[1]
    tree = VariableTree(walk, Names(walk.operations, {}))
    walk.run()
    assert not first.has_grad
    assert tree.node(first).text.endswith("   grad 1")
    assert ("grad", "1.0") in texts(tree.node(first))
    walk.goto(0)
    assert tree.node(first).text.endswith("   grad –")


def test_a_constant_is_said_to_be_one():
    _, tree, _ = opened(Value(2.0, name="x") * 3)
    assert texts(tree.step())[-1] == ("→ 3", "a constant")


def test_arrays_are_rows_of_numbers_page_by_page():
    W = Tensor(np.arange(6000.0).reshape(3, 2000), name="W")
    _, tree, here = opened((W * 2).sum(), W=W)
    [data] = [child for child in tree.node(W).children() if child.name == "data"]
    assert (data.size, data.expression, data.node is W) == (3, "W.data", True)
    row = data.children()[1]
    assert (row.name, row.size, row.expression) == ("[1]", 2000, "W.data[1]")
    page = row.children(1000, 3)
    assert [(row.name, row.text) for row in page] == [
        ("[1000]", "3000"),
        ("[1001]", "3001"),
        ("[1002]", "3002"),
    ]
    assert [here.evaluate(row.expression) for row in page] == [3000.0, 3001.0, 3002.0]
    assert [row.index for row in page] == [(1, 1000), (1, 1001), (1, 1002)]


def test_rows_go_by_their_tokens():
    x = Tensor([[1.0], [2.0]], name="x")
    _, tree, _ = opened((x * 2).sum(), Tokens(("t", "␣"), {x: 0}))
    assert [name for name, _ in texts(tree.node(x), "data")] == ["[0] ‘t’", "[1] ‘␣’"]


@pytest.mark.parametrize(
    ("value", "children"),
    [
        ([1, "a"], [("[0]", "1"), ("[1]", "'a'")]),
        ({"k": 1, 2: None}, [("['k']", "1"), ("[2]", "None")]),
        (3.0, []),
        ((), []),
        (len, []),
    ],
)
def test_values_of_the_program_open_and_evaluate(value, children):
    _, tree, here = opened(Value(1.0).tanh(), v=value)
    line = tree.value("v", value, "v")
    assert texts(line) == children
    assert all(repr(here.evaluate(child.expression)) == child.text for child in line.children())


def test_objects_show_what_they_hold_and_one_without_a_repr_is_no_end():
    class Broken:
        def __init__(self):
            self.inner = 5

        def __repr__(self):
            raise KeyError

    _, tree, here = opened(Value(1.0).tanh(), v=Broken())
    program = tree.program({"v": Broken(), "np": np, "f": len, "__name__": "x", "g": texts})
    names = [name for name, _ in texts(program)]
    assert names == ["v", "f"]
    line = tree.value("v", Broken(), "v")
    assert line.text == "<Broken: its repr raises KeyError>"
    assert texts(line) == [("inner", "5")]
    assert here.evaluate(line.children()[0].expression) == 5


def test_nothing_is_computed_before_it_is_opened(monkeypatch):
    x = Value(2.0, name="x")
    walk, tree, _ = opened(x * x)
    monkeypatch.setattr(walk, "preview", lambda: 1 / 0)
    branch = tree.step()
    with pytest.raises(ZeroDivisionError):
        branch.children()
