"""What a reader of the player has in sight: on a phone, of one operation, of what is not finite."""

import pytest

from autolm import Value
from autolm.pages import player
from autolm.pages.modules import Extent
from tests.needs import need_renderer
from tests.pages.player_page import box_texts, go_to, key_of, lines, opened


@pytest.fixture(autouse=True)
def no_complaints_and_no_requests(browser):
    yield
    assert browser.problems == []
    assert [url for url in browser.requests if not url.endswith((".html", ".html#8"))] == []
    assert len(browser.requests) <= 1  # the page itself


@pytest.mark.parametrize("which", ["neuron_page", "model_page"])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_width_of_a_phone(browser, which, dark, request):
    page = opened(browser, request.getfixturevalue(which), width=390, height=844, dark=dark)
    page.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in ("#first", "#previous", "#play", "#next", "#continue"):
        box = f"document.querySelector({button!r}).getBoundingClientRect()"
        assert page.evaluate(f"{box}.height") >= 44
        assert page.evaluate(f"{box}.right") <= 390
        assert page.evaluate(f"{box}.bottom") <= 844


def test_what_is_lit_is_in_sight_on_a_phone(browser, model_page):
    page = opened(browser, model_page, width=390, height=844)
    while page.text("#phase") != "backward":
        page.press("ArrowRight")
    assert page.evaluate(
        """(() => { const box = document.querySelector("g.node.lit").getBoundingClientRect();
            const stage = document.getElementById("stage").getBoundingClientRect();
            return box.top >= stage.top && box.bottom <= stage.bottom; })()"""
    )


def test_what_is_written_is_in_sight_with_what_is_lit(browser, neuron_page):
    page = opened(browser, neuron_page, width=390, height=844)
    for at in range(7, 12):
        go_to(page, at)
        assert page.evaluate(
            """[...document.querySelectorAll("g.node.changed, g.node.lit")].every((node) => {
                const box = node.getBoundingClientRect();
                return box.left >= 0 && box.right <= 390; })"""
        )


def test_a_box_is_marked_from_the_step_that_makes_it_infinite(browser, tmp_path):
    need_renderer()
    z, w = Value(0.0, name="z"), Value(0.0, name="w")
    root = z.log() * w
    root.backward()
    page = opened(browser, player(root, tmp_path / "page.html"))
    alarms = "[...document.querySelectorAll('g.node.alarm')]"
    marked = f"{alarms}.map(({{ id }}) => view.scene.boxes[id].title)"
    counts = []
    for at in range(6):
        go_to(page, at)
        counts.append(len(page.evaluate(marked)))
    assert counts == [0, 1, 2, 2, 3, 3]  # the leaves, ln, ×; the root, × , ln
    assert "w" in page.evaluate(marked)
    assert "z" not in page.evaluate(marked)
    assert box_texts(page, "w")["grad"] == "−inf"


def test_a_closed_part_is_marked_where_anything_in_it_is_not_finite(browser, tmp_path):
    need_renderer()
    y = Value(2.0, name="x")
    for i in range(60):
        y = (y.exp() if i % 2 else y.sin()) if i != 30 else y * float("inf")
    page = opened(browser, player(y, tmp_path / "page.html"))
    assert page.evaluate("document.querySelectorAll('g.node.alarm').length") == 0
    page.press("ArrowRight")  # forward through the closed part, the first box
    assert page.evaluate("document.querySelector('g.node.module').classList.contains('alarm')")


def test_one_operation_in_a_large_graph_is_written_out_both_ways(browser, tmp_path):
    need_renderer()
    z = Value(0.5, name="x")
    for i in range(60):
        z = z.sin() if i % 2 else z * 2.0
    page = opened(browser, player(z, tmp_path / "page.html"))
    go_to(page, page.evaluate("view.scene.moments.findIndex((moment) => moment.title === 'mul')"))
    first, second = lines(page)
    left, right = first.split(" = ")
    factors = [float(factor) for factor in left.split(" · ")]
    assert factors[0] * factors[1] == pytest.approx(float(right), rel=1e-3)
    assert second == "y = a · b"


def test_what_is_not_computed_yet_is_pale(browser, neuron_page):
    page = opened(browser, neuron_page)

    def is_pale(title):
        key = key_of(page, title)
        return (
            float(page.evaluate(f"getComputedStyle(document.getElementById('{key}')).opacity")) < 1
        )

    assert [is_pale(title) for title in ("w1", "x1w1", "o")] == [False, True, True]
    page.press("ArrowRight")
    assert [is_pale(title) for title in ("w1", "x1w1", "o")] == [False, False, True]
    page.press("End")
    assert not is_pale("o")


def test_extents_that_are_merged_keep_the_smallest_and_the_largest():
    whole = Extent()
    for values in ([3.0, -1.0], [2.0], [0.5, 0.25]):
        whole.merge(Extent.of(values))
    assert (whole.count, str(whole)) == (5, "−1 … 3")
    assert whole.is_finite()
    whole.merge(Extent.of([float("inf")]))
    assert not whole.is_finite()
