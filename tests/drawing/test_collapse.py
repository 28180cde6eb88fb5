"""The picture of a large graph: within its budget, nothing lost, and what is hidden is counted."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Tensor, Value, scope
from autolm.drawing import Drawing, draw
from autolm.drawing.collapse import _span
from autolm.engine.graph import topological_order
from autolm.lm import TinyLM
from tests.pictures import parse
from tests.programs import programs


def loss_of_model(num_layers=2, **options):
    sizes = {"vocab_size": 9, "d_model": 8, "num_heads": 2, "d_ff": 16, "num_layers": num_layers}
    model = TinyLM(**sizes, **options, dtype="float64", seed=3)
    return model.compute_loss(np.arange(5), np.arange(5) + 1)


@pytest.fixture(scope="module")
def deep():
    """Six layers, expanded to Values."""
    return Drawing(loss_of_model(6).to_values().item())


@pytest.fixture(scope="module")
def arrays():
    """Two layers, of Tensors."""
    return Drawing(loss_of_model())


def titles(view):
    return [box.title for box in view.boxes]


def box_called(view, title):
    (box,) = [box for box in view.boxes if box.title == title]
    return box


def badges(box):
    return [badge.text for badge in box.badges]


def hidden_count(box):
    match = re.search(r"\+([\d ]+) nodes", box.subtitle.replace("\N{NO-BREAK SPACE}", " "))
    return int(match[1].replace(" ", "")) if match else None


@given(
    programs(),
    st.lists(st.sampled_from(["", "a", "a.b", "a.0", "a.1", "a.2", "c"]), min_size=15, max_size=15),
    st.integers(1, 12),
    st.sampled_from([None, 0, 1, 2]),
)
def test_every_node_is_in_one_box_and_every_edge_in_one_arrow(program, scopes, max_boxes, depth):
    numbers, instructions = program
    nodes = [Value(number) for number in numbers]
    for (_, i, j), name in zip(instructions, scopes, strict=False):
        with scope(name):
            nodes.append(nodes[-1 - i % len(nodes)] + nodes[-1 - j % len(nodes)].sin())
    root = nodes[-1]
    view = Drawing(root).view(max_boxes=max_boxes, depth=depth)
    places = [(node, box.key) for box in view.boxes for node in box.nodes]
    order = topological_order(root)
    assert Counter(node for node, _ in places) == Counter(order)
    if not view.is_exact:
        place = dict(places)
        between = Counter(
            (place[parent], place[node])
            for node in order
            for parent in node.parents
            if parent.parents and place[parent] != place[node]
        )
        assert {(a.tail, a.head): a.count for a in view.arrows} == between


@pytest.mark.parametrize("max_boxes", [1, 4, 9, 18, 40])
@pytest.mark.parametrize("max_span", [3, 60])
def test_boxes_and_long_arrows_keep_to_the_budget(deep, max_boxes, max_span):
    view = deep.view(max_boxes=max_boxes, max_span=max_span)
    number = {box.key: i for i, box in enumerate(view.boxes)}
    assert len(view.boxes) <= max(max_boxes, 10)  # the outermost boxes cannot be closed further
    arrows = [(number[arrow.tail], number[arrow.head]) for arrow in view.arrows]
    assert _span(len(number), arrows) <= max(max_span, 60 if max_boxes < 10 else 3)


def test_a_larger_budget_opens_more(deep):
    sizes = [len(deep.view(max_boxes=n).boxes) for n in (9, 18, 40)]
    assert sizes == sorted(set(sizes))


def test_what_is_closed_says_how_many_nodes_it_hides(deep):
    view = deep.view()
    closed = [box for box in view.boxes if box.kind == "module"]
    assert closed
    assert all(hidden_count(box) == len(box.nodes) for box in closed)
    shown = view.notes[0].replace("\N{NO-BREAK SPACE}", " ")
    assert shown == f"10 550 nodes in {len(view.boxes)} boxes, {len(closed)} of them closed"


@pytest.mark.parametrize(("length", "is_whole"), [(40, True), (41, False)])
def test_a_graph_of_forty_nodes_in_parts_is_drawn_in_full(length, is_whole):
    x = Value(0.5, name="x")
    for i in range(length - 1):
        with scope(f"part.{i // 5}"):
            x = x.sin() if i % 2 else x.tanh()
    view = draw(x).view
    assert view.is_exact == is_whole
    assert (len([box for box in view.boxes if box.kind != "operation"]) == length) == is_whole


def test_layers_that_are_alike_are_rolled_with_their_number(deep):
    view = deep.view()
    others = box_called(view, "blocks.1 – 5")
    assert others.subtitle.startswith("×5 alike")
    assert not [title for title in titles(view) if title in ("blocks.2", "blocks.3", "blocks.5")]
    assert ("blocks.0",) in {box.frame for box in view.boxes}


def test_two_layers_are_not_worth_rolling(arrays):
    frames = {box.frame[:1] for box in arrays.view().boxes}
    assert {("blocks.0",), ("blocks.1",)} <= frames


def test_layers_that_differ_are_not_rolled():
    x = Value(1.0)
    for i in range(4):
        with scope(f"blocks.{i}"):
            x = (x + 1.0).exp() if i != 2 else (x + 1.0).sin()
            x = x * 2.0
    view = draw(x, depth=0, max_boxes=4).view
    assert titles(view) == ["blocks.0", "blocks.1", "blocks.2", "blocks.3"]


def test_elements_of_one_array_are_one_box_with_their_number(deep):
    view = deep.view(expand="blocks.0.attention")
    exp = box_called(view, "exp")
    assert exp.subtitle == "×30"  # 2 heads, 5 positions that see 1 to 5 others
    assert all(node.op.name == "exp" for node in exp.nodes)


def test_positions_in_time_are_rolled():
    with scope("rnn"):
        state = Value(0.1, name="start")
        w = Value(0.5, name="w")
        for t in range(40):
            with scope(f"time.{t}"):
                state = (state * w + 1.0).tanh()
    view = draw(state).view
    assert box_called(view, "time.1 – 39").subtitle.startswith("×39 alike")
    assert hidden_count(box_called(view, "time.1 – 39")) == 39 * 4


def test_parameters_and_constants_are_badges(arrays):
    attention = box_called(draw(loss_of_model(1), depth=1).view, "attention")
    assert badges(attention) == ["W_Q 8×8", "W_K 8×8", "W_V 8×8", "W_O 8×8"]
    assert not any(badge.is_constant for badge in attention.badges)
    first = box_called(arrays.view(depth=0), "add")
    assert [(badge.text, badge.is_constant) for badge in first.badges] == [("positions 5×8", True)]


def test_badges_of_values_tell_the_array_that_they_are_elements_of(deep):
    attention = box_called(deep.view(), "attention")
    assert badges(attention)[:4] == ["W_Q 8×8", "W_K 8×8", "W_V 8×8", "W_O 8×8"]


def test_leaves_without_names_are_counted_where_they_are_used():
    x = Value(1.0, name="x")
    first = Value.sum([x * Value(2.0) for _ in range(30)])
    root = Value.sum([first.exp() * Value(3.0) for _ in range(40)])
    used = [badges(box) for box in Drawing(root).view().boxes]
    assert [text for texts in used for text in texts if "leaf" in text] == ["leaf ×30", "leaf ×40"]


def test_arrows_into_one_operation_say_which_operand_they_bring():
    y = Value(0.5, name="x")
    for _ in range(60):
        y = y.sin()
    up, down = y.exp(), y.cos()
    view = Drawing(up / down).view()
    titles_by_key = {box.key: box.title for box in view.boxes}
    labels = {titles_by_key[a.tail]: a.label for a in view.arrows if titles_by_key[a.head] == "div"}
    assert labels == {"exp": "1st", "cos": "2nd"}


def test_many_badges_are_counted_instead(deep):
    (badge,) = box_called(deep.view(), "blocks.1 – 5").badges
    assert badge.text.replace("\N{NO-BREAK SPACE}", " ") == "50 parameters: 2 720 numbers"


def test_depth_0_closes_every_scope(deep):
    assert not [box for box in deep.view(depth=0).boxes if box.frame]


def test_depth_opens_scopes_evenly(arrays):
    view = arrays.view(depth=1)
    assert {box.frame for box in view.boxes} == {(), ("blocks.0",), ("blocks.1",), ("norm",)}
    assert {box.title for box in view.boxes if box.frame == ("blocks.0",)} == {
        "norm_1",
        "attention",
        "norm_2",
        "feed_forward",
        "add",
    }


def test_expand_opens_a_scope_whatever_the_budget(deep):
    view = deep.view(expand="blocks.3.attention", max_boxes=9)
    inside = [box.title for box in view.boxes if box.frame == ("blocks.3", "attention")]
    assert sorted(inside) == sorted(["dot"] * 6 + ["mul", "sub", "exp", "sum", "div"])
    assert {box.frame[0] for box in view.boxes if "attention" in box.frame} == {"blocks.3"}


def test_expand_takes_patterns_and_several_scopes(arrays):
    opened = [
        {box.frame[0] for box in arrays.view(expand=names).boxes if "attention" in box.frame}
        for names in ("blocks.*.attention", ["blocks.0.attention", "blocks.1.attention"])
    ]
    assert opened == [{"blocks.0", "blocks.1"}] * 2


def test_more_than_four_times_the_budget_is_not_opened(deep):
    assert len(deep.view(expand="blocks.*.attention", max_boxes=9).boxes) <= 36


def test_an_unknown_scope_is_an_error_that_lists_those_there_are(arrays):
    with pytest.raises(
        ValueError, match=r"no scope 'blocks.7' here; there are: blocks.1, blocks.0"
    ):
        arrays.view(expand="blocks.7")


def test_an_arrow_is_as_wide_as_its_edges_are_many_and_says_how_many():
    w = [Value(float(i), name=f"w[{i}]") for i in range(100)]
    with scope("many"):
        many = [x.exp() for x in w]
    with scope("few"):
        total = Value.sum(many).exp() * 2.0
    picture = parse(draw(total, depth=0, max_boxes=3))
    (arrow,) = picture.edges
    assert arrow.attributes["penwidth"] == "2.2"
    assert arrow.attributes["tooltip"] == "100 edges"


def test_a_graph_without_scopes_keeps_its_end_in_sight():
    y = Value(0.5)
    for _ in range(1000):
        y = y.sin()
    view = draw(y.tanh()).view
    assert box_called(view, "tanh").is_root
    assert titles(view)[1:-1] == ["sin"] * (len(view.boxes) - 2)
    assert hidden_count(view.boxes[0]) == 1002 - (len(view.boxes) - 1)


def test_gradients_between_boxes_say_how_small_and_how_large(arrays):
    root = loss_of_model(1)
    root.backward()
    view = draw(root, edges="gradient").view
    into = {arrow.tail: arrow.label for arrow in view.arrows if arrow.is_gradient}
    first = box_called(view, "embedding")
    assert dict(first.rows)["grad"] == into[first.key]


def test_what_is_not_finite_inside_a_closed_part_is_marked_outside():
    x = Tensor([1.0, 0.0], name="x")
    with scope("hidden"):
        y = x.log() * 0.0
    root = (y + 1.0).sum()
    view = draw(root, depth=0).view
    assert not box_called(view, "hidden").is_finite
    assert "not finite" in parse(draw(root, depth=0)).legend


def test_an_open_part_is_a_frame_with_its_name(arrays):
    picture = parse(arrays.dot(expand="blocks.0.attention"))
    assert picture.frames == [["blocks.0"], ["attention"]]


def test_a_graph_of_hundred_thousand_values_is_a_small_picture():
    rows = [[Value(float(i + j), name=f"W[{i},{j}]") for j in range(100)] for i in range(100)]
    x = [Value(float(j), name=f"x[{j}]") for j in range(100)]
    total = Value(0.0)
    for t in range(5):
        with scope(f"layer.{t}"):
            x = [Value.sum([w * a for w, a in zip(row, x, strict=True)]).tanh() for row in rows]
    total = Value.sum(x)
    drawing = Drawing(total)
    assert len(drawing.order) > 60_000
    source = drawing.dot().source
    assert len(source) < 30_000
    assert "layer.1 – 4" in source.replace("&#160;", " ")
