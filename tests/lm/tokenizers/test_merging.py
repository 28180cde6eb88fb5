"""Merges are those of the definition, held against an oracle that rescans the text every time."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from autolm.lm.tokenizers.merging import Pair, apply_merges, learn_merges


def merge_everywhere(tokens: Sequence[int], pair: Pair, merged: int) -> list[int]:
    """Replace ``pair`` by ``merged`` in one reading from left to right."""
    result: list[int] = []
    position = 0
    while position < len(tokens):
        if tuple(tokens[position : position + 2]) == pair:
            result.append(merged)
            position += 2
        else:
            result.append(tokens[position])
            position += 1
    return result


def learn_by_rescanning(chunks: Sequence[bytes], num_merges: int) -> list[Pair]:
    """Count every pair of the whole text again for every merge."""
    text = [list(chunk) for chunk in chunks]
    merges: list[Pair] = []
    for rank in range(num_merges):
        in_text_order = [pair for tokens in text for pair in pairwise(tokens)]
        if not in_text_order:
            break
        pair = max(in_text_order, key=in_text_order.count)  # the first of equals
        merges.append(pair)
        text = [merge_everywhere(tokens, pair, 256 + rank) for tokens in text]
    return merges


def apply_by_rescanning(chunk: bytes, ranks: dict[Pair, int]) -> list[int]:
    tokens = list(chunk)
    while applicable := [pair for pair in pairwise(tokens) if pair in ranks]:
        pair = min(applicable, key=ranks.__getitem__)
        tokens = merge_everywhere(tokens, pair, 256 + ranks[pair])
    return tokens


def chunks_of(alphabet: bytes, max_size: int, max_chunks: int) -> st.SearchStrategy[list[bytes]]:
    chunk = st.lists(st.sampled_from(list(alphabet)), max_size=max_size).map(bytes)
    return st.lists(chunk, max_size=max_chunks)


repetitive_chunks = (
    chunks_of(b"ab", 40, 1)  # one long chunk full of runs and ties
    | chunks_of(b"abc", 6, 12)  # words, many of them repeated
    | chunks_of(b"\x00\xff", 12, 4)
    | chunks_of(bytes(range(256)), 20, 3)
)


@given(repetitive_chunks, st.integers(0, 30))
@example([b"aaaaa"], 4)
@example([b"bbaabbbabbabbb"], 4)  # neighbouring merges share the pair between them
@example([b"abab", b"baba"], 3)  # both pairs tie; the earlier in the text wins
@example([b"abz", b"bz", b"cd", b"ab", b"bzbz"], 4)  # "ab" loses its first place, and the tie
@example([b"ba", b"ab", b"ab", b"ba"], 1)  # the tie is across repeated chunks
def test_learnt_merges_are_those_of_a_full_rescan(chunks: list[bytes], num_merges: int) -> None:
    assert learn_merges(chunks, num_merges) == learn_by_rescanning(chunks, num_merges)


@given(repetitive_chunks, repetitive_chunks, st.integers(0, 30))
def test_applied_merges_are_those_of_a_full_rescan(
    trained_on: list[bytes], chunks: list[bytes], num_merges: int
) -> None:
    merges = learn_by_rescanning(trained_on, num_merges)
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for chunk in [*chunks, *trained_on]:
        assert apply_merges(chunk, ranks) == apply_by_rescanning(chunk, ranks)


@given(st.permutations([(97, 98), (98, 99), (99, 97), (97, 97), (98, 98)]), st.data())
def test_a_low_rank_goes_before_a_pair_further_left(order: list[Pair], data: st.DataObject) -> None:
    merges = [*order, (256, 257), (258, 259), (256, 99), (97, 258)]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    chunk = bytes(data.draw(st.lists(st.sampled_from(b"abc"), max_size=30)))
    assert apply_merges(chunk, ranks) == apply_by_rescanning(chunk, ranks)
