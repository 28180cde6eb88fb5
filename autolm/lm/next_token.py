"""How the next token is drawn from logits: by temperature, top-k and top-p."""

from __future__ import annotations

import math
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
    require_in_range(temperature, top_k, top_p)
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


def require_in_range(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse, in one line, what cannot be drawn by."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it must be 0 or more, and finite")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1")
