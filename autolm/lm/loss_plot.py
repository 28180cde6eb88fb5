"""Draw the losses of a run against the entropy ladder."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from autolm.lm.training import Training


def draw_losses(metrics: list[dict[str, Any]], training: Training) -> bytes:
    """Return a PNG of training and validation loss by step, with the floors of this very data."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [record["step"] for record in metrics if "loss" in record]
    losses = [record["loss"] for record in metrics if "loss" in record]
    validations = [record for record in metrics if "validation_loss" in record]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if losses:
        axes.plot(steps, losses, color="#b9c7d6", linewidth=0.8, label="train, each step")
        window = max(1, len(losses) // 50)
        kernel = np.ones(window) / window
        smooth = np.convolve(losses, kernel, mode="valid")
        axes.plot(steps[window - 1 :], smooth, color="#27567b", label=f"train, mean of {window}")
    axes.plot(
        [record["step"] for record in validations],
        [record["validation_loss"] for record in validations],
        color="#c8553d",
        marker="o",
        markersize=4,
        label="validation",
    )
    for name, level in floors(training).items():
        axes.axhline(level, color="#8a8a8a", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{name} {level:.3f}",
            (1, level),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#5a5a5a",
        )
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=training.corpus.name)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def floors(training: Training) -> dict[str, float]:
    """Name the levels that a loss is to be compared with, in nats per token, highest first."""
    ladder = training.ladder()
    levels = {"uniform": ladder.uniform, "unigram": ladder.unigram, "bigram": ladder.bigram}
    entropy = training.true_entropy()
    return levels if entropy is None else {**levels, "true entropy": entropy}
