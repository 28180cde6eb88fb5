"""How large the numbers of a model are, while it is trained: histograms of weights and gradients.

A run keeps them at each validation, in the line of `metrics.jsonl` that has the validation loss:
of each parameter the largest number without its sign, and how many numbers lie in each of 40 equal
parts from its negative to it. They are read off what a step has computed anyway, so that no number
of a run depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.drawing.palette import DARK, LIGHT, Palette
from autolm.lm.loss_plot import picture_of
from autolm.lm.run_folder import RunError

BINS = 40
MOST_NUMBERS = 1 << 16  # of one parameter; a larger one is read at so many places, evenly chosen
MOST_ROWS = 40  # parameters in a picture
KINDS = ("weights", "gradients")


def histogram(array: NDArray[Any]) -> dict[str, Any]:
    """Count the numbers of an array by size.

    >>> counted = histogram(np.array([-2.0, 0.1, 0.1, 2.0]))
    >>> counted["largest"], counted["counts"][0], counted["counts"][20], counted["counts"][-1]
    (2.0, 1, 2, 1)
    """
    numbers = array.ravel()[:: math.ceil(array.size / MOST_NUMBERS)].astype(np.float64)
    largest = float(np.abs(numbers).max(initial=0.0))
    counts, _ = np.histogram(numbers, BINS, (-largest, largest))
    return {"largest": largest, "counts": counts.tolist()}


def histograms(
    weights: Mapping[str, NDArray[Any]], gradients: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """Count the numbers of all parameters, by path, and those of their gradients."""
    arrays = zip(KINDS, (weights, gradients), strict=True)
    return {kind: {path: histogram(x) for path, x in of.items()} for kind, of in arrays}


def draw_histograms(
    records: Iterable[Mapping[str, Any]], name: str, suffix: str, *, dark: bool = False
) -> bytes:
    """Draw them over training, a row for each parameter: its weights, and its gradients.

    Parameters
    ----------
    records
        The lines of `metrics.jsonl`.
    name
        Of what.
    suffix
        What kind of picture: .png, .svg or .pdf.
    dark
        Light on dark.

    Raises
    ------
    RunError
        When there are none, or they are damaged.
    """
    kept = [(each["step"], each["histograms"]) for each in records if "histograms" in each]
    if not kept:
        raise RunError(
            f"{name}: keeps no histograms: it has not come to a validation, or was trained by an "
            "older autolm; train a new run"
        )
    try:
        columns = [(step, {k: _columns(each[k]) for k in KINDS}) for step, each in kept]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{name}: the histograms in metrics.jsonl are damaged") from None
    from matplotlib import rc_context

    palette = DARK if dark else LIGHT
    ground = ("figure.facecolor", "axes.facecolor")
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    colors: Any = dict.fromkeys(ground, palette.paper) | dict.fromkeys(ink, palette.ink)
    with rc_context(colors):
        return _drawn(columns, name, suffix, palette)


def _columns(kept: Any) -> dict[str, tuple[float, NDArray[Any]]]:
    return {path: _column(each["largest"], each["counts"]) for path, each in kept.items()}


def _column(largest: Any, counts: Any) -> tuple[float, NDArray[Any]]:
    numbers = np.array(counts, np.float64)
    if numbers.shape != (BINS,) or not np.isfinite(numbers).all() or not 0 <= largest < math.inf:
        raise ValueError
    return float(largest), numbers


def _drawn(
    columns: list[tuple[int, dict[str, Any]]], name: str, suffix: str, palette: Palette
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paths = list(dict.fromkeys(p for _, each in columns for kind in KINDS for p in each[kind]))
    half = MOST_ROWS // 2
    shown = paths if len(paths) <= MOST_ROWS else [*paths[:half], *paths[-half:]]
    figure = Figure(figsize=(8, 1.2 + 0.62 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    colors = (palette.leaf_line, palette.gradient)
    grid = figure.subplots(len(shown), 2, sharex=True, squeeze=False)
    for path, row in zip(shown, grid, strict=True):
        row[0].set_ylabel(path, rotation=0, ha="right", va="center", fontsize=8)
        for kind, axes, color in zip(KINDS, row, colors, strict=True):
            of = [(step, *each[kind][path]) for step, each in columns if path in each[kind]]
            _draw_row(axes, of, palette.paper, color)
    for axes, kind in zip(grid[0], KINDS, strict=True):
        axes.set_title(kind)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    hidden = len(paths) - len(shown)
    left_out = f"; {hidden} parameters in between left out" if hidden else ""
    figure.suptitle(f"{name}: how many numbers are how large{left_out}")
    return picture_of(figure, suffix[1:])


def _draw_row(
    axes: Any, columns: list[tuple[int, float, NDArray[Any]]], paper: str, color: str
) -> None:
    """Draw one parameter: a column for each validation, as dark as many numbers are so large."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list(color, [paper, color])
    before = 0
    for step, largest, counts in columns:
        edges = np.linspace(-1, 1, BINS + 1) * (largest or np.finfo(float).tiny)
        # A few large numbers are what one looks for: they are seen on a logarithmic scale.
        share = np.log1p(counts) / np.log1p(counts.max(initial=1))
        axes.pcolormesh([before, step], edges, share[:, None], cmap=shades, vmin=0, vmax=1)
        before = step
    most = max((largest for _, largest, _ in columns), default=0.0) or 1.0
    axes.set_ylim(-most, most)
    axes.set_yticks([-most, 0, most], [f"{-most:.2g}".replace("-", "−"), "0", f"{most:.2g}"])
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
