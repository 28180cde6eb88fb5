"""A race: contestants that compute the same thing, timed in shuffled order, round after round.

Nothing is timed before the results agree. Machines are noisy, so contestants are compared within a
round, and the ratios are given with their spread over the rounds.
"""

import gc
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, isclose
from time import perf_counter

SAMPLE_SECONDS = 0.05  # quick calls are repeated for this long, and their mean is the sample
PARITY_CALLS = 3  # so that, where weights move, updates are compared too


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
    """

    name: str
    run: Callable[[], float]
    digest: Callable[[], float] = lambda: 0.0
    prepare: Callable[[], object] = lambda: None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Race:
    """Contestants, of which the first is what the others are compared with."""

    title: str
    contestants: list[Contestant]
    tolerance: float = 1e-9  # of the results, relative
    absent: list[str] = field(default_factory=list)  # who could not take part, and why


@dataclass(frozen=True)
class Outcome:
    """A race and its times: seconds for one call, a number for each round."""

    race: Race
    seconds: dict[str, list[float]]

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
    """Check that all results agree, then time every contestant once a round."""
    require_parity(race)
    calls = {each.name: ceil(SAMPLE_SECONDS / seconds_of(each, 1)) for each in race.contestants}
    seconds: dict[str, list[float]] = {each.name: [] for each in race.contestants}
    for _ in range(rounds):
        for each in random.sample(race.contestants, len(race.contestants)):
            seconds[each.name].append(seconds_of(each, calls[each.name]))
    return Outcome(race, seconds)


def require_parity(race: Race) -> None:
    """Refuse to compare what does not compute the same."""
    expected: list[float] = []
    for each in race.contestants:
        each.prepare()
        results = [x for _ in range(PARITY_CALLS) for x in (each.run(), each.digest())]
        expected = expected or results
        for result, other in zip(results, expected, strict=True):
            if not isclose(result, other, rel_tol=race.tolerance):
                raise ValueError(
                    f"{race.title}: {each.name} computes {results}, "
                    f"and {race.contestants[0].name} {expected}"
                )


def seconds_of(contestant: Contestant, calls: int) -> float:
    """Time some calls, and return the mean."""
    contestant.prepare()
    gc.collect()
    start = perf_counter()
    for _ in range(calls):
        contestant.run()
    return (perf_counter() - start) / calls
