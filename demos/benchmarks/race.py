"""A race: contestants that compute the same thing, timed in shuffled order, round after round.

Each waits in a process of its own for its turn (`worker.py`), and runs in every round twice: with
Python's cycle collector as it is by default, and with the collector off. Nothing is timed before
the results agree. Machines are noisy, so contestants are compared within a round, and the ratios
are given with their spread over the rounds.
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

SAMPLE_SECONDS = 0.05  # quick calls are repeated for this long, and their mean is the sample
PARITY_CALLS = 3  # so that, where weights move, updates are compared too
COLLECTORS = ("default", "quiet")


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes
    ----------
    run
        Does the work once; returns its result, such as the loss.
    digest
        Returns a number made of all else that `run` computed, such as gradients; not timed.
    prepare
        Sets the threads and the like; not timed.
    peak_bytes
        The most memory that the work takes, where that is measured.
    worker
        The process that it is in, if not in this one.
    """

    name: str
    run: Callable[[], float]
    digest: Callable[[], float] = lambda: 0.0
    prepare: Callable[[], object] = lambda: None
    peak_bytes: int | None = None
    worker: "Worker | None" = None


class Worker:
    """A process with one contestant, which runs when it is told to."""

    def __init__(self, module: str, function: str, told: tuple[Any, ...]) -> None:
        command = [sys.executable, "-P", "-m", "benchmarks.worker", module, function]
        imports = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the same autolm as here
        self._process = subprocess.Popen(
            [*command, json.dumps(told)],
            env=os.environ | imports,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun = self._answer()
        if "absent" in begun:
            raise ImportError(begun["absent"])
        self.name: str = begun["name"]

    def ask(self, what: str, **details: Any) -> Any:
        """Let it do something, and return what it answers."""
        assert self._process.stdin is not None
        print(json.dumps({"do": what, **details}), file=self._process.stdin, flush=True)
        return self._answer()["answer"]

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant ended early: {self._process.args}")
        return dict(json.loads(line))


def enter(module: str, function: str, *told: Any, apart: bool = True) -> Contestant:
    """Return the contestant that a function of the benchmarks makes, in a process of its own.

    Raises
    ------
    ImportError
        If what it needs is not there.
    """
    if not apart:
        contestant: Contestant = getattr(import_module(f"benchmarks.{module}"), function)(*told)
        return contestant
    worker = Worker(f"benchmarks.{module}", function, told)
    return Contestant(worker.name, lambda: 0.0, worker=worker)


@dataclass(frozen=True)
class Race:
    """Contestants, of which the first is what the others are compared with."""

    title: str
    contestants: list[Contestant]
    tolerance: float = 1e-9  # of the results, relative
    absent: list[str] = field(default_factory=list)  # who could not take part, and why
    flops: int = 0  # of one call, where that is known


@dataclass(frozen=True)
class Outcome:
    """A race and its times: seconds for one call, a number for each round.

    Attributes
    ----------
    seconds, at_default
        With the collector quiet; and as it is by default.
    """

    race: Race
    seconds: dict[str, list[float]]
    at_default: dict[str, list[float]] = field(default_factory=dict)

    def quartiles(self, name: str) -> tuple[float, float, float]:
        """Return the quartiles of a contestant's times."""
        return _quartiles(self.seconds[name])

    def speedup(self, name: str) -> tuple[float, float, float]:
        """Return how many times as quick as the first contestant this one was, as quartiles."""
        first = self.seconds[self.race.contestants[0].name]
        return _quartiles([a / b for a, b in zip(first, self.seconds[name], strict=True)])


def _quartiles(numbers: list[float]) -> tuple[float, float, float]:
    if len(numbers) == 1:
        return (numbers[0],) * 3
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def hold(race: Race, rounds: int) -> Outcome:
    """Check that all results agree, then time every contestant once a round, at each setting."""
    try:
        require_parity(race)
        calls = {each.name: ceil(SAMPLE_SECONDS / seconds_of(each, 1)) for each in race.contestants}
        found: dict[str, dict[str, list[float]]] = {
            collector: {each.name: [] for each in race.contestants} for collector in COLLECTORS
        }
        starts = [(each, collector) for each in race.contestants for collector in COLLECTORS]
        for _ in range(rounds):
            for each, collector in random.sample(starts, len(starts)):
                seconds = seconds_of(each, calls[each.name], collector)
                found[collector][each.name].append(seconds)
    finally:
        for each in race.contestants:
            if each.worker is not None:
                each.worker.close()
    return Outcome(race, found["quiet"], found["default"])


def require_parity(race: Race) -> None:
    """Refuse to compare what does not compute the same."""
    expected: list[float] = []
    for each in race.contestants:
        results = results_of(each)
        expected = expected or results
        for result, other in zip(results, expected, strict=True):
            if not isclose(result, other, rel_tol=race.tolerance):
                raise ValueError(
                    f"{race.title}: {each.name} computes {results}, "
                    f"and {race.contestants[0].name} {expected}"
                )


def results_of(contestant: Contestant) -> list[float]:
    """Return what some calls compute."""
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
