"""Workload: graphs of a thousand to a million nodes, in which a node should always cost the same.

The graph is a tree of averages, (a + b) · ½, level by level: two operations for each two numbers.
A step records it and runs backward; memory is what the recorded graph holds, counted by Python's
own allocator.
"""

import gc
import random
import tracemalloc
from typing import Any

from autolm import Tape
from benchmarks.race import Contestant, Race
from benchmarks.scalar_values import MICROGPT, OURS, ScalarEngine, micrograd

TIMES_NODES = 3  # operations and leaves, for each leaf
BEYOND_MICROGRAD = 100_000  # nodes: at a million, its race did not end in five minutes


def build(nodes: int) -> Race:
    """Prepare the race at one size."""
    rng = random.Random(0)
    numbers = [rng.gauss(0, 1) for _ in range(nodes // TIMES_NODES)]
    engines, absent = [MICROGPT, OURS], []
    try:
        if nodes <= BEYOND_MICROGRAD:
            engines.append(micrograd())
    except ImportError:
        absent.append("micrograd is not installed")
    contestants = [eager(engine, numbers) for engine in engines]
    contestants.append(taped(numbers))
    exact = len(numbers) * TIMES_NODES - 1
    title = f"a graph of {exact:,} nodes".replace(",", " ")
    return Race(title, contestants, nodes=exact, absent=absent)


def averaged(leaves: list[Any], half: Any) -> Any:
    """Return the average of averages."""
    level = leaves
    while len(level) > 1:
        odd = level[len(level) // 2 * 2 :]
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [(a + b) * half for a, b in pairs] + odd
    return level[0]


def eager(engine: ScalarEngine, numbers: list[float]) -> Contestant:
    """Record and differentiate on one engine."""
    leaves = [engine.value(number) for number in numbers]
    half = engine.value(0.5)

    def run() -> float:
        half.grad = 0.0
        root = averaged(leaves, half)
        root.backward()
        return float(root.data)

    return Contestant(
        engine.name,
        run,
        digest=lambda: half.grad,
        collector=engine.collector,
        bytes_per_node=bytes_of_graph(leaves, half) / (len(leaves) * TIMES_NODES),
    )


def bytes_of_graph(leaves: list[Any], half: Any) -> float:
    """Count the memory of a recorded graph, with leaves like the given."""
    gc.collect()
    tracemalloc.start()
    copies = [type(half)(leaf.data) for leaf in leaves]
    root = averaged(copies, half)
    copies.clear()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del root
    return held


def taped(numbers: list[float]) -> Contestant:
    """Replay the recorded graph."""
    half = OURS.value(0.5)
    root = averaged([OURS.value(number) for number in numbers], half)
    tape = Tape(root, parameters=[half])

    def run() -> float:
        number = tape.forward()
        tape.backward()
        return number

    return Contestant(
        f"Tape, {'native' if tape.native else 'in Python'}",
        run,
        digest=lambda: float(tape.gradient[0]),
        collector=OURS.collector,
    )
