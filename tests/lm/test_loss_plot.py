"""The plot of a run is a PNG in which the losses stand against the floors of their data."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.loss_plot import draw_losses, floors, spread
from autolm.lm.training import Training, train_tokenizer
from tests.runs import small_corpus, small_training

STEPS = [{"step": n, "loss": 3.0 / n} for n in range(1, 60)]
VALIDATIONS = [{"step": n, "validation_loss": 2.0} for n in (20, 40)]


@pytest.mark.parametrize("metrics", [STEPS + VALIDATIONS, STEPS, VALIDATIONS, []], ids=len)
def test_a_plot_is_a_png_whatever_was_measured(metrics: list[dict[str, Any]]) -> None:
    png = draw_losses(metrics, small_training())
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")


def test_the_same_metrics_draw_the_same_bytes_and_others_others() -> None:
    one, two, three = (draw_losses(STEPS[:n], small_training()) for n in (40, 40, 41))
    assert one == two != three


def test_the_floors_are_the_ladder_and_below_it_the_true_entropy_if_known() -> None:
    training = small_training("lines")
    ladder = training.ladder()
    levels = {"uniform": ladder.uniform, "unigram": ladder.unigram, "bigram": ladder.bigram}
    assert floors(training) == levels
    corpus = dataclasses.replace(small_corpus("lines"), true_entropy=0.25)
    known = Training(training.config, corpus, train_tokenizer(training.config, corpus))
    assert floors(known) == {**levels, "true entropy": 0.25}


@given(st.lists(st.floats(0, 10)).map(sorted), st.floats(0.01, 2))
def test_labels_of_floors_are_moved_apart_and_no_further_than_that(
    places: list[float], apart: float
) -> None:
    moved = spread(places, apart)
    for i, (before, after) in enumerate(zip(places, moved, strict=True)):
        assert after >= before
        if i:
            assert after - moved[i - 1] >= apart * (1 - 1e-9)
            assert after == before or after == moved[i - 1] + apart
        else:
            assert after == before
