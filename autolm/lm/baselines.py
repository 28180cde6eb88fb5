"""Entropy baselines: the losses of simple predictors, to compare a model's loss with.

A new model should have the loss `uniform`. A model that has learned the frequencies of tokens
reaches `unigram`; one that uses the previous token, `bigram`. A loss below `trigram` needs more
context than two tokens.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autolm.lm.batches import as_token_ids
from autolm.outside.arguments import read_finite, read_int, read_size
from autolm.outside.message import message


@dataclass(frozen=True)
class EntropyBaselines:
    """Lower bounds of the loss, in nats per token, computed from the data itself."""

    uniform: float
    """ln(vocabulary): every token is as likely as any other."""
    unigram: float
    """H(Xₜ)."""
    bigram: float
    """H(Xₜ | Xₜ₋₁)."""
    trigram: float
    """H(Xₜ | Xₜ₋₂, Xₜ₋₁)."""

    def __post_init__(self) -> None:
        for name, entropy in vars(self).items():
            read_finite("EntropyBaselines", name, entropy, low=0)


def entropy_baselines(
    token_ids: NDArray[np.int64], vocab_size: int, boundary_id: int | None = None
) -> EntropyBaselines:
    """Return the empirical conditional entropies of the tokens to predict: all except the first.

    With N(·) for the number of occurrences, the entropy of a token given its context c, the k
    tokens before it, is::

        H(Xₜ | c)  =  − Σ_{c, x} N(c x) / N · ln( N(c x) / N(c) )

    (Cover and Thomas, *Elements of Information Theory*, section 2.2). It is exact for this data,
    and so lower than for another text of the same sort: the more so, the longer the context is.

    Parameters
    ----------
    token_ids
        Shape ``(length,)``: a stream, or documents with the boundary token before, between and
        after them.
    vocab_size
        The number of tokens that a model chooses from.
    boundary_id
        The token between documents, if they are independent: no context then reaches back over it.

    Raises
    ------
    ValueError
        If there are fewer than 3 tokens, or an id is outside ``range(vocab_size)``.

    Examples
    --------
    >>> baselines = entropy_baselines(np.array([0, 1, 0, 1, 0, 1, 0]), vocab_size=4)
    >>> baselines.uniform == math.log(4), baselines.unigram == math.log(2), baselines.bigram
    (True, True, 0.0)
    """
    token_ids = as_token_ids(token_ids)
    vocab_size = read_int("entropy_baselines", "vocab_size", vocab_size, low=1)
    if boundary_id is not None:
        boundary_id = read_size("entropy_baselines", "boundary_id", boundary_id, low=0)
    if len(token_ids) < 3:
        raise ValueError(
            message(
                "the entropy baselines need at least 3 tokens, not {count}", count=len(token_ids)
            )
        )
    if token_ids.min() < 0 or token_ids.max() >= vocab_size:
        raise ValueError(
            message(
                "the data has token ids from {token_ids} to {token_ids2}, but the "
                "vocabulary has 0 to {x}",
                token_ids=token_ids.min(),
                token_ids2=token_ids.max(),
                x=vocab_size - 1,
            )
        )
    one_before, targets = token_ids[:-1], token_ids[1:]
    if boundary_id is None:
        two_before, later_one_before, later_targets = token_ids[:-2], one_before[1:], targets[1:]
    else:
        # The first token of a document has a boundary before it, and before that one more.
        two_before = np.append(boundary_id, token_ids[:-2])
        two_before = np.where(one_before == boundary_id, boundary_id, two_before)
        later_one_before, later_targets = one_before, targets
    no_context = np.zeros_like(targets)
    return EntropyBaselines(
        uniform=math.log(vocab_size),
        unigram=_conditional_entropy(no_context, targets),
        bigram=_conditional_entropy(one_before, targets),
        trigram=_conditional_entropy(_joined(two_before, later_one_before), later_targets),
    )


def _conditional_entropy(contexts: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """Return H(target | context) = H(context, target) − H(context), in nats."""
    return max(0.0, _entropy(_joined(contexts, targets)) - _entropy(contexts))


def _entropy(symbols: NDArray[np.int64]) -> float:
    _, counts = np.unique(symbols, return_counts=True)
    shares = counts / len(symbols)
    return float(-np.sum(shares * np.log(shares)))


def _joined(firsts: NDArray[np.int64], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each pair of numbers, the same for the same pair."""
    _, compact = np.unique(firsts, return_inverse=True)
    return compact.astype(np.int64) * (int(seconds.max()) + 1) + seconds
