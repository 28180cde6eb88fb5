"""A trained TinyLM as JSON, for the page in which a reader types a text of their own."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np


def export(model: Any, tokenizer: Any, path: str) -> None:
    """Write the vocabulary and the parameters of a pre-norm TinyLM.

    Parameters
    ----------
    model
        A TinyLM with `norm="pre"`.
    tokenizer
        A tokenizer with one token for each character.
    path
        Target file, JSON. Parameters are little-endian float32, row by row, in base64.
    """
    arrays = {name: tensor.data for name, tensor in model.named_parameters()}
    content = {
        "vocabulary": [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)],
        "width": model.design.d_model,
        "heads": model.design.num_heads,
        "layers": model.design.num_layers,
        "context": model.max_len,
        "parameters": {
            name: base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()
            for name, array in arrays.items()
        },
    }
    Path(path).write_text(json.dumps(content, ensure_ascii=False), "utf-8")
