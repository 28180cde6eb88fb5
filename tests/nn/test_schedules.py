"""Learning rates at the places that matter: the first step, the end of warm-up, and the end."""

import math

import pytest

from autolm.nn import schedule
from autolm.nn.schedules import ScheduleName

NAMES: list[ScheduleName] = ["constant", "linear", "cosine"]


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_rises_in_equal_steps_to_the_learning_rate(name: ScheduleName) -> None:
    rate = schedule(name, 0.8, 100, warmup_steps=4)
    assert [rate(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


@pytest.mark.parametrize("name", NAMES)
def test_without_warm_up_the_first_step_has_the_learning_rate(name: ScheduleName) -> None:
    assert schedule(name, 0.8, 100, final_learning_rate=0.1)(0) == 0.8


@pytest.mark.parametrize(("name", "final"), [("constant", 0.8), ("linear", 0.1), ("cosine", 0.1)])
def test_the_end_has_the_final_learning_rate_and_keeps_it(name: ScheduleName, final: float) -> None:
    rate = schedule(name, 0.8, 100, warmup_steps=10, final_learning_rate=0.1)
    assert [rate(100), rate(1000)] == pytest.approx([final, final])


def test_linear_falls_in_a_line_and_cosine_as_its_name_says() -> None:
    line, wave = (schedule(n, 1.0, 90, warmup_steps=10) for n in ("linear", "cosine"))
    for step in (10, 30, 50, 70, 90):
        progress = (step - 10) / 80
        assert line(step) == pytest.approx(1 - progress)
        assert wave(step) == pytest.approx(math.cos(math.pi * progress / 2) ** 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_shorter_than_its_warm_up_never_reaches_the_learning_rate(name: ScheduleName) -> None:
    rate = schedule(name, 1.0, 5, warmup_steps=10)
    assert [rate(step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_unknown_names_and_negative_steps_are_refused() -> None:
    with pytest.raises(
        ValueError, match="name is 'cosin'; choose 'constant', 'linear' or 'cosine'"
    ):
        schedule("cosin", 1.0, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="total_steps must be at least 0"):
        schedule("linear", 1.0, -5)
