"""A race: contestants that compute the same thing, timed in shuffled order, round after round.

Each contestant has its own process (`worker.py`) and runs twice in every round: with Python's cycle
collector in its default state, and with the collector off. Results must agree before timing.
Because machines are noisy, contestants are compared within a round, and ratios are reported with
their spread over the rounds.
"""

import gc
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from math import ceil, isclose
from time import perf_counter
from typing import Any

SAMPLE_SECONDS = 0.05  # short calls are repeated for this long; the sample is their mean
PARITY_CALLS = 3  # more than one, to compare updates of weights too
COLLECTORS = ("default", "quiet")


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes
    ----------
    run
        Do the work once and return its result, such as the loss.
    digest
        Return a number computed from the other results of `run`, such as gradients; not timed.
    prepare
        Set the number of threads and the like; not timed.
    peak_bytes
        Peak memory of the work, if measured.
    worker
        The contestant's process, if it is not this one.
    """

    name: str
    run: Callable[[], float]
    digest: Callable[[], float] = lambda: 0.0
    prepare: Callable[[], object] = lambda: None
    peak_bytes: int | None = None
    worker: "Worker | None" = None


class Worker:
    """A process with one contestant, which runs on request."""

    def __init__(self, module: str, function: str, arguments: tuple[Any, ...]) -> None:
        command = [sys.executable, "-P", "-m", "benchmarks.worker", module, function]
        imports = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the same autolm as here
        self._process = subprocess.Popen(
            [*command, json.dumps(arguments)],
            env=os.environ | imports,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        first = self._answer()
        if "absent" in first:
            raise ImportError(first["absent"])
        self.name: str = first["name"]

    def ask(self, what: str, **details: Any) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        print(json.dumps({"do": what, **details}), file=self._process.stdin, flush=True)
        return self._answer()["answer"]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant ended early: {self._process.args}")
        return dict(json.loads(line))


def enter(module: str, function: str, *arguments: Any, apart: bool = True) -> Contestant:
    """Return the contestant that a function of the benchmarks makes, in its own process.

    Raises
    ------
    ImportError
        If a library that it needs is not installed.
    """
    if not apart:
        contestant: Contestant = getattr(import_module(f"benchmarks.{module}"), function)(
            *arguments
        )
        return contestant
    worker = Worker(f"benchmarks.{module}", function, arguments)
    return Contestant(worker.name, lambda: 0.0, worker=worker)


@dataclass(frozen=True)
class Race:
    """Contestants; all are compared with the first."""

    title: str
    contestants: list[Contestant]
    tolerance: float = 1e-9  # of the results, relative
    absent: list[str] = field(default_factory=list)  # contestants that could not run, with reasons
    flops: int = 0  # of one call, if known


@dataclass(frozen=True)
class Outcome:
    """A race and its times: seconds for one call, a number for each round.

    Attributes
    ----------
    seconds, at_default
        Times with the collector off, and in its default state.
    """

    race: Race
    seconds: dict[str, list[float]]
    at_default: dict[str, list[float]] = field(default_factory=dict)

    def quartiles(self, name: str) -> tuple[float, float, float]:
        """Return the quartiles of a contestant's times."""
        return _quartiles(self.seconds[name])

    def speedup(self, name: str) -> tuple[float, float, float]:
        """Return the quartiles of (time of the first contestant) / (time of this one)."""
        first = self.seconds[self.race.contestants[0].name]
        return _quartiles([a / b for a, b in zip(first, self.seconds[name], strict=True)])


def _quartiles(numbers: list[float]) -> tuple[float, float, float]:
    if len(numbers) == 1:
        return (numbers[0],) * 3
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def hold(race: Race, rounds: int) -> Outcome:
    """Check that all results agree, then time each contestant in each round and setting."""
    try:
        require_parity(race)
        calls = {
            contestant.name: ceil(SAMPLE_SECONDS / seconds_of(contestant, 1))
            for contestant in race.contestants
        }
        seconds: dict[str, dict[str, list[float]]] = {
            collector: {contestant.name: [] for contestant in race.contestants}
            for collector in COLLECTORS
        }
        starts = [
            (contestant, collector) for contestant in race.contestants for collector in COLLECTORS
        ]
        for _ in range(rounds):
            for contestant, collector in random.sample(starts, len(starts)):
                times = seconds[collector][contestant.name]
                times.append(seconds_of(contestant, calls[contestant.name], collector))
    finally:
        for contestant in race.contestants:
            if contestant.worker is not None:
                contestant.worker.close()
    return Outcome(race, seconds["quiet"], seconds["default"])


def require_parity(race: Race) -> None:
    """Require that all contestants compute the same results."""
    expected: list[float] = []
    for contestant in race.contestants:
        results = results_of(contestant)
        expected = expected or results
        for result, other in zip(results, expected, strict=True):
            if not isclose(result, other, rel_tol=race.tolerance):
                raise ValueError(
                    f"{race.title}: {contestant.name} computes {results}, "
                    f"and {race.contestants[0].name} {expected}"
                )


def results_of(contestant: Contestant) -> list[float]:
    """Return the results and digests of some calls."""
    if contestant.worker is not None:
        return list(contestant.worker.ask("results"))
    contestant.prepare()
    return [x for _ in range(PARITY_CALLS) for x in (contestant.run(), contestant.digest())]


def seconds_of(contestant: Contestant, calls: int, collector: str = "default") -> float:
    """Time some calls, and return the mean."""
    if contestant.worker is not None:
        return float(contestant.worker.ask("seconds", calls=calls, collector=collector))
    contestant.prepare()
    gc.collect()
    if collector == "quiet":
        gc.freeze()
        gc.disable()
    try:
        start = perf_counter()
        for _ in range(calls):
            contestant.run()
        return (perf_counter() - start) / calls
    finally:
        gc.enable()
        gc.unfreeze()
