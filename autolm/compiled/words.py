"""Byte-pair encoding of long texts: what `lm/tokenizers` asks of the compiled loops.

A text is bytes here. Where numba is missing, or a text is too short to be worth loading it,
`loops_for` answers None, and the tokenizer goes on in plain Python, to the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled import merge_loops, word_loops
from autolm.compiled.kept import kept

WORTH_IT = 1 << 19  # bytes: to load what is compiled takes as long as they do in plain Python
MOST_POSITIONS = (1 << 31) - 1  # places are numbers of 32 bits

KERNELS = (
    merge_loops.learn,
    merge_loops.pair_table,
    merge_loops.merge_words,
    word_loops.distinct_words,
    word_loops.spelled,
)
CALLED_BY_THEM = (
    merge_loops.new_pair,
    merge_loops.put_place,
    merge_loops.wait,
    merge_loops.room,
    merge_loops.push,
    merge_loops.pop,
    merge_loops.slot_of,
    merge_loops.wait_to_merge,
    merge_loops.rank_of,
    word_loops.is_word,
    word_loops.filed,
    word_loops.word_end,
    word_loops.contraction_end,
    word_loops.decoded,
)
PLAIN = SimpleNamespace(**{kernel.__name__: kernel for kernel in KERNELS})


def loops_for(size: int) -> SimpleNamespace | None:
    """Return the compiled loops for a text of so many bytes, or None if it goes without them."""
    is_worth_it = size >= WORTH_IT and find_spec("numba") is not None
    return compiled_loops() if is_worth_it else None


@cache
def compiled_loops() -> SimpleNamespace:
    """Compile every loop, each at its first call, or load it from the cache that numba keeps."""
    from numba.extending import register_jitable

    for function in CALLED_BY_THEM:
        register_jitable(function)
    return SimpleNamespace(**{each.__name__: kept(each, nogil=True) for each in KERNELS})


class Merges:
    """The merges of a tokenizer, as the loops read them.

    Parameters
    ----------
    loops
        `compiled_loops()`, or `PLAIN`.
    pairs, merged
        What each merge joins, by rank, and the id that it makes.
    byte_ids
        The id of each byte.
    """

    def __init__(
        self,
        loops: SimpleNamespace,
        pairs: Sequence[tuple[int, int]],
        merged: Sequence[int],
        byte_ids: Sequence[int],
    ) -> None:
        self._loops = loops
        self._table = loops.pair_table(np.array(pairs, np.int64).reshape(-1, 2))
        self._made = np.array(byte_ids, np.int64), np.array(merged, np.int64)

    def ids_of_words(self, text: bytes, kinds: NDArray[np.uint8]) -> list[int]:
        """Return the ids of a text that is cut into words, each of which is merged for itself."""
        loops, data = self._loops, np.frombuffer(text, np.uint8)
        words, sequence = loops.distinct_words(data, kinds)
        ids, begins = loops.merge_words(data, words, self._table, *self._made)
        result: list[int] = loops.spelled(sequence, ids, begins).tolist()
        return result

    def ids_of_chunk(self, text: bytes) -> list[int]:
        """Return the ids of a text that is merged as a whole."""
        whole = np.array([[0, len(text)]])
        data = np.frombuffer(text, np.uint8)
        ids, _ = self._loops.merge_words(data, whole, self._table, *self._made)
        result: list[int] = ids.tolist()
        return result


def counted_words(
    loops: SimpleNamespace, text: bytes, kinds: NDArray[np.uint8]
) -> Mapping[bytes, int]:
    """Count the words of a text, in the order of their first places."""
    words, _ = loops.distinct_words(np.frombuffer(text, np.uint8), kinds)
    return {text[start:stop]: count for start, stop, count, _ in words.tolist()}


def learnt(
    loops: SimpleNamespace, tokens: NDArray[Any], weights: NDArray[np.int64], num_merges: int
) -> list[tuple[int, int]]:
    """Return the merges of chunks of tokens between boundaries, each position with its weight."""
    merges = loops.learn(tokens.astype(np.int32), weights, num_merges)
    return [(left, right) for left, right in merges.tolist()]
