"""Names and tokens come from users: whatever they hold, DOT, SVG and HTML hold it as text.

Read back are the DOT by Graphviz, the SVG by an XML parser, the pages by an HTML parser.
"""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolm import Value, scope
from autolm.drawing import Drawing, draw
from autolm.drawing.markup import visible
from autolm.pages import player
from tests.needs import need_renderer
from tests.pictures import parse, svg_hints, svg_texts

HOSTILE = [
    'a"b<c>&|{}\n',
    "<b>bold</b>",
    "</script><script>alert(1)</script>",
    "<!-- ]]> -->",
    "&lt;&#60;&amp;",
    r"back\slash\n\l\N",
    "{x|<f0>y}",
    "tab\tand\x00null\x1b[31m",
    "\u2028\u2029\ud800\uffff",
    "ḡ · 日本 🙂",
    "{{DATA}}",
    "${x}`",
    "'%s' %(x)d",
    "node [label=x]; a -> b",
]
each_name = pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))


def shown(name):
    """How a name is to be read in a picture: cut, line breaks and the like as visible signs."""
    cut = name if len(name) <= 28 else name[:27] + "…"
    return visible(cut).replace("\N{NO-BREAK SPACE}", " ").strip()


@each_name
def test_dot_holds_any_name_as_text(name):
    picture = parse(draw(Value(1.0, name=name) * 2.0))
    assert len(picture.nodes) == 4
    (leaf,) = [node for node in picture.nodes.values() if node.kind == "leaf"]
    assert leaf.texts[0] == shown(name)


@each_name
def test_svg_holds_any_name_as_text(name):
    need_renderer()
    with scope("s" + name.replace(".", "")):
        svg = Drawing(Value(1.0, name=name) * 2.0).svg()
    assert shown(name) in [texts[0] for texts in svg_texts(svg).values()]
    assert any(hint.startswith(visible(name.split("\n")[0])) for hint in svg_hints(svg) if hint)
    assert "<script" not in svg


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=12, unique_by=shown))
def test_svg_can_be_parsed_whatever_the_names(names):
    need_renderer()
    root = Value.sum([Value(float(i), name=name) for i, name in enumerate(names)])
    texts = svg_texts(Drawing(root).svg())
    for i, name in enumerate(names):
        assert texts[f"n{i}"][0] == shown(name) or not shown(name)


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.data = ""  # of the script that is JSON
        self.title = ""

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        if attributes.get("type") == "application/json":
            self.data += data
        if tag == "title" and not self.title:
            self.title = data

    @classmethod
    def read(cls, path):
        page = cls()
        page.feed(path.read_text(encoding="utf-8"))
        return page


@each_name
def test_picture_page_holds_any_name_as_text(name, tmp_path):
    need_renderer()
    root = Value(1.0, name=name) * 2.0
    root.name = name
    page = Page.read(Drawing(root).render(tmp_path / "page.html"))
    assert page.title == visible(name)
    elements = {tag for tag, _ in page.elements}
    assert elements <= {
        "html",
        "meta",
        "title",
        "style",
        "svg",
        "g",
        "path",
        "polygon",
        "text",
        "ellipse",
        "polyline",
        "link",
    }


@each_name
def test_player_holds_any_name_as_text(name, tmp_path):
    need_renderer()
    root = Value(1.0, name=name) * 2.0
    root.name = name
    page = Page.read(player(root, tmp_path / "page.html"))
    assert [tag for tag, _ in page.elements if tag in ("script", "b", "html")] == [
        "html",
        "script",
        "script",
    ]
    (scene,) = json.loads(page.data)["scenes"]
    assert shown(name) in scene["moments"][1]["title"]


def test_a_name_with_a_line_break_stays_in_its_line_of_the_player(tmp_path):
    need_renderer()
    root = Value(1.0, name="one\ntwo") * 2.0
    page = Page.read(player(root, tmp_path / "page.html"))
    (scene,) = json.loads(page.data)["scenes"]
    texts = [line for moment in scene["moments"] for line in [moment["title"], *moment["lines"]]]
    assert any("one␊two.grad" in text for text in texts)
    assert not [text for text in texts if "\n" in text]
    assert scene["boxes"]["n0"]["told"]["lines"] == []  # its name is above, its number in the box


@each_name
def test_a_place_holds_any_key_as_text(name):
    need_renderer()
    p = {name: Value(1.0)}
    svg = Drawing(p[name] * 2.0).svg()
    assert shown(f"p[{name!r}]") in [texts[0] for texts in svg_texts(svg).values()]
    assert "<script" not in svg
