"""Two sessions of the debugger: on a neuron, and on a small model."""

import pytest

from autolm import Tensor, scope
from autolm.debugger import stop_backward
from autolm.debugger.stop_backward import latest_settings
from tests.session import Session, the_neuron


@pytest.fixture(autouse=True)
def what_is_set_at_a_prompt_holds_in_no_other_test():
    token = latest_settings.set(None)
    stop_backward._passes.wait(0)
    yield
    latest_settings.reset(token)


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
