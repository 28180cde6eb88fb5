"""How a next token is drawn from logits: temperature, top-k, top-p."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    if not temperature >= 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1")
    if temperature == 0:
        return int(np.argmax(logits))
    scores = np.asarray(logits, dtype=np.float64)
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
