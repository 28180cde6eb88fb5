"""The built site, served. AUTOLM_COURSE names its folder; without it these tests are skipped."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.needs import need_browser
from tests.pages.browser import Browser


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, as any host of static pages does."""

    extensions_map = {  # noqa: RUF012, as the library has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *about):
        pass


@pytest.fixture(scope="session")
def site():
    folder = os.environ.get("AUTOLM_COURSE")
    if not folder:
        pytest.skip("no site: python demos/build.py SITE, then AUTOLM_COURSE=SITE")
    return Path(folder)


@pytest.fixture(scope="session")
def address(site):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    need_browser()
    browser = Browser()
    yield browser
    browser.close()
