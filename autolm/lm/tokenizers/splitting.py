r"""Cut a text into chunks that byte-pair merges must not cross.

Two kinds of cut, both lossless (the pieces, joined, are the text): around special tokens, and
between words as GPT-2 does, so that no token of the vocabulary ever holds the end of one word and
the start of the next. The pattern is that of GPT-2 (Radford et al. 2019, section 2.2, and its
published code), written for the standard library's ``re``: "letter" is ``[^\W\d_]``.
"""

import re
from collections.abc import Iterable

_GPT_CHUNK = re.compile(
    r"""
    '(?:[sdmt]|ll|ve|re)    # English contractions, without their word
    | [ ]?[^\W\d_]+         # letters, with the space before them
    | [ ]?\d+               # digits
    | [ ]?(?:[^\s\w]|_)+    # punctuation, emoji, everything else that is visible
    | \s+(?!\S)             # white space, but for the last one before a word ...
    | \s+                   # ... which is alone when it is not the space of that word
    """,
    re.VERBOSE,
)


def split_like_gpt(text: str) -> list[str]:
    r"""Return the chunks of ``text``: words with the space before them, numbers, punctuation.

    Examples
    --------
    >>> split_like_gpt("We've 12 cats,\n  all grey_ish!")
    ['We', "'ve", ' 12', ' cats', ',', '\n ', ' all', ' grey', '_', 'ish', '!']
    """
    return _GPT_CHUNK.findall(text)


def special_token_pattern(special_tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for ``re.split`` that keeps the special tokens, or None if there is none.

    Where one special token begins another, the longer one wins.

    Examples
    --------
    >>> special_token_pattern(["<a>", "<a>b"]).split("x<a>by<a>")
    ['x', '<a>b', 'y', '<a>', '']
    """
    longest_first = sorted(special_tokens, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")
