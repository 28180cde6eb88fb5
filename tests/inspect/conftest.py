"""Two sessions of the debugger, on a neuron and on a small model of Tensors; a browser."""

import pytest

from autolm import Tensor, scope
from tests.inspect.browser import Browser
from tests.inspect.session import Session, the_neuron
from tests.needs import need_browser


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
