"""Learning-rate schedules: constant, linear or cosine, each with a warm-up.

A schedule is a function from a step, counted from 0, to a learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

from autolm.nn.schedule_name import ScheduleName
from autolm.outside.arguments import read_choice, read_finite, read_int

Schedule = Callable[[int], float]


def schedule(
    name: ScheduleName,
    learning_rate: float,
    total_steps: int,
    *,
    warmup_steps: int = 0,
    final_learning_rate: float = 0.0,
) -> Schedule:
    """Return a schedule.

    During the warm-up the rate rises in equal steps from `learning_rate` / warmup_steps to
    `learning_rate`. Until `total_steps` it then falls to `final_learning_rate`, linearly or along
    half a cosine, or it stays constant. Rates and steps must be finite and at least 0.

    Examples
    --------
    >>> rate = schedule("linear", 1.0, total_steps=4)
    >>> [rate(step) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]

    Notes
    -----
    The rate of step s is that of the update s, counted from 0: it is set before the update. The
    first step of a warm-up has a rate above 0, and the last of it the whole; where a warm-up is
    `learning_rate` · s / warmup_steps, as in Hugging Face's schedules, the first update does
    nothing, and each rate comes one step later. So it is PyTorch's `LinearLR` with `start_factor`
    1 / warmup_steps over warmup_steps − 1, and then, from the step warmup_steps on, its `LinearLR`
    down or `CosineAnnealingLR` over the steps that are left.

    Source for the cosine: Loshchilov and Hutter, SGDR (2017), equation 5.
    """
    read_choice("schedule", "name", name, get_args(ScheduleName))
    learning_rate = read_finite("schedule", "learning_rate", learning_rate, low=0)
    total_steps = read_int("schedule", "total_steps", total_steps, low=0)
    warmup_steps = read_int("schedule", "warmup_steps", warmup_steps, low=0)
    final_learning_rate = read_finite("schedule", "final_learning_rate", final_learning_rate, low=0)

    def rate(step: int) -> float:
        step = read_int("schedule", "step", step, low=0)
        if step < warmup_steps:
            return learning_rate * (step + 1) / warmup_steps
        if name == "constant":
            return learning_rate
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        remaining = 1 - progress if name == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return final_learning_rate + (learning_rate - final_learning_rate) * remaining

    return rate
