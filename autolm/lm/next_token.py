"""Sampling the next token from logits, by temperature, top-k and top-p."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.ops.array_arguments import read_rng
from autolm.outside.arguments import quote, read_finite, read_int


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
        Divides the logits. Below 1 favours probable tokens; 0 takes the most probable one.
    top_k
        Number of most probable tokens to keep.
    top_p
        Keeps the fewest most probable tokens that reach this probability (nucleus sampling).
    rng
        Random number generator.

    Examples
    --------
    >>> pick(np.array([0.0, 3.0, 1.0]), 0.0, None, None, np.random.default_rng(0))
    1

    Notes
    -----
    Source of top-p: Holtzman et al., The Curious Case of Neural Text Degeneration (2020), section
    3.1; of top-k: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation (2018), section 5.4.
    """
    scores = np.empty(0)
    with suppress(ValueError):  # lists of unequal lengths
        scores = np.asarray(logits)
    if scores.dtype.kind not in "iuf" or scores.ndim != 1 or not scores.size:
        raise ValueError(f"pick: logits must be numbers (vocab_size,), not {quote(logits)}")
    return int(pick_each(scores[None], temperature, top_k, top_p, rng)[0])


def pick_each(
    logits: NDArray[Any],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Draw a token for each row of logits, (batch, vocab_size), in order, as `pick` does."""
    require_in_range("pick", temperature, top_k, top_p)
    read_rng("pick", "rng", rng)
    largest = logits.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():  # nan if any element is nan
        wrong = largest[~np.isfinite(largest)][0]
        raise ValueError(f"pick: logits must have a largest number, and it is {wrong}")
    if temperature == 0:
        return np.argmax(logits, axis=1)
    # Update one array in place: with a large vocabulary, several do not fit into the cache.
    probabilities = logits.astype(np.float64)
    probabilities -= largest
    with np.errstate(over="ignore"):  # at a tiny temperature the others get probability 0
        probabilities /= temperature
    np.exp(probabilities, out=probabilities)
    if top_k is not None or top_p is not None:  # sorting is the slowest part
        order = np.argsort(-probabilities, axis=1, kind="stable")
    if top_k is not None:
        np.put_along_axis(probabilities, order[:, top_k:], 0, axis=1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if top_p is not None:
        reached = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
        for row, row_order, before in zip(probabilities, order, reached[:, :-1], strict=True):
            row[row_order[1:][before >= top_p]] = 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    # The same draw as `rng.choice`, without its slow checks.
    reached = np.cumsum(probabilities, axis=1, out=probabilities)
    reached /= reached[:, -1:].copy()
    return np.count_nonzero(reached <= rng.random((len(reached), 1)), axis=1)


def require_in_range(name: str, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise an error for invalid sampling options."""
    read_finite(name, "temperature", temperature, low=0)
    if top_k is not None:
        read_int(name, "top_k", top_k, low=1)
    if top_p is not None:
        read_finite(name, "top_p", top_p, above=0, high=1)
