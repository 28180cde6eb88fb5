"""Plot the losses of a run with the entropy baselines, the excess loss and the learning rate.

Near its lower bound a loss curve looks flat. The excess over the lowest baseline, on a logarithmic
scale, keeps falling as long as the model learns.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

TRAIN, SMOOTH, VALIDATION = "#b9c7d6", "#27567b", "#c8553d"
FEW_DECADES = 2.5  # with fewer decades, values between the powers of ten are labelled too
MIN_LABEL_DISTANCE = 0.045  # fraction of the height: labels closer than this are moved apart


def draw_losses(metrics: list[dict[str, Any]], name: str, levels: Mapping[str, float]) -> bytes:
    """Return a PNG of training and validation loss by step, with the reference losses."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [record["step"] for record in metrics if "loss" in record]
    losses = np.array([record["loss"] for record in metrics if "loss" in record])
    validations = [record for record in metrics if "validation_loss" in record]
    validated = [record["step"] for record in validations]
    after = np.array([record["validation_loss"] for record in validations])
    rates = [(r["step"], r["learning_rate"]) for r in metrics if "learning_rate" in r]
    floor = min(levels.values())
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    loss, excess, rate = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 2])
    for axes, above in ((loss, 0.0), (excess, floor)):
        if len(losses):
            axes.plot(steps, losses - above, color=TRAIN, linewidth=0.8, label="train, each step")
            window = max(1, len(losses) // 50)
            smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
            mean = f"train, mean of {window}"
            axes.plot(steps[window - 1 :], smooth - above, color=SMOOTH, linewidth=1.6, label=mean)
        style: dict[str, Any] = {"marker": "o", "markersize": 4, "label": "validation"}
        axes.plot(validated, after - above, color=VALIDATION, **style)
    _draw_reference_lines(loss, levels)
    lowest = min(levels, key=lambda name: levels[name])
    _use_log_scale(excess, lowest)
    excess.set_ylabel(f"loss − {lowest}")
    rate.plot(*zip(*rates, strict=True) if rates else ([], []), color=SMOOTH)
    rate.set_ylim(bottom=0)
    rate.set(xlabel="step", ylabel="learning rate")
    loss.set(ylabel="loss (nats per token)", title=name)
    for axes in (loss, excess, rate):
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = loss.get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, loc="outside lower center", ncols=3)
    figure.align_ylabels()
    return png_of(figure)


def png_of(figure: Any) -> bytes:
    """Return a figure as a PNG; names are not parsed as formulas, and may lack glyphs."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # drawn as a box
        figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _use_log_scale(axes: Any, floor: str) -> None:
    """Use a logarithmic scale, and note the first step whose loss is below the lowest reference."""
    from matplotlib.ticker import LogLocator, NullFormatter

    drawn = [(line.get_xdata(), line.get_ydata()) for line in axes.lines]
    above = [ys[ys > 0] for _, ys in drawn]
    if not any(map(len, above)):
        return
    axes.set_yscale("log", nonpositive="mask")
    decades = np.log10(max(ys.max(initial=0) for ys in above)) - np.log10(
        min(ys.min(initial=np.inf) for ys in above)
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < FEW_DECADES else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    below = [
        np.asarray(xs)[ys <= 0] for xs, ys in drawn[1:]
    ]  # only smoothed losses: single steps fluctuate
    first = min((xs[0] for xs in below if len(xs)), default=None)
    if first is not None:
        text = f"below {floor} from step {first:g} on"
        axes.annotate(text, (1, 0.9), xycoords="axes fraction", ha="right", va="top", color=SMOOTH)


def _draw_reference_lines(axes: Any, levels: Mapping[str, float]) -> None:
    """Draw the reference losses, with labels at the right that do not overlap."""
    for level in levels.values():
        axes.axhline(level, color="#8a8a8a", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    names = sorted(levels, key=lambda name: levels[name])
    positions = spread_labels([levels[name] for name in names], MIN_LABEL_DISTANCE * top)
    for name, position in zip(names, positions, strict=True):
        axes.annotate(
            f"{name} {levels[name]:.3f}",
            (1, position),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#5a5a5a",
            annotation_clip=False,
        )


def spread_labels(positions: list[float], distance: float) -> list[float]:
    """Move sorted positions upwards, as little as possible, to at least this distance apart.

    >>> spread_labels([1.0, 1.1, 3.0], 0.5)
    [1.0, 1.5, 3.0]
    """
    result: list[float] = []
    for position in positions:
        result.append(max(position, result[-1] + distance) if result else position)
    return result
