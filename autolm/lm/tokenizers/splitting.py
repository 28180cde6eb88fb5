r"""Cut a text into chunks that byte-pair merges must not cross.

Two kinds of cut, both lossless (the joined pieces are the text): around special tokens, and
between words as GPT-2 does, so that no token of the vocabulary ever holds the end of one word and
the start of the next. The pattern is that of GPT-2 (Radford et al. 2019, section 2.2, and its
published code), written for the standard library's ``re``: a letter is what Unicode puts into its
categories L, a number what it puts into N.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache

MAX_SPECIAL_CHARACTERS = 1 << 18  # characters of all special tokens together


@cache
def _numerals() -> str:
    """Find all number characters that ``re`` treats as letters."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    return "".join(c for c in re.findall(r"[^\W\d_]", everything) if not c.isalpha())


@cache
def _numeral_ranges() -> str:
    """Write the numerals as ranges for a character class."""
    begins = [c for c in _numerals() if chr(ord(c) - 1) not in _numerals()]
    ends = [c for c in _numerals() if chr(ord(c) + 1) not in _numerals()]
    return "".join(f"{begin}-{end}" for begin, end in zip(begins, ends, strict=True))


@cache
def _gpt_chunk(numerals: str) -> re.Pattern[str]:
    """Compile GPT-2's pattern.

    ``re`` counts ², ½ and Ⅷ as word characters but not digits, and four control
    characters as white space.
    """
    controls = r"\x1c-\x1f"
    return re.compile(
        rf"""
        '(?:[sdmt]|ll|ve|re)             # English contractions, without their word
        | [ ]?[^\W\d_{numerals}]+        # letters, with the space before them
        | [ ]?[\d{numerals}]+            # numbers
        | [ ]?(?:[^\s\w]|[_{controls}])+ # punctuation, emoji, everything else that is visible
        | [^\S{controls}]+(?![\S{controls}])  # white space, but for the last before a word ...
        | [^\S{controls}]+               # ... which is alone if it is not the space of that word
        """,
        re.VERBOSE,
    )


def split_like_gpt(text: str) -> list[str]:
    r"""Return the chunks of ``text``: words with the space before them, numbers, punctuation.

    Examples
    --------
    >>> split_like_gpt("We've 12 cats,\n  all grey_ish! x²")
    ['We', "'ve", ' 12', ' cats', ',', '\n ', ' all', ' grey', '_', 'ish', '!', ' x', '²']
    """
    # A character class with hundreds of numerals is slow; ASCII text contains none of them.
    return _gpt_chunk("" if text.isascii() else _numeral_ranges()).findall(text)


def split_digits(text: str) -> list[str]:
    """Cut ``text`` around each of its numbers, which are single characters; some pieces are empty.

    Examples
    --------
    >>> split_digits("in 12½")
    ['in ', '1', '', '2', '', '½', '']
    """
    return re.split(rf"([\d{_numerals()}])", text)


def special_token_pattern(special_tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for ``re.split`` that keeps the special tokens, or None for no tokens.

    Where one special token begins another, the longer one wins. ValueError if there are so many
    that compiling takes minutes.

    Examples
    --------
    >>> special_token_pattern(["<a>", "<a>b"]).split("x<a>by<a>")
    ['x', '<a>b', 'y', '<a>', '']
    """
    longest_first = sorted(special_tokens, key=len, reverse=True)
    if not longest_first:
        return None
    if (characters := sum(map(len, longest_first))) > MAX_SPECIAL_CHARACTERS:
        raise ValueError(
            f"the special tokens have {characters} characters: {MAX_SPECIAL_CHARACTERS} are allowed"
        )
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")


_WORD_ENDS = re.compile(r"\W[^\W_]")  # read backwards


def last_cut(text: str, split: str | None, special: re.Pattern[str] | None, longest: int) -> int:
    r"""Return the last position where a text can be cut without changing its chunks.

    The result holds for any continuation of the text. A word certainly ends before a character that
    is neither a letter nor a number. A special token ends a chunk if no longer one, of up to
    `longest` characters, can start before its end.

    Examples
    --------
    >>> last_cut("so far, so goo", "gpt", None, 0)
    10
    >>> last_cut("a  b", None, None, 0)
    0
    """
    certain, cut = len(text) - longest, 0
    last = min(certain, len(text) - 1)
    if split is not None and last > 0 and (match := _WORD_ENDS.search(text[last::-1])):
        cut = last - match.start()
    for token in special.finditer(text) if special else ():
        if token.start() <= certain:
            cut = max(cut, token.end())
    return cut
