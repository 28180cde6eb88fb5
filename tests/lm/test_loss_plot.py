"""The plot of a run is a PNG in which the losses stand against the floors of their data."""

import dataclasses
import itertools
import warnings
from typing import Any

import pytest

from autolm.lm import loss_plot
from autolm.lm.loss_plot import draw_losses
from autolm.lm.training import Training, train_tokenizer
from tests.runs import small_corpus, small_training

STEPS = [{"step": n, "loss": 3.0 / n} for n in range(1, 60)]
LEVELS = {"uniform": 3.0, "bigram": 1.5}
VALIDATIONS = [{"step": n, "validation_loss": 2.0} for n in (20, 40)]


@pytest.mark.parametrize("metrics", [STEPS + VALIDATIONS, STEPS, VALIDATIONS, []], ids=len)
def test_a_plot_is_a_png_whatever_was_measured(metrics: list[dict[str, Any]]) -> None:
    png = draw_losses(metrics, "text", LEVELS)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")


def plotted(steps: list[dict[str, Any]], name: str) -> Any:
    """Return a plot as matplotlib has it, before it is written."""
    drawn: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_plot, "png_of", lambda figure: drawn.append(figure))
        draw_losses(steps, name, LEVELS)
    return drawn[0]


def test_the_title_is_the_name_of_the_text_and_no_formula() -> None:
    figure = plotted(STEPS, "$\\q$ 한.txt")
    assert figure.axes[0].get_title() == "$\\q$ 한.txt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loss_plot.png_of(figure)


@pytest.mark.parametrize("last", [2.9, 1.51, 1.5001, 0.1])
def test_no_label_stands_on_another_and_it_says_where_the_floor_is_passed(last: float) -> None:
    steps = [{"step": n, "loss": 3.0 + (last - 3.0) * n / 60} for n in range(1, 61)]
    figure = plotted(steps, "the run")
    _, excess, _ = figure.axes
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [label for label in axes.yaxis.get_ticklabels(which="both") if label.get_text()]
        low, high = axes.get_ylim()
        visible = [label for label in labels if low <= label.get_position()[1] <= high]
        boxes = sorted((label.get_window_extent() for label in visible), key=lambda box: box.y0)
        assert len(boxes) > 1
        assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    notes = [text.get_text() for text in excess.texts]
    assert notes == (["below bigram from step 32 on"] if last < 1.5 else [])


def test_the_floors_are_the_baselines_and_below_it_the_true_entropy_if_known() -> None:
    training = small_training("lines")
    baselines = training.baselines()
    levels = {
        "uniform": baselines.uniform,
        "unigram": baselines.unigram,
        "bigram": baselines.bigram,
    }
    assert training.reference_losses() == levels
    corpus = dataclasses.replace(small_corpus("lines"), true_entropy=0.25)
    training_of_known_entropy = Training(
        training.config, corpus, train_tokenizer(training.config, corpus)
    )
    assert training_of_known_entropy.reference_losses() == {**levels, "true entropy": 0.25}


def test_a_training_shows_what_it_has_measured() -> None:
    training = small_training()
    assert repr(training.history) == "<history of small: 0 steps>"
    losses = [training.advance().loss for _ in range(3)]
    after = training.validate()
    bundle = training.history._repr_mimebundle_()
    assert bundle["image/png"] == draw_losses(
        [
            *({"step": i, "loss": x, "learning_rate": i * 0.005} for i, x in enumerate(losses, 1)),
            {"step": 3, "validation_loss": after},
        ],
        "small",
        training.reference_losses(),
    )
    summary = (
        f"3 steps, loss {losses[0]:.3f} → {losses[2]:.3f}, validation {after:.3f} → {after:.3f}"
    )
    assert bundle["text/plain"] == f"<history of small: {summary}>"
