"""Draw the losses of a run beside the entropy baselines, and the distance to the lowest of them.

Near its floor a loss seems to stand still. What it is above the floor, on a logarithmic scale, goes
on falling for as long as something is learnt; below stands the learning rate that did it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

TRAIN, SMOOTH, VALIDATION = "#b9c7d6", "#27567b", "#c8553d"
FEW = 2.5  # decades, of which more than the powers of ten are labelled
CLOSEST = 0.045  # of the height: labels of floors that are nearer than this are moved apart


def draw_losses(metrics: list[dict[str, Any]], name: str, levels: Mapping[str, float]) -> bytes:
    """Return a PNG of training and validation loss by step, with the floors of this very data."""
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
    _draw_floors(loss, levels)
    lowest = min(levels, key=lambda name: levels[name])
    _on_a_log_scale(excess, lowest)
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
    """Return a figure as a PNG file; names in it are not formulas, and may lack a font."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a box stands for it
        figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _on_a_log_scale(axes: Any, floor: str) -> None:
    """Let the excess fall on a logarithmic scale, and say where it has gone below the floor."""
    from matplotlib.ticker import LogLocator, NullFormatter

    drawn = [(line.get_xdata(), line.get_ydata()) for line in axes.lines]
    above = [ys[ys > 0] for _, ys in drawn]
    if not any(map(len, above)):
        return
    axes.set_yscale("log", nonpositive="mask")
    decades = np.log10(max(ys.max(initial=0) for ys in above)) - np.log10(
        min(ys.min(initial=np.inf) for ys in above)
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < FEW else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    below = [np.asarray(xs)[ys <= 0] for xs, ys in drawn[1:]]  # single steps go up and down
    first = min((xs[0] for xs in below if len(xs)), default=None)
    if first is not None:
        text = f"below {floor} from step {first:g} on"
        axes.annotate(text, (1, 0.9), xycoords="axes fraction", ha="right", va="top", color=SMOOTH)


def _draw_floors(axes: Any, levels: Mapping[str, float]) -> None:
    """Draw the floors, and name each at its right end, where no name stands on another."""
    for level in levels.values():
        axes.axhline(level, color="#8a8a8a", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    names = sorted(levels, key=lambda name: levels[name])
    places = spread([levels[name] for name in names], CLOSEST * top)
    for name, place in zip(names, places, strict=True):
        axes.annotate(
            f"{name} {levels[name]:.3f}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#5a5a5a",
            annotation_clip=False,
        )


def spread(places: list[float], apart: float) -> list[float]:
    """Move places apart that are in order, each as little upwards as keeps them so far apart.

    >>> spread([1.0, 1.1, 3.0], 0.5)
    [1.0, 1.5, 3.0]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + apart) if moved else place)
    return moved
