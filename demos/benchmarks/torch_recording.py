"""Measure the time and memory of recording and walking a PyTorch program.

    python demos/benchmarks/torch_recording.py [PROGRAM …]      # without a name, all of them

A step is the forward and backward pass of a model in a training loop; its loss lives until the
next one is computed. A recorded step makes a node of every operation. A walked step steps through
the pass to its end and back to its start, and then PyTorch runs the pass; "in segments" keeps only
the gradients of some segments. Each kind has its own process with one thread; they take turns for
nine rounds. The time is processor time, including the system's, which other programs disturb least;
a ratio compares one round. The memory is the peak that the first step adds to the process with its
model, including the code that any first step loads.
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
SEGMENT = 16


def gpt2():
    """Return the loss of a GPT-2 of six layers of width 256, on 8 × 128 tokens."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_layer": 6, "n_embd": 256, "n_head": 4, "n_positions": 128, "vocab_size": 5000}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    ids = torch.randint(0, 5000, (8, 128))
    return model, lambda: model(ids, labels=ids).loss


def resnet():
    """Return the loss of a residual network of 18 convolutions, on 8 pictures of 96 × 96."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, width, out, stride):
            super().__init__()
            self.first = nn.Conv2d(width, out, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
            self.relu = nn.ReLU(inplace=True)
            self.past = nn.Identity()
            if stride > 1:
                self.past = nn.Conv2d(width, out, 1, stride, bias=False)

        def forward(self, x):
            y = self.relu(self.norms[0](self.first(x)))
            y = self.norms[1](self.second(y))
            y += self.past(x)
            return self.relu(y)

    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    widths += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    stages = [Residual(*sizes) for sizes in widths]
    begin = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)
    end = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)
    model = nn.Sequential(*begin, *stages, *end)
    pictures, classes = torch.randn(8, 3, 96, 96), torch.randint(0, 10, (8,))
    return model, lambda: nn.functional.cross_entropy(model(pictures), classes)


def llama():
    """Return the loss of a Llama of 16 layers of width 32, on 2 × 16 tokens: small operations."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"num_hidden_layers": 16, "hidden_size": 32, "intermediate_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads, max_position_embeddings=32))
    ids = torch.randint(3, 64, (2, 16))
    return model, lambda: model(ids, labels=ids, use_cache=False).loss


def lstm_cell():
    """Return the loss of an LSTM cell of width 32 in a loop of 300 steps: small operations."""
    import torch

    cell, x = torch.nn.LSTMCell(32, 32), torch.randn(300, 4, 32)

    def loss():
        h, c, total = torch.zeros(4, 32), torch.zeros(4, 32), 0
        for row in x:
            h, c = cell(row, (h, c))
            total = total + h.sum()
        return total

    return cell, loss


def decoder():
    """Return the loss of a decoder of 200 steps, each written into one tensor of 3.3 MB."""
    import torch

    cell, x = torch.nn.GRUCell(256, 256), torch.randn(16, 256)

    def loss():
        h, outputs = x, torch.zeros(200, 16, 256)
        for t in range(200):
            h = cell(h, h)
            outputs[t] = h
        return outputs.pow(2).mean()

    return cell, loss


def columns():
    """Return the loss of 300 writes of 256 numbers each, `x[:, i] *= 0.9`, and nothing else."""
    import torch

    scale = torch.nn.Linear(300, 64, bias=False)

    def loss():
        x = scale.weight * 1
        for i in range(300):
            x[:, i] *= 0.9
        return x.sum()

    return scale, loss


PROGRAMS = {make.__name__: make for make in (gpt2, resnet, llama, lstm_cell, decoder, columns)}


def steps(program, kind):
    """Yield once after making the model, then after each step of a kind."""
    import torch

    import autolm.torch
    from autolm import Walk

    torch.manual_seed(0)
    model, compute = PROGRAMS[program]()
    yield
    with nullcontext() if kind == "plain" else autolm.torch.record():
        while True:
            model.zero_grad()
            loss = compute()
            if kind in ("plain", "recorded"):
                loss.backward()
            else:
                with Walk(loss, segment=SEGMENT if kind == "in segments" else None) as walk:
                    walk.run()
                    walk.goto(0)
                    walk.abandon()
                loss.backward()
            yield


def serve(program, kind):
    """Do a step for each input line; print its time and the peak memory so far."""
    from benchmarks.peak_memory import CLEAR_REFS, RESET_PEAK, free_pages, resident

    work = steps(program, kind)
    next(work)
    free_pages()
    before = resident("VmRSS")
    CLEAR_REFS.write_text(RESET_PEAK)
    for _ in sys.stdin:
        start = time.process_time()
        next(work)
        print(time.process_time() - start, resident("VmHWM") - before, flush=True)


def measure(program):
    """Run the processes of a program in turns, and print a row for each kind."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, "serve", program, kind],
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
            seconds, peak = process.stdout.readline().split()
            times[kind].append(float(seconds))
            memory[kind].append(int(peak) / 1e6)
    for kind, process in processes.items():
        process.communicate()
        seconds = times[kind][2:]  # the first two steps warm up
        ratios = sorted(a / b for a, b in zip(seconds, times["plain"][2:], strict=True))
        spread = f"{statistics.median(ratios):.2f}   ({ratios[0]:.2f} … {ratios[-1]:.2f})"
        print(
            f"{program:10} {kind:12} {statistics.median(seconds):.3f} s   × {spread:24} "
            f"{memory[kind][0]:6.0f} MB"
        )


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        for program in sys.argv[1:] or PROGRAMS:
            measure(program)
