"""The player in JupyterLab itself, where that is installed: `pip install jupyterlab anywidget`."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from tests.needs import need_renderer

if not all(map(importlib.util.find_spec, ("jupyterlab", "anywidget"))):
    pytest.skip("no JupyterLab: pip install jupyterlab anywidget", allow_module_level=True)

CELLS = (
    "from autolm import Value, Walk, player\nw = Value(3.0, name='w')\nwalk = Walk(w * w + w)",
    "page = player(walk)\npage",
    "walk.step()",
    "print(page.widget.step, walk.position, w.grad)",
    "print(page.widget.step, walk.position, w.grad)",
)
FRAME = "document.querySelector('iframe[title$=player]')"
OUTPUTS = "[...document.querySelectorAll('.jp-OutputArea-output')].map((o) => o.textContent.trim())"
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "modifiers": 8}  # with Shift


@pytest.fixture
def lab(tmp_path):
    """A Lab with one notebook, at an address of this machine."""
    need_renderer()
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "walk.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--ip=127.0.0.1", "--no-browser", "--allow-root"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JUPYTER_TOKEN": "seen",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "jupyterlab", *options]
    server = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: urllib.request.urlopen(f"{address}/api/status?token=seen"))
        yield f"{address}/lab/tree/walk.ipynb?token=seen&reset"
    finally:
        server.terminate()
        server.wait(timeout=30)


def until(is_done):
    """Ask again until the answer is yes, for a minute; what is not there yet may be an error."""
    end = time.monotonic() + 60
    while True:
        try:
            if answer := is_done():
                return answer
        except (OSError, RuntimeError):
            pass
        assert time.monotonic() < end
        time.sleep(0.3)


def test_moving_the_page_moves_the_walk_and_a_cell_that_moves_it_the_page(browser, lab):
    browser.open_url(lab)

    def run(cell):
        browser.evaluate(
            f"[...document.querySelectorAll('.jp-CodeCell .cm-content')][{cell}].focus()"
        )
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, **ENTER)

    until(lambda: browser.evaluate("document.querySelectorAll('.jp-CodeCell').length") >= 5)
    until(lambda: "Idle" in browser.evaluate("document.body.textContent"))
    for cell in range(3):
        run(cell)
    until(lambda: browser.evaluate(f"{FRAME} !== null"))
    run(3)
    outputs = until(lambda: [text for text in browser.evaluate(OUTPUTS) if text.startswith("4 1 ")])
    assert outputs == ["4 1 1.0"]  # leaves, ×, +, the gradient of the result; then + is done
    browser.evaluate(f"{FRAME}.scrollIntoView()")
    wide = browser.evaluate(f"{FRAME}.clientWidth / {FRAME}.parentElement.clientWidth")
    assert wide == 1
    x, y = browser.evaluate(f"(({{ x, y }}) => [x + 9, y + 9])({FRAME}.getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    browser.press("ArrowRight")

    def has_moved():
        run(4)  # again and again, until the page has told the kernel
        return "5 2 7.0" in browser.evaluate(OUTPUTS)

    until(has_moved)
