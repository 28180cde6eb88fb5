"""The baselines holds the conditional entropies of its data, counted one by one."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm.lm.baselines import entropy_baselines


def counted_entropy(contexts_and_targets: Sequence[tuple[tuple[int, ...], int]]) -> float:
    """−Σ ln( N(c x) / N(c) ) / N over all occurrences: the mean cost of the best prediction."""
    pairs = Counter(contexts_and_targets)
    contexts = Counter(context for context, _ in contexts_and_targets)
    costs = [-math.log(pairs[pair] / contexts[pair[0]]) for pair in contexts_and_targets]
    return math.fsum(costs) / len(costs)


# Of the large tokens, triples that are numbered carelessly coincide in 64 bits.
@given(st.lists(st.integers(0, 3) | st.sampled_from([0, 4, 2**31 - 1]), min_size=3, max_size=60))
@example([0, 0, 1, 4, 0, 1, 0, 0, 2, 4, 0, 2**31 - 1])
def test_baselines_of_a_stream_is_the_mean_cost_of_the_best_predictions(ids: list[int]) -> None:
    baselines = entropy_baselines(np.array(ids), vocab_size=2**31)
    for context_size, entropy in enumerate(
        (baselines.unigram, baselines.bigram, baselines.trigram)
    ):
        counted = [
            (tuple(ids[t - context_size : t]), ids[t])
            for t in range(max(1, context_size), len(ids))
        ]
        assert entropy == pytest.approx(counted_entropy(counted), abs=1e-12)


@given(st.lists(st.lists(st.integers(1, 3), max_size=5), min_size=2, max_size=20))
def test_baselines_of_documents_has_no_context_from_other_documents(
    documents: list[list[int]],
) -> None:
    joined = [0] + [token for document in documents for token in [*document, 0]]
    baselines = entropy_baselines(np.array(joined), vocab_size=4, boundary_id=0)
    for context_size, entropy in enumerate(
        (baselines.unigram, baselines.bigram, baselines.trigram)
    ):
        counted = []
        for document in documents:
            framed = [0, 0, *document, 0]
            counted += [
                (tuple(framed[t - context_size : t]), framed[t]) for t in range(2, len(framed))
            ]
        assert entropy == pytest.approx(counted_entropy(counted), abs=1e-12)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([0, 1], "at least 3 tokens, not 2"), ([0, 1, 4], "ids from 0 to 4"), ([-1, 0, 1], "from -1")],
)
def test_unusable_tokens_are_refused(ids: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entropy_baselines(np.array(ids), vocab_size=4)
