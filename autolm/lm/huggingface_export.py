"""Export a trained TinyLM as a Hugging Face folder, which transformers can load.

With `norm="pre"` TinyLM is a GPT-2: its activation is ReLU, its learned positions are the
sinusoidal table, its biases are 0, and its output matrix is not the embedding. With "post" it is an
OPT. Without norms, transformers has no equivalent.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.lm.design import Design
from autolm.lm.pretrained import HEAD, sources_of
from autolm.lm.run_folder import RunError, RunFolder
from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer
from autolm.lm.tokenizers.vocabulary import CHARACTERS, visible_bytes
from autolm.lm.trained import trained_model
from autolm.outside.whole_file import NotSaved, write_whole

Arrays = dict[str, NDArray[Any]]


def export(run: RunFolder, folder: str | Path) -> Path:
    """Write a run as a folder for `AutoModelForCausalLM` and `AutoTokenizer`.

    Parameters
    ----------
    run
        The run, at its last checkpoint.
    folder
        A new folder, or an empty one.

    Returns
    -------
    The folder, with `config.json`, `generation_config.json`, `model.safetensors`, `tokenizer.json`
    and `tokenizer_config.json`; the logits and the ids are those of autolm.

    Raises
    ------
    RunError
        If the model or the tokenizer has no counterpart in transformers, or the folder is not
        empty; then nothing is written.
    NotSaved
        If it cannot be written.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    config, tokenizer = run.config(), run.tokenizer()
    if config.norm == "none":
        raise RunError(
            f"{run.path}: has no norms, and no class of transformers is so: norm pre is a GPT-2 "
            "there, and norm post an OPT"
        )
    tokenizer_content = tokenizer_json(tokenizer)
    model = trained_model(run)
    family = gpt2 if config.norm == "pre" else opt
    model_config, weights = family(model)
    boundary = tokenizer.encode("\n")[0] if config.kind == "lines" else None
    model_config |= {
        "vocab_size": tokenizer.vocab_size,
        "tie_word_embeddings": False,
        "dtype": config.dtype,
        "bos_token_id": boundary,
        "eos_token_id": boundary,
        "pad_token_id": None,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.block_size,
        "clean_up_tokenization_spaces": False,
    }
    generation_config = {
        "max_length": config.block_size,
        "bos_token_id": boundary,
        "eos_token_id": boundary,
    }
    files = {
        "config.json": model_config,
        "tokenizer.json": tokenizer_content,
        "tokenizer_config.json": tokenizer_config,
        "generation_config.json": generation_config,
    }
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"{folder}: has something in it: name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, content in files.items():
                write_whole(partial / name, (json.dumps(content, indent=2) + "\n").encode())
            whole = {name: np.ascontiguousarray(array) for name, array in weights.items()}
            write_whole(partial / "model.safetensors", save(whole, {"format": "pt"}))
            partial.chmod(0o755)
            os.replace(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as error:
        raise NotSaved(folder, error) from None
    return folder


def gpt2(model: TinyLM) -> tuple[dict[str, Any], Arrays]:
    """Describe a model with norms before each part as a GPT-2, and name its weights."""
    source = model.design
    design = replace(
        source,
        name="GPT-2",
        positions="learned",
        qkv_biases=True,
        output_biases=True,
        feed_forward_biases=True,
    )
    state = {**model.state(), "position_embedding": model.positions}
    for path, shape in design.parameter_shapes():
        state.setdefault(path, np.zeros(shape, model.positions.dtype))  # biases
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "relu",
        "n_embd": source.d_model,
        "n_head": source.num_heads,
        "n_layer": source.num_layers,
        "n_inner": source.d_ff,
        "n_positions": source.max_len,
        "layer_norm_epsilon": source.eps,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }
    return config, _weights(design, state, "transformer")


def opt(model: TinyLM) -> tuple[dict[str, Any], Arrays]:
    """Describe a model with norms after each part as an OPT, and name its weights.

    Source: Zhang et al., OPT: Open Pre-trained Transformer Language Models (2022); its first
    position is number 2.
    """
    source = model.design
    design = replace(source, name="OPT", positions="learned")
    unused = np.zeros((2, source.d_model), model.positions.dtype)
    state = {**model.state(), "position_embedding": np.concatenate([unused, model.positions])}
    config = {
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "activation_function": "relu",
        "hidden_size": source.d_model,
        "word_embed_proj_dim": source.d_model,
        "ffn_dim": source.d_ff,
        "num_attention_heads": source.num_heads,
        "num_hidden_layers": source.num_layers,
        "max_position_embeddings": source.max_len,
        "do_layer_norm_before": False,
        "enable_bias": False,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return config, _weights(design, state, "model.decoder")


def _weights(design: Design, state: Arrays, prefix: str) -> Arrays:
    """Arrange parameters as in the files of a family: the inverse of `load_pretrained`."""
    parts: dict[str, list[NDArray[Any]]] = {}
    for path, source in sources_of(design).items():
        name = source.name if source.name == HEAD else f"{prefix}.{source.name}"
        array = state[path]
        parts.setdefault(name, []).append(array.T if source.is_transposed else array)
    return {name: np.concatenate(arrays, axis=-1) for name, arrays in parts.items()}


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """Describe a tokenizer as the library `tokenizers` does.

    Raises
    ------
    RunError
        If two merges produce the same token, because `tokenizers` allows one id per token.
    """
    if isinstance(tokenizer, CharacterTokenizer):
        # The unknown token is not in the vocabulary, so an unknown character is an error there too.
        model: dict[str, Any] = {
            "type": "WordLevel",
            "vocab": {c: number for number, c in enumerate(tokenizer.characters)},
            "unk_token": "<unknown>",
        }
        return _tokenizer_content(model, [CHARACTERS], {"type": "Fuse"}, [])
    if not isinstance(tokenizer, BPETokenizer):
        raise RunError(f"a tokenizer of kind {tokenizer.kind} is kept in its own folder")
    letters = visible_bytes()
    names = [letters[byte] for byte in range(256)]
    merges = []
    for rank, (left, right) in enumerate(tokenizer.merges):
        name = names[left] + names[right]
        if name in names:
            raise RunError(
                f"merges {names.index(name) - 256} and {rank} of the tokenizer both spell "
                f"{tokenizer.token_bytes(256 + rank)!r}, and transformers has one id for each "
                "spelling: train with another number of merges"
            )
        merges.append([names[left], names[right]])
        names.append(name)
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: number for number, name in enumerate(names)},
        "merges": merges,
    }
    bytewise = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": tokenizer.split == "gpt",
    }
    added = [
        {
            "id": len(names) + number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, token in enumerate(tokenizer.special_tokens)
    ]
    return _tokenizer_content(model, [bytewise], bytewise, added)


def _tokenizer_content(
    model: dict[str, Any], cuts: list[Any], decoder: dict[str, Any], added: list[Any]
) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cuts},
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }
