"""How the next token is drawn from logits: by temperature, top-k and top-p."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.arguments import read_int, told
from autolm.tensor.arguments import read_finite, read_rng


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
    require_in_range("pick", temperature, top_k, top_p)
    read_rng("pick", "rng", rng)
    scores = _scores(logits)
    if temperature == 0:
        return int(np.argmax(scores))
    with np.errstate(over="ignore"):  # at a tiny temperature the others are as good as impossible
        probabilities = np.exp((scores - scores.max()) / temperature)
    if top_k is not None or top_p is not None:  # to sort a large vocabulary takes longer than all
        order = np.argsort(-probabilities, kind="stable")
    if top_k is not None:
        probabilities[order[top_k:]] = 0
    probabilities /= probabilities.sum()
    if top_p is not None:
        reached = np.cumsum(probabilities[order])
        probabilities[order[1:][reached[:-1] >= top_p]] = 0
        probabilities /= probabilities.sum()
    reached = np.cumsum(
        probabilities
    )  # as `rng.choice` does it, which checks for ten times as long
    return int(np.searchsorted(reached / reached[-1], rng.random(), side="right"))


def require_in_range(name: str, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse, in one line, what cannot be drawn by."""
    read_finite(name, "temperature", temperature, low=0)
    if top_k is not None:
        read_int(name, "top_k", top_k, low=1)
    if top_p is not None:
        read_finite(name, "top_p", top_p, above=0, high=1)


def _scores(logits: Any) -> NDArray[np.float64]:
    scores = np.empty(0)
    with suppress(ValueError):  # lists of unequal lengths
        scores = np.asarray(logits)
    if scores.dtype.kind not in "iuf" or scores.ndim != 1 or not scores.size:
        raise ValueError(f"pick: logits must be numbers (vocab_size,), not {told(logits)}")
    if not np.isfinite(scores.max()):  # of nan and anything else it is nan
        raise ValueError(f"pick: logits must have a largest number, and it is {scores.max()}")
    return scores.astype(np.float64)
