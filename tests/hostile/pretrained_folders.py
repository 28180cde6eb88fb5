"""Folders of Hugging Face as nobody should have made them; links that lead out are normal there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.hostile.folders import (
    CHANGES,
    ESCAPES,
    ODD,
    Damage,
    edit,
    header,
    of_any_file,
    of_headers,
    put,
)


def change_weights(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Damage:
    """Change the arrays of the weights."""

    def damage(folder: Path) -> None:
        with safe_open(folder / WEIGHTS, "numpy") as file:
            metadata, content = file.metadata(), file.get_tensors()
        with np.errstate(all="ignore"):
            save_file(change(content), folder / WEIGHTS, metadata=metadata)

    return damage


CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
SIZES = ("n_embd", "n_head", "n_layer", "n_inner", "n_positions", "vocab_size")
OTHERS = (
    *("model_type", "activation_function", "layer_norm_epsilon", "tie_word_embeddings"),
    *("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "quantization_config"),
)
NEO = {"model_type": "gpt_neo", "hidden_size": 8, "num_layers": 2, "num_heads": 2}
PARTS = ("model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")


def words(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change what a tokenizer says."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / TOKENIZER).read_bytes())
        change(content)
        (folder / TOKENIZER).write_text(json.dumps(content))

    return damage


def in_model(key: str, value: Any) -> Damage:
    return words(lambda content: content["model"].update({key: value}))


def added(**token: Any) -> Damage:
    plain = {"content": "<x>", "id": 9, "lstrip": False, "rstrip": False, "single_word": False}
    return words(lambda content: content.update(added_tokens=[plain | token]))


DAMAGES: dict[str, Damage] = {}
for name in (CONFIG, TOKENIZER, WEIGHTS):
    DAMAGES |= of_any_file(name)
for key in (*SIZES, *OTHERS):
    for odd in (*ODD, ESCAPES):
        DAMAGES[f"{CONFIG} {key} = {repr(odd)[:12]}"] = edit(CONFIG, **{key: odd})
for key in PARTS:
    for odd in (5, "x", [5], [[]], {"type": 5}, {ESCAPES: ESCAPES}):
        DAMAGES[f"{TOKENIZER} {key} = {odd}"] = words(
            lambda content, key=key, odd=odd: content.update({key: odd})
        )
for odd in (*ODD[:3], [], [5], ["a"], ["a b c"], [["a"]], [[1, 2]], {"a": -1}, {"a": 10**400}):
    DAMAGES[f"{TOKENIZER} merges = {odd}"[:50]] = in_model("merges", odd)
    DAMAGES[f"{TOKENIZER} vocab = {odd}"[:50]] = in_model("vocab", odd)
DAMAGES |= {
    f"{TOKENIZER} steps of steps": words(
        lambda content: content.update(pre_tokenizer={"type": "Sequence", "pretokenizers": 5})
    ),
    f"{TOKENIZER} a processor of none": words(
        lambda content: content.update(post_processor={"type": "Sequence", "processors": 5})
    ),
    f"{TOKENIZER} an added token of no text": added(content=[]),
    f"{TOKENIZER} an added token of another kind": added(content="<x>", lstrip=[]),
    f"{TOKENIZER} an added token far away": added(id=2**31 - 1),
    f"{TOKENIZER} an added token in nobody's place": added(id=0),
    f"{TOKENIZER} an added token of half a pair": added(content="\ud800"),
    f"{TOKENIZER} a long added token": added(content="a" * 10**6),
    f"{CONFIG} layers by the million": edit(
        CONFIG, **NEO, attention_types=[[["global"] * 10**5, 4096]]
    ),
    f"{CONFIG} layers of less than nothing": edit(
        CONFIG, **NEO, attention_types=[[["global"], 4], [["local"], -2]]
    ),
    f"{CONFIG} layers of no kind": edit(CONFIG, **NEO, attention_types=[[[[]], 2]]),
    "a second file of the same": lambda folder: (folder / "more.safetensors").write_bytes(
        (folder / WEIGHTS).read_bytes()
    ),
    "a second file of none": put("more.safetensors", b"12"),
    "a second file of quarters": put(
        "more.safetensors",
        header('{"W": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}'),
    ),
}
for what, change in CHANGES.items():
    DAMAGES[f"{WEIGHTS} {what}"] = change_weights(change)
DAMAGES |= of_headers(WEIGHTS)
MAY_DIFFER = (
    f"{CONFIG} layer_norm_epsilon",
    f"{CONFIG} scale_attn_weights",
    f"{WEIGHTS} too large",  # which a float64 is not
    f"{TOKENIZER} merges",
    f"{TOKENIZER} vocab",
    f"{TOKENIZER} an added token",
    f"{TOKENIZER} a long added token",
)
