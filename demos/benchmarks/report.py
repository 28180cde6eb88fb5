"""Results as tables for the terminal, and as one picture."""

import os
import platform
import re
import statistics
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.race import Contestant, Outcome

LIBRARIES = (
    *("numpy", "numba", "torch", "jax", "micrograd", "autograd", "mygrad", "tinygrad"),
    *("rustbpe", "tiktoken", "tokenizers"),
)
OURS, OTHERS = "#1f6aa5", "#8c8c8c"
MEGABYTE = 10**6
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))


def machine() -> str:
    """Name the machine and the libraries."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(": ")[2] if names else cpu
    words = [f"{cpu}, {os.cpu_count()} cores", f"Python {platform.python_version()}"]
    if hasattr(os, "getloadavg"):
        words.append(f"load {os.getloadavg()[0]:.1f} at the start")
    return " · ".join(
        words + [f"{name} {number}" for name in LIBRARIES if (number := _version(name))]
    )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def duration(seconds: float) -> str:
    """Write a time in three digits.

    >>> duration(0.0123), duration(4.2e-7)
    ('12.3 ms', '420 ns')
    """
    unit, name = next((unit, name) for unit, name in UNITS if seconds >= unit)
    return f"{seconds / (unit or 1e-9):.3g} {name}"


def interval(low: float, high: float) -> str:
    """Write two times in one unit.

    >>> interval(0.0123, 0.0145)
    '12.3–14.5 ms'
    """
    unit, name = next((unit, name) for unit, name in UNITS if high >= unit)
    return f"{low / (unit or 1e-9):.3g}–{high / (unit or 1e-9):.3g} {name}"


def ratio(number: float) -> str:
    """Write a ratio with two decimals, or with none if it is large.

    >>> ratio(0.5049), ratio(1453.2)
    ('0.50', '1453')
    """
    return f"{number:.0f}" if number >= 10 else f"{number:.2f}"


def megabytes(size: float) -> str:
    """Write an amount of memory, with the precision of its measurement.

    >>> megabytes(42_600_000), megabytes(2_380_000), megabytes(20_000)
    ('43 MB', '2.4 MB', '<1 MB')
    """
    if size < MEGABYTE:
        return "<1 MB"
    return f"{size / MEGABYTE:.{0 if size >= 10 * MEGABYTE else 1}f} MB"


def table(outcome: Outcome) -> Table:
    """Lay out one race: median times and ratios, each with its quartiles."""
    race, first = outcome.race, outcome.race.contestants[0].name
    title = f"{race.title}\n[dim]{'; '.join(race.absent)}" if race.absent else race.title
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    grid.padding, grid.pad_edge, grid.collapse_padding = (0, 1), False, True  # to fit 80 columns
    grid.add_column("", no_wrap=True)
    grid.caption, grid.caption_justify = memory_ratio(race.contestants), "left"
    last = ["quartiles"]
    has_default = bool(outcome.at_default)
    if has_default:
        last.append("with\ncollector")
    has_peaks = any(contestant.peak_bytes is not None for contestant in race.contestants)
    if has_peaks:
        last.append("peak\nmemory")
    for heading in ["time", "× as fast", *last]:
        grid.add_column(heading, justify="right", no_wrap=True)
    for contestant in race.contestants:
        low, middle, high = outcome.quartiles(contestant.name)
        slow, usual, quick = outcome.speedup(contestant.name)
        spread = "" if contestant.name == first else f" ({ratio(slow)}–{ratio(quick)})"
        cells = [contestant.name, duration(middle), ratio(usual) + spread, interval(low, high)]
        if has_default:
            cells.append(duration(statistics.median(outcome.at_default[contestant.name])))
        if has_peaks:
            cells.append("" if contestant.peak_bytes is None else megabytes(contestant.peak_bytes))
        grid.add_row(*cells, style="bold" if is_ours(contestant.name) else None)
    return grid


def markdown(grid: Table) -> str:
    """Write a table as Markdown, its title above it.

    >>> grid = Table("", "time", title="a race")
    >>> grid.add_row("autolm", "1 ms")
    >>> print(markdown(grid))
    **a race**
    <BLANKLINE>
    |  | time |
    | --- | ---: |
    | autolm | 1 ms |
    """
    columns = [[str(column.header), *map(str, column.cells)] for column in grid.columns]
    heading, *rows = (
        "| " + " | ".join(cell.replace("\n", " ") for cell in row) + " |"
        for row in zip(*columns, strict=True)
    )
    rule = "| --- |" + " ---: |" * (len(columns) - 1)
    title = re.sub(r"\[/?\w*\]", "", str(grid.title)).replace("\n", "; ")
    return "\n".join([f"**{title}**", "", heading, rule, *rows])


def memory_ratio(contestants: list[Contestant]) -> str | None:
    """Compare autolm's peak memory with the first contestant's, if both are known."""
    first, ours = contestants[0], next((c for c in contestants if is_ours(c.name)), contestants[0])
    if ours is first or min(ours.peak_bytes or 0, first.peak_bytes or 0) < MEGABYTE:
        return None
    times = ratio(ours.peak_bytes / first.peak_bytes)
    return f"Peak memory of {ours.name}: {times} × that of {first.name}"


def is_ours(name: str) -> bool:
    """Whether a contestant is autolm."""
    return name.startswith(("autolm", "Tape"))


def picture(outcomes: list[Outcome], path: Path) -> None:
    """Draw every race on a logarithmic axis, medians with quartiles, and write the file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [len(outcome.race.contestants) for outcome in outcomes]
    figure = Figure(figsize=(8, 0.24 * sum(rows) + 0.7 * len(rows) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=[n + 0.6 for n in rows])
    for panel, outcome in zip(panels[:, 0], outcomes, strict=True):
        names = [contestant.name for contestant in outcome.race.contestants]
        for row, name in enumerate(names):
            low, middle, high = outcome.quartiles(name)
            colour = OURS if is_ours(name) else OTHERS
            panel.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.45)
            panel.plot(middle, row, "o", color=colour, markersize=6)
            panel.annotate(
                duration(middle),
                (high, row),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        times = [seconds for name in names for seconds in outcome.quartiles(name)]
        panel.set(
            xscale="log", xlim=(min(times) / 2, max(times) * 4), ylim=(len(names) - 0.4, -0.6)
        )
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_title(outcome.race.title, loc="left", fontsize=9, fontweight="bold")
        panel.tick_params(axis="x", labelsize=7)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="x", color="#e6e6e6")
        panel.set_axisbelow(True)
        panel.xaxis.set_major_formatter(lambda seconds, _: duration(seconds))
        panel.xaxis.set_minor_formatter(lambda seconds, _: "")
        panel.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle("Time of one step, median and quartiles: left is faster", fontsize=11)
    figure.supxlabel(machine(), fontsize=6, color="#666666")
    figure.savefig(path, dpi=150)
