"""Load a pretrained model from a Hugging Face folder.

The folder has a `config.json`, weights as safetensors, and a tokenizer as `tokenizer.json` or as
`vocab.json` and `merges.txt`. Neither PyTorch nor transformers is needed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm.lm.design import Design, PretrainedError, design_of
from autolm.lm.size import require_memory_to_load
from autolm.lm.stored_arrays import DTYPES, StoredArray, stored_arrays
from autolm.lm.tokenizers.tokenizer import Tokenizer
from autolm.lm.tokenizers.vocabulary import load_vocabulary
from autolm.lm.transformer import Transformer
from autolm.ops.array_arguments import read_floating
from autolm.outside.arguments import read_path
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import MAX_JSON_BYTES, parse_json, read_untrusted

CONFIG = "config.json"
HEAD = "lm_head.weight"
PREFIXES = ("transformer.", "model.decoder.", "model.")  # optional in the names of weights
# Tables in old files that can be computed from the rest.
DERIVED = (
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    ".inv_freq",
)


class WeightSource(NamedTuple):
    """The stored array of a parameter, which may be transposed or one third of its columns."""

    name: str
    is_transposed: bool = False
    part: int | None = None  # which third
    skipped_rows: int = 0  # at the start, which the model does not use


WeightSources = dict[str, WeightSource]
BLOCK = re.compile(r"blocks\.(\d+)\.(.*)")


def load_pretrained(
    folder: str | Path, dtype: DTypeLike | None = None
) -> tuple[Transformer, Tokenizer]:
    """Load a model of the family of GPT-2, GPT-Neo, Llama or OPT, and its tokenizer.

    Parameters
    ----------
    folder
        A folder written by transformers' `save_pretrained`, or a snapshot in its cache.
    dtype
        float32 or float64. By default that of the file, or float32 if the file is narrower.

    Returns
    -------
    model
        Has `forward`, `compute_loss` and `generate`, as `TinyLM`.
    tokenizer
        With the ids of the vocabulary.

    Raises
    ------
    PretrainedError
        A ValueError, if the family is unknown, an option is not supported, or weights are missing,
        unknown or of another shape. Memory is allocated only after these checks.
    """
    folder = read_path("load_pretrained", "folder", folder)
    requested = None if dtype is None else read_floating("load_pretrained", "dtype", dtype)
    design = read_design(folder)
    sources = sources_of(design)
    stored = _matching_arrays(folder, design, sources)
    tokenizer = load_vocabulary(folder)
    if tokenizer.vocab_size > design.vocab_size:
        raise PretrainedError(
            message(
                "{folder}: the tokenizer has ids up to {x}, and the model {vocab_size} tokens",
                folder=folder,
                x=tokenizer.vocab_size - 1,
                vocab_size=design.vocab_size,
            )
        )
    kinds = {stored[source.name].kind for source in sources.values()}
    dtype = requested or np.dtype(np.float64 if "F64" in kinds else np.float32)
    try:
        require_memory_to_load(design, dtype)
        if design.is_tied and HEAD in stored:
            _require_same(stored[HEAD], stored[sources["embedding"].name])
        return Transformer(design, _arrays(stored, sources, dtype)), tokenizer
    except PretrainedError as error:
        raise PretrainedError(f"{folder}: weights: {error}") from None


def read_design(folder: Path) -> Design:
    """Read the design of the model in a folder; see `design_of`."""
    config = read_config(folder)
    try:
        return design_of(config)
    except PretrainedError as error:
        raise PretrainedError(f"{folder / CONFIG}: {error}") from None


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a folder."""
    try:
        content = parse_json(read_untrusted(folder / CONFIG, MAX_JSON_BYTES))
    except OSError as error:
        raise PretrainedError(
            message(
                "{x}: cannot be read: {strerror}",
                x=folder / CONFIG,
                strerror=plain_message(error.strerror or ""),
            )
        ) from None
    except ValueError as error:
        raise PretrainedError(
            message("{x}: damaged: {error}", x=folder / CONFIG, error=error)
        ) from None
    if not isinstance(content, dict):
        raise PretrainedError(f"{folder / CONFIG}: damaged: it is no JSON object")
    return content


def is_pretrained(folder: str | Path) -> bool:
    """Whether a folder has a configuration of Hugging Face, with a `model_type`."""
    try:
        return "model_type" in read_config(Path(folder))
    except PretrainedError:
        return False


def sources_of(design: Design) -> dict[str, WeightSource]:
    """Return the source of each parameter, by path."""
    sources = {}
    for path, _ in design.parameter_shapes():
        block = BLOCK.match(path)
        source = SOURCES[design.name][path if block is None else block[2]]
        layer = None if block is None else block[1]
        sources[path] = source._replace(name=source.name.format(i=layer))
    return sources


def _matrix(
    path: str, name: str, is_transposed: bool = False, part: int | None = None
) -> WeightSources:
    """Return the sources of a matrix and its bias, such as "attention.Q"."""
    module, _, suffix = path.rpartition(".")
    return {
        f"{module}.W_{suffix}": WeightSource(f"{name}.weight", is_transposed, part),
        f"{module}.b_{suffix}": WeightSource(f"{name}.bias", False, part),
    }


def _norm(path: str, name: str) -> WeightSources:
    return {
        f"{path}.gain": WeightSource(f"{name}.weight"),
        f"{path}.bias": WeightSource(f"{name}.bias"),
    }


# Parameters of a block are listed by their path in the block; no name occurs outside it too.
GPT2: WeightSources = {
    "embedding": WeightSource("wte.weight"),
    "position_embedding": WeightSource("wpe.weight"),
    **_matrix("attention.Q", "h.{i}.attn.c_attn", part=0),
    **_matrix("attention.K", "h.{i}.attn.c_attn", part=1),
    **_matrix("attention.V", "h.{i}.attn.c_attn", part=2),
    **_matrix("attention.O", "h.{i}.attn.c_proj"),
    **_matrix("feed_forward.1", "h.{i}.mlp.c_fc"),
    **_matrix("feed_forward.2", "h.{i}.mlp.c_proj"),
    **_norm("norm_1", "h.{i}.ln_1"),
    **_norm("norm_2", "h.{i}.ln_2"),
    **_norm("norm", "ln_f"),
    "W_out": WeightSource("lm_head.weight", is_transposed=True),
}
GPT_NEO: WeightSources = {
    **GPT2,
    **_matrix("attention.Q", "h.{i}.attn.attention.q_proj", is_transposed=True),
    **_matrix("attention.K", "h.{i}.attn.attention.k_proj", is_transposed=True),
    **_matrix("attention.V", "h.{i}.attn.attention.v_proj", is_transposed=True),
    **_matrix("attention.O", "h.{i}.attn.attention.out_proj", is_transposed=True),
    **_matrix("feed_forward.1", "h.{i}.mlp.c_fc", is_transposed=True),
    **_matrix("feed_forward.2", "h.{i}.mlp.c_proj", is_transposed=True),
}
LLAMA: WeightSources = {
    "embedding": WeightSource("embed_tokens.weight"),
    **_matrix("attention.Q", "layers.{i}.self_attn.q_proj", is_transposed=True),
    **_matrix("attention.K", "layers.{i}.self_attn.k_proj", is_transposed=True),
    **_matrix("attention.V", "layers.{i}.self_attn.v_proj", is_transposed=True),
    **_matrix("attention.O", "layers.{i}.self_attn.o_proj", is_transposed=True),
    **_matrix("feed_forward.gate", "layers.{i}.mlp.gate_proj", is_transposed=True),
    **_matrix("feed_forward.1", "layers.{i}.mlp.up_proj", is_transposed=True),
    **_matrix("feed_forward.2", "layers.{i}.mlp.down_proj", is_transposed=True),
    **_norm("norm_1", "layers.{i}.input_layernorm"),
    **_norm("norm_2", "layers.{i}.post_attention_layernorm"),
    **_norm("norm", "norm"),
    "W_out": WeightSource("lm_head.weight", is_transposed=True),
}
OPT: WeightSources = {
    "embedding": WeightSource("embed_tokens.weight"),
    "position_embedding": WeightSource("embed_positions.weight", skipped_rows=2),
    **_matrix("attention.Q", "layers.{i}.self_attn.q_proj", is_transposed=True),
    **_matrix("attention.K", "layers.{i}.self_attn.k_proj", is_transposed=True),
    **_matrix("attention.V", "layers.{i}.self_attn.v_proj", is_transposed=True),
    **_matrix("attention.O", "layers.{i}.self_attn.out_proj", is_transposed=True),
    **_matrix("feed_forward.1", "layers.{i}.fc1", is_transposed=True),
    **_matrix("feed_forward.2", "layers.{i}.fc2", is_transposed=True),
    **_norm("norm_1", "layers.{i}.self_attn_layer_norm"),
    **_norm("norm_2", "layers.{i}.final_layer_norm"),
    "W_out": WeightSource("lm_head.weight", is_transposed=True),
}
SOURCES = {"GPT-2": GPT2, "GPT-Neo": GPT_NEO, "Llama": LLAMA, "OPT": OPT}


def _matching_arrays(
    folder: Path, design: Design, sources: dict[str, WeightSource]
) -> dict[str, StoredArray]:
    """Return the stored arrays by name without prefix; raise an error if they do not match."""
    stored = {
        next((name.removeprefix(p) for p in PREFIXES if name.startswith(p)), name): array
        for name, array in stored_arrays(folder).items()
        if not name.endswith(DERIVED)
    }
    shapes: dict[str, tuple[int, ...]] = {}
    if design.is_tied and HEAD in stored:  # a copy of the embedding
        shapes[HEAD] = (design.vocab_size, design.d_model)
    for path, shape in design.parameter_shapes():
        name, is_transposed, part, skipped_rows = sources[path]
        if part is not None:
            shape = (*shape[:-1], 3 * shape[-1])
        shape = (shape[0] + skipped_rows, *shape[1:])
        shapes[name] = shape[::-1] if is_transposed else shape
    for name in sorted(shapes.keys() ^ stored.keys()):
        lack = f"{name} is missing" if name in shapes else f"{name} is of no part of the model"
        raise PretrainedError(f"{folder}: weights: {lack}")
    for name, shape in shapes.items():
        if stored[name].shape != shape:
            raise PretrainedError(
                message(
                    "{folder}: weights: {name} is {shape}, and the model has {shape2}",
                    folder=folder,
                    name=name,
                    shape=stored[name].shape,
                    shape2=shape,
                )
            )
        if stored[name].kind not in DTYPES:
            raise PretrainedError(
                message(
                    "{folder}: weights: {name} holds {kind}: {names} are known",
                    folder=folder,
                    name=name,
                    kind=stored[name].kind,
                    names=", ".join(DTYPES),
                )
            )
    return stored


def _require_same(head: StoredArray, embedding: StoredArray) -> None:
    if not np.array_equal(head.read(), embedding.read()):
        raise PretrainedError(
            message(
                "{HEAD} is not the embedding, and {CONFIG} says so: tie_word_embeddings is true",
                HEAD=HEAD,
                CONFIG=CONFIG,
            )
        )


def _arrays(
    stored: dict[str, StoredArray], sources: dict[str, WeightSource], dtype: np.dtype[Any]
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    latest: tuple[str, Any] = ("", None)  # three parameters share an array, one after another
    for path, (name, is_transposed, part, skipped_rows) in sorted(
        sources.items(), key=lambda item: item[1].name
    ):
        if latest[0] != name:
            with np.errstate(over="ignore"):  # values that are too large become infinite
                latest = name, stored[name].read().astype(dtype, copy=False)
            if not np.isfinite(latest[1]).all():
                raise PretrainedError(
                    message(
                        "{name} has a number that is not finite in {dtype}", name=name, dtype=dtype
                    )
                )
        array = latest[1][skipped_rows:]
        if part is not None:
            size = array.shape[-1] // 3
            array = array[..., part * size : (part + 1) * size].copy()
        arrays[path] = array.T if is_transposed else array
    return arrays
