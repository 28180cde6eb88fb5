"""Races of scalar engines, each rival in its own process, with and without the cycle collector.

Each round starts every rival in a new process, in shuffled order, once with the cycle collector in
its default state and once with the collector off. Results and gradients must agree. Numbers are
medians over the rounds, with quartiles; ratios compare times of one round. A step records a graph
and differentiates it. Freeing the graph is reported separately: a rival with a recursive sort
function leaves its graph to the collector.
"""

import json
import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isclose

from rich.box import SIMPLE_HEAD
from rich.table import Table

from autolm.engine.graph import topological_order
from benchmarks.c_tape import has_compiler
from benchmarks.race import Contestant, Outcome, Race
from benchmarks.report import duration, is_ours, ratio
from benchmarks.scalar_run import WORKLOADS
from benchmarks.scalar_step import (
    AUTOLM,
    C_TAPE,
    FUSED,
    FUSED_TAPE,
    MICROGRAD,
    RIVALS,
    TAPE,
    TECHNIQUE,
)

COLLECTORS = ("default", "quiet")
STEP = ("record", "backward")
PARTS = (*STEP, "free")
STEPS = 9  # a round's time is their median; large graphs take 1 step
LARGE = 10**6
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Result:
    """Times of one workload: the parts of a step in each round, by rival and collector."""

    title: str
    nodes: dict[str, int]
    rounds: dict[tuple[str, str], list[dict[str, float]]]
    bytes: dict[str, dict[str, float]]
    absent: tuple[str, ...]

    @property
    def rivals(self) -> list[str]:
        """The rivals, in order."""
        return list(dict.fromkeys(rival for rival, _ in self.rounds))

    def seconds(self, rival: str, collector: str, *parts: str) -> list[float]:
        """Return the time of a step, or of parts of it, in each round."""
        rounds = self.rounds[rival, collector]
        return [sum(times[part] for part in parts or STEP) for times in rounds]

    def speedups(self, rival: str, collector: str) -> list[float]:
        """Return (time of the first rival) / (time of this one) in each round."""
        first = self.seconds(self.rivals[0], collector)
        pairs = zip(first, self.seconds(rival, collector), strict=True)
        return [one / other for one, other in pairs]

    def outcome(self) -> Outcome:
        """Return the result as an `Outcome`, for the picture."""
        contestants = [Contestant(rival, lambda: 0.0) for rival in self.rivals]
        seconds = {rival: self.seconds(rival, "quiet") for rival in self.rivals}
        return Outcome(Race(self.title, contestants), seconds)


def hold(workload: str, size: object, rivals: Sequence[str], rounds: int) -> Result:
    """Run every rival in every round, and measure its memory once."""
    title = f"scalar {workload}, {size}"
    absent = ((MICROGRAD,) if not find_installed("micrograd") else ()) + (
        (C_TAPE,) if not has_compiler() else ()
    )
    present = [rival for rival in rivals if rival not in absent]
    times = defaultdict(list)
    starts = [(rival, collector) for rival in present for collector in COLLECTORS]
    for _ in range(rounds):
        for rival, collector in random.sample(starts, len(starts)):
            times[rival, collector].append(started(workload, size, rival, collector))
    require_parity(title, times)
    weights = {
        rival: started(workload, size, rival, "weigh")
        for rival in present
        if rival not in (C_TAPE, TAPE, FUSED_TAPE)
    }
    ordered = {start: times[start] for start in starts}
    gone = tuple(
        "no C compiler found" if rival == C_TAPE else f"{rival} is not installed"
        for rival in rivals
        if rival in absent
    )
    nodes = {rival: count(workload, size, rival) for rival in present}
    return Result(title, nodes, ordered, weights, gone)


def count(workload: str, size: object, rival: str) -> int:
    """Count the nodes of a rival's graph, including parameters and constants."""
    engine = FUSED if rival in (FUSED, FUSED_TAPE) else AUTOLM
    work = WORKLOADS[workload](engine, size)
    return len(topological_order(work.record()))


def find_installed(library: str) -> bool:
    """Whether a library can be imported."""
    try:
        return find_spec(library) is not None
    except ValueError:  # a test blocks it
        return False


def started(workload: str, size: object, rival: str, collector: str) -> dict[str, float]:
    """Run a rival in a new process and return what it prints."""
    steps = 1 if isinstance(size, int) and size >= LARGE else STEPS
    arguments = [workload, str(size), rival, collector, str(steps)]
    command = [sys.executable, "-P", "-m", "benchmarks.scalar_run", *arguments]
    imports = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the same autolm as here
    done = subprocess.run(
        command, env=os.environ | imports, check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout))


def require_parity(title: str, times: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Require that all rivals compute the same results."""
    (first, *_), *_ = times.values()
    for (rival, _), rounds in times.items():
        for step in rounds:
            for what in ("result", "digest"):
                if not isclose(step[what], first[what], rel_tol=TOLERANCE):
                    raise ValueError(f"{title}: {rival} computes another {what}")


def table(result: Result) -> Table:
    """Lay out the time of a step in both settings, and ratios with their quartiles."""
    title = f"{result.title}\n[dim]{'; '.join(result.absent)}" if result.absent else result.title
    grid = narrow(title, ["default", "× as fast", "quiet", "× as fast"])
    for rival in result.rivals:
        cells = [rival]
        for collector in COLLECTORS:
            slow, usual, quick = quartiles(result.speedups(rival, collector))
            spread = "" if rival == result.rivals[0] else f" ({ratio(slow)}–{ratio(quick)})"
            cells += [duration(statistics.median(result.seconds(rival, collector)))]
            cells += [ratio(usual) + spread]
        grid.add_row(*cells, style="bold" if is_ours(rival) else None)
    return grid


def parts_table(result: Result) -> Table:
    """Lay out the parts of a step with the collector quiet, and the memory of its graph."""
    headings = [*PARTS, "bytes a node", "at the peak"]
    grid = narrow(f"{result.title}: its parts, collector quiet", headings)
    for rival in result.rivals:
        medians = [statistics.median(result.seconds(rival, "quiet", part)) for part in PARTS]
        weight, nodes = result.bytes.get(rival), result.nodes[rival]
        cells = [f"{weight[key] / nodes:.0f}" if weight else "" for key in ("held", "peak")]
        style = "bold" if is_ours(rival) else None
        grid.add_row(rival, *map(duration, medians), *cells, style=style)
    return grid


def narrow(title: str, headings: Sequence[str]) -> Table:
    """Return an empty table of names and figures that fits 80 columns."""
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    grid.padding, grid.pad_edge, grid.collapse_padding = (0, 1), False, True
    grid.add_column("", no_wrap=True)
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    return grid


def growth_table(results: Sequence[Result]) -> Table:
    """Lay out the cost of a node in graphs of several sizes, and its growth."""
    sizes = [f"{result.nodes[AUTOLM]:,}".replace(",", " ") for result in results]
    grid = narrow("nanoseconds a node, recorded and differentiated", [*sizes, "growth"])
    for rival, collector in results[0].rounds:
        costs = [
            statistics.median(result.seconds(rival, collector)) / result.nodes[rival]
            for result in results
        ]
        cells = [f"{1e9 * cost:.3g}" for cost in costs]
        style = "bold" if is_ours(rival) else None
        grid.add_row(f"{rival}, {collector}", *cells, ratio(costs[-1] / costs[0]), style=style)
    return grid


def quartiles(numbers: list[float]) -> tuple[float, float, float]:
    """Return the quartiles of a few numbers."""
    if len(numbers) == 1:
        return (numbers[0],) * 3
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def microgpt_race(name: str, rounds: int) -> Result:
    """Race a step of microgpt's model on one name."""
    return hold("microgpt", name, RIVALS, rounds)


def growth_races(sizes: Sequence[int], rounds: int) -> list[Result]:
    """Race graphs of several sizes, without micrograd, which fails at a million nodes."""
    return [hold("averages", size, (TECHNIQUE, AUTOLM, TAPE), rounds) for size in sizes]
