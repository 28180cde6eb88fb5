"""A run is said to have gone badly where its metrics show it, and nowhere else."""

import math
from typing import Any

import numpy as np
import pytest

from autolm.lm.run_verdict import NOTHING, RunVerdict, smoothed, verdict_on
from tests.runs import small_training

UNIFORM = math.log(30)


def judged(
    losses: Any,
    validations: dict[int, float] | None = None,
    whole: bool = False,
    bigram: float = 1.5,
) -> RunVerdict:
    losses_by_step = validations or {1: 3.0, 2: 2.9}
    records: list[dict[str, Any]] = []
    for step, loss in enumerate(losses, 1):
        records.append({"step": step, "loss": float(loss), "gradient_norm": 2.0 * step})
        if step in losses_by_step:
            records.append({"step": step, "validation_loss": losses_by_step[step]})
    return verdict_on(records, UNIFORM, bigram, last_is_whole=whole)


def falling(steps: int, low: float = 1.0) -> Any:
    return low + (UNIFORM - low) * np.exp(-np.arange(steps) / 20)


def test_what_rises_for_good_has_diverged_and_is_told_with_step_and_gradient() -> None:
    verdict = judged([*falling(30), *np.full(60, 30.0)])
    assert verdict.kind == "diverged"
    limit = 1.2 * UNIFORM
    smooth = list(smoothed([*falling(30), *np.full(60, 30.0)]))
    step = next(i for i, loss in enumerate(smooth, 1) if loss > limit)
    assert verdict.evidence == (
        f"the training loss stays above {limit:.3f} from step {step} on, where the gradient norm "
        f"was {2 * step}"
    )
    assert "--learning-rate" in verdict.advice


@pytest.mark.parametrize(
    "losses",
    [
        [UNIFORM],
        [900.0],  # one step, of an odd beginning
        [UNIFORM, UNIFORM + 0.3],
        falling(100),
        [*falling(40), 80.0, *falling(80)],  # a leap that it recovered from
        falling(300, low=1e-4),  # learnt by heart
        [90.0, *falling(20)],
        np.linspace(UNIFORM, 1.1 * UNIFORM, 40),  # above its first value, but not that bad
    ],
)
def test_what_recovers_or_hardly_begins_has_not_diverged(losses: Any) -> None:
    assert judged(losses).kind in ("", "validation not measured")


def test_overfitting_is_told_only_where_validation_rises_while_training_falls() -> None:
    rising = {20: 2.0, 40: 1.5, 60: 1.6, 80: 1.8}
    verdict = judged(falling(80), rising)
    assert verdict.kind == "overfitting"
    assert verdict.evidence.startswith("validation was 1.500 at step 40 and is 1.800 at step 80")
    assert judged(falling(80), rising, whole=True) == NOTHING  # the last is of other text
    assert judged(falling(80), {20: 2.0, 40: 1.5, 60: 1.51, 80: 1.52}) == NOTHING
    assert judged(falling(80), {20: 1.5, 40: 1.8, 60: 1.4, 80: 1.8}) == NOTHING  # once
    assert judged([*falling(40), *np.full(40, 2.5)], rising).kind != "overfitting"


def test_no_progress_and_no_validation_are_told() -> None:
    assert judged(np.full(60, UNIFORM)).kind == "no progress"
    assert judged(np.full(40, UNIFORM)) == NOTHING  # too few steps to say so
    assert judged(np.full(60, UNIFORM), bigram=UNIFORM - 0.01) == NOTHING  # nothing to learn
    assert judged(falling(60), {60: 2.0}).kind == "validation not measured"
    assert verdict_on([], UNIFORM, 1.0, last_is_whole=False) == NOTHING


def test_a_run_of_ours_at_its_own_rate_has_nothing_to_be_told() -> None:
    training = small_training(steps=60, learning_rate=0.02)
    losses = [training.advance().loss for _ in range(60)]
    assert judged(losses) == NOTHING
    training = small_training(steps=60, learning_rate=50.0, warmup_steps=0)
    assert judged([training.advance().loss for _ in range(30)]).kind == "diverged"
