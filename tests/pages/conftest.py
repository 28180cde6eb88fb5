"""A browser, and two players."""

import numpy as np
import pytest

from autolm.lm import TinyLM
from autolm.pages import player
from tests.needs import need_browser, need_renderer
from tests.pages.browser import Browser
from tests.session import the_neuron


@pytest.fixture(scope="package")
def browser():
    """One browser for all tests; each opens a page of its own in it."""
    need_browser()
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def neuron_page(tmp_path_factory):
    need_renderer()
    need_browser()
    root, variables = the_neuron()
    for name, node in variables.items():
        node.name = name
    return player(root, tmp_path_factory.mktemp("player") / "neuron.html")


@pytest.fixture(scope="package")
def model_page(tmp_path_factory):
    need_renderer()
    need_browser()
    model = TinyLM(9, 8, 2, 16, 2, dtype="float64", seed=3)
    loss = model.compute_loss(np.arange(5), np.arange(5) + 1)
    return player(loss.to_values().item(), tmp_path_factory.mktemp("player") / "model.html")
