"""Names that a program gives to its nodes: variables, paths, and the source of expressions."""

import linecache
from html import unescape
from itertools import count
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, blame_nonfinite, draw, explain, primitive, record_locations
from autolm.engine.backprop import Backprop
from autolm.engine.graph import describe
from autolm.walking import program_names
from autolm.walking.names import Names
from autolm.walking.program_names import SourceText, names_of
from autolm.walking.source import MAX_SOURCE
from autolm.walking.wording import assignment

NUMBERS = count()
START = """
from types import SimpleNamespace
from autolm import Value
class Box: pass
x, y = Value(2.0), Value(-0.5)
w = [Value(3.0), Value(1.5), Value(0.25)]
p = {"a": Value(0.75), "b": [Value(-1.25)], 3: Value(4.0)}
n = Box()
n.w = (Value(0.5), Value(-2.0))
n.inner = Box()
n.inner.b = Value(1.125)
scale = 1.75
total = Value(0.0)
def product(a, c):
    return a*c
def unit(a):
    h = a * w[0] + n.w[1]
    return h.tanh()
"""
PLACES = ["x", "y", "w[0]", "w[1]", "p['a']", 'p["b"][0]', "p[3]", "n.w[0]", "n.inner.b", "total"]


def executed(text):
    """Execute a program whose lines can be read, as a notebook's can; return its variables."""
    path = f"<program {next(NUMBERS)}>"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    variables = {"__name__": "__main__"}
    with record_locations():
        exec(compile(text, path, "exec"), variables)
    return variables


def named(text, root="r"):
    """Return the names of the nodes under a variable of a program, and its variables."""
    variables = executed(text)
    return names_of(variables[root], variables), variables


def sources(text, root="r"):
    names, _ = named(text, root)
    return sorted(name for name in names.values() if isinstance(name, SourceText))


@st.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([*PLACES, "2", "scale", "0.5"]))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    form = draw(
        st.sampled_from(
            [
                "{l} + {r}",
                "({l})*({r})",
                "({l}) - ({r})",
                "({l} + x) # and\n   * {r}",
                "-({l} * y)",
                "({l} + y).tanh()",
                "product({l}, y*{r})",
                "sum([{l}, x, {r}])",
                "sum(each*x for each in [{l}, y])",
                "(lambda a: a*{r})(x)",
                "({l} + p['a'])**2",
                "unit(x + {r})",
            ]
        )
    )
    return form.format(l=left, r=right)


@st.composite
def statements(draw):
    source = draw(expressions())
    form = draw(
        st.sampled_from(
            [
                "x = ({e})",
                "total += ({e}) * x",
                "total = total*y + ({e})",
                "for i in range(3): total += w[i]*({e})",
                "for v in w: x = v * x + ({e})",  # a is a name in the functions, too
                "y = sum(a*b for a, b in zip(w, n.w))",
                "y = unit(({e}) + y)",
            ]
        )
    )
    return form.format(e=source)


@given(st.lists(statements(), max_size=4), expressions())
def test_names_mean_the_nodes_that_they_name(lines, last):
    text = "\n".join([START, *lines, f"r = x*y + total + w[1] + n.w[0] + ({last})"])
    names, variables = named(text)
    for node, name in names.items():
        if not isinstance(name, SourceText):
            assert eval(name, variables) is node
            continue
        try:
            value = eval(name, variables)
        except NameError:
            continue  # what a function called its own
        assert float(getattr(value, "data", value)) == pytest.approx(
            node.data, rel=1e-12, nan_ok=True
        ), name


def test_products_and_sums_are_called_by_their_source():
    text = START + "r = x*w[0] + y*w[1] + p['a']"
    assert sources(text) == ["x*w[0]", "x*w[0] + y*w[1]", "y*w[1]"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("r = (x*w[0]).exp()", ["x*w[0]"]),
        ("r = (x*\n    w[0]).exp()", ["x * w[0]"]),
        ("r = (x*  # left\n    w[0]).exp()", ["x * w[0]"]),
        ("r = (\t'é' and x*w[0]).exp()", ["x*w[0]"]),
        ("é = x\nr = (é*w[0] ).exp()", ["é*w[0]"]),
        ("total += x*y\nr = total.exp()", ["x*y"]),
        ("total += x\ntotal += y\nr = total*2", []),
        ("r = sum(w).exp()", ["sum(w)"]),
        ("r = sum(a*b for a, b in zip(w, n.w)).exp()", ["sum(a*b for a, b in zip(w, n.w))"]),
        ("r = (lambda a, b: a*b)(x, y).exp()", ["a*b"]),
        ("r = product(x*y, y)*2", ["x*y", "a*c"]),
        ("r = product(x, y)*product(y, y)", []),
        ("x = x*3\nx = x*3\nr = x.exp()", []),
        ("for a in w: x = a*x\nr = x.exp()", []),
        ("s = f'{(r := (x*y).exp())}'", ["x*y"]),
        ("r = sum(w[:1]*2).exp()", ["sum(w[:1]*2)"]),
        ("r = (x + y)*(x - y).tanh()", ["x + y", "x - y", "(x - y).tanh()"]),
        ("r = -x**2*y", ["x**2", "-x**2"]),
        ("def f(a, b): return a - b\nr = f(x, y - x).exp()", ["y - x", "a - b"]),
        (
            "import math\nmul = math.prod\ndef f():\n    u, v = Value(2.0), Value(3.0)\n"
            "    return mul([u, v]) + x\nr = f().exp()",
            ["mul([u, v])", "mul([u, v]) + x"],
        ),
        ("z = x + y\nr = (2 * (z*y)).exp()", ["z*y", "2 * (z*y)"]),
    ],
)
def test_source_of_each_form(statement, expected):
    assert sources(START + statement) == sorted(expected)


def test_a_node_has_one_name_in_every_message():
    @primitive
    def broken(a):
        def backward(grad):
            raise ZeroDivisionError

        return a * 1.0, backward

    w = [Tensor(2.0, requires_grad=True), Tensor(0.0, requires_grad=True)]
    with record_locations():
        root = (broken(w[0] * w[1]) + w[0] / w[1]) * w[1]
    assert "w[0]&#160;*&#160;w[1]" in draw(root).source
    with pytest.raises(ZeroDivisionError) as error:
        root.backward()
    (note,) = error.value.__notes__
    assert note.startswith("in the backward rule of broken 'broken(w[0] * w[1])'")
    assert str(blame_nonfinite(root)).startswith("div   w[0] / w[1]   ")
    with record_locations():
        root = w[0] * w[1] + w[1]
    text = str(explain(w[0], root))
    assert text.startswith("w[0].grad = ")
    assert "from w[0] * w[1]   " in text


def test_an_explanation_keeps_no_node_of_the_program_but_its_graph():
    x, other = Value(1.0), Value(2.0)
    explanation = explain(x, x * 2)
    assert x in explanation.names
    assert other not in explanation.names


def test_the_shortest_way_is_preferred():
    node = Value(1.0)
    assert names_of(node, {"p": {"deep": [node]}, "n": [node], "direct": node}) == {node: "direct"}
    assert names_of(node, {"p": {"deep": [node]}, "n": [node]}) == {node: "n[0]"}


class Slotted:
    __slots__ = ("w",)

    @property
    def costly(self):
        raise AssertionError("looking for names computes nothing")


class Key:
    def __repr__(self):
        return "'k'"


class Odd:
    def __init__(self, node):
        self.__dict__["not a name"] = node

    def __getattr__(self, name):
        raise RuntimeError


def test_attributes_are_read_and_nothing_is_run():
    node = Value(1.0)
    slotted = Slotted()
    slotted.w = (node,)
    assert names_of(node, {"n": slotted}) == {node: "n.w[0]"}
    assert names_of(node, {"n": Odd(node)}) == {}
    assert names_of(node, {"n": {Key(): node}}) == {}
    assert names_of(node, {"_hidden": node}) == {}


def test_containers_that_hold_themselves_are_looked_through_once():
    container = [Value(1.0)]
    container.append(container)
    assert names_of(container[0], {"held": container}) == {container[0]: "held[0]"}


def test_elements_of_an_array_of_values_are_called_by_their_places():
    array = np.array([[Value(1.0), Value(2.0)]])
    names = names_of(array[0, 0] * array[0, 1], {"array": array})
    assert list(names.values()) == ["array[0, 0]", "array[0, 1]"]


def test_what_is_longer_than_can_be_read_has_no_name():
    long = "x" * MAX_SOURCE
    assert sources(f"{START}{long} = Value(1.0)\nr = ({long}*x).exp()") == []
    node = Value(1.0)
    assert names_of(node, {"p": {"k" * MAX_SOURCE: node}}) == {}


def test_code_without_source_leaves_its_nodes_without_names():
    variables = {"x": Value(2.0)}
    with record_locations():
        exec(compile("r = (x*x).exp()", "<nowhere>", "exec"), variables)
    assert list(names_of(variables["r"], variables).values()) == ["x", "r"]


def test_what_a_call_uses_on_its_way_is_not_called_by_its_source():
    assert sources(START + "r = sum([x, y, total]).exp()") == ["sum([x, y, total])"]
    names, variables = named(START + "z = sum([x, y, total])\nr = z.exp()")
    assert not any(isinstance(name, SourceText) for name in names.values())
    assert names[variables["z"]] == "z"


def test_what_several_calls_call_their_own_is_the_name_of_none():
    function = "def f(a):\n    hidden = Value(2.0)\n    return (hidden*w[0] + a).tanh()\n"
    assert "hidden*w[0]" in sources(START + function + "r = f(x + y).exp()")
    assert "hidden" not in " ".join(sources(START + function + "r = f(x + y) + f(x * y)"))


@pytest.mark.parametrize("name", ["a # b", "a +\n b", "a += b", "a; b", "a b", "\x1b[31m"])
def test_a_name_that_is_no_expression_is_in_no_other(name):
    x, y = Value(2.0, name=name), Value(3.0)
    with record_locations():
        root = (x * y).exp()
    assert not any(name in text for text in names_of(root, {"y": y}).values())


def test_a_call_is_called_by_its_source():
    start = "import numpy as np\nfrom autolm import Tensor, ops\nE = Tensor([[1.0], [2.0]])\n"
    start += "ids = np.array([0, 1, 1])\naxis = 0\n"
    assert sources(start + "r = E.sum(axis=axis).exp()\n") == ["E.sum(axis=axis)"]
    embedded = "ops.embedding(E, token_ids=ids)"
    assert sources(f"{start}r = {embedded}.exp()\n") == [embedded]


def test_strings_in_keys_are_written_so_that_they_are_read_back():
    for key in ("'", '"', "</b>", "\x00", "\u202e", "a\nb"):
        p = {key: Value(1.0)}
        assert eval(names_of(p[key], {"p": p})[p[key]]) is p[key]


# Steps that a program prints


def test_a_printed_step_calls_its_nodes_as_prompt_and_picture_do():
    w, p = [Value(0.5), Value(-1.0)], {"a": Value(3.0)}
    with record_locations():
        h = w[0] * 2.0
        loss = (h + w[1] * p["a"]).tanh()
    names = Names(Backprop(loss).operations, {"w": w, "p": p, "h": h, "loss": loss})
    for line, step in zip(map(str, loss.steps()), loss.steps(), strict=True):
        assert line.split("  ")[2] == assignment(step.node, names)
        assert [str(c).split(":")[0] for c in step.contributions] == [
            names(c.parent) for c in step.contributions
        ]
    forward = [str(step).split("  ")[2].split(" = ")[0] for step in loss.forward_steps()]
    assert forward == ["h", 'w[1] * p["a"]', 'h + w[1] * p["a"]', "loss"]
    picture = unescape(draw(loss).source).replace("\N{NO-BREAK SPACE}", " ")
    assert all(name in picture for name in forward)


def test_a_loop_that_prints_its_steps_looks_names_up_once_and_again_for_a_new_variable(monkeypatch):
    looked_up = []

    def counted(*arguments):
        looked_up.append(arguments)
        return names_of(*arguments)

    monkeypatch.setattr(program_names, "names_of", counted)
    x = Value(2.0)
    loss = (x * 3).exp()
    step = line = lines = ""
    lines = []
    for step in loss.steps():
        line = str(step)
        lines.append(line.split("  ")[2])
    assert (lines, len(looked_up)) == (["loss = exp(mul)", "x · 3"], 1)
    product = loss.parents[0]
    assert str(step).split("  ")[2] == "product = x · 3"
    assert (len(looked_up), product.op.name) == (2, "mul")
    other = (x * 3).exp()
    assert "loss" not in str(next(other.steps()))


def test_a_step_is_no_place_of_its_node_and_what_was_printed_keeps_no_graph():
    x = Tensor(2.0, requires_grad=True)
    steps = list((x * 3).exp().steps())
    assert [str(step).split("  ")[2] for step in steps] == ["exp(mul)", "x · 3"]
    gone = ref(steps[0].node)
    del steps
    assert gone() is None


def test_where_no_root_is_told_a_node_is_called_as_in_the_largest_graph_that_has_it():
    """Of the sums on the way to a sum, only the whole tells which of them it is."""
    xs = [Value(1.0), Value(2.0), Value(3.0)]
    with record_locations():
        loss = sum(xs).exp()
    total = [loss.parents[0]]
    assert describe(total[0].parents[0]).startswith("add at ")
    total.clear()
    assert describe(loss.parents[0]).startswith("add 'sum(xs)' at ")


def test_of_two_graphs_with_a_node_the_one_made_last_is_asked():
    def square(a):
        return a * a

    with record_locations():
        part = [square(Value(2.0)) + 1]
        alone = part[0] * 1
        assert describe(part[0].parents[0]).startswith("mul 'a * a' at ")
        both = alone + square(Value(3.0))
    assert describe(part[0].parents[0]).startswith("mul at ")
    of_both, of_part = ([*root.steps()] for root in (both, part[0]))
    assert [str(step).split("  ")[2] for step in of_part] == [
        "part[0] = a * a + 1",
        "a * a",
    ]
    assert str(next(both.steps())).split("  ")[2].startswith("both = alone + mul")
    assert str(of_part[1]).split("  ")[2] == "2 · 2"
    assert len(of_both) == 5
    assert str([*part[0].steps()][1]).split("  ")[2] == "a * a"


def test_steps_under_a_root_that_no_variable_holds_are_called_as_in_its_graph():
    xs = [Value(1.0), Value(2.0)]
    with record_locations():
        steps = list((sum(xs) * 3).steps())
    printed = [str(step).split("  ")[2] for step in reversed(steps)]
    assert printed == ["0 + xs[0]", "sum(xs)", "sum(xs) * 3"]
