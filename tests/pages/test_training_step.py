"""What the page says of the update is what the optimizer does, and saying it moves nothing."""

import numpy as np
import pytest

from autolm import SGD, Adam, AdamW, Tensor, Value, topological_order
from autolm.drawing.gradients import walk
from autolm.pages.training_step import training_step

OPTIMIZERS = {
    "plain": lambda p: SGD(p, 0.1),
    "momentum": lambda p: SGD(p, 0.1, momentum=0.9),
    "adam": lambda p: Adam(p, 0.1, betas=(0.8, 0.95)),
    "adamw": lambda p: AdamW(p, 0.1, weight_decay=0.3),
}


def program():
    """Return parameters of every rank, and a function of them; the last one moves nowhere."""
    rng = np.random.default_rng(3)
    parameters = [Tensor(rng.normal(size=s), name=f"p{len(s)}") for s in ((3, 2), (2,), ())]
    x = Tensor(rng.normal(size=(4, 3)), requires_grad=False)

    def loss():
        w, b, scale = parameters
        return ((x @ w + b).tanh() * scale).sum() + (w * w).sum() * 0.1

    return parameters, loss


def test_the_losses_of_a_loop_are_those_of_step_after_step():
    parameters, loss = program()
    root = loss()
    start = [p.data for p in parameters]
    expected_step = training_step(root, walk(root, set(topological_order(root))).gradients)
    assert [p.data is data for p, data in zip(parameters, start, strict=True)] == [True] * 3
    assert sorted(expected_step.loops) == list(range(1, 41))
    for i in (1, 37):
        for parameter, data in zip(parameters, start, strict=True):
            parameter.data = data
        optimizer = SGD(parameters, expected_step.rates[i])
        for expected in expected_step.loops[i]:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            assert float(loss()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 3])
def test_the_losses_are_those_after_the_optimizers_step(kind, steps):
    parameters, loss = program()
    optimizer = OPTIMIZERS[kind](parameters)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    root = loss()
    order = topological_order(root)
    before = [node.data for node in order], optimizer.state(), [p.has_grad for p in parameters]
    expected_step = training_step(root, walk(root, set(order)).gradients, optimizer)
    assert all(now.data is then for now, then in zip(order, before[0], strict=True))
    assert str(optimizer.state()) == str(before[1])
    assert [p.has_grad for p in parameters] == before[2]
    assert expected_step.losses[0] == float(root)
    assert len(expected_step.rates) == len(expected_step.losses) == 41
    start, state = [p.data for p in parameters], optimizer.state()
    for i in (1, 7, 40):
        for parameter, data in zip(parameters, start, strict=True):
            parameter.data = data
        optimizer.load_state(state)
        optimizer.zero_grad()
        loss().backward()
        optimizer.learning_rate = expected_step.rates[i]
        optimizer.step()
        assert float(loss()) == pytest.approx(expected_step.losses[i], rel=1e-12)


def test_the_slider_ends_where_a_loss_has_risen_and_at_1_where_it_never_does():
    w = Value(3.0, name="w")
    step = training_step(w * w, {w: 6.0})  # at α = 1 it is as large as before
    assert (step.rates[-1], step.losses[-1]) == (2.0, 81.0)
    assert training_step(w.tanh(), {w: 1 - np.tanh(3.0) ** 2}).rates[-1] == 1.0


def test_what_cannot_move_is_no_step_and_another_optimizer_is_refused_by_name():
    x = Tensor([1.0, 2.0], requires_grad=False)
    assert training_step(x.sum(), {}) is None

    class Other(SGD.__mro__[1]):
        pass

    w = Tensor([1.0], name="w")
    with pytest.raises(TypeError, match="optimizer is a Other, and the page knows"):
        training_step((w * w).sum(), {w: np.array([2.0])}, Other([w], 0.1))


def test_parameters_that_the_optimizer_does_not_have_stay():
    w, v = Tensor([1.0], name="w"), Tensor([2.0], name="v")
    root = (w * v).sum()
    gradients = {w: np.array([2.0]), v: np.array([1.0])}
    [direction] = training_step(root, gradients, SGD([w], 0.1)).directions
    assert direction is w
