"""Plot the cost of a training step against its size, with the bound of its matrix products.

The bound is measured: the fastest of some products of large float32 matrices by NumPy's BLAS, with
as many threads as any contestant. Only a program that computes less can be below that line.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.race import Outcome
from benchmarks.report import OURS, duration, is_ours, machine

SIDE, PRODUCTS = 1024, 12


def peak_flops(threads: int) -> float:
    """Return the operations per second of the fastest product of square matrices."""
    a, b = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), np.float32)
    times = []
    with threadpool_limits(threads):
        for _ in range(PRODUCTS):
            start = perf_counter()
            a @ b
            times.append(perf_counter() - start)
    return float(2 * SIDE**3 / min(times))


def picture(outcomes: Sequence[Outcome], peak: float, threads: int, path: Path) -> None:
    """Plot time against operations, on logarithmic axes, for races with known operations."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = sorted(outcomes, key=lambda outcome: outcome.race.flops)
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = dict.fromkeys(
        contestant.name for outcome in sizes for contestant in outcome.race.contestants
    )
    for number, name in enumerate(sorted(names, key=is_ours)):
        rows = [outcome for outcome in sizes if name in outcome.seconds]
        flops = [outcome.race.flops for outcome in rows]
        low, middle, high = zip(*(outcome.quartiles(name) for outcome in rows), strict=True)
        style = {"color": OURS, "linewidth": 2.5} if is_ours(name) else {"color": f"C{1 + number}"}
        (line,) = axes.plot(flops, middle, marker="os^vD*P"[number % 7], label=name, **style)
        axes.vlines(flops, low, high, color=line.get_color(), linewidth=4, alpha=0.35)
    ends = np.array([sizes[0].race.flops, sizes[-1].race.flops], float)
    roof = f"roof: {peak / 1e9:.0f} GFLOP/s, products on {threads} threads"
    axes.plot(ends, ends / peak, color="black", linestyle="--", label=roof)
    axes.set(xscale="log", yscale="log", xlabel="operations in the products of a step")
    axes.set_ylabel("time of a step, median and quartiles")
    axes.yaxis.set_major_formatter(lambda seconds, _: duration(seconds))
    axes.grid(color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    figure.supxlabel(machine(), fontsize=5, color="#666666")
    figure.savefig(path, dpi=150)
