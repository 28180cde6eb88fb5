"""What it costs to record a PyTorch program, beside the program alone: the time that it takes.

    python demos/benchmarks/torch_recording.py [THREADS]

A step is the forward and backward pass of a GPT-2 of `transformers`, six layers of width 256, on
8 × 128 tokens. Plain and recorded steps take turns, nine each, in one process; the time is the
processor's, which other programs disturb least.
"""

import statistics
import sys
import time
from contextlib import nullcontext

ROUNDS = 9
KINDS = ("plain", "recorded")


def steps(threads):
    """Return a function that does one step of a kind."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    import autolm.torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sizes = {"n_layer": 6, "n_embd": 256, "n_head": 4, "n_positions": 128, "vocab_size": 5000}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    ids = torch.randint(0, 5000, (8, 128))

    def step(kind):
        model.zero_grad()
        with nullcontext() if kind == "plain" else autolm.torch.record():
            loss = model(ids, labels=ids).loss
            loss.backward()

    return step


def main(threads):
    """Print a table."""
    step = steps(threads)
    times = {kind: [] for kind in KINDS}
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


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1)
