"""Peak memory of training, for autolm and PyTorch: the kernel's own high-water mark, on Linux.

    python -m benchmarks.peak_memory tinylm-lesson autolm 1  # a size, a library, threads: bytes

Each figure is of a fresh process, and counts what building a model and training it for three steps
add to its resident memory: parameters, moments, gradients, activations, temporaries, and what the
allocator keeps of these. Not counted are the libraries, what they load or start at the first step
(a tiny model takes it before), and the garbage of both: its pages go back to the kernel first. If
they stayed resident, the steps would use them again, uncounted, and small models seem to train in
no memory. Holes between what is in use cannot go back, so below a megabyte no figure is given.
"""

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.race import Contestant, Race
from benchmarks.tinylm_step import AUTOLM, SIZES, TORCH, threaded, with_threads

STEPS = 3  # the second has moments and gradients from the start
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def weighed(race: Race, size: str, threads: list[int]) -> Race:
    """Add peak memory to a race of TinyLM, where the system tells it."""
    if not os.access(CLEAR_REFS, os.W_OK):
        return race
    processes = {
        with_threads(library, count): partial(in_fresh_process, size, library, count)
        for library in (*TORCH, *AUTOLM)
        for count in threads
    }
    contestants = [
        replace(contestant, peak_bytes=processes[contestant.name]())
        if contestant.name in processes
        else contestant
        for contestant in race.contestants
    ]
    return replace(race, contestants=contestants)


def in_fresh_process(size: str, library: str, threads: int) -> int:
    """Run this file, and return what it prints."""
    command = [sys.executable, "-P", "-m", "benchmarks.peak_memory", size, library, str(threads)]
    imports = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the same autolm as here
    done = subprocess.run(
        command, env=os.environ | imports, check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout)


def peak_of(build: Callable[[], Contestant]) -> int:
    """Return the bytes that a contestant adds to the process, while it is run, at the most."""
    free_pages()
    before = resident("VmRSS")
    contestant = build()
    contestant.prepare()
    free_pages()
    CLEAR_REFS.write_text(RESET_PEAK)
    for _ in range(STEPS):
        contestant.run()
    return resident("VmHWM") - before


def free_pages() -> None:
    """Give the kernel back what is free; glibc keeps it otherwise, other allocators may."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def resident(field: str) -> int:
    """Return VmRSS, bytes now, or VmHWM, the most since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    size, library, threads = sys.argv[1:]
    train = partial(threaded, library, threads=int(threads))
    peak_of(lambda: train(SIZES["tinylm-microgpt"]))  # loads what loads late
    print(peak_of(lambda: train(SIZES[size])))


if __name__ == "__main__":
    main()
