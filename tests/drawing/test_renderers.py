"""Whichever Graphviz there is draws the same picture, within its time, or says what is missing."""

import os
import re
import sys
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm import Value
from autolm.drawing import Drawing, draw, render, renderers
from autolm.drawing.palette import DARK, LIGHT
from autolm.drawing.renderers import RendererMissing, RenderTimeout, lay_out
from autolm.drawing.svg import tidy
from autolm.pages import player
from tests.needs import need_renderer
from tests.pictures import svg_edges, svg_texts

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


def test_without_a_renderer_the_error_names_the_command_that_helps(only, tmp_path):
    only()
    with pytest.raises(RendererMissing) as error:
        render(square(), tmp_path / "x.svg")
    assert "apt-get install graphviz" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.svg").exists()


def test_a_renderer_that_fails_is_passed_over(only):
    need_renderer()
    only(broken=BROKEN, **renderers.renderers())
    assert b"<svg" in lay_out(draw(square()).source, "svg", 60)


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
@pytest.mark.parametrize("name", NAMES)
def test_a_renderer_writes_a_kind_or_says_that_it_does_not(name, kind, only):
    need_renderer(name)
    only(**{name: renderers.renderers()[name]})
    if (name, kind) == ("graphviz-pure", "pdf"):
        with pytest.raises(RendererMissing, match="graphviz-pure writes svg and png only"):
            lay_out(draw(square()).source, kind, 60)
    else:
        picture = lay_out(draw(square()).source, kind, 60)
        assert {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}[kind] in picture


@pytest.mark.parametrize("name", NAMES)
def test_every_renderer_names_the_fonts_that_were_asked_for(name, only):
    need_renderer(name)
    only(**{name: renderers.renderers()[name]})
    source = draw(square()).source
    families = set(re.findall(r'font-family="([^"]*)"', Drawing(square()).svg()))
    assert families == set(re.findall(r'FACE="([^"]*)"', source))


@pytest.mark.parametrize("name", NAMES)
@given(st.text("0123456789.−e", min_size=8, max_size=40))
def test_a_number_is_no_wider_than_its_box(name, number):
    need_renderer(name)
    box = f'<FONT FACE="Courier New,monospace" POINT-SIZE="100">{number}</FONT>'
    chosen = {name: renderers.renderers()[name]}
    with patch.object(renderers, "renderers", lambda: chosen):
        svg = lay_out(f"digraph {{ n [shape=plain label=<{box}>] }}", "svg", 60)
    width = float(re.search(rb'<svg width="([0-9.]+)pt"', svg)[1])
    assert width > 0.59 * 100 * len(number)  # a digit of a fixed-width font is 0.6 of its size


def test_the_packaged_graphviz_finds_the_fonts_that_come_with_matplotlib(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("FONTCONFIG_FILE", raising=False)
    environment = renderers._with_fonts()
    fonts = Path(environment["XDG_DATA_HOME"], "fonts", "ttf")
    assert {"DejaVuSans.ttf", "DejaVuSansMono.ttf"} <= {path.name for path in fonts.iterdir()}
    ElementTree.parse(environment["FONTCONFIG_FILE"])


def test_fonts_that_the_user_has_chosen_are_used(monkeypatch):
    monkeypatch.setenv("FONTCONFIG_FILE", "mine.conf")
    assert renderers._with_fonts() == dict(os.environ)


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
    boxes = slow_for_many_boxes(monkeypatch, "autolm.drawing.drawing")
    with pytest.warns(UserWarning, match="collapsed to 9 boxes: the layout took longer than 20 s"):
        svg = Drawing(chain_of_sines()).svg()
    assert boxes == sorted(boxes, reverse=True)
    assert "collapsed to 9 boxes" in svg.replace("\N{NO-BREAK SPACE}", " ")


def test_a_player_that_takes_too_long_is_collapsed_further_and_says_so(monkeypatch, tmp_path):
    need_renderer()
    boxes = slow_for_many_boxes(monkeypatch, "autolm.pages.scene")
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
