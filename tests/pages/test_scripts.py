"""The modules of the player's script: their imports, and the bundle that is made of them."""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import numpy as np
import pytest

from autolm.lm import TinyLM
from autolm.pages import player
from autolm.pages.scripts import IMPORT, bundle, module_source
from tests.needs import need_browser, need_renderer

ASSETS = files("autolm.pages") / "assets"
MODULES = {path.name for path in ASSETS.iterdir() if path.name.endswith(".js")} - {"widget.js"}
DECLARATION = re.compile(r"^(export )?(?:const|let|function) (\w+)", re.MULTILINE)


def imports_of(name):
    """Return the names that a module imports, each with the module that it comes from."""
    return {
        (source, imported.strip())
        for names, source in IMPORT.findall(module_source(name))
        for imported in names.split(",")
        if imported.strip()
    }


def test_every_export_is_imported_and_every_import_is_exported():
    exported = {
        (name, declared)
        for name in MODULES
        for export, declared in DECLARATION.findall(module_source(name))
        if export
    }
    assert exported == set().union(*map(imports_of, MODULES))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_import_is_used(name):
    words = re.findall(r"\w+", IMPORT.sub("", module_source(name)))
    assert {imported for _, imported in imports_of(name)} <= set(words)


def test_the_bundle_declares_the_names_of_all_modules_and_none_twice():
    names = [name for _, name in DECLARATION.findall(bundle("player.js"))]
    assert len(names) == len(set(names))
    sources = map(module_source, MODULES)
    assert set(names) == {name for source in sources for _, name in DECLARATION.findall(source)}


@pytest.fixture(scope="module")
def arrays_page(tmp_path_factory):
    """The page of a model of Tensors, with matrices, tokens and an update."""
    need_renderer()
    need_browser()
    model = TinyLM(9, 8, 2, 16, 1, dtype="float64", seed=3)
    loss = model.compute_loss(np.arange(5), np.arange(5) + 1)
    return player(loss, tmp_path_factory.mktemp("scripts") / "arrays.html")


@pytest.fixture
def served(tmp_path):
    """A folder and the address at which a server on this machine offers it."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def walked_through(browser):
    """Return what the page says at every step, with a cell of each table opened as a graph."""
    messages = []
    for key in ["Home"] + ["ArrowRight"] * 40 + ["End", "c", "b", "+", "Escape"]:
        browser.press(key)
        messages.append(browser.evaluate("document.querySelector('main').innerText"))
    for selector in ("#language", "#tokens button", "#take", "td[data-at]", "#cell button"):
        if browser.evaluate(f"Boolean(document.querySelector({selector!r})?.checkVisibility())"):
            browser.click(selector)
            messages.append(browser.evaluate("document.querySelector('main').innerText"))
    return messages


@pytest.mark.parametrize("page", ["neuron_page", "arrays_page"])
def test_a_browser_runs_the_modules_as_it_runs_the_bundle(browser, served, request, page):
    """In a module of its own, a name that is neither declared nor imported is an error."""
    html = request.getfixturevalue(page).read_text("utf-8")
    folder, address = served
    for name in MODULES:
        shutil.copy(ASSETS / name, folder)
    (folder / "bundle.html").write_text(html, "utf-8")
    inline = f"<script>\n{bundle('player.js')}\n</script>"
    assert inline in html
    html = html.replace("script-src 'unsafe-inline'", "script-src 'self'")
    modules = html.replace(inline, '<script type="module" src="player.js"></script>')
    (folder / "modules.html").write_text(modules, "utf-8")
    messages = []
    for name in ("bundle", "modules"):
        browser.open_url(f"{address}/{name}.html")
        browser.until("document.querySelector('#position').textContent !== ''")
        messages.append(walked_through(browser))
        assert not browser.problems
    assert messages[0] == messages[1]
