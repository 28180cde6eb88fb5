"""What it costs to record and to walk a PyTorch program, beside the program alone: time and memory.

    python demos/benchmarks/torch_recording.py [THREADS]

A step is the forward and backward pass of a GPT-2 of `transformers`, six layers of width 256, on
8 × 128 tokens, in a training loop: the loss of a step lives until the next is computed. A recorded
step makes a node of every operation; a walked one steps through the pass to its end and back to its
start, and then PyTorch does it, by itself or with the gradients of one segment in three at hand.
Each kind has a process of its own; they take turns, nine rounds. The time is the processor's, the
system's included, which other programs disturb least; the ratio is of one round. The memory is what
the first step adds to the process with its model, at the most; what any first step loads is in it.
"""

import os
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

ROUNDS = 9
KINDS = ("plain", "recorded", "walked", "in segments")
SEGMENT = 16  # of some 250 steps


def steps(kind):
    """Yield after each step of a kind; before the first, when the model stands."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, logging

    import autolm.torch
    from autolm import Walk

    logging.set_verbosity_error()
    torch.manual_seed(0)
    sizes = {"n_layer": 6, "n_embd": 256, "n_head": 4, "n_positions": 128, "vocab_size": 5000}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    ids = torch.randint(0, 5000, (8, 128))
    yield
    with nullcontext() if kind == "plain" else autolm.torch.record():
        while True:
            model.zero_grad()
            loss = model(ids, labels=ids).loss
            if kind in ("plain", "recorded"):
                loss.backward()
            else:
                with Walk(loss, segment=SEGMENT if kind == "in segments" else None) as walk:
                    walk.run()
                    walk.goto(0)
                    walk.abandon()
                loss.backward()
            yield


def serve(kind):
    """Do a step for each line that is read; write its time, and the most memory so far."""
    from benchmarks.peak_memory import CLEAR_REFS, RESET_PEAK, free_pages, resident

    work = steps(kind)
    next(work)
    free_pages()
    before = resident("VmRSS")
    CLEAR_REFS.write_text(RESET_PEAK)
    for _ in sys.stdin:
        begun = time.process_time()
        next(work)
        print(time.process_time() - begun, resident("VmHWM") - before, flush=True)


def main(threads):
    """Let the processes take turns, and print a table."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, "serve", kind],
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
            env=environment,
        )
        for kind in KINDS
    }
    times, memory = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    for _ in range(2 + ROUNDS):
        for kind, process in processes.items():
            process.stdin.write("\n")
            process.stdin.flush()
            taken, peak = process.stdout.readline().split()
            times[kind].append(float(taken))
            memory[kind].append(int(peak) / 1e6)
    for kind, process in processes.items():
        process.communicate()
        taken = times[kind][2:]  # the first two steps warm up
        ratios = sorted(a / b for a, b in zip(taken, times["plain"][2:], strict=True))
        spread = f"{statistics.median(ratios):.2f}   ({ratios[0]:.2f} … {ratios[-1]:.2f})"
        print(
            f"{kind:12} {statistics.median(taken):.3f} s   × {spread:24} {memory[kind][0]:6.0f} MB"
        )


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1)
