"""Byte-pair merges: learn them from chunks of bytes, and apply them to a chunk.

The algorithm of Gage (1994), as Sennrich, Haddow and Birch (2016) use it for words: the most
frequent pair of neighbouring tokens becomes a token of its own, repeatedly. A *merge* is such
a pair; its *rank* is the order in which it was learned; it makes the token ``256 + rank``.

Neither function reads the text again after its first pass. Both rest on one fact: a pair that
contains the newest token can only appear while that token is created. So all positions of a pair
are found at once, in text order, and later only disappear.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pair: TypeAlias = tuple[int, int]
Positions: TypeAlias = NDArray[np.int64]

NUM_BYTES = 256
_BOUNDARY = -1  # marks the start and the end of each chunk
_ABSORBED = -2  # was the right half of a merged pair


def learn_merges(chunks: Iterable[bytes] | Mapping[bytes, int], num_merges: int) -> list[Pair]:
    """Return at most ``num_merges`` merges, learned from ``chunks`` in order.

    Chunks may be a mapping from chunk to count, in order of first occurrence.

    Each merge is the pair with the most occurrences inside chunks; of equally frequent pairs, the
    one that occurs first in the text as it is tokenized at that moment. All neighbours count, so
    "aaa" holds the pair "aa" twice; merging goes from left to right, and leaves "aa", "a" there.
    Fewer merges come back if every chunk becomes a single token before.

    Examples
    --------
    >>> learn_merges([b"aaabdaaabac"], 3)
    [(97, 97), (256, 97), (257, 98)]
    """
    text = _LinkedText(*_lay_out(Counter(chunks)))
    merges: list[Pair] = []
    while len(merges) < num_merges and (pair := text.pop_most_frequent_pair()) is not None:
        text.merge(pair, NUM_BYTES + len(merges))
        merges.append(pair)
    return merges


def apply_merges(
    chunk: Sequence[int], ranks: Mapping[Pair, int], merged: Sequence[int] | None = None
) -> list[int]:
    """Return the token ids of ``chunk``: the merge with the lowest rank is applied first.

    Equal merges are applied from left to right. A chunk is bytes, or token ids of a vocabulary in
    which ``merged`` gives the token of each merge; the default is ``256 + rank``. The time is
    O(n log n) in the length of the chunk.

    Examples
    --------
    >>> apply_merges(b"aaab", {(97, 97): 0, (256, 97): 1, (257, 98): 2})
    [258]
    """
    tokens = [*chunk, _BOUNDARY]  # also tokens[-1], before the first token
    following = list(range(1, len(tokens) + 1))
    preceding = list(range(-1, len(tokens) - 1))
    heap = [
        (ranks[pair], position, pair)
        for position, pair in enumerate(pairwise(chunk))
        if pair in ranks
    ]
    heapq.heapify(heap)

    while heap:
        rank, position, pair = heapq.heappop(heap)
        absorbed = following[position]
        if (tokens[position], tokens[absorbed]) != pair:
            continue  # one of the two has been merged with its other neighbour
        new = NUM_BYTES + rank if merged is None else merged[rank]
        tokens[position], tokens[absorbed] = new, _ABSORBED
        before, after = preceding[position], following[absorbed]
        following[position], preceding[after] = after, position
        for start, new_pair in ((before, (tokens[before], new)), (position, (new, tokens[after]))):
            if new_pair in ranks:
                heapq.heappush(heap, (ranks[new_pair], start, new_pair))
    return [token for token in tokens if token >= 0]


def _lay_out(chunk_counts: Mapping[bytes, int]) -> tuple[Positions, Positions]:
    """Return the tokens of all chunks, separated by boundaries, and the count of each position.

    Because chunks are in order of first occurrence, the earliest position of a pair here is
    also its earliest in the text.
    """
    spans = np.array([len(chunk) + 1 for chunk in chunk_counts], dtype=np.int64)
    joined = b"".join(b"\0" + chunk for chunk in chunk_counts) + b"\0"
    tokens = np.frombuffer(joined, dtype=np.uint8).astype(np.int64)
    tokens[0] = tokens[np.cumsum(spans)] = _BOUNDARY
    counts = np.fromiter(chunk_counts.values(), np.int64)
    return tokens, np.append(np.repeat(counts, spans), 0)


class _LinkedText:
    """The chunks of a text as linked lists of tokens, with the positions of each pair.

    A token is identified by the position of its first byte. All arrays have shape ``(positions,)``:
    ``tokens``, ``weights`` (counts), ``following`` and ``preceding`` (positions).
    """

    def __init__(self, tokens: Positions, weights: Positions) -> None:
        self.tokens, self.weights = tokens, weights
        self.following = np.arange(1, len(tokens) + 1)
        self.preceding = np.arange(-1, len(tokens) - 1)

        self.counts: dict[Pair, int] = {}
        self.positions: dict[Pair, Positions] = {}
        self.most_frequent: list[tuple[int, int, Pair]] = []  # heap of (-count, earliest, pair)
        self._add_pairs(np.arange(len(tokens) - 1))

    def pop_most_frequent_pair(self) -> Pair | None:
        """Remove and return the most frequent pair, the earliest of equals; None if none is left.

        The heap may hold a pair with a count from before it lost occurrences. Such a count is
        too high, never too low, so the entry reaches the top and is pushed again with its count.
        """
        while self.most_frequent:
            negative_count, _, pair = heapq.heappop(self.most_frequent)
            count = self.counts[pair]
            if count == -negative_count:
                return pair
            if count > 0:
                self._push(pair)
        return None

    def merge(self, pair: Pair, merged: int) -> None:
        """Replace ``pair`` by the token ``merged`` at all positions, from left to right."""
        lefts = self._without_overlaps(self._living(pair))
        rights = self.following[lefts]
        befores, afters = self.preceding[lefts], self.following[rights]

        for lost, _, count in self._pairs_at(np.unique(np.concatenate((befores, lefts, rights)))):
            self.counts[lost] -= count

        self.tokens[lefts], self.tokens[rights] = merged, _ABSORBED
        self.following[lefts], self.preceding[afters] = afters, lefts
        self._add_pairs(np.unique(np.concatenate((self.preceding[lefts], lefts))))
        del self.positions[pair]

    def _living(self, pair: Pair) -> Positions:
        """Return where ``pair`` still occurs, in text order."""
        positions = self.positions[pair]
        is_left = self.tokens[positions] == pair[0]
        is_right = self.tokens[self.following[positions]] == pair[1]
        living: Positions = positions[is_left & is_right]
        return living

    def _without_overlaps(self, starts: Positions) -> Positions:
        """Return every other pair of a run of overlapping pairs, as in "aaaa"."""
        index = np.arange(len(starts))
        begins_run = np.ones(len(starts), dtype=bool)
        begins_run[1:] = self.following[starts[:-1]] != starts[1:]
        run_start = np.maximum.accumulate(np.where(begins_run, index, 0))
        result: Positions = starts[(index - run_start) % 2 == 0]
        return result

    def _add_pairs(self, starts: Positions) -> None:
        for pair, positions, count in self._pairs_at(starts):
            self.counts[pair] = count
            self.positions[pair] = positions
            self._push(pair)

    def _push(self, pair: Pair) -> None:
        earliest = int(self._living(pair)[0])
        heapq.heappush(self.most_frequent, (-self.counts[pair], earliest, pair))

    def _pairs_at(self, starts: Positions) -> Iterator[tuple[Pair, Positions, int]]:
        """Group ``starts`` (ascending) by the pair that begins there: pair, positions, count."""
        lefts, rights = self.tokens[starts], self.tokens[self.following[starts]]
        inside = (lefts != _BOUNDARY) & (rights != _BOUNDARY)
        starts, codes = starts[inside], (lefts[inside] << 32) | rights[inside]
        order = np.argsort(codes, kind="stable")
        starts, codes = starts[order], codes[order]
        first_of_group = np.flatnonzero(np.diff(codes, prepend=-1))
        if len(first_of_group) == 0:
            return
        counts = np.add.reduceat(self.weights[starts], first_of_group)
        groups = np.split(starts, first_of_group[1:])
        for code, count, positions in zip(codes[first_of_group], counts, groups, strict=True):
            yield (int(code >> 32), int(code & 0xFFFFFFFF)), positions, int(count)
