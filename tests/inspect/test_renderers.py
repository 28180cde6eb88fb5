"""Whichever Graphviz there is draws the same picture, within its time, or says what is missing."""

import sys

import pytest

from autolm import Value
from autolm.inspect import Drawing, draw, player, render, renderers
from autolm.inspect.palette import DARK, LIGHT
from autolm.inspect.renderers import RendererMissing, RenderTimeout, lay_out
from autolm.inspect.svg import tidy
from tests.inspect.pictures import svg_edges, svg_texts
from tests.needs import need_renderer

NAMES = ["dot", "pygraphviz", "graphviz-pure"]
SLOW = [sys.executable, "-c", "import time; time.sleep(5)", "-T"]
BROKEN = [sys.executable, "-c", "import sys; sys.exit('Error: it is broken')", "-T"]


def square():
    x = Value(3.0, name="x")
    return x * x


@pytest.fixture
def only(monkeypatch):
    """Let these be all the renderers that there are."""

    def choose(**commands):
        monkeypatch.setattr(renderers, "renderers", lambda: commands)

    return choose


@pytest.mark.parametrize("name", NAMES)
def test_every_renderer_draws_the_same_boxes_and_edges(name, only):
    need_renderer(name)
    only(**{name: renderers.renderers()[name]})
    svg = Drawing(square()).svg()
    assert svg_texts(svg) == {
        "n0": ["x", "data", "3", "grad", "–"],
        "n1": ["data", "9", "grad", "–"],
        "n1op": ["×"],
    }
    assert svg_edges(svg) == {"n1in0": [], "n1in1": [], "n1out": []}


@pytest.mark.parametrize(
    ("suffix", "magic"),
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<svg"), (".html", b"<!")],
)
def test_each_kind_of_file_is_what_its_suffix_says(suffix, magic, tmp_path):
    need_renderer()
    path = render(square(), tmp_path / f"x{suffix}")
    assert path.read_bytes().startswith(magic)


def test_a_dot_file_needs_no_renderer_and_is_what_draw_returns(only, tmp_path):
    only()
    path = render(square(), tmp_path / "x.dot")
    assert path.read_text() == draw(square()).source


def test_without_a_renderer_the_error_names_the_two_commands_that_help(only, tmp_path):
    only()
    with pytest.raises(RendererMissing) as error:
        render(square(), tmp_path / "x.svg")
    assert "pip install 'autolm[viz]'" in str(error.value)
    assert "apt-get install graphviz" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.svg").exists()


def test_a_renderer_that_fails_is_passed_over(only):
    need_renderer()
    only(broken=BROKEN, **renderers.renderers())
    assert b"<svg" in lay_out(draw(square()).source, "svg", 60)


def test_if_all_fail_the_error_says_how(only):
    only(broken=BROKEN)
    with pytest.raises(RendererMissing, match="broken: Error: it is broken"):
        lay_out(draw(square()).source, "svg", 60)


def test_a_layout_that_takes_too_long_is_ended(only):
    only(slow=SLOW)
    with pytest.raises(RenderTimeout, match=r"longer than 0.1 s; lower max_boxes, or depth"):
        lay_out(draw(square()).source, "svg", 0.1)


def slow_for_many_boxes(monkeypatch, module):
    """Let a module's layouts of more than 9 boxes take too long; return how many each had."""
    boxes = []

    def only_small(source, kind, time_limit):
        boxes.append(source.count("class=rolled") + source.count("class=module"))
        if boxes[-1] > 9:
            raise RenderTimeout
        return lay_out(source, kind, time_limit)

    monkeypatch.setattr(sys.modules[module], "lay_out", only_small)
    return boxes


def chain_of_sines():
    y = Value(1.0)
    for _ in range(100):
        y = y.sin()
    return y


def test_a_picture_that_takes_too_long_is_collapsed_further_and_says_so(monkeypatch):
    need_renderer()
    boxes = slow_for_many_boxes(monkeypatch, "autolm.inspect.draw")
    with pytest.warns(UserWarning, match="collapsed to 9 boxes: the layout took longer than 20 s"):
        svg = Drawing(chain_of_sines()).svg()
    assert boxes == sorted(boxes, reverse=True)
    assert "collapsed to 9 boxes" in svg.replace("\N{NO-BREAK SPACE}", " ")


def test_a_player_that_takes_too_long_is_collapsed_further_and_says_so(monkeypatch, tmp_path):
    need_renderer()
    boxes = slow_for_many_boxes(monkeypatch, "autolm.inspect.player")
    with pytest.warns(UserWarning, match="player: collapsed to 9 boxes: the layout took longer"):
        page = player(chain_of_sines(), tmp_path / "page.html")
    assert boxes[0] > 9 >= boxes[-1]
    assert "collapsed to 9 boxes" in page.read_text(encoding="utf-8")


def test_hints_stand_in_place_of_internal_names():
    need_renderer()
    svg = tidy(lay_out(draw(square()).source, "svg", 60))
    assert "<title>mul: a · b\ngradient: ḡ · b" in svg
    assert "xlink" not in svg
    assert "<title>n1op" not in svg


@pytest.mark.parametrize("name", ["picture.gif", "picture", ".svg"])
def test_another_suffix_is_an_error_that_lists_those_there_are(name, tmp_path):
    with pytest.raises(ValueError, match=r"ends in one of .svg, .png, .pdf, .dot, .html"):
        render(square(), tmp_path / name)


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_has_the_paper_of_its_picture(dark, tmp_path):
    need_renderer()
    page = Drawing(square()).render(tmp_path / "x.html", dark=dark).read_text(encoding="utf-8")
    paper, other = (DARK.paper, LIGHT.paper) if dark else (LIGHT.paper, DARK.paper)
    assert f"html {{ background: {paper}; color-scheme: {'dark' if dark else 'light'}; }}" in page
    assert other not in page
