"""A pretrained model from a folder of Hugging Face, for every tool of autolm.

The folder has a `config.json`, weights as safetensors, and a tokenizer as `tokenizer.json` or as
`vocab.json` and `merges.txt`. Neither PyTorch nor transformers is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.lm.design import Design, PretrainedError, design_of
from autolm.lm.size import require_memory_to_load
from autolm.lm.stored_arrays import KINDS, StoredArray, stored_arrays
from autolm.lm.tokenizers.tokenizer import Tokenizer
from autolm.lm.tokenizers.vocabulary import load_vocabulary
from autolm.lm.transformer import Transformer
from autolm.outside.given_file import LONGEST_JSON, parse_json, read_given
from autolm.tensor.arguments import read_floating, read_path

CONFIG = "config.json"
HEAD = "lm_head.weight"
PREFIXES = ("transformer.", "model.")  # which some files leave out
# Tables that old files hold, and that follow from the rest.
DERIVED = (
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    ".inv_freq",
)


class Source(NamedTuple):
    """Where a parameter comes from: a stored array, perhaps turned, perhaps some of its columns."""

    name: str
    is_turned: bool = False
    part: int | None = None  # of three that lie side by side


def load_pretrained(
    folder: str | Path, dtype: DTypeLike | None = None
) -> tuple[Transformer, Tokenizer]:
    """Load a model of the family of GPT-2, GPT-Neo or Llama, and its tokenizer.

    Parameters
    ----------
    folder
        As transformers' `save_pretrained` writes it, or a snapshot in a cache.
    dtype
        float32 or float64; left out, that of the file, and float32 for what is narrower.

    Returns
    -------
    model
        A `LanguageModel`: `forward`, `compute_loss`, `generate` as of `TinyLM`.
    tokenizer
        With the ids of the vocabulary.

    Raises
    ------
    PretrainedError
        A ValueError, when the folder is of no known family, asks for what is not supported, or has
        weights that are missing, unknown or of another shape; before memory is taken for any.
    """
    folder = read_path("load_pretrained", "folder", folder)
    wanted = None if dtype is None else read_floating("load_pretrained", "dtype", dtype)
    design = read_design(folder)
    sources = sources_of(design)
    stored = _fitting(folder, design, sources)
    tokenizer = load_vocabulary(folder)
    if tokenizer.vocab_size > design.vocab_size:
        raise PretrainedError(
            f"{folder}: the tokenizer has ids up to {tokenizer.vocab_size - 1}, and the model "
            f"{design.vocab_size} tokens"
        )
    kinds = {stored[source.name].kind for source in sources.values()}
    dtype = wanted or np.dtype(np.float64 if "F64" in kinds else np.float32)
    try:
        require_memory_to_load(design, dtype)
        if design.is_tied and HEAD in stored:
            _require_same(stored[HEAD], stored[sources["embedding.weight"].name])
        return Transformer(design, _arrays(stored, sources, dtype)), tokenizer
    except PretrainedError as error:
        raise PretrainedError(f"{folder}: weights: {error}") from None


def read_design(folder: Path) -> Design:
    """Read what model a folder has; see `design_of`."""
    config = read_config(folder)
    try:
        return design_of(config)
    except PretrainedError as error:
        raise PretrainedError(f"{folder / CONFIG}: {error}") from None


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a folder."""
    try:
        content = parse_json(read_given(folder / CONFIG, LONGEST_JSON))
    except OSError as error:
        raise PretrainedError(f"{folder / CONFIG}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PretrainedError(f"{folder / CONFIG}: damaged: {error}") from None
    if not isinstance(content, dict):
        raise PretrainedError(f"{folder / CONFIG}: damaged: it is no JSON object")
    return content


def is_pretrained(folder: str | Path) -> bool:
    """Whether a folder is one of Hugging Face, whose configuration names a `model_type`."""
    try:
        return "model_type" in read_config(Path(folder))
    except PretrainedError:
        return False


def sources_of(design: Design) -> dict[str, Source]:
    """Say of each parameter where it comes from."""
    table = {"gpt2": GPT2, "gpt_neo": GPT_NEO, "llama": LLAMA}[design.family]
    found = {}
    for path in design.parameter_shapes():
        module, own = path.rsplit(".", 1)
        before, _, after = module.partition("blocks.")
        layer, _, inner = after.partition(".")
        source = table[f"blocks.{inner}" if after and not before else module]
        name = source.name.format(i=layer) + (".bias" if own == "bias" else ".weight")
        found[path] = Source(name, source.is_turned and own == "weight", source.part)
    return found


GPT2 = {
    "embedding": Source("wte"),
    "position_embedding": Source("wpe"),
    "blocks.norm_1": Source("h.{i}.ln_1"),
    **{
        f"blocks.attention.{own}": Source("h.{i}.attn.c_attn", part=n)
        for n, own in enumerate("qkv")
    },
    "blocks.attention.output": Source("h.{i}.attn.c_proj"),
    "blocks.norm_2": Source("h.{i}.ln_2"),
    "blocks.feed_forward.up": Source("h.{i}.mlp.c_fc"),
    "blocks.feed_forward.down": Source("h.{i}.mlp.c_proj"),
    "norm": Source("ln_f"),
    "head": Source("lm_head", is_turned=True),
}
GPT_NEO = {
    **GPT2,
    **{
        f"blocks.attention.{own}": Source(f"h.{{i}}.attn.attention.{own}_proj", is_turned=True)
        for own in "qkv"
    },
    "blocks.attention.output": Source("h.{i}.attn.attention.out_proj", is_turned=True),
    "blocks.feed_forward.up": Source("h.{i}.mlp.c_fc", is_turned=True),
    "blocks.feed_forward.down": Source("h.{i}.mlp.c_proj", is_turned=True),
}
LLAMA = {
    "embedding": Source("embed_tokens"),
    "blocks.norm_1": Source("layers.{i}.input_layernorm"),
    **{
        f"blocks.attention.{own}": Source(f"layers.{{i}}.self_attn.{own}_proj", is_turned=True)
        for own in "qkv"
    },
    "blocks.attention.output": Source("layers.{i}.self_attn.o_proj", is_turned=True),
    "blocks.norm_2": Source("layers.{i}.post_attention_layernorm"),
    **{
        f"blocks.feed_forward.{own}": Source(f"layers.{{i}}.mlp.{own}_proj", is_turned=True)
        for own in ("gate", "up", "down")
    },
    "norm": Source("norm"),
    "head": Source("lm_head", is_turned=True),
}


def _fitting(folder: Path, design: Design, sources: dict[str, Source]) -> dict[str, StoredArray]:
    """Find the stored arrays by their names without prefix; refuse what does not fit."""
    stored = {
        next((name.removeprefix(p) for p in PREFIXES if name.startswith(p)), name): array
        for name, array in stored_arrays(folder).items()
        if not name.endswith(DERIVED)
    }
    shapes: dict[str, tuple[int, ...]] = {}
    if design.is_tied and HEAD in stored:  # the embedding once more
        shapes[HEAD] = (design.vocab_size, design.d_model)
    for path, shape in design.parameter_shapes().items():
        name, is_turned, part = sources[path]
        if part is not None:
            shape = (*shape[:-1], 3 * shape[-1])
        shapes[name] = shape[::-1] if is_turned else shape
    for name in sorted(shapes.keys() ^ stored.keys()):
        lack = f"{name} is missing" if name in shapes else f"{name} is of no part of the model"
        raise PretrainedError(f"{folder}: weights: {lack}")
    for name, shape in shapes.items():
        if stored[name].shape != shape:
            raise PretrainedError(
                f"{folder}: weights: {name} is {stored[name].shape}, and the model has {shape}"
            )
        if stored[name].kind not in KINDS:
            raise PretrainedError(
                f"{folder}: weights: {name} holds {stored[name].kind}: {', '.join(KINDS)} are known"
            )
    return stored


def _require_same(head: StoredArray, embedding: StoredArray) -> None:
    if not np.array_equal(head.read(), embedding.read()):
        raise PretrainedError(
            f"{HEAD} is not the embedding, and {CONFIG} says so: tie_word_embeddings is true"
        )


def _arrays(
    stored: dict[str, StoredArray], sources: dict[str, Source], dtype: np.dtype[Any]
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    latest: tuple[str, Any] = ("", None)  # three parameters share an array, one after another
    for path, (name, is_turned, part) in sorted(sources.items(), key=lambda item: item[1].name):
        if latest[0] != name:
            with np.errstate(over="ignore"):  # what is too large becomes infinite
                latest = name, stored[name].read().astype(dtype, copy=False)
            if not np.isfinite(latest[1]).all():
                raise PretrainedError(f"{name} has a number that is not finite in {dtype}")
        array = latest[1]
        if part is not None:
            size = array.shape[-1] // 3
            array = array[..., part * size : (part + 1) * size].copy()
        arrays[path] = array.T if is_turned else array
    return arrays
