"""How the learning rate changes over a run: constant, linear or cosine, each with a warm-up.

A schedule is a function from a step, counted from 0, to a learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

Schedule = Callable[[int], float]
ScheduleName = Literal["constant", "linear", "cosine"]


def schedule(
    name: ScheduleName,
    learning_rate: float,
    total_steps: int,
    *,
    warmup_steps: int = 0,
    final_learning_rate: float = 0.0,
) -> Schedule:
    """Make a schedule.

    Over the warm-up the rate rises in equal steps from `learning_rate` / warmup_steps to
    `learning_rate`; from there to `total_steps` it goes to `final_learning_rate`, in a line or
    along half a cosine, or it stays.

    Examples
    --------
    >>> rate = schedule("linear", 1.0, total_steps=4)
    >>> [rate(step) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]

    Notes
    -----
    Source for the cosine: Loshchilov and Hutter, SGDR (2017), equation 5.
    """
    if name not in get_args(ScheduleName):
        known = ", ".join(get_args(ScheduleName))
        raise ValueError(f"schedule: {name!r} is unknown; choose one of {known}")
    if warmup_steps < 0 or total_steps < 0:
        raise ValueError("schedule: steps cannot be negative")

    def rate(step: int) -> float:
        if step < warmup_steps:
            return learning_rate * (step + 1) / warmup_steps
        if name == "constant":
            return learning_rate
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        remaining = 1 - progress if name == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return final_learning_rate + (learning_rate - final_learning_rate) * remaining

    return rate
