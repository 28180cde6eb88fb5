"""One rival's steps in a process of its own; `scalar_race.py` starts it.

    python -m benchmarks.scalar_run microgpt yuheng autolm quiet 5  # five steps: times as JSON
    python -m benchmarks.scalar_run microgpt yuheng autolm weigh 1  # bytes, by tracemalloc

Times are processor time, so that what else the machine does counts for little.
"""

import gc
import json
import statistics
import sys
import tracemalloc
from time import process_time

from benchmarks.scalar_step import Work, microgpt_step, tree_of_averages

WORKLOADS = {
    "microgpt": microgpt_step,
    "averages": lambda rival, size: tree_of_averages(rival, int(size)),
}


def timed(work: Work, collector: str, steps: int) -> dict[str, float]:
    """Return the median seconds of each part of a step, and what was computed."""
    gc.collect()
    if collector == "quiet":
        gc.freeze()
        gc.disable()
    times = []
    for _ in range(1 + steps):  # the first warms up
        work.clear()
        start = process_time()
        root = work.record()
        recorded = process_time()
        work.backward(root)
        differentiated = process_time()
        result = work.result(root)
        before = process_time()
        del root
        times.append((recorded - start, differentiated - recorded, process_time() - before))
    record, backward, free = map(statistics.median, zip(*times[1:], strict=True))
    digest = sum(map(abs, work.gradients()))
    return {
        "record": record,
        "backward": backward,
        "free": free,
        "result": result,
        "digest": digest,
    }


def weighed(work: Work) -> dict[str, float]:
    """Return the bytes that a recorded graph holds, and those at the peak of its pass."""
    work.clear()
    gc.collect()
    tracemalloc.start()
    root = work.record()
    graph_bytes, _ = tracemalloc.get_traced_memory()
    work.backward(root)
    _, peak = tracemalloc.get_traced_memory()
    return {"held": graph_bytes, "peak": peak}


def main() -> None:
    workload, size, rival, collector, steps = sys.argv[1:]
    work = WORKLOADS[workload](rival, size)
    print(json.dumps(weighed(work) if collector == "weigh" else timed(work, collector, int(steps))))


if __name__ == "__main__":
    main()
