"""TinyLM in C, written by hand for this one model (`step.c`): a bound for what is possible.

It is compiled by the system's compiler for this processor, with OpenMP.
"""

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from autolm.lm.tinylm import TinyLM
from benchmarks.c_tape import COMPILER
from benchmarks.race import Contestant

FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC"]


class Sizes(ctypes.Structure):
    """The sizes of the model for `step.c`."""

    _fields_ = [*((name, ctypes.c_long) for name in "VDHFLBT"), ("threads", ctypes.c_int)]


def c_step(name: str, model: TinyLM, tokens: Any, targets: Any, threads: int) -> Contestant:
    """Train in C; RuntimeError without a compiler that has OpenMP."""
    folder = tempfile.mkdtemp()
    library = Path(folder) / "step.so"
    source = Path(__file__).with_name("step.c")
    part = library.with_suffix(".o")
    try:
        subprocess.run([COMPILER, *FLAGS, "-c", source, "-o", part], check=True)
        # Linked with -ffast-math, the library would set subnormals to zero in the whole process.
        subprocess.run([COMPILER, "-fopenmp", "-shared", part, "-o", library, "-lm"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"no compiler of C with OpenMP: {error}") from None
    step: Any = ctypes.CDLL(str(library)).step
    step.restype = ctypes.c_float
    block = model.blocks[0]
    (batch, time), (vocab, width) = tokens.shape, model.embedding.shape
    inner = block.feed_forward.W_1.shape[1]
    heads, layers = block.attention.num_heads, len(model.blocks)
    sizes = Sizes(vocab, width, heads, inner, layers, batch, time, threads)
    weights = np.concatenate([p.data.ravel() for p in model.parameters()])
    slopes, first, second = (np.zeros_like(weights) for _ in range(3))
    rows, scores = batch * time, batch * heads * time * time
    memory = np.empty(
        rows * width * (8 * layers + 8)
        + rows * (inner * (layers + 1) + vocab + 4 * layers + 2)
        + scores * (layers + 1)
        + width * (inner + vocab),
        np.float32,
    )
    arrays = [np.ascontiguousarray(a, np.int64) for a in (tokens, targets)]
    buffers = [weights, slopes, first, second, model.positions[:time].copy(), *arrays, memory]
    count = 0

    def run() -> float:
        nonlocal count
        count += 1
        places = [ctypes.c_void_p(array.ctypes.data) for array in buffers]
        numbers = map(ctypes.c_float, (1e-3, 0.9, 0.95, 0.1))
        many, last = ctypes.c_long(weights.size), ctypes.c_int(count)
        return step(ctypes.byref(sizes), *places[:4], many, *places[4:], last, *numbers)

    return Contestant(name, run)
