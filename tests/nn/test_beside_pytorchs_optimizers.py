"""Optimizers, clipping and schedules equal PyTorch's, except where the documentation says so."""

from __future__ import annotations

import importlib.util
import math
import warnings
from typing import Any

import numpy as np
import pytest

from autolm import Tensor
from autolm.nn import SGD, Adam, AdamW, clip_gradients, schedule

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch
from torch.optim import lr_scheduler

STEPS, SHAPES = 20, ((3, 4), (5, 2))
ADAM: dict[str, Any] = {"betas": (0.8, 0.95), "eps": 1e-6}
OPTIMIZERS: list[tuple[Any, Any, dict[str, Any]]] = [
    (SGD, torch.optim.SGD, {}),
    (SGD, torch.optim.SGD, {"momentum": 0.9}),
    (Adam, torch.optim.Adam, ADAM),
    (AdamW, torch.optim.AdamW, {"weight_decay": 0.3}),
]


def drawn() -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in SHAPES]


@pytest.mark.parametrize(("make", "make_theirs", "options"), OPTIMIZERS)
def test_twenty_steps_of_matrices_are_pytorchs(
    make: Any, make_theirs: Any, options: dict[str, Any]
) -> None:
    ours, theirs = [Tensor(x) for x in drawn()], [torch.tensor(x) for x in drawn()]
    optimizer, their_optimizer = make(ours, 0.1, **options), make_theirs(theirs, 0.1, **options)
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        for own, other in zip(ours, theirs, strict=True):
            gradient = rng.normal(size=own.shape) * 10.0 ** rng.integers(-6, 3)
            own.grad, other.grad = gradient, torch.tensor(gradient)
        optimizer.learning_rate = their_optimizer.param_groups[0]["lr"] = 0.05 / (1 + step)
        optimizer.step()
        their_optimizer.step()
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own.data, other.numpy(), rtol=1e-12, atol=1e-12)


def test_vectors_do_not_decay_here_and_do_there() -> None:
    ours, theirs = Tensor([2.0, -1.0]), torch.tensor([2.0, -1.0], dtype=torch.float64)
    ours.grad, theirs.grad = np.zeros(2), torch.zeros(2, dtype=torch.float64)
    AdamW([ours], 0.1, weight_decay=0.5).step()
    torch.optim.AdamW([theirs], 0.1, weight_decay=0.5).step()
    assert (ours.data.tolist(), theirs.tolist()) == ([2.0, -1.0], [1.9, -0.95])
    own, other = AdamW([ours], 0.1), torch.optim.AdamW([theirs]).defaults
    assert (own.betas, own.eps, own.weight_decay) == (other["betas"], other["eps"], 0.0)


def test_steps_without_a_gradient_count_here_and_not_there() -> None:
    ours, theirs = Tensor([0.0]), torch.zeros(1, dtype=torch.float64)
    optimizers: list[Any] = [Adam([ours], 0.1), torch.optim.Adam([theirs], 0.1)]
    for step in range(3):
        if step == 2:
            ours.grad, theirs.grad = np.ones(1), torch.ones(1, dtype=torch.float64)
        for optimizer in optimizers:
            optimizer.step()
    corrected = (0.1 / (1 - 0.9**3)) / math.sqrt(0.001 / (1 - 0.999**3))
    assert theirs.item() == pytest.approx(-0.1, rel=1e-7)
    assert ours.item() == pytest.approx(-0.1 * corrected, rel=1e-7)


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e9])
def test_clipping_is_pytorchs_except_for_its_epsilon(max_norm: float) -> None:
    ours, theirs = [Tensor(x) for x in drawn()], [torch.tensor(x) for x in drawn()]
    for own, other in zip(ours, theirs, strict=True):
        own.grad, other.grad = own.data * 2, other * 2
    norm = clip_gradients(ours, max_norm)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm).item(), rel=1e-13)
    shorter = norm / (norm + 1e-6) if norm > max_norm else 1.0
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own.grad * shorter, other.grad.numpy(), rtol=1e-12)
        assert (own.grad == other.grad.numpy()).all() == (norm <= max_norm)


LATE: dict[str, Any] = {
    "constant": lambda optimizer, steps: lr_scheduler.ConstantLR(optimizer, 1.0),
    "linear": lambda optimizer, steps: lr_scheduler.LinearLR(optimizer, 1.0, 0.1 / 0.8, steps),
    "cosine": lambda optimizer, steps: lr_scheduler.CosineAnnealingLR(optimizer, steps, 0.1),
}


@pytest.mark.parametrize("warmup", [0, 2, 5])
@pytest.mark.parametrize("name", LATE)
def test_schedules_are_pytorchs(name: Any, warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.8)
    scheduler = LATE[name](optimizer, STEPS - warmup)
    if warmup:
        early = lr_scheduler.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        late = LATE[name](optimizer, STEPS - warmup)
        scheduler = lr_scheduler.SequentialLR(optimizer, [early, late], [warmup])
    theirs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the epoch that SequentialLR passes on
        for _ in range(STEPS + 1):
            theirs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    rate = schedule(name, 0.8, STEPS, warmup_steps=warmup, final_learning_rate=0.1)
    ours = [rate(step) for step in range(STEPS + 1)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(("name", "final"), [("constant", 0.8), ("linear", 0.1), ("cosine", 0.1)])
def test_a_schedule_keeps_its_end_and_a_short_run_stays_in_the_warm_up(
    name: Any, final: float
) -> None:
    rate = schedule(name, 0.8, 100, warmup_steps=10, final_learning_rate=0.1)
    assert [rate(100), rate(1000)] == pytest.approx([final, final])
    short = schedule(name, 1.0, 5, warmup_steps=10)
    assert [short(step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_unknown_schedules_and_negative_steps_are_refused() -> None:
    names = "name is 'cosin'; choose 'constant', 'linear' or 'cosine'"
    for arguments, message in (("cosin", 5), names), (("linear", -5), "total_steps must be at le"):
        with pytest.raises(ValueError, match=message):
            schedule(arguments[0], 1.0, arguments[1])  # type: ignore[arg-type]
