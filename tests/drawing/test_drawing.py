"""What a picture of a small graph shows: every node, every edge, and no number that is not known.

The DOT is read back by Graphviz itself.
"""

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from autolm import Tensor, Value, ops, scope
from autolm.drawing import Drawing, draw
from autolm.drawing.direction import direction_of
from autolm.drawing.palette import LIGHT
from tests.needs import need_renderer
from tests.pictures import SVG, parse
from tests.session import the_neuron

ROOT = Path(__file__).parent.parent.parent


def test_a_square_has_two_edges_from_one_box():
    x = Value(3.0, name="x")
    picture = parse(draw(x * x))
    leaf, times = picture.called("x").key, picture.operation("×").key
    assert picture.ends()[:2] == [(leaf, times), (leaf, times)]
    assert len(picture.edges) == 3
    assert len(picture.nodes) == 3


def test_a_diamond_comes_together_again():
    x = Value(2.0, name="x")
    up, down = x * 3.0, x + 1.0
    up.name, down.name = "up", "down"
    picture = parse(draw(up - down))
    x_key = picture.called("x").key
    assert {head for tail, head in picture.ends() if tail == x_key} == {
        picture.operation("×").key,
        picture.operation("+").key,
    }
    assert {tail for tail, head in picture.ends() if head == picture.operation("−").key} == {
        picture.called("up").key,
        picture.called("down").key,
    }


def test_a_node_that_is_used_again_is_drawn_once():
    a = Value(2.0, name="a")
    shared = a.exp()
    shared.name = "shared"
    picture = parse(draw(Value.sum([shared * 1.0, shared * 2.0, shared, a])))
    assert sum(tail == picture.called("shared").key for tail, _ in picture.ends()) == 3
    assert sum(tail == picture.called("a").key for tail, _ in picture.ends()) == 2


def test_operands_keep_their_order():
    a, b = Value(1.0, name="a"), Value(2.0, name="b")
    picture = parse(draw(b - a))
    into = [e for e in picture.edges if e.head == picture.operation("−").key]
    by_operand = sorted(into, key=lambda edge: edge.attributes["tooltip"])
    assert [e.attributes["tooltip"] for e in by_operand] == ["operand 1 of 2", "operand 2 of 2"]
    assert [e.tail for e in by_operand] == [picture.called("b").key, picture.called("a").key]


def test_operands_whose_order_matters_are_told_apart():
    a, b = Value(1.0, name="a"), Value(2.0, name="b")
    assert [edge.label for edge in parse(draw(b - a)).edges] == ["1st", "2nd", ""]
    assert [edge.label for edge in parse(draw(b + a)).edges] == ["", "", ""]
    assert [edge.label for edge in parse(draw(Value.dot([a], [b]))).edges] == ["", "", ""]
    q, k, v = (Tensor(np.ones((2, 3)), name=name) for name in "xyz")
    picture = parse(draw(ops.attention(q, k, v)))
    labels = {edge.tail: edge.label for edge in picture.edges}
    assert [labels[picture.called(name).key] for name in "xyz"] == ["q", "k", "v"]


def test_an_operand_that_order_and_broadcasting_tell_about_says_both():
    row, table = Tensor(np.ones(3), name="row"), Tensor(np.ones((2, 3)), name="table")
    picture = parse(draw(table - row))
    labels = {edge.tail: edge.label for edge in picture.edges}
    assert labels[picture.called("row").key] == "2nd  3 → 2×3"


def test_an_array_that_was_repeated_says_from_what_to_what():
    row, table = Tensor(np.ones(3), name="row"), Tensor(np.ones((2, 3)), name="table")
    picture = parse(draw(row * table))
    labels = {edge.tail: edge.label for edge in picture.edges}
    assert labels[picture.called("row").key] == "3 → 2×3"
    assert labels[picture.called("table").key] == ""


def test_an_array_that_was_not_broadcast_but_reduced_says_nothing():
    assert all(not edge.label for edge in parse(draw(Tensor(np.ones((2, 3))).sum(axis=0))).edges)


def test_kinds_are_told_apart_and_named_in_the_legend():
    picture = parse(draw(Value(2.0, name="w") * 5.0))
    assert sorted(node.kind for node in picture.nodes.values()) == [
        "constant",
        "data",
        "leaf",
        "operation",
    ]
    assert picture.legend == [
        "leaf: receives a gradient",
        "constant",
        "result",
        "operation",
        "root",
    ]


def test_the_legend_names_only_what_is_there():
    picture = parse(draw(Value(2.0, name="w")))
    assert picture.legend == ["leaf: receives a gradient", "root"]


def test_a_gradient_that_was_not_computed_is_a_dash_and_one_that_is_0_is_0():
    x = Value(3.0, name="x")
    y = x * 0.0
    before = parse(draw(y)).called("x").rows
    y.backward()
    after = parse(draw(y)).called("x").rows
    assert before == {"data": "3", "grad": "–"}
    assert after == {"data": "3", "grad": "0"}


def test_a_constant_has_no_gradient_to_show():
    picture = parse(draw(Value(3.0, name="x") * 2.0))
    (constant,) = [node for node in picture.nodes.values() if node.kind == "constant"]
    assert constant.rows == {"data": "2"}


def test_numbers_have_four_significant_digits():
    shown = parse(draw(Value(-math.pi * 1e-7, name="x"))).called("x").rows
    assert shown["data"] == "−3.142e−07"


def test_an_array_is_its_shape_and_its_first_numbers():
    x = Tensor(np.arange(6.0).reshape(2, 3) / 3, name="x")
    node = parse(draw(x)).called("x")
    assert node.texts[:2] == ["x", "2×3"]
    assert node.rows["data"] == "0 0.3333 0.6667 …"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_marked(bad):
    picture = parse(draw(Value(bad, name="x") * 1.0))
    assert "not finite" in picture.legend
    assert "not finite" not in parse(draw(Value(1.0, name="x") * 1.0)).legend


def test_a_gradient_that_is_not_finite_is_marked():
    x = Value(0.0, name="x")
    y = x.sqrt()
    y.backward()
    assert y.data == 0
    assert "not finite" in parse(draw(y)).legend


@pytest.mark.parametrize(("name", "line"), [("root", LIGHT.ink), ("leaf", LIGHT.leaf_line)])
def test_what_is_not_finite_is_still_seen_to_be_the_root_or_a_leaf(name, line):
    y = Value(math.nan, name="leaf") * 1.0
    y.name = "root"
    label = parse(draw(y)).called(name).attributes["label"]
    outer, inner = re.findall(r'<TABLE BORDER="([12])"[^>]* COLOR="([^"]+)"', label)
    assert (outer, inner) == (("1", LIGHT.alarm_line), ("2", line))


def test_no_arrow_of_a_square_crosses_the_arithmetic_of_its_gradient():
    need_renderer()
    x = Value(3.0, name="x")
    svg = ElementTree.fromstring(Drawing(x * x).svg(edges="chain rule"))
    arrows = {g.get("id"): g for g in svg.iter(f"{SVG}g") if "edge" in g.get("class", "").split()}
    for gradient in ("n1grad0", "n1grad1"):
        text = arrows[gradient].find(f"{SVG}text")
        height = float(text.get("y")) - 3  # the middle of its signs
        for forward in ("n1in0", "n1in1"):
            path = arrows[forward].find(f"{SVG}path").get("d")
            heights = [float(y) for y in re.findall(r",(-?[\d.]+)", path)]
            assert not min(heights) - 4 < height < max(heights) + 4


def test_scopes_are_frames_one_inside_the_other():
    with scope("outer"), scope("inner"):
        y = Value(1.0, name="x") * 2.0
    assert parse(draw(y)).frames == [["outer"], ["inner"]]


def test_the_hint_of_a_node_has_its_name_formula_rules_and_scope():
    with scope("part"):
        y = Value(1.5, name="x").tanh()
    hint = parse(draw(y)).operation("tanh").hint
    assert hint.split("\n") == [
        "y",
        "tanh: tanh a",
        "gradient: ḡ · (1 − y²)",
        f"data {math.tanh(1.5)!r}",
        "scope part",
    ]


def test_arithmetic_on_gradient_edges_is_that_of_the_neuron():
    root, _ = the_neuron()
    picture = parse(draw(root, edges="chain rule"))
    labels = [edge.label for edge in picture.edges if edge.is_gradient]
    assert sorted(labels) == sorted(
        ["1 × 0.5 = 0.5"]
        + ["0.5 × 1 = 0.5"] * 5  # the four through + and that of x2
        + ["0.5 × −3 = −1.5", "0.5 × 2 = 1", "0.5 × 0 = 0"]
    )


def test_what_arrives_at_a_node_adds_up_to_its_gradient():
    a = Value(2.0, name="a")
    b = a * a + a * 3.0
    picture = parse(draw(b * b, edges="gradient"))
    for node in picture.nodes.values():
        arriving = [
            float(e.label.replace("−", "-"))
            for e in picture.edges
            if e.is_gradient and e.tail == node.key
        ]
        if arriving:
            assert sum(arriving) == float(node.rows["grad"])


def test_a_gradient_edge_runs_beside_each_edge_that_carries_one():
    x = Value(3.0, name="x")
    picture = parse(draw(x * x + 1.0, edges="gradient"))
    assert (
        picture.ends(gradient=True).count((picture.called("x").key, picture.operation("×").key))
        == 2
    )
    constant = next(n.key for n in picture.nodes.values() if n.kind == "constant")
    assert constant not in {tail for tail, _ in picture.ends(gradient=True)}


@pytest.mark.parametrize("edges", ["forward", "gradient", "chain rule"])
def test_drawing_changes_no_gradient(edges):
    x = Value(3.0)
    y = x * x
    draw(y, edges=edges)
    assert not x.has_grad
    assert not y.has_grad
    y.backward()
    draw(y, edges=edges)
    assert x.grad == 6.0


def test_a_neighbourhood_counts_what_it_leaves_out():
    x = Value(0.5, name="x")
    middle = x
    for _ in range(10):
        middle = middle.sin()
    middle.name = "middle"
    y = middle
    for _ in range(10):
        y = y.cos()
    picture = parse(draw(y, focus="middle", radius=2))
    assert sum(n.texts == ["sin"] for n in picture.nodes.values()) == 2
    assert sum(n.texts == ["cos"] for n in picture.nodes.values()) == 2
    assert sorted(n.texts[0] for n in picture.nodes.values() if n.kind == "more") == [
        "+1 operand",
        "+1 use",
    ]
    assert "5 of 21 nodes, within 2 of middle" in picture.legend
    assert "in focus" in picture.legend


def test_a_focus_may_be_the_node_itself():
    x = Value(1.0, name="x")
    y = x.exp()
    assert parse(draw(y.exp().exp(), focus=y, radius=1)).called("x")


def two_layers():
    y = Value(2.0, name="x")
    for part in ("first", "second"):
        with scope(part):
            y = (y * Value(3.0, name=f"{part}.W")).exp()
    return y


def test_a_focus_that_may_be_several_nodes_asks_which():
    with pytest.raises(ValueError, match=r"'W' may be any of first\.W, second\.W; say which"):
        draw(two_layers(), focus="W")


def test_a_focus_may_be_a_whole_name_or_its_last_part_where_only_one_has_it():
    y = two_layers()
    assert parse(draw(y, focus="first.W", radius=1)).frames == [["first"]]
    assert parse(draw(y.parents[0], focus="x", radius=0)).called("x")
    with scope("only"):
        z = Value(1.0, name="only.b").exp()
    assert parse(draw(z, focus="b", radius=0)).called("b")


def test_of_nodes_with_one_name_the_focus_is_the_last_and_says_so():
    y = Value(0.5, name="h")
    for _ in range(3):
        y = y.sin()
        y.name = "h"
    picture = parse(draw(y, focus="h", radius=1))
    assert "2 of 4 nodes, within 1 of h, 4 of 4 of this name" in picture.legend


def test_a_neighbourhood_of_a_node_with_many_uses_keeps_to_its_budget():
    x = Value(1.0, name="x")
    y = Value.sum([x * float(i) for i in range(200)])
    picture = parse(draw(y, focus=x, radius=1, max_boxes=10))
    assert sum(node.kind == "data" for node in picture.nodes.values()) == 9
    (more,) = [node for node in picture.nodes.values() if node.texts == ["+191 uses"]]
    assert more.kind == "more"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"focus": "x1w3"}, "no node is called 'x1w3' here; there are: x1w1, x1$"),
        ({"focus": Value(1.0)}, "this node is not in the graph"),
        ({"focus": "x1w1", "depth": 1}, "leave out depth, expand"),
        ({"edges": "sideways"}, "edges is 'sideways'; choose"),
        ({"radius": -1}, "radius must be at least 0"),
    ],
)
def test_a_wrong_option_is_an_error_that_helps(options, message):
    x1, x1w1 = Value(1.0, name="x1"), Value(2.0, name="x1w1")
    with pytest.raises(ValueError, match=message):
        draw(x1 * x1w1, **options)


def test_only_a_node_can_be_drawn():
    with pytest.raises(TypeError, match="node must be a Value or a Tensor, not"):
        draw([Value(1.0)])


def test_the_text_is_the_same_in_every_process():
    program = (
        "from autolm.drawing import draw; from autolm.lm import TinyLM; import numpy as np\n"
        "model = TinyLM(9, 8, 2, 16, 1, seed=3)\n"
        "loss = model.compute_loss(np.arange(5), np.arange(5) + 1)\n"
        "print(draw(loss).source, draw(loss.to_values().item(), edges='gradient').source)"
    )

    def text(seed):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    first = text("1")
    assert len(first) > 5000
    assert text("2") == first


def test_a_long_chain_is_drawn_without_recursion_and_shows_its_end():
    y = Value(1.0)
    for _ in range(20_000):
        y = y.sin()
    picture = parse(draw(y))
    assert len(picture.nodes) <= 18
    assert picture.legend[-1] == f"20 001 nodes in {len(picture.nodes)} boxes, 1 of them closed"
    hidden = 20_001 - (len(picture.nodes) - 1)
    assert [f"+{hidden:,} nodes".replace(",", " ")] == [
        text for node in picture.nodes.values() for text in node.texts if text.startswith("+")
    ]


def test_infinities_that_meet_in_a_gradient_are_drawn_without_a_warning():
    x = Tensor([0.0, 1.0], name="x")
    picture = parse(draw((1 / x - 2 / x).sum(), edges="chain rule"))
    assert any("nan" in text for text in picture.called("x").texts)


@pytest.mark.parametrize(
    ("steps", "options", "expected"),
    [
        (3, {}, "LR"),
        (16, {}, "TB"),  # which would be 2 500 pixels wide
        (3, {"width": 300}, "TB"),
        (3, {"direction": "down"}, "TB"),
        (16, {"direction": "right"}, "LR"),
        (3, {"edges": "chain rule", "width": 740}, "TB"),
        (60, {}, "TB"),  # collapsed
    ],
)
def test_a_picture_turns_downwards_where_it_would_be_too_wide(steps, options, expected):
    y = Value(0.5, name="x")
    for i in range(steps):
        y = y.sin() if i % 2 else y.tanh()
    assert f"rankdir={expected}" in draw(y, **options).source


def test_forty_nodes_are_drawn_one_by_one():
    y = Value(0.5, name="x")
    for _ in range(39):
        y = y.sin()
    assert Drawing(y).view().is_exact


@pytest.mark.parametrize("edges", ["forward", "chain rule"])
def test_how_wide_a_picture_will_be_is_known_before_it_is_laid_out(edges):
    """What keeps within the width, as estimated, does so when Graphviz has laid it out."""
    need_renderer()
    y = Value(0.5, name="x")
    for i in range(6):
        y = y * Value(1.5, name=f"weight_{i}") if i % 2 else y.tanh()
    view = Drawing(y).view(edges=edges)
    estimate = next(w for w in range(100, 5000, 20) if direction_of(view, w) == "right")
    svg = Drawing(y).svg(edges=edges, direction="right")
    points = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    assert points * 4 / 3 == pytest.approx(estimate, rel=0.25)


@pytest.mark.parametrize("method", ["save", "render"])
@pytest.mark.parametrize(
    ("name", "start"), [("x.svg", b"<svg"), ("x.png", b"\x89PNG"), ("x.dot", b"digraph")]
)
def test_a_picture_is_written_as_its_name_says(method, name, start, tmp_path):
    a = Value(2.0)
    path = tmp_path / name
    assert getattr(draw(a * a, grad=True), method)(str(path)) == path
    assert path.read_bytes().startswith(start)


def test_a_picture_refuses_to_write_a_page(tmp_path):
    with pytest.raises(ValueError, match=r"autolm\.render\(loss, .* writes a page"):
        draw(Value(2.0) * 3).save(tmp_path / "x.html")


def test_grad_is_short_for_the_chain_rule():
    a = Value(2.0, name="a")
    loss = (a * a).tanh()
    assert draw(loss, grad=True).source == draw(loss, edges="chain rule").source
