"""How text is drawn from a model: one token at a time, by temperature, top-k and top-p."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autolm.lm.tokenizers import Tokenizer

if TYPE_CHECKING:
    from autolm.lm.tinylm import TinyLM


def pick(
    logits: NDArray[Any],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: np.random.Generator,
) -> int:
    """Draw one token id from logits, (vocab_size,).

    Parameters
    ----------
    logits
        Scores of all tokens.
    temperature
        Divides the logits: below 1 the likely become likelier, at 0 only the likeliest is left.
    top_k
        Keeps only so many of the likeliest.
    top_p
        Keeps only the likeliest whose probabilities together reach this much (nucleus sampling).
    rng
        Where the randomness comes from.

    Examples
    --------
    >>> pick(np.array([0.0, 3.0, 1.0]), 0.0, None, None, np.random.default_rng(0))
    1

    Notes
    -----
    Source of top-p: Holtzman et al., The Curious Case of Neural Text Degeneration (2020), section
    3.1; of top-k: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation (2018), section 5.4.
    """
    _require_in_range(temperature, top_k, top_p)
    if temperature == 0:
        return int(np.argmax(logits))
    scores = np.asarray(logits, dtype=np.float64)
    with np.errstate(over="ignore"):  # at a tiny temperature the others are as good as impossible
        probabilities = np.exp((scores - scores.max()) / temperature)
    order = np.argsort(-probabilities, kind="stable")
    if top_k is not None:
        probabilities[order[top_k:]] = 0
    probabilities /= probabilities.sum()
    if top_p is not None:
        reached = np.cumsum(probabilities[order])
        probabilities[order[1:][reached[:-1] >= top_p]] = 0
        probabilities /= probabilities.sum()
    return int(rng.choice(probabilities.size, p=probabilities))


def _require_in_range(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it must be 0 or more, and finite")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1")


def stream_text(
    model: TinyLM,
    tokenizer: Tokenizer,
    kind: str,
    prompt: str,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    rng: np.random.Generator,
) -> Iterator[str]:
    """Yield the prompt, then what a model writes after it, piece by piece as it comes.

    Of kind "lines", the model sees the line that it is writing and nothing before it, as it did in
    training; of kind "stream", as much as it can. Bytes that are not yet a whole character wait for
    the rest of it.

    Raises
    ------
    ValueError
        When the tokenizer does not know a character of the prompt, or a parameter is out of range.
    """
    _require_in_range(temperature, top_k, top_p)
    boundary = tokenizer.encode("\n") if kind == "lines" or _knows_newline(tokenizer) else [0]
    token_ids = tokenizer.encode(prompt)
    if kind == "lines" or not token_ids:
        token_ids = boundary + token_ids
    yield prompt
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for _ in range(max_new_tokens):
        context = token_ids[-model.max_len :]
        if kind == "lines":
            context = context[_last_index(context, boundary[0]) :]
        logits = model.next_logits(np.array(context))
        token_ids.append(pick(logits, temperature, top_k, top_p, rng))
        if piece := decoder.decode(tokenizer.token_bytes(token_ids[-1])):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def _knows_newline(tokenizer: Tokenizer) -> bool:
    try:
        return bool(tokenizer.encode("\n"))
    except ValueError:
        return False


def _last_index(token_ids: list[int], token_id: int) -> int:
    """Return where a token occurs last; 0 if it does not."""
    return max((i for i, other in enumerate(token_ids) if other == token_id), default=0)
