"""A cache of token ids: each distinct word of a text is merged once.

Both `BPETokenizer` and `VocabularyTokenizer` use it. Text that is given in pieces is joined into
blocks that can be encoded separately, so it may be larger than memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from autolm.lm.tokenizers.merging import Pair, apply_merges
from autolm.lm.tokenizers.splitting import split_like_gpt
from autolm.lm.tokenizers.tokenizer import bytes_of

BLOCK = 1 << 20  # characters
_MAX_CACHED = 1 << 16


class WordCache(dict[str, Sequence[int]]):
    """Token ids by word, computed at first use.

    Parameters
    ----------
    pairs, merged
        The pair of each merge and the id of its token, by rank.
    byte_ids
        The id of each byte.

    Examples
    --------
    >>> words = WordCache([(97, 98)], [256], range(256))
    >>> words.ids("ab cab"), words["ab"]
    ([256, 32, 99, 256], (256,))
    """

    def __init__(
        self, pairs: Sequence[Pair], merged: Sequence[int], byte_ids: Sequence[int]
    ) -> None:
        super().__init__()
        self._merged, self._byte_ids = merged, byte_ids
        self._ranks: dict[Pair, int] = {}
        for rank, pair in enumerate(pairs):
            self._ranks.setdefault(pair, rank)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, cut into words as GPT-2 does."""
        return list(chain.from_iterable(map(self.__getitem__, split_like_gpt(text))))

    def ids_of_chunk(self, text: str) -> list[int]:
        """Return the ids of a text that is merged as a whole, without caching."""
        byte_ids = [self._byte_ids[byte] for byte in bytes_of(text)]
        return apply_merges(byte_ids, self._ranks, self._merged)

    def __missing__(self, word: str) -> Sequence[int]:
        if len(self) >= _MAX_CACHED:
            self.clear()
        ids = self[word] = tuple(self.ids_of_chunk(word))
        return ids


def blocks_of(
    pieces: Iterable[str], last_cut: Callable[[str], int], size: int | None = None
) -> Iterator[str]:
    """Join the pieces of a text, and cut it into blocks of about `size` characters, or `BLOCK`.

    Parameters
    ----------
    pieces
        Together, the text.
    last_cut
        Returns the last position where a text can be cut for any continuation; 0 for none.

    Examples
    --------
    >>> list(blocks_of(["a b", "c d ", "e"], lambda text: text.rfind(" ") + 1, size=4))
    ['a bc d ', 'e']
    """
    size = size or BLOCK
    buffer, length, threshold = list[str](), 0, size
    for piece in pieces:
        buffer.append(piece)
        length += len(piece)
        if length >= threshold:
            text = "".join(buffer)
            cut = last_cut(text)
            if cut:
                yield text[:cut]
            buffer, length = [text[cut:]], len(text) - cut
            threshold = max(size, 2 * length)  # avoids searching the same text repeatedly
    text = "".join(buffer)
    if text:
        yield text


def sliced(text: str) -> Iterator[str]:
    """Yield a text in slices of `BLOCK` characters."""
    return (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
