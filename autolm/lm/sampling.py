"""Generate text from a trained model, one token at a time."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

from autolm.lm.language_model import LanguageModel
from autolm.lm.next_token import pick, require_in_range
from autolm.lm.tokenizers import Tokenizer
from autolm.ops.array_arguments import read_rng
from autolm.outside.arguments import quote, read_choice, read_kind, read_size, read_text
from autolm.outside.message import message


def stream_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    kind: str,
    prompt: str,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    rng: np.random.Generator,
    recorded: bool = False,
) -> Iterator[str]:
    """Yield the prompt, then the generated text, one token at a time.

    For kind "lines" the model sees only the current line, as in training; for "stream" it sees the
    last `max_len` tokens. Incomplete UTF-8 characters are buffered until they are complete. With
    `recorded` the layers are recorded, see `KVCachedDecoder`.

    Raises
    ------
    ValueError
        If the tokenizer does not know a character of the prompt, or an argument is out of range.
    """
    if not hasattr(model, "decoder"):
        raise TypeError(
            message("stream_text: model must be a TinyLM, got {model}", model=quote(model))
        )
    read_kind("sampling", "tokenizer", tokenizer, Tokenizer, "a Tokenizer")
    read_choice("sampling", "kind", kind, ("lines", "stream"))
    read_text("sampling", "prompt", prompt)
    max_new_tokens = read_size("sampling", "max_new_tokens", max_new_tokens, low=0)
    require_in_range("sampling", temperature, top_k, top_p)
    read_rng("sampling", "rng", rng)
    boundary = tokenizer.encode("\n") if kind == "lines" or _knows_newline(tokenizer) else [0]
    token_ids = tokenizer.encode(prompt)
    if kind == "lines" or not token_ids:
        token_ids = boundary + token_ids
    yield prompt
    decoder = model.decoder(recorded=recorded)
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    for _ in range(max_new_tokens):
        context = token_ids[-model.max_len :]
        if kind == "lines":
            context = context[_last_index(context, boundary[0]) :]
        logits = decoder.next_logits(np.array(context))
        token_ids.append(pick(logits, temperature, top_k, top_p, rng))
        if piece := utf8.decode(tokenizer.token_bytes(token_ids[-1])):
            yield piece
    if rest := utf8.decode(b"", final=True):
        yield rest


def _knows_newline(tokenizer: Tokenizer) -> bool:
    try:
        return bool(tokenizer.encode("\n"))
    except ValueError:
        return False


def _last_index(token_ids: list[int], token_id: int) -> int:
    """Return the last index of a token; 0 if it does not occur."""
    return max((i for i, other in enumerate(token_ids) if other == token_id), default=0)
