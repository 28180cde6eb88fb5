"""One step of training, raced by processes: the recorded step beside JAX, PyTorch and C.

    python demos/benchmarks/step_race.py [--rounds 9] [--threads 2] [size ...]

Each rival runs in a process of its own, which stays; they take turns in shuffled order. Before the
first round all must have the same losses over three steps. Shown are the medians of the time on the
clock and of the processor's, for a step, with quartiles of their ratio to the first.
"""

import argparse
import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable
from math import ceil, isclose
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
SAMPLE_SECONDS = 0.25
SIZES = {  # vocabulary, d_model, heads, d_ff, layers, batch, time
    "1×16, 7 tokens": (27, 16, 4, 64, 1, 1, 7),
    "2×32, 16 tokens": (32, 32, 4, 128, 2, 1, 16),
    "2×32, 16×16 tokens": (32, 32, 4, 128, 2, 16, 16),
    "4×128, 12×64 tokens": (65, 128, 4, 512, 4, 12, 64),
}
RIVALS = ("recorded", "native", "JAX", "torch, lean", "torch, compiled", "C")


class Times(NamedTuple):
    """Seconds of one step."""

    clock: float
    processor: float


def step_of(rival: str, size: str, threads: int) -> Callable[[], float]:
    """Return what takes a step and returns the loss before it."""
    from threadpoolctl import threadpool_limits

    from benchmarks import tinylm_step

    *sizes, batch, time = SIZES[size]
    shape = tinylm_step.Size(size, *sizes, (batch, time))  # type: ignore[arg-type]
    model, (tokens, targets) = tinylm_step.new_model(shape), tinylm_step.reading(shape)
    if rival == "recorded":
        from autolm.lm.native_step import NativeStep
        from autolm.nn import AdamW

        optimizer = AdamW(model.named_parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.1)
        native = NativeStep(model, optimizer, float("inf"), threads)
        native.record(tokens.shape)
        threadpool_limits(1 if native.num_workers > 1 else threads)

        def run() -> float:
            found = native.advance((tokens, targets), 1e-3)
            return found[0] if found else float("nan")

        return run
    threadpool_limits(threads)
    if rival == "JAX":
        from benchmarks.jax_peer import jax_step

        return jax_step(rival, model, tokens, targets, threads).run
    if rival == "C":
        from benchmarks.c_peer import c_step

        return c_step(rival, model, tokens, targets, threads).run
    if rival == "native":
        made = tinylm_step.autolm_step(rival, model, tokens, targets, threads, compiled=True)
    else:
        from benchmarks import torch_peer

        step = torch_peer.compiled_step if "compiled" in rival else torch_peer.lean_step
        made = step(rival, model, tokens, targets, threads)
    made.prepare()
    return made.run


def serve(rival: str, size: str, threads: int) -> None:
    """Answer each line with the times of so many steps; 0 asks for the loss of three."""
    if threads == 1:  # JAX takes all processors that it may have
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    run = step_of(rival, size, threads)
    for line in sys.stdin:
        count = int(line)
        if not count:
            print(*[run() for _ in range(3)], flush=True)
            continue
        gc.collect()
        clock, processor = perf_counter(), process_time()
        for _ in range(count):
            run()
        spent = perf_counter() - clock, process_time() - processor
        print(*[each / count for each in spent], flush=True)


class Process:
    """A rival at work."""

    def __init__(self, file: str, rival: str, size: str, threads: int) -> None:
        self.rival = rival
        self._process: Any = subprocess.Popen(
            [sys.executable, file, "--serve", rival, "--threads", str(threads), size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "XLA_FLAGS": ""},
        )

    def ask(self, count: int) -> list[float]:
        """Let it take steps; empty if it cannot."""
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return []
        return [*map(float, self._process.stdout.readline().split())]

    def end(self) -> str:
        """End it, and return the last line of what it complained of."""
        _, errors = self._process.communicate()
        return (errors.strip().splitlines() or [""])[-1]


def race(size: str, threads: int, rounds: int, rivals: list[str]) -> None:
    """Hold one race, and print it."""
    expected: list[float] = []
    running, counts = [], {}
    for rival in rivals:
        process = Process(__file__, rival, size, threads)
        losses = process.ask(0)
        if not losses:
            print(f"  {rival}: cannot run: {process.end()}")
            continue
        expected = expected or losses
        if not all(isclose(a, b, rel_tol=2e-4) for a, b in zip(losses, expected, strict=True)):
            print(f"  {rival}: computes {losses}, not {expected}: not timed")
            continue
        process.ask(3)
        counts[rival] = ceil(SAMPLE_SECONDS / process.ask(3)[0])
        running.append(process)
    times: dict[str, list[Times]] = {process.rival: [] for process in running}
    for _ in range(rounds):
        for process in random.sample(running, len(running)):
            times[process.rival].append(Times(*process.ask(counts[process.rival])))
    print(f"{size}, {threads} threads, load {os.getloadavg()[0]:.1f}")
    first = times[running[0].rival]
    for process in running:
        own = times[process.rival]
        ratios = [b.clock / a.clock for a, b in zip(first, own, strict=True)]
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        clock, busy = median(t.clock for t in own), median(t.processor for t in own)
        print(
            f"  {process.rival:16s} {clock * 1e3:9.4f} ms on the clock, {busy * 1e3:9.4f} ms busy, "
            f"× {middle:.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )
        process.end()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("sizes", nargs="*", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rivals", default=";".join(RIVALS))
    parser.add_argument("--serve")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.sizes[0], options.threads)
        return
    for size in options.sizes:
        race(size, options.threads, options.rounds, options.rivals.split(";"))


if __name__ == "__main__":
    main()
