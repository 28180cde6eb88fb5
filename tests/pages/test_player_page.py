"""The player, in a real browser: what is lit, what is written, and that it needs nothing else."""

import re

import pytest

from autolm import Tensor, Value, scope
from autolm.pages import player
from tests.needs import need_renderer
from tests.pages.player_page import (
    box_texts,
    go_to,
    is_visible,
    key_of,
    lines,
    lit,
    opened,
    position,
    report_lines,
    to_the_last_step,
)

# Of the neuron: 0 the leaves, 1 to 5 forward, 6 the gradient of the root, 7 to 11 backward, 12 the
# update.
TURN, LAST = 6, 12


@pytest.fixture
def neuron(browser, neuron_page):
    return opened(browser, neuron_page)


@pytest.fixture
def model(browser, model_page):
    return opened(browser, model_page)


@pytest.fixture(autouse=True)
def no_complaints_and_no_requests(browser):
    yield
    assert browser.problems == []
    assert [
        url for url in browser.requests if not url.endswith((".html", ".html#8", "#step=8"))
    ] == []
    assert len(browser.requests) <= 1  # the page itself


def test_it_opens_with_the_leaves_given_and_nothing_computed(neuron):
    assert position(neuron) == 0
    assert neuron.text("#what") == "The leaves are given."
    assert box_texts(neuron, "w1") == {"data": "−3", "grad": "–"}
    assert box_texts(neuron, "o") == {"data": "–", "grad": "–"}
    assert lit(neuron) == ([], [])


def test_arrow_keys_go_forward_and_back(neuron):
    neuron.press("ArrowRight")
    assert position(neuron) == 1
    assert neuron.text("#what") == "x1w1 = x1 · w1"
    assert lines(neuron) == ["2 · (−3) = −6"]
    assert box_texts(neuron, "x1w1") == {"data": "−6", "grad": "–"}
    neuron.press("ArrowLeft")
    assert position(neuron) == 0
    assert box_texts(neuron, "x1w1") == {"data": "–", "grad": "–"}
    go_to(neuron, 3)
    neuron.press("ArrowLeft")
    assert position(neuron) == 2


def test_keys_stop_at_both_ends(neuron):
    neuron.press("ArrowLeft")
    assert position(neuron) == 0
    neuron.press("End")
    neuron.press("ArrowRight")
    assert position(neuron) == LAST
    neuron.press("Home")
    assert position(neuron) == 0


def test_the_operation_and_its_edges_are_lit(neuron):
    neuron.press("ArrowRight")
    key = key_of(neuron, "x1w1")
    assert lit(neuron) == ([f"{key}op"], [f"{key}in0", f"{key}in1", f"{key}out"])


def test_backward_writes_the_arithmetic_out_and_adds_it_up(neuron):
    go_to(neuron, TURN)
    assert neuron.text("#what") == "The pass begins at the result: o.grad = 1"
    assert box_texts(neuron, "o") == {"data": "0.7071", "grad": "1"}
    assert box_texts(neuron, "n")["grad"] == "–"
    neuron.press("ArrowRight")
    assert neuron.text("#phase") == "backward"
    assert lines(neuron) == ["ḡ = 1", "ḡ · (1 − y²) = 1 × 0.5 = 0.5 → n.grad: – → 0.5"]
    assert box_texts(neuron, "n")["grad"] == "0.5"
    to_the_last_step(neuron)
    assert "ḡ · w1 = 0.5 × −3 = −1.5 → x1.grad: – → −1.5" in lines(neuron)
    assert "ḡ · x1 = 0.5 × 2 = 1 → w1.grad: – → 1" in lines(neuron)
    grads = {name: box_texts(neuron, name)["grad"] for name in ("x1", "w1", "x2", "w2", "b")}
    assert grads == {"x1": "−1.5", "w1": "1", "x2": "0.5", "w2": "0", "b": "0.5"}


def test_letters_of_formulas_are_no_names_of_the_program(browser, tmp_path):
    """The neuron has a node b: there ḡ · b would be wrong; here the record's words stand."""
    need_renderer()
    u, v = Value(3.0, name="u"), Value(2.0, name="v")
    page = opened(browser, player(u * v, tmp_path / "product.html"))
    page.press("ArrowRight")
    assert lines(page) == ["3 · 2 = 6", "y = a · b"]
    to_the_last_step(page)
    assert lines(page)[1] == "ḡ · b = 1 × 2 = 2 → u.grad: – → 2"


def test_a_node_that_is_used_twice_fills_up_step_by_step(browser, tmp_path):
    need_renderer()
    x = Value(3.0, name="x")
    page = opened(browser, player(x * x, tmp_path / "square.html"))
    to_the_last_step(page)
    assert lines(page) == [
        "ḡ = 1",
        "ḡ · b = 1 × 3 = 3 → x.grad: – → 3",
        "ḡ · a = 1 × 3 = 3 → x.grad: 3 → 6",
    ]
    assert box_texts(page, "x")["grad"] == "6"
    assert len(lit(page)[1]) == 2


def test_the_slider_moves_it(neuron):
    neuron.evaluate(
        """(() => { const slider = document.getElementById("slider");
            slider.value = 7; slider.dispatchEvent(new Event("input")); })()"""
    )
    assert position(neuron) == 7
    assert neuron.text("#what") == "o = tanh(n)"


def test_the_slider_follows_the_keys(neuron):
    go_to(neuron, 3)
    assert neuron.evaluate("document.getElementById('slider').value") == "3"
    assert neuron.evaluate("document.getElementById('slider').max") == str(LAST)


def test_the_slider_takes_a_click(neuron):
    neuron.click("#slider")
    assert position(neuron) in (LAST // 2, LAST // 2 + 1)


def test_playing_goes_on_by_itself_and_pauses_at_the_end(neuron):
    neuron.evaluate(
        "window.ticks = []; window.setInterval = (act) => { ticks.push(act); return 1; }"
    )
    neuron.press(" ")
    assert neuron.evaluate("document.body.classList.contains('playing')")
    for _ in range(LAST):
        neuron.evaluate("ticks[0]()")
    assert position(neuron) == LAST
    assert not neuron.evaluate("document.body.classList.contains('playing')")


def test_playing_again_at_the_end_starts_anew(neuron):
    neuron.evaluate("window.setInterval = () => 1")
    neuron.press("End")
    neuron.click("#play")
    assert position(neuron) == 0
    assert neuron.evaluate("document.getElementById('play').getAttribute('aria-label')") == "Pause"
    neuron.click("#play")
    assert neuron.evaluate("document.getElementById('play').getAttribute('aria-label')") == "Play"


def test_any_step_by_hand_pauses(neuron):
    neuron.press(" ")
    neuron.press("ArrowRight")
    assert not neuron.evaluate("document.body.classList.contains('playing')")


def test_buttons_do_what_keys_do(neuron):
    neuron.click("#next")
    neuron.click("#next")
    neuron.click("#previous")
    assert position(neuron) == 1
    neuron.click("#continue")
    assert position(neuron) == LAST
    neuron.click("#first")
    assert position(neuron) == 0


def test_a_click_on_a_node_goes_to_its_step_and_explains_it(neuron):
    neuron.click(f"#{key_of(neuron, 'n')}")
    assert neuron.text("#what") == "n = x1w1x2w2 + b"
    assert neuron.text("#phase") == "forward"
    neuron.press("End")
    neuron.click(f"#{key_of(neuron, 'b')}")
    assert neuron.text("#name") == "b"
    assert report_lines(neuron)[-2:] == [
        "grad = 0.5, the sum of",
        "  0.5 × 1 = 0.5   from n = x1w1x2w2 + b",
    ]
    neuron.click(f"#{key_of(neuron, 'n')}")
    assert (neuron.text("#phase"), neuron.text("#what")) == ("backward", "n = x1w1x2w2 + b")


def test_a_node_can_be_chosen_from_the_keyboard(neuron):
    neuron.evaluate(f"document.getElementById({key_of(neuron, 'n')!r}).focus()")
    neuron.press(" ")
    assert neuron.text("#name") == "n"


def test_a_breakpoint_on_a_node_stops_it(neuron):
    neuron.click(f"#{key_of(neuron, 'x2w2')}")
    neuron.press("b")
    assert neuron.evaluate("document.querySelectorAll('.stop').length") == 1
    neuron.press("Home")
    stops = []
    for _ in range(3):
        neuron.press("c")
        stops.append((neuron.text("#phase"), neuron.text("#what")))
    assert stops[:2] == [("forward", "x2w2 = x2 · w2"), ("backward", "x2w2 = x2 · w2")]
    assert position(neuron) == LAST
    neuron.click(f"#{key_of(neuron, 'x2w2')}")
    neuron.click("#break")
    assert neuron.evaluate("document.querySelectorAll('.stop').length") == 0


def test_a_breakpoint_goes_to_the_node_that_was_chosen_not_to_the_step(neuron):
    key = key_of(neuron, "x2w2")
    neuron.click(f"#{key}")
    neuron.press("End")
    neuron.press("b")
    assert neuron.evaluate("document.querySelector('.stop').parentElement.id") == f"{key}op"


def test_a_breakpoint_on_an_operation_stops_at_each(neuron):
    options = neuron.evaluate(
        "[...document.getElementById('operation').options].map((o) => o.value)"
    )
    assert options == ["", "+", "tanh", "×"]
    neuron.evaluate(
        """(() => { const select = document.getElementById("operation");
            select.value = "+"; select.dispatchEvent(new Event("change")); })()"""
    )
    stops = []
    for _ in range(4):
        neuron.press("c")
        stops.append(neuron.text("#what"))
    assert stops == [
        "x1w1x2w2 = x1w1 + x2w2",
        "n = x1w1x2w2 + b",
        "n = x1w1x2w2 + b",
        "x1w1x2w2 = x1w1 + x2w2",
    ]


def test_playing_stops_at_a_breakpoint(neuron):
    neuron.evaluate(
        "window.ticks = []; window.setInterval = (act) => { ticks.push(act); return 1; }"
    )
    neuron.press("ArrowRight")
    neuron.press("b")
    neuron.press("Home")
    neuron.press(" ")
    neuron.evaluate("ticks[0]()")
    assert position(neuron) == 1
    assert not neuron.evaluate("document.body.classList.contains('playing')")


def test_a_large_graph_steps_its_modules_both_ways(model):
    forward, backward = [], []
    for _ in range(model.evaluate("view.scene.moments.length") - 1):
        model.press("ArrowRight")
        phase = forward if model.text("#phase") == "forward" else backward
        phase.append(model.text("#what"))
    assert forward.index("blocks.0.attention") < forward.index("blocks.1.attention")
    assert backward.index("blocks.1.attention") < backward.index("blocks.0.attention")
    assert all(title in backward for title in forward)


def test_the_gradient_of_a_module_appears_when_what_uses_it_is_done(model):
    key = key_of(model, "feed_forward")
    number = f"document.querySelector('#{key} [data-row=grad]').textContent"
    while model.text("#what") != "blocks.0  add ×40" or model.text("#phase") != "backward":
        assert model.evaluate(number) == "–"
        model.press("ArrowRight")
    assert model.evaluate(number) != "–"


def test_the_numbers_of_a_module_are_those_of_the_engine(browser, tmp_path):
    need_renderer()
    w = [Value(float(i), name=f"w[{i}]") for i in range(40)]
    with scope("inside"):
        squares = [x * x for x in w]
    root = Value.sum(squares)
    page = opened(browser, player(root, tmp_path / "squares.html"))
    to_the_last_step(page)
    root.backward()
    assert "→ w.grad: 0 … 78" in lines(page)
    assert max(x.grad for x in w) == 78
    assert "80 contributions, 0 … 39" not in lines(page)


def test_a_closed_part_opens_on_click_and_closes_on_escape(model):
    model.press("ArrowRight")
    before = position(model)
    model.click(f"#{key_of(model, 'attention')}")
    assert model.text("#crumbs") == "whole graph › blocks.0.attention"
    assert key_of(model, "exp")
    texts = model.evaluate(
        "[...document.querySelectorAll('g.node.more')].map((g) => g.textContent)"
    )
    assert any("from norm_1" in re.sub(r"\s+", " ", text) for text in texts)
    model.press("Escape")
    assert model.text("#crumbs") == "whole graph"
    assert position(model) == before


def test_an_open_part_can_be_left_by_its_path(model):
    model.click(f"#{key_of(model, 'attention')}")
    model.click("#crumbs button")
    assert model.text("#crumbs") == "whole graph"


def test_enter_opens_the_part_that_is_lit(model):
    while model.text("#what") != "blocks.0.attention":
        model.press("ArrowRight")
    model.press("Enter")
    assert model.text("#crumbs") == "whole graph › blocks.0.attention"


def test_a_part_opened_during_the_backward_pass_begins_with_its_backward_pass(model):
    model.press("End")
    model.click(f"#{key_of(model, 'attention')}")
    assert model.text("#phase") == "backward"


def test_every_part_that_says_so_opens(model):
    keys = model.evaluate(
        "scenes.flatMap((s) => Object.values(s.boxes)).map((b) => b.opens).filter(Boolean)"
    )
    assert keys
    assert set(keys) <= set(model.evaluate("scenes.map((scene) => scene.key)"))


def test_a_link_may_name_a_step(browser, neuron_page):
    for fragment in ("#step=8", "#8"):
        browser.open_url(f"{neuron_page.as_uri()}{fragment}")
        assert position(browser) == 8


def test_it_is_dark_where_the_reader_wants_it_dark(browser, neuron_page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = opened(browser, neuron_page).evaluate(colour)
    assert (light, opened(browser, neuron_page, dark=True).evaluate(colour)) == (
        "rgb(255, 255, 255)",
        "rgb(20, 24, 29)",
    )


def test_a_name_that_is_a_program_does_not_run(browser, tmp_path):
    need_renderer()
    evil = "<img src=x onerror=document.title='ran'>"
    root = Value(1.0, name=evil) * Value(2.0, name="</script><script>document.title='ran'</script>")
    page = opened(browser, player(root, tmp_path / "evil.html"))
    to_the_last_step(page)
    assert page.evaluate("document.title") == "root – backprop player"
    assert box_texts(page, evil[:27] + "…") == {"data": "1", "grad": "2"}


def test_markup_in_a_name_is_written_out(browser, tmp_path):
    need_renderer()
    root = Value(3.0, name="<i>w</i>") * 2.0
    page = opened(browser, player(root, tmp_path / "markup.html"))
    to_the_last_step(page)
    assert lines(page)[1].endswith("→ <i>w</i>.grad: – → 2")


def test_the_help_names_the_keys(neuron):
    assert is_visible(neuron, "#help")
    for key in ("← →", "space", "c to the next breakpoint", "b break"):
        assert key in neuron.text("#help")


def test_playing_changes_no_gradient(tmp_path):
    need_renderer()
    x = Value(3.0)
    player(x * x, tmp_path / "x.html")
    assert not x.has_grad


@pytest.mark.parametrize("suffix", [".svg", ".png", ""])
def test_another_suffix_is_an_error(suffix, tmp_path):
    with pytest.raises(ValueError, match=r"the player is a page; its name ends in .html"):
        player(Value(1.0) * 2.0, tmp_path / f"x{suffix}")


def test_an_array_of_several_elements_is_an_error_that_helps(tmp_path):
    need_renderer()
    with pytest.raises(ValueError, match=r"take .sum\(\) or .mean\(\) first"):
        player(Tensor([1.0, 2.0]) * 2.0, tmp_path / "x.html")
