"""Optimizers, clipping and schedules are PyTorch's where they agree, and differ as documented."""

from __future__ import annotations

import importlib.util
import math
import warnings
from typing import Any

import numpy as np
import pytest

from autolm import Tensor, native
from autolm.nn import SGD, Adam, AdamW, clip_gradients, schedule
from tests.compiled.tapes import needs_numba

if importlib.util.find_spec("torch") is None:
    pytest.skip("no torch: pip install 'autolm[test,torch]'", allow_module_level=True)

import torch

STEPS, SHAPES = 20, ((3, 4), (5, 2))

OPTIMIZERS: dict[str, tuple[Any, Any]] = {
    "SGD": (lambda p: SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD with momentum": (
        lambda p: SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    ),
    "Adam": (
        lambda p: Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-6),
        lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.95), 1e-6),
    ),
    "AdamW": (
        lambda p: AdamW(p, 0.01, weight_decay=0.3),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3),
    ),
}


def drawn() -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in SHAPES]


@needs_numba
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_of_matrices_are_pytorchs(name: str, compiled: bool) -> None:
    make_ours, make_theirs = OPTIMIZERS[name]
    ours, theirs = [Tensor(x) for x in drawn()], [torch.tensor(x) for x in drawn()]
    optimizer, their_optimizer = make_ours(ours), make_theirs(theirs)
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        for own, other in zip(ours, theirs, strict=True):
            gradient = rng.normal(size=own.shape) * 10.0 ** rng.integers(-6, 3)
            own.grad, other.grad = gradient, torch.tensor(gradient)
        optimizer.learning_rate = their_optimizer.param_groups[0]["lr"] = 0.05 / (1 + step)
        with native(compiled):
            optimizer.step()
        their_optimizer.step()
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own.data, other.numpy(), rtol=1e-12, atol=1e-12)


def test_vectors_do_not_decay_here_and_do_there() -> None:
    ours, theirs = Tensor([2.0, -1.0]), torch.tensor([2.0, -1.0], dtype=torch.float64)
    ours.grad, theirs.grad = np.zeros(2), torch.zeros(2, dtype=torch.float64)
    AdamW([ours], 0.1, weight_decay=0.5).step()
    torch.optim.AdamW([theirs], 0.1, weight_decay=0.5).step()
    assert ours.data.tolist() == [2.0, -1.0]
    assert theirs.tolist() == [1.9, -0.95]


def test_steps_without_a_gradient_count_here_and_not_there() -> None:
    ours, theirs = Tensor([0.0]), torch.zeros(1, dtype=torch.float64)
    optimizer, their_optimizer = Adam([ours], 0.1), torch.optim.Adam([theirs], 0.1)
    for _ in range(2):
        optimizer.step()
        their_optimizer.step()
    ours.grad, theirs.grad = np.ones(1), torch.ones(1, dtype=torch.float64)
    optimizer.step()
    their_optimizer.step()
    corrected = (0.1 / (1 - 0.9**3)) / math.sqrt(0.001 / (1 - 0.999**3))
    assert theirs.item() == pytest.approx(-0.1, rel=1e-7)
    assert ours.item() == pytest.approx(-0.1 * corrected, rel=1e-7)


def test_defaults_that_differ_are_those_that_are_documented() -> None:
    ours, theirs = AdamW([Tensor(drawn()[0])], 0.1), torch.optim.AdamW([torch.zeros(1)]).defaults
    assert (ours.betas, ours.eps) == (theirs["betas"], theirs["eps"])
    assert (ours.weight_decay, theirs["weight_decay"]) == (0.0, 0.01)


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e9])
def test_clipping_is_pytorchs_but_for_what_it_adds_to_the_length(max_norm: float) -> None:
    ours, theirs = [Tensor(x) for x in drawn()], [torch.tensor(x) for x in drawn()]
    for own, other in zip(ours, theirs, strict=True):
        own.grad, other.grad = own.data * 2, other * 2
    norm = clip_gradients(ours, max_norm)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm).item(), rel=1e-13)
    shorter = norm / (norm + 1e-6) if norm > max_norm else 1.0
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own.grad * shorter, other.grad.numpy(), rtol=1e-12)
        assert (own.grad == other.grad.numpy()).all() == (norm <= max_norm)


def their_rates(name: str, warmup: int) -> list[float]:
    """Follow PyTorch's schedulers from a rate of 0.8 to 0.1."""
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.8)
    left = STEPS - warmup
    kinds = torch.optim.lr_scheduler
    late: Any = {
        "constant": lambda: kinds.ConstantLR(optimizer, 1.0),
        "linear": lambda: kinds.LinearLR(optimizer, 1.0, 0.1 / 0.8, left),
        "cosine": lambda: kinds.CosineAnnealingLR(optimizer, left, 0.1),
    }[name]
    if warmup:
        early = kinds.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        scheduler: Any = kinds.SequentialLR(optimizer, [early, late()], [warmup])
    else:
        scheduler = late()
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the epoch that SequentialLR tells its parts
        for _ in range(STEPS + 1):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


@pytest.mark.parametrize("warmup", [0, 2, 5])
@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_schedules_are_pytorchs(name: Any, warmup: int) -> None:
    rate = schedule(name, 0.8, STEPS, warmup_steps=warmup, final_learning_rate=0.1)
    ours = [rate(step) for step in range(STEPS + 1)]
    np.testing.assert_allclose(ours, their_rates(name, warmup), rtol=1e-12)


def test_a_warm_up_from_zero_is_one_step_later() -> None:
    late = torch.optim.lr_scheduler.LambdaLR(
        torch.optim.SGD([torch.zeros(1)], 0.8), lambda step: min(1.0, step / 4)
    )
    rates = []
    for _ in range(6):
        rates.append(late.get_last_lr()[0])
        late.optimizer.step()
        late.step()
    rate = schedule("constant", 0.8, 100, warmup_steps=4)
    assert rates == pytest.approx([0.0, *(rate(step) for step in range(5))])
