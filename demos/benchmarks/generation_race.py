"""Writing token after token, raced by processes: autolm natively beside PyTorch with a cache.

    python demos/benchmarks/generation_race.py [--rounds 9] [--threads 2] [size ...]

PyTorch keeps keys and values in memory taken beforehand, and has its own attention and layer norm;
no modules. Both draw from the probabilities of the logits, which must agree for the same text. A
size that ends in ×16 is a batch of 16. Shown are tokens a second, on the clock and of the
processor, and the ratio to the first, as in `step_race.py`.
"""

import argparse
import gc
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
PROMPT, NEW = 8, int(os.getenv("NEW", "112"))
DESIGNS = {  # vocabulary, d_model, heads, layers
    "4×128": (65, 128, 4, 4),
    "12×768": (50257, 768, 12, 12),
}
SIZES = [f"{design}{batch}" for design in DESIGNS for batch in ("", "×16")]
RIVALS = ("autolm, native", "torch")
Run = Callable[[], Any]


def made(size: str) -> tuple[Any, Any]:
    """Make a model of the family of GPT-2, and a prompt: (batch, time)."""
    from autolm.lm.design import design_of
    from autolm.lm.transformer import Transformer

    batch = 16 if size.endswith("×16") else 1
    vocab, width, heads, layers = DESIGNS[size.removesuffix("×16")]
    config = {"model_type": "gpt2", "vocab_size": vocab, "n_embd": width, "n_head": heads}
    design = design_of({**config, "n_layer": layers, "n_positions": 128})
    rng = np.random.default_rng(0)
    shapes = design.parameter_shapes()
    arrays = {
        path: rng.normal(size=s).astype("float32") * np.float32(0.05) for path, s in shapes.items()
    }
    arrays |= {path: np.ones_like(a) for path, a in arrays.items() if path.endswith("gain")}
    return Transformer(design, arrays), rng.integers(vocab, size=(batch, PROMPT))


def autolm_runs(size: str, threads: int) -> tuple[Run, Run]:
    """Return what makes the logits after the prompt, and what writes."""
    from threadpoolctl import threadpool_limits

    from autolm import native
    from autolm.lm.reading import Readings

    threadpool_limits(threads)
    model, prompt = made(size)

    @native()
    def logits() -> Any:
        readings = Readings(model, len(prompt), PROMPT)
        readings.next_logits(prompt[:, :-1])
        return readings.next_logits(prompt)

    @native()
    def write() -> Any:
        return model.generate(prompt, NEW, rng=np.random.default_rng(0))

    return logits, write


def torch_runs(size: str, threads: int) -> tuple[Run, Run]:
    """Return the same of PyTorch."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    model, prompt = made(size)
    design, w = model.design, {p: torch.tensor(a.data) for p, a in model.named_parameters()}
    heads, d = design.num_heads, design.d_model
    kept = torch.zeros(2, design.num_layers, len(prompt), heads, design.max_len, d // heads)

    def linear(x: Any, path: str) -> Any:
        flat = x.flatten(0, 1)
        return torch.addmm(w[f"{path}.bias"], flat, w[f"{path}.weight"]).unflatten(0, x.shape[:2])

    def norm(x: Any, path: str) -> Any:
        return functional.layer_norm(x, (d,), w[f"{path}.gain"], w[f"{path}.bias"], design.eps)

    def read(ids: Any, first: int) -> Any:
        end = first + ids.shape[1]
        x = w["embedding.weight"][ids] + w["position_embedding.weight"][first:end]
        for i in range(design.num_layers):
            at = f"blocks.{i}"
            normal = norm(x, f"{at}.norm_1")
            q, k, v = (
                linear(normal, f"{at}.attention.{part}").unflatten(-1, (heads, -1)).transpose(1, 2)
                for part in "qkv"
            )
            kept[0, i, :, :, first:end], kept[1, i, :, :, first:end] = k, v
            mixed = functional.scaled_dot_product_attention(
                q, kept[0, i, :, :, :end], kept[1, i, :, :, :end], is_causal=first == 0
            )
            x = x + linear(mixed.transpose(1, 2).flatten(2), f"{at}.attention.output")
            up = linear(norm(x, f"{at}.norm_2"), f"{at}.feed_forward.up")
            x = x + linear(functional.gelu(up, approximate="tanh"), f"{at}.feed_forward.down")
        return norm(x[:, -1], "norm") @ w["embedding.weight"].T

    given = torch.tensor(prompt)

    @torch.inference_mode()
    def logits() -> Any:
        read(given[:, :-1], 0)
        return read(given[:, -1:], PROMPT - 1).numpy()

    @torch.inference_mode()
    def write() -> Any:
        ids, first = given, 0
        written = [given]
        for _ in range(NEW):
            probabilities = read(ids, first).softmax(-1)
            first += ids.shape[1]
            ids = torch.multinomial(probabilities, 1)
            written.append(ids)
        return torch.cat(written, 1)

    return logits, write


def serve(rival: str, size: str, threads: int) -> None:
    """Answer 0 with some logits, and another number with the seconds of a text."""
    logits, write = (autolm_runs if rival == RIVALS[0] else torch_runs)(size, threads)
    for line in sys.stdin:
        if not int(line):
            print(*logits()[:, :5].reshape(-1)[:20], flush=True)
            continue
        gc.collect()
        clock, processor = perf_counter(), process_time()
        for _ in range(int(line)):
            write()
        print(perf_counter() - clock, process_time() - processor, flush=True)


def race(size: str, threads: int, rounds: int) -> None:
    """Hold one race, and print it."""
    from benchmarks.step_race import Process

    running = [Process(__file__, rival, size, threads) for rival in RIVALS]
    told = [process.ask(0) for process in running]
    for process, logits in zip(running, told, strict=True):
        if not logits or not np.allclose(logits, told[0], rtol=1e-3, atol=1e-3):
            print(f"{size}: {process.rival} computes {logits}, not {told[0]}: not timed")
            print(*(each.end() for each in running), sep="\n")
            return
    for process in running:
        process.ask(1)
    counts = [max(1, int(0.3 / process.ask(1)[0])) for process in running]
    times: list[list[list[float]]] = [[] for _ in running]
    for _ in range(rounds):
        for i in random.sample(range(len(running)), len(running)):
            times[i].append([each / counts[i] for each in running[i].ask(counts[i])])
    tokens = NEW * (16 if size.endswith("×16") else 1)
    print(f"{size}, {threads} threads, load {os.getloadavg()[0]:.1f}")
    for process, own in zip(running, times, strict=True):
        ratios = [b[0] / a[0] for a, b in zip(times[0], own, strict=True)]
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        clock, busy = (tokens / median(each[i] for each in own) for i in range(2))
        print(
            f"  {process.rival:16s} {clock:9.1f} tokens/s on the clock, {busy:9.1f} busy, time × "
            f"{middle:.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )
        process.end()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("sizes", nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.sizes[0], options.threads)
        return
    for size in options.sizes:
        race(size, options.threads, options.rounds)


if __name__ == "__main__":
    main()
