"""The build's own parts: links, words, and its refusals. The whole site is tested in test_site."""

import json
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from course.links import check_links
from course.words import MESSAGES, CourseError, say

ROOT = Path(__file__).parents[2]


def site_of(tmp_path, **pages):
    for name, body in pages.items():
        (tmp_path / f"{name}.html").write_text(f"<html><body>{body}</body></html>", "utf-8")
    return tmp_path


def test_links_that_lead_somewhere_are_counted(tmp_path):
    site = site_of(
        tmp_path,
        a='<a href="b.html#there">b</a> <a href="#here">a</a> <p id="here">',
        b='<h1 id="there">b</h1> <a href="https://example.org/x#y">elsewhere</a>',
    )
    assert check_links(site) == 2


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ('<a href="none.html">x</a>', "none.html"),
        ('<a href="b.html#nowhere">x</a>', "b.html#nowhere"),
        ('<a href="#nowhere">x</a>', "#nowhere"),
        ('<img src="none.png">', "none.png"),
        ('<script src="https://example.org/x.js"></script>', "https://example.org/x.js"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "//example.org/x.css"),
    ],
)
def test_a_broken_link_and_one_that_leaves_stop_the_build(tmp_path, link, message):
    with pytest.raises(CourseError) as error:
        check_links(site_of(tmp_path, a=link, b="<h1>b</h1>"))
    assert message in error.value.in_language("en")
    assert message in error.value.in_language("ko")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_has_the_same_parts_in_both_languages(name):
    english, korean = MESSAGES[name]
    fields = [
        {f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (english, korean)
    ]
    assert fields[0] == fields[1]
    assert re.search("[가-힣]", korean)
    assert not re.search("[가-힣]", english)


def test_a_parenthesis_and_a_particle_stay_at_what_they_belong_to():
    nodes = pytest.importorskip("docutils.nodes")
    from course.mathematics import JOINER, _join

    parts = [nodes.Text("수 ("), nodes.math("", "x"), nodes.Text("는 y(z)다)")]
    text = nodes.paragraph("", "", *parts)
    code = nodes.paragraph("", "", nodes.literal("", "f(x)는"))
    _join(None, nodes.section("", text, code), "page")
    assert [part.astext() for part in text] == ["수 ", "(x는", f" y(z){JOINER}다)"]
    assert text[1]["classes"] == ["joined"]
    assert code.astext() == "f(x)는"
    long = nodes.math("", "x" * 99)
    text = nodes.paragraph("", "", nodes.Text("("), long, nodes.Text("는"))
    _join(None, nodes.section("", text), "page")
    assert long in text  # wider than a phone, perhaps: it may be parted


def test_the_build_says_in_either_language_what_is_not_installed(tmp_path):
    (tmp_path / "jupytext.py").write_text("raise ModuleNotFoundError('no', name='jupytext')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for language, words in (("en", "the course needs jupytext"), ("ko", "jupytext이(가) 필요")):
        command = [
            sys.executable,
            ROOT / "demos/build.py",
            tmp_path / "site",
            "--language",
            language,
        ]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert say("no npm", "ko").startswith("npm이 없습니다")


def test_every_package_of_the_pages_is_pinned_to_the_byte_and_to_no_registry():
    wanted = json.loads((ROOT / "demos/package.json").read_text("utf-8"))["dependencies"]
    packages = json.loads((ROOT / "demos/package-lock.json").read_text("utf-8"))["packages"]
    assert packages.pop("") == {"dependencies": wanted}
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in each and "resolved" not in each for each in packages.values())


def test_a_formula_is_split_at_its_wide_spaces_and_never_inside_a_group():
    pytest.importorskip("docutils.nodes")
    from course.mathematics import pieces_of

    tex = r"a = \frac{x\qquad y}{2}, \qquad \left(c \qquad d\right)\qquad"
    tex += r"\begin{aligned}a\qquad b\end{aligned} \leftarrow c \qquad d"
    assert [piece.strip() for piece in pieces_of(tex)] == [
        r"a = \frac{x\qquad y}{2},",
        r"\left(c \qquad d\right)",
        r"\begin{aligned}a\qquad b\end{aligned} \leftarrow c",
        "d",
    ]


@pytest.mark.parametrize("page", ["_guide", "_architecture"])
def test_pages_from_markdown_files_do_not_link_to_files(page):
    pytest.importorskip("jupytext")
    from course import reference

    targets = re.findall(r"\]\(([^)]*)\)", getattr(reference, page)())
    assert [t for t in targets if not t.startswith(("http", "#")) and t != "operations.md"] == []


def test_the_page_on_the_architecture_begins_with_that_section_of_contributing():
    pytest.importorskip("jupytext")
    from course import reference

    assert reference._architecture().startswith("## Architecture\n")
