"""Byte-level byte-pair encoding: the tokenizer of GPT-2 and its successors.

A text is its UTF-8 bytes, tokens 0 to 255; trained merges make longer tokens of frequent
neighbours; special tokens stand above those. As every byte is a token, every text has its ids, and
decoding gives back exactly that text, though it may hold lone surrogates, which UTF-8 has not.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, ClassVar, Literal, TypeAlias

from autolm.lm.tokenizers.merging import NUM_BYTES, Pair, learn_merges
from autolm.lm.tokenizers.splitting import last_cut, special_token_pattern, split_like_gpt
from autolm.lm.tokenizers.tokenizer import Tokenizer, bytes_of
from autolm.lm.tokenizers.word_cache import BLOCK, WordCache, blocks_of, sliced
from autolm.outside.arguments import (
    quote,
    read_bool,
    read_choice,
    read_int,
    read_items,
    read_kind,
    read_text,
)

Split: TypeAlias = Literal["gpt"] | None

MAX_TOKEN_BYTES = 1 << 16  # bytes; sixty merges that double could ask for more than there is memory
MAX_VOCABULARY_BYTES = 1 << 27  # bytes of all tokens together


class BPETokenizer(Tokenizer):
    """Byte-level BPE (Sennrich et al. 2016, section 3.2; Radford et al. 2019, section 2.2).

    Token ids: 0 to 255 are the bytes, ``256 + rank`` the merges in the order in which they were
    learnt, then the special tokens in the order given.

    Parameters
    ----------
    merges
        The pairs of token ids, by rank.
    split
        What merges may not cross: None for nothing, "gpt" for the borders of words.
    special_tokens
        Strings that are one token each, wherever they occur in a text.

    Notes
    -----
    A lone surrogate (half of a pair, U+D800 to U+DFFF, as Python reads broken file names) is no
    character, and strict UTF-8 refuses it. Here it becomes the three bytes that its number would
    have, so that such a text has its ids too, and `decode` of all of them gives it back. Among
    bytes that are no UTF-8 at all, as of half a character, `decode` writes U+FFFD for each of the
    three. A special token with one is refused.

    Raises
    ------
    ValueError
        When merges or special tokens contradict themselves, or ``split`` is unknown.

    Examples
    --------
    >>> tokenizer = BPETokenizer.train("aaabdaaabac", 3)
    >>> tokenizer.encode("aaabdaaabac")
    [258, 100, 258, 97, 99]
    >>> tokenizer.token_bytes(258)
    b'aaab'
    >>> tokenizer.decode([258, 100, 258, 97, 99])
    'aaabdaaabac'
    """

    kind: ClassVar[str] = "bpe"

    def __init__(
        self, merges: Sequence[Pair], *, split: Split = None, special_tokens: Sequence[str] = ()
    ) -> None:
        self.split: Split = read_choice("BPETokenizer", "split", split, (None, "gpt"))
        _require_distinct_specials(special_tokens)
        self.merges = _pairs(merges)
        self.special_tokens = tuple(special_tokens)
        self._token_bytes = _bytes_by_id(self.merges) + [bytes_of(s) for s in special_tokens]
        first_special = NUM_BYTES + len(self.merges)
        self._special_ids = {s: first_special + i for i, s in enumerate(self.special_tokens)}
        self._special_pattern = special_token_pattern(self.special_tokens)
        self._words = WordCache(self.merges, range(NUM_BYTES, first_special), range(NUM_BYTES))

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        num_merges: int,
        *,
        split: Split = None,
        special_tokens: Sequence[str] = (),
    ) -> "BPETokenizer":
        """Learn merges from ``text``: the most frequent pair first, of several the earliest.

        A text may come in pieces, wherever they are cut, as the lines of an open file are: it may
        then be larger than memory, if it is split, since only its distinct words are kept.

        Special tokens in ``text`` are left out, and no merge crosses them. If the text runs out of
        pairs, or a token would be longer than a file of a tokenizer may have it, there are fewer
        merges than ``num_merges``.

        Raises
        ------
        ValueError
            When ``num_merges`` is negative, ``split`` is unknown, or a special token is empty or
            given twice.
        """
        pieces = sliced(text) if isinstance(text, str) else _texts("text", text)
        num_merges = read_int("BPETokenizer", "num_merges", num_merges, low=0)
        untrained = cls((), split=split, special_tokens=special_tokens)
        merges = learn_merges(untrained._counted_chunks(pieces), num_merges)
        try:
            _bytes_by_id(merges)
        except _TooLong as error:
            merges = merges[: error.rank]
        return cls(merges, split=split, special_tokens=special_tokens)

    @property
    def vocab_size(self) -> int:
        """256 bytes, the merges and the special tokens."""
        return len(self._token_bytes)

    def encode(self, text: str, *, allow_special: bool = True) -> list[int]:
        """Return the token ids of ``text``.

        Special tokens in ``text`` become their ids; with ``allow_special=False`` they are text as
        any other, which is what text from strangers should be.

        Examples
        --------
        >>> tokenizer = BPETokenizer((), special_tokens=("<end>",))
        >>> tokenizer.encode("hi<end>")
        [104, 105, 256]
        >>> len(tokenizer.encode("hi<end>", allow_special=False))
        7
        """
        read_text("BPETokenizer", "text", text)
        allow_special = read_bool("BPETokenizer", "allow_special", allow_special)
        if len(text) <= BLOCK:
            return self._encoded(text, allow_special)
        return list(self._encoded_blocks(sliced(text), allow_special))

    def encode_iterable(
        self, pieces: Iterable[str], *, allow_special: bool = True
    ) -> Iterator[int]:
        """Yield the token ids of a text that comes in pieces, wherever they are cut.

        The ids are those of the whole text. It may be larger than memory, if it is split: what is
        held is a block of it, of about a million characters, or the longest word.

        Examples
        --------
        >>> tokenizer = BPETokenizer.train("the cat sat on the mat", 20, split="gpt")
        >>> pieces = ["the c", "at ", "sat"]
        >>> list(tokenizer.encode_iterable(pieces)) == tokenizer.encode("the cat sat")
        True
        """
        allow_special = read_bool("BPETokenizer", "allow_special", allow_special)
        return self._encoded_blocks(_texts("pieces", pieces), allow_special)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token, perhaps only a part of a character's."""
        return self._token_bytes[self._known(token_id)]

    def to_json(self) -> dict[str, Any]:
        """Return the merges, the split and the special tokens."""
        return {
            "kind": self.kind,
            "split": self.split,
            "merges": [list(pair) for pair in self.merges],
            "special_tokens": list(self.special_tokens),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "BPETokenizer":
        """Return the tokenizer that `to_json` described.

        Raises
        ------
        ValueError
            When ``content`` is not such a description.
        """
        read_kind("BPETokenizer", "content", content, dict, "a dictionary")
        merges, special_tokens = content.get("merges"), content.get("special_tokens")
        if not isinstance(merges, list) or not all(_is_json_pair(pair) for pair in merges):
            raise ValueError("'merges' is not a list of pairs of token ids")
        if not isinstance(special_tokens, list) or not all(
            isinstance(special, str) for special in special_tokens
        ):
            raise ValueError("'special_tokens' is not a list of strings")
        if "split" not in content:
            raise ValueError("'split' is missing")
        pairs = [(left, right) for left, right in merges]
        return cls(pairs, split=content["split"], special_tokens=special_tokens)

    def _counted_chunks(self, pieces: Iterable[str]) -> Counter[bytes]:
        """Count what merges may not cross, in the order of first occurrences."""
        counts = Counter[bytes]()
        for block in self._blocks(pieces):
            for piece, is_special in self._pieces(block):
                if is_special:
                    continue
                if self.split is None:
                    counts[bytes_of(piece)] += 1
                else:
                    words = Counter(split_like_gpt(piece))
                    counts.update({bytes_of(word): count for word, count in words.items()})
        return counts

    def _encoded_blocks(self, pieces: Iterable[str], allow_special: bool) -> Iterator[int]:
        for block in self._blocks(pieces, allow_special):
            yield from self._encoded(block, allow_special)

    def _encoded(self, text: str, allow_special: bool) -> list[int]:
        token_ids: list[int] = []
        ids_of = self._words.ids_of_chunk if self.split is None else self._words.ids
        for piece, is_special in self._pieces(text) if allow_special else [(text, False)]:
            token_ids += [self._special_ids[piece]] if is_special else ids_of(piece)
        return token_ids

    def _blocks(self, pieces: Iterable[str], allow_special: bool = True) -> Iterator[str]:
        """Join pieces, and cut them into blocks that can be encoded apart."""
        pattern = self._special_pattern if allow_special else None
        longest = max(map(len, self.special_tokens), default=0) if allow_special else 0
        return blocks_of(pieces, lambda text: last_cut(text, self.split, pattern, longest))

    def _pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """Cut ``text`` around its special tokens: pieces, and whether each is a special token."""
        if self._special_pattern is None:
            yield text, False
            return
        for index, piece in enumerate(self._special_pattern.split(text)):
            yield piece, index % 2 == 1


class _TooLong(ValueError):
    """A merge makes a token, or a vocabulary, that is longer than it may be."""

    def __init__(self, rank: int, size: int, total: int) -> None:
        super().__init__(
            f"merge {rank} makes a token of {size} bytes, and all together {total}; at most "
            f"{MAX_TOKEN_BYTES} and {MAX_VOCABULARY_BYTES} are allowed"
        )
        self.rank = rank


def _bytes_by_id(merges: Sequence[Pair]) -> list[bytes]:
    """Return the bytes of all tokens but the special ones; refuse a merge of what is not there."""
    token_bytes, total = [bytes([value]) for value in range(NUM_BYTES)], 0
    for rank, (left, right) in enumerate(merges):
        if not (0 <= left < len(token_bytes) and 0 <= right < len(token_bytes)):
            raise ValueError(f"merge {rank} joins {left} and {right}, but not both exist by then")
        size = len(token_bytes[left]) + len(token_bytes[right])
        total += size
        if size > MAX_TOKEN_BYTES or total > MAX_VOCABULARY_BYTES:
            raise _TooLong(rank, size, total)
        token_bytes.append(token_bytes[left] + token_bytes[right])
    if len(set(merges)) < len(merges):
        raise ValueError("the same merge occurs twice")
    return token_bytes


def _pairs(merges: Sequence[Pair]) -> tuple[Pair, ...]:
    pairs = read_items("BPETokenizer", "merges", merges, "a list of pairs of token ids")
    for rank, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"BPETokenizer: merges: {quote(pair)} is no pair of token ids")
        for token_id in pair:
            read_int(f"BPETokenizer: merges: {rank}", "a token id", token_id)
    return tuple((left, right) for left, right in pairs)


def _texts(argument: str, pieces: Any) -> Iterator[str]:
    """Check what is told as the pieces of a text, each when it comes."""
    try:
        given = None if isinstance(pieces, str | bytes | Mapping | Set) else iter(pieces)
    except TypeError:
        given = None
    if given is None:
        raise TypeError(f"BPETokenizer: {argument} must be pieces of a text, not {quote(pieces)}")
    return (read_text("BPETokenizer", f"each of {argument}", piece) for piece in given)


def _require_distinct_specials(special_tokens: Sequence[str]) -> None:
    if isinstance(special_tokens, str):
        raise ValueError(f"special_tokens is a sequence of strings: write ({special_tokens!r},)")
    if not isinstance(special_tokens, Sequence):
        given = quote(special_tokens)
        raise TypeError(f"BPETokenizer: special_tokens must be a sequence of strings, not {given}")
    for special in special_tokens:
        read_text("BPETokenizer: special_tokens", "each", special)
    if len(set(special_tokens)) < len(special_tokens):
        raise ValueError("the same special token is given twice")
    for special in special_tokens:
        if not special:
            raise ValueError("a special token cannot be empty")
        try:
            special.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"the special token {special!r} is not valid Unicode") from None


def _is_json_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(half) is int for half in pair)
