"""What it costs to record a PyTorch program, beside the program alone: time, and peak memory.

    python demos/benchmarks/torch_recording.py [THREADS]

A step is the forward and backward pass of a GPT-2 of `transformers`, six layers of width 256, on
8 × 128 tokens. Plain and recorded steps take turns, nine each, in one process; the time is the
processor's, which other programs disturb least. The peaks are those of fresh processes, above what
building the model took: of a plain step, of a recorded one, and of one that is walked to its end.
"""

import resource
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext

ROUNDS = 9
KINDS = ("plain", "recorded", "walked")


def steps(threads):
    """Return a function that does one step of a kind."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    import autolm.torch
    from autolm import Walk

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sizes = {"n_layer": 6, "n_embd": 256, "n_head": 4, "n_positions": 128, "vocab_size": 5000}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    ids = torch.randint(0, 5000, (8, 128))

    def step(kind):
        model.zero_grad()
        with nullcontext() if kind == "plain" else autolm.torch.record():
            loss = model(ids, labels=ids).loss
            if kind == "walked":
                with Walk(loss) as walk:
                    walk.run()
            else:
                loss.backward()

    return step


def peak(kind, threads):
    """Print the bytes that a step adds to the process at the most."""
    step = steps(threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(kind)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def main(threads):
    """Print a table."""
    step = steps(threads)
    times = {kind: [] for kind in KINDS[:2]}
    for kind in (*times, *times):
        step(kind)
    for _ in range(ROUNDS):
        for kind, taken in times.items():
            begun = time.process_time()
            step(kind)
            taken.append(time.process_time() - begun)
    plain = statistics.median(times["plain"])
    for kind, taken in times.items():
        median = statistics.median(taken)
        spread = f"{min(taken) / plain:.2f} … {max(taken) / plain:.2f}"
        print(f"{kind:9} {median:.3f} s   × {median / plain:.2f}   ({spread})")
    for kind in KINDS:
        command = [sys.executable, __file__, kind, str(threads)]
        print(f"{kind:9} + {int(subprocess.check_output(command)) / 1e6:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KINDS:
        peak(sys.argv[1], int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1)
