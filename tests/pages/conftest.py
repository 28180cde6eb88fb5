"""Two sessions of the debugger, on a neuron and on a small model; a browser, and two players."""

import numpy as np
import pytest

from autolm import Tensor, scope
from autolm.pages import player
from autolm.lm import TinyLM
from tests.pages.browser import Browser
from tests.session import Session, the_neuron
from tests.needs import need_browser, need_renderer


@pytest.fixture
def neuron():
    return Session(*the_neuron())


@pytest.fixture
def model():
    """Open on 7 steps: 1 "", 2 head, 3 head.inner, 4 head, 5 and 6 body, 7 ""."""
    x = Tensor([[0.5, 1.0], [1.5, 2.0]], name="x")
    y = x * 2
    with scope("body"):
        W = Tensor([[1.0, -1.0], [0.5, 2.0]], name="body.W")
        hidden = (y @ W).relu()
    with scope("head"):
        first = hidden * hidden
        with scope("inner"):
            second = first.exp()
        logits = second - 1
    logits.name = "logits"
    return Session(logits.sum())


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
