"""What some tests need of the machine. Without it they are skipped, and say what to install.

In continuous integration, where the machine is ours to prepare, that is a failure.
"""

import os
import shutil

import pytest

from autolm.drawing.renderers import renderers
from tests.pages import browser


def need_renderer(name=None):
    """Need any renderer, or the one of this name."""
    found = renderers() if name is None else name in renderers()
    what = name or "Graphviz"
    _need(found, f"no {what}: pip install '.[test]', or apt-get install graphviz")


def need_node():
    _need(shutil.which("node"), "no Node.js: apt-get install nodejs")


def need_browser():
    _need(browser.executable(), "no browser: apt-get install chromium")


def _need(found, what_to_do):
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what_to_do)
