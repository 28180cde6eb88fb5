"""Workload: generation of tokens, by autolm and by PyTorch with a cache, in float32.

PyTorch stores keys and values in preallocated memory and uses its own attention and layer norm,
without modules. Both sample from the probabilities of the logits, which must agree.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from autolm.lm.decoding import BatchDecoder
from autolm.lm.design import design_of
from autolm.lm.transformer import Transformer
from benchmarks.race import Contestant, Race, enter
from benchmarks.tinylm_step import with_threads

PROMPT = 8


class Size(NamedTuple):
    """A model, the number of texts that it generates at once, and the number of tokens of each."""

    vocab_size: int
    d_model: int
    num_heads: int
    num_layers: int
    texts: int
    new: int


SIZES = {
    "4 × 128": Size(65, 128, 4, 4, 1, 112),
    "4 × 128, 16 texts": Size(65, 128, 4, 4, 16, 112),
    "GPT-2 small's size, 12 × 768": Size(50257, 768, 12, 12, 1, 32),
    "GPT-2 small's size, 12 × 768, 16 texts": Size(50257, 768, 12, 12, 16, 32),
}


def build(key: str, threads: list[int], apart: bool = True) -> Race:
    """Prepare the race at one size."""
    contestants, absent = [], []
    for library in LIBRARIES:
        for count in threads:
            try:
                contestants.append(
                    enter("generation", "contestant", library, key, count, apart=apart)
                )
            except ImportError as error:
                absent.append(f"{library} cannot run: {error}")
                break
    title = f"writing {SIZES[key].new} tokens ({key})"
    return Race(title, contestants, tolerance=1e-4, absent=absent)


def contestant(library: str, key: str, threads: int) -> Contestant:
    """Make a contestant; ImportError without what it needs."""
    size = SIZES[key]
    model = new_model(size)
    prompt = np.random.default_rng(0).integers(size.vocab_size, size=(size.texts, PROMPT))
    limit, logits, write = LIBRARIES[library](model, prompt, size.new)

    def surprise() -> float:
        """Return the mean surprise of some tokens after the prompt, to compare the logits."""
        scores = logits().astype(np.float64)
        totals = np.log(np.exp(scores).sum(axis=1))
        return float(np.mean(totals - scores[:, ::7].mean(axis=1)))

    return Contestant(
        with_threads(library, threads), write, surprise, prepare=lambda: limit(threads)
    )


def new_model(size: Size) -> Transformer:
    """Make a model of the family of GPT-2, always with the same weights."""
    config = {"model_type": "gpt2", "vocab_size": size.vocab_size, "n_embd": size.d_model}
    config |= {"n_head": size.num_heads, "n_layer": size.num_layers, "n_positions": 128}
    design = design_of(config)
    rng = np.random.default_rng(0)
    arrays = {
        path: rng.normal(size=shape).astype("float32") * np.float32(0.05)
        for path, shape in design.parameter_shapes()
    }
    arrays |= {path: np.ones_like(a) for path, a in arrays.items() if path.endswith("gain")}
    return Transformer(design, arrays)


Generator = tuple[Callable[[int], object], Callable[[], Any], Callable[[], float]]


def autolm_writing(model: Transformer, prompt: Any, new: int) -> Generator:
    """Return functions that limit threads, compute logits after the prompt, and generate."""
    if find_spec("numba") is None:
        raise ImportError("no numba")

    def logits() -> Any:
        decoder = BatchDecoder(model, len(prompt), PROMPT, recorded=True)
        decoder.next_logits(prompt[:, :-1])
        return decoder.next_logits(prompt)

    def write() -> float:
        rng = np.random.default_rng(0)
        return float(model.generate(prompt, new, rng=rng, recorded=True).size)

    return threadpool_limits, logits, write


def torch_writing(model: Transformer, prompt: Any, new: int) -> Generator:
    """Return the same functions for PyTorch."""
    import torch
    from torch.nn import functional

    design, w = model.design, {p: torch.tensor(a.data) for p, a in model.named_parameters()}
    heads, d = design.num_heads, design.d_model
    cache = torch.zeros(2, design.num_layers, len(prompt), heads, design.max_len, d // heads)

    def linear(x: Any, part: str, letter: str) -> Any:
        flat = x.flatten(0, 1)
        return torch.addmm(w[f"{part}.b_{letter}"], flat, w[f"{part}.W_{letter}"]).unflatten(
            0, x.shape[:2]
        )

    def norm(x: Any, path: str) -> Any:
        return functional.layer_norm(x, (d,), w[f"{path}.gain"], w[f"{path}.bias"], design.eps)

    def read(ids: Any, first: int) -> Any:
        end = first + ids.shape[1]
        x = w["embedding"][ids] + w["position_embedding"][first:end]
        for i in range(design.num_layers):
            at = f"blocks.{i}"
            normal = norm(x, f"{at}.norm_1")
            q, k, v = (
                linear(normal, f"{at}.attention", letter).unflatten(-1, (heads, -1)).transpose(1, 2)
                for letter in "QKV"
            )
            cache[0, i, :, :, first:end], cache[1, i, :, :, first:end] = k, v
            mixed = functional.scaled_dot_product_attention(
                q, cache[0, i, :, :, :end], cache[1, i, :, :, :end], is_causal=first == 0
            )
            x = x + linear(mixed.transpose(1, 2).flatten(2), f"{at}.attention", "O")
            up = linear(norm(x, f"{at}.norm_2"), f"{at}.feed_forward", "1")
            hidden = functional.gelu(up, approximate="tanh")
            x = x + linear(hidden, f"{at}.feed_forward", "2")
        return norm(x[:, -1], "norm") @ w["embedding"].T

    start = torch.tensor(prompt)

    @torch.inference_mode()
    def logits() -> Any:
        read(start[:, :-1], 0)
        return read(start[:, -1:], PROMPT - 1).numpy()

    @torch.inference_mode()
    def write() -> float:
        ids, first = start, 0
        written = [start]
        for _ in range(new):
            probabilities = read(ids, first).softmax(-1)
            first += ids.shape[1]
            ids = torch.multinomial(probabilities, 1)
            written.append(ids)
        return float(torch.cat(written, 1).numel())

    return torch.set_num_threads, logits, write


LIBRARIES = {"PyTorch, with a cache": torch_writing, "autolm, recorded": autolm_writing}
