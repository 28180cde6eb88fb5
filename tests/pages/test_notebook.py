"""The player in a notebook: a widget that is linked to a walk, or else a page in a frame."""

import json
from html.parser import HTMLParser
from importlib.resources import files
from types import SimpleNamespace

import pytest

from autolm import Value, scope
from autolm.pages import player
from autolm.walking import Walk
from tests.needs import need_renderer


@pytest.fixture
def walk():
    need_renderer()
    x = Value(3.0, name="x")
    y = x * x
    return Walk(y + x), x


def test_moving_the_page_moves_the_walk_and_moving_the_walk_the_page(walk):
    walk, x = walk
    widget_player = player(walk)
    done = widget_player.moment
    assert (done, walk.position) == (0, 0)
    widget_player.move_walk(4)  # leaves, ×, +, the gradient of the result; then + is done
    assert (walk.position, x.grad) == (1, 1.0)
    widget_player.move_walk(5)
    assert (walk.finished, x.grad) == (True, 7.0)
    assert widget_player.moment == 5
    walk.back()
    assert (widget_player.moment, x.grad) == (4, 1.0)
    widget_player.move_walk(2)  # in the forward pass nothing is sent yet
    assert walk.position == 0 and not x.has_grad
    assert "step 0 of its walk" in repr(widget_player)


def test_making_the_player_leaves_a_walk_where_it_is(walk):
    walk, x = walk
    walk.step()
    widget_player = player(walk)
    assert (walk.position, x.grad, widget_player.moment) == (1, 1.0, 4)


def test_without_anywidget_the_page_stands_in_a_frame(walk, monkeypatch, tmp_path):
    monkeypatch.setattr("autolm.pages.notebook.find_spec", lambda name: None)
    widget_player = player(walk[0].root)
    bundle = widget_player._repr_mimebundle_()
    parser, frames = HTMLParser(), []
    parser.handle_starttag = lambda tag, attributes: frames.append((tag, dict(attributes)))
    parser.feed(bundle["text/html"])
    [(tag, attributes)] = frames
    assert tag == "iframe"
    assert (
        attributes["srcdoc"]
        == widget_player.html
        == widget_player.save(tmp_path / "p.html").read_text("utf-8")
    )
    assert attributes["sandbox"] == "allow-scripts"
    assert bundle["text/plain"] == repr(widget_player)


def test_the_widget_is_linked_by_its_step(walk, monkeypatch):
    pytest.importorskip("anywidget")
    walk, x = walk
    cells = {}
    shell = SimpleNamespace(events=SimpleNamespace(register=cells.setdefault))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    widget_player = player(walk)
    bundle = widget_player._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in str(bundle)
    widget_player.widget.step = 5
    assert x.grad == 7.0
    walk.goto(1)
    cells["post_run_cell"](None)  # at the end of a cell the page is where the walk is
    assert (widget_player.widget.step, walk.position) == (4, 1)
    widget_player.widget.step = 2  # in the forward pass
    cells["post_run_cell"](None)
    assert (widget_player.widget.step, walk.position) == (2, 0)
    walk.goto(2)
    widget_player._repr_mimebundle_()  # shown once more
    assert (widget_player.widget.step, walk.position) == (5, 2)
    widget_player.widget.step = 6  # the update, which is no step of the walk
    cells["post_run_cell"](None)
    assert (widget_player.widget.step, walk.position) == (6, 2)


def test_a_walk_between_two_moments_is_left_where_it_is(monkeypatch):
    need_renderer()
    pytest.importorskip("anywidget")
    with scope("part"):
        y = Value(0.5, name="x")
        for i in range(60):
            y = y.sin() if i % 2 else y.exp()
    walk = Walk(y)
    widget_player = player(walk)
    widget_player.widget.step = len(widget_player._done) - 1
    assert walk.finished
    walk.goto(20)
    widget_player.follow()
    assert (widget_player.widget.step, walk.position) == (widget_player.moment, 20)


def test_the_front_of_the_widget_speaks_with_its_page(browser, walk, tmp_path):
    """A model as anywidget gives it, the page in its frame, in a real browser."""
    front = (files("autolm.pages") / "assets" / "widget.js").read_text("utf-8")
    widget_player = player(walk[0])
    page = tmp_path / "notebook.html"
    html = json.dumps(widget_player.html).replace("<", "\\u003c")
    page.write_text(
        f"""<!doctype html><link rel=icon href=data:,><div id=cell></div><script type=module>
        {front.replace("export default", "window.widget =")}
        window.heard = []; addEventListener("message", (e) => heard.push(e.data.autolm.step));
        const kept = {{ step: 3, html: {html} }};
        const handlers = [];
        window.model = {{ get: (name) => kept[name], set: (name, x) => {{ kept[name] = x; }},
          save_changes: () => {{ window.saved = kept.step; }},
          on: (_, act) => handlers.push(act), off: () => {{}},
          change: (x) => {{ kept.step = x; handlers.forEach((act) => act()); }} }};
        widget.render({{ model, el: document.getElementById("cell") }});
        </script>""",
        encoding="utf-8",
    )
    browser.open(page)
    browser.until("heard.at(-1) === 3")  # the page has gone to where the model is
    assert browser.evaluate("window.saved === undefined")
    browser.evaluate("document.querySelector('iframe').focus()")
    browser.press("ArrowRight")
    browser.until("window.saved === 4")
    browser.evaluate("model.change(1)")
    browser.until("heard.at(-1) === 1")
    browser.press("ArrowRight")
    browser.until("window.saved === 2")
    assert browser.problems == []
