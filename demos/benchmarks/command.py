"""Compare the speed of autolm with its alternatives on this machine.

    python demos/benchmarks --markdown tables.md   # everything, most of an hour
    python demos/benchmarks scalar tinylm --quick  # two workloads, small sizes

Contestants start from the same weights and must agree on results and gradients before timing. They
run in shuffled order in every round; a ratio compares times of the same round. Peers that are not
installed are left out; `pip install 'autolm[bench,fast]'` installs them.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    drawing,
    engines,
    generation,
    peak_memory,
    report,
    roofline,
    scalar_race,
    text,
    tinylm_step,
)
from benchmarks.race import Outcome, Race, hold

Options = argparse.Namespace
Shown = tuple[Table, list[Outcome]]


def scalar(options: Options) -> Iterator[Shown]:
    result = scalar_race.microgpt_race("al" if options.quick else "yuheng", options.rounds)
    yield scalar_race.table(result), [result.outcome()]
    yield scalar_race.parts_table(result), []


def graphs(options: Options) -> Iterator[Shown]:
    sizes = [10**power for power in ((2, 3) if options.quick else (4, 5, 6))]
    results = scalar_race.growth_races(sizes, options.rounds)
    yield scalar_race.growth_table(results), [result.outcome() for result in results]


def raced(
    races: Callable[[Options], Iterator[Race]],
) -> Callable[[Options], Iterator[Shown]]:
    """Make a workload of races of arrays or texts, run from this process."""

    def show(options: Options) -> Iterator[Shown]:
        for race in races(options):
            outcome = hold(race, options.rounds)
            yield report.table(outcome), [outcome]

    return show


@raced
def tinylm(options: Options) -> Iterator[Race]:
    sizes = list(tinylm_step.SIZES)
    for size in sizes[:1] if options.quick else sizes:
        race = tinylm_step.build(size, options.threads, options.apart)
        yield peak_memory.weighed(race, size, options.threads)


def training(options: Options) -> Iterator[Shown]:
    sizes = list(engines.SIZES)
    for size in sizes[:1] if options.quick else sizes:
        outcome = hold(engines.build(size, options.threads, options.apart), options.rounds)
        yield engines.table(outcome, engines.tokens_of(size), options.threads), [outcome]


@raced
def writing(options: Options) -> Iterator[Race]:
    sizes = list(generation.SIZES)
    for size in sizes[:1] if options.quick else sizes:
        yield generation.build(size, options.threads, options.apart)


@raced
def bpe(options: Options) -> Iterator[Race]:
    sizes = [10_000] if options.quick else [1_000_000, 10_000_000]
    for size in sizes:
        few, many = (2, 16) if options.quick else (2, 4096)
        yield from text.build(options.text, size, few, many, options.apart)


@raced
def draw(options: Options) -> Iterator[Race]:
    yield drawing.build(2_000 if options.quick else 100_000)


WORKLOADS: dict[str, Callable[[Options], Iterator[Shown]]] = {
    "scalar": scalar,
    "tinylm": tinylm,
    "generation": writing,
    "engines": training,
    "growth": graphs,
    "bpe": bpe,
    "draw": draw,
}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"workloads to run: {', '.join(WORKLOADS)}")
    parser.add_argument("--quick", action="store_true", help="use small sizes, as a test")
    parser.add_argument("--rounds", type=int, default=9, help="number of rounds (9)")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="thread counts (1 2)"
    )
    parser.add_argument("--text", type=Path, help="text for BPE (default: Python's documentation)")
    parser.add_argument("--png", type=Path, default=Path("benchmark.png"), help="picture file")
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    parser.add_argument(
        "--together",
        dest="apart",
        action="store_false",
        help="run all in one process: faster to start, less fair",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the order")
    options = parser.parse_args()
    for name in options.workloads:
        if name not in WORKLOADS:
            parser.error(f"unknown workload {name!r}; choose from {', '.join(WORKLOADS)}")
    if options.rounds < 1 or min(options.threads) < 1:
        parser.error("--rounds and --threads must be at least 1")
    if not options.png.resolve().parent.is_dir():
        parser.error(f"folder not found: {options.png.parent}")
    if options.text and not options.text.is_file():
        parser.error(f"file not found: {options.text}")

    random.seed(options.seed)
    console = Console()
    console.print(report.machine(), style="dim")
    outcomes, written = list[Outcome](), [report.machine()]
    for name in options.workloads or WORKLOADS:
        for table, new_outcomes in WORKLOADS[name](options):
            outcomes += new_outcomes
            console.print(table, "")
            written.append(report.markdown(table))
    report.picture(outcomes, options.png)
    grown = [outcome for outcome in outcomes if outcome.race.flops]
    if grown:
        threads = max(options.threads)
        path = options.png.with_stem(f"{options.png.stem}-growth")
        roofline.picture(grown, roofline.peak_flops(threads), threads, path)
        console.print(f"Wrote the plot of cost against size to {path}.")
    if options.markdown:
        options.markdown.write_text("\n\n".join(written) + "\n", encoding="utf-8")
    console.print(f"Wrote the picture to {options.png}.")
