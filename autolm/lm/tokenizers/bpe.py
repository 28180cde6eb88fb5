"""Byte-level byte-pair encoding: the tokenizer of GPT-2 and its successors.

A text is its UTF-8 bytes, tokens 0 to 255; learned merges make longer tokens of
frequent neighbours; special tokens follow. Because every byte is a token, every text can be
encoded, and decoding returns exactly that text, even if it contains lone surrogates.
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

MAX_TOKEN_BYTES = 1 << 16  # sixty merges that each double the length would exceed any memory
MAX_VOCABULARY_BYTES = 1 << 27  # of all tokens together


class BPETokenizer(Tokenizer):
    """Byte-level BPE (Sennrich et al. 2016, section 3.2; Radford et al. 2019, section 2.2).

    Token ids: 0 to 255 are the bytes, ``256 + rank`` the merges in the order in which they were
    learned, then the special tokens in the given order.

    Parameters
    ----------
    merges
        The pairs of token ids, by rank.
    split
        Boundaries that merges may not cross: None for none, "gpt" for words.
    special_tokens
        Strings that are one token each, at any position in a text.

    Notes
    -----
    A lone surrogate (U+D800 to U+DFFF, which Python uses for broken file names) is invalid in
    strict UTF-8. Here it is encoded as the three bytes of its code point, so that the text can be
    encoded and decoded. If other bytes are invalid UTF-8, such as half a character, `decode` writes
    U+FFFD for each of the three. A special token may not contain one.

    Raises
    ------
    ValueError
        If merges or special tokens are inconsistent, or ``split`` is unknown.

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
        """Learn merges from ``text``, the most frequent pair first; ties go to the earliest.

        A text may be an iterable of pieces, such as the lines of an open file. With a split it may
        then be larger than memory, because only its distinct words are stored.

        Special tokens in ``text`` are skipped, and no merge crosses them. There are fewer than
        ``num_merges`` merges if no pair is left, or if a token would exceed `MAX_TOKEN_BYTES`.

        Raises
        ------
        ValueError
            If ``num_merges`` is negative, ``split`` is unknown, or a special token is empty or
            repeated.
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

        Special tokens in ``text`` become their ids, but with ``allow_special=False`` they are
        encoded as ordinary text: use this for untrusted text.

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
        """Yield the token ids of a text that is given in pieces, cut at any positions.

        The ids are the same as those of the whole text. With a split, the text may be larger than
        memory: only a block of about a million characters, or the longest word, is stored.

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
        """Return the bytes of one token, which may be a part of a character."""
        return self._token_bytes[self._checked_id(token_id)]

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
            If ``content`` is not such a description.
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
        """Count the chunks that merges may not cross, in order of first occurrence."""
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
        """Join pieces, and cut them into blocks that can be encoded separately."""
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
    """A merge exceeds the maximum size of a token or of the vocabulary."""

    def __init__(self, rank: int, size: int, total: int) -> None:
        super().__init__(
            f"merge {rank} makes a token of {size} bytes, and all together {total}; at most "
            f"{MAX_TOKEN_BYTES} and {MAX_VOCABULARY_BYTES} are allowed"
        )
        self.rank = rank


def _bytes_by_id(merges: Sequence[Pair]) -> list[bytes]:
    """Return the bytes of all tokens except special ones; raise ValueError for invalid merges."""
    token_bytes, total = [bytes([value]) for value in range(NUM_BYTES)], 0
    for rank, (first, second) in enumerate(merges):
        if not (0 <= first < len(token_bytes) and 0 <= second < len(token_bytes)):
            raise ValueError(f"merge {rank} joins {first} and {second}, but not both exist by then")
        size = len(token_bytes[first]) + len(token_bytes[second])
        total += size
        if size > MAX_TOKEN_BYTES or total > MAX_VOCABULARY_BYTES:
            raise _TooLong(rank, size, total)
        token_bytes.append(token_bytes[first] + token_bytes[second])
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
    """Check the pieces of a text lazily."""
    try:
        iterator = None if isinstance(pieces, str | bytes | Mapping | Set) else iter(pieces)
    except TypeError:
        iterator = None
    if iterator is None:
        raise TypeError(f"BPETokenizer: {argument} must be pieces of a text, not {quote(pieces)}")
    return (read_text("BPETokenizer", f"each of {argument}", piece) for piece in iterator)


def _require_distinct_specials(special_tokens: Sequence[str]) -> None:
    if isinstance(special_tokens, str):
        raise ValueError(f"special_tokens is a sequence of strings: write ({special_tokens!r},)")
    if not isinstance(special_tokens, Sequence):
        quoted = quote(special_tokens)
        raise TypeError(f"BPETokenizer: special_tokens must be a sequence of strings, not {quoted}")
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
