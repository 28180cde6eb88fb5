"""The pictures of README and guide are there, and are what the product draws now."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.needs import need_renderer
from tests.pictures import svg_edges, svg_texts

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "demos" / "pictures"


def load_script():
    spec = importlib.util.spec_from_file_location("make_pictures", FOLDER / "make.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_every_picture_that_is_shown_is_there_and_no_other():
    pages = [(ROOT / page).read_text("utf-8") for page in ("README.md", "demos/guide.md")]
    shown = {name for page in pages for name in re.findall(r"pictures/([\w.-]+)\"", page)}
    assert shown == {path.name for path in FOLDER.iterdir() if path.suffix in (".svg", ".png")}


@pytest.mark.parametrize("name", ["expression", "neuron", "tinylm", "head"])
def test_a_picture_is_what_is_drawn_now(name):
    need_renderer()
    drawing, options = load_script().PICTURES[name]()
    for variant, dark in (("", False), ("-dark", True)):
        now = drawing.svg(dark=dark, **options)
        kept = (FOLDER / f"{name}{variant}.svg").read_text(encoding="utf-8")
        assert sorted(svg_texts(now).values()) == sorted(svg_texts(kept).values())
        assert svg_edges(now) == svg_edges(kept)
        assert set(re.findall(r"#[0-9a-f]{3,8}\b", now)) == set(
            re.findall(r"#[0-9a-f]{3,8}\b", kept)
        )


def test_colours_have_six_digits_for_old_graphviz():
    colours = {
        c
        for path in FOLDER.glob("*.svg")
        for c in re.findall(r"\"#([0-9a-fA-F]+)\"", path.read_text("utf-8"))
    }
    assert colours
    assert {len(colour) for colour in colours} == {6}
