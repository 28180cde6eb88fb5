r"""Translation of finished English, for texts that are not a `Message` yet and for other libraries.

`korean.json` has the Korean of each line; there `{}` is any text. It is inserted unchanged, or
translated in turn where the Korean has ``{:say}``; ``{1}`` is the second. Columns, separated by two
spaces or more, are translated one by one and stay in place; a single word is translated only where
it is the whole text or in brackets, since in a column it may be a name. `rules` has the words in
rules of operations: there a pattern may be as short as `{} where {}`.

What a program's own `raise` says is inserted unchanged; see `words_of_programs`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from autolm.outside.columns import width
from autolm.outside.terminal import STYLE, words_of_programs

ERROR = re.compile(r".*?\b[A-Z]\w*(?:Error|Exception|Warning): (?=.)")
MAX_DEPTH = 8  # maximum depth of nested translations
MAX_RULE_LENGTH = 200  # characters; longer texts are not rules of autolm
PREFIX_LENGTH = 40  # characters that identify words whose middle was omitted
_WORDS = f"\x1b{secrets.token_hex(8)}"  # placeholder for a program's words; random


@cache
def rules_in_korean() -> dict[str, str]:
    """Return the Korean translations of rules, formulas and conventions."""
    rules: dict[str, str] = _table()["rules"]
    return rules


def rule_in_korean(text: str) -> str:
    """Return a rule, formula or convention of an operation in Korean."""
    return _rule(text) if len(text) <= MAX_RULE_LENGTH else text


def _rule(text: str) -> str:
    """Translate the whole text, one side of its equation, or by a pattern, as `words.js` does."""
    whole = rules_in_korean().get
    return (
        whole(text)
        or _by_side(text, whole)
        or _by_side(text, _by_pattern)
        or _by_pattern(text)
        or text
    )


def _by_pattern(text: str) -> str | None:
    for pattern, korean in rules_in_korean().items():
        parts = _parts(pattern.split("{}"), text, is_greedy=True) if "{}" in pattern else None
        if parts is not None:
            return korean.format(*map(_rule, parts))
    return None


def _parts(pieces: Sequence[str], text: str, is_greedy: bool = False) -> list[str] | None:
    """Return the parts of a text between the pieces of a pattern; None if it does not match.

    Parts are as short as possible, or with `is_greedy` as long as possible, as in a regular
    expression, but in linear time.
    """
    first, *middle, last = pieces
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return None
    spans = [(0, len(first))]
    if is_greedy:
        high = end
        spans_from_end = []
        for piece in reversed(middle):
            high = text.rfind(piece, len(first), high)
            if high < 0:
                return None
            spans_from_end.append((high, high + len(piece)))
        spans += reversed(spans_from_end)
    else:
        for piece in middle:
            start = text.find(piece, spans[-1][1], end)
            if start < 0:
                return None
            spans.append((start, start + len(piece)))
    spans.append((end, len(text)))
    return [text[low:high] for (_, low), (high, _) in pairwise(spans)]


def _by_side(text: str, translate: Callable[[str], str | None]) -> str | None:
    for sign in re.finditer(" = |: ", text):
        sides = [text[: sign.start()], text[sign.end() :]]
        translated = [translate(side) for side in sides]
        if any(translated):
            return sign[0].join(new or old for new, old in zip(translated, sides, strict=True))
    return None


def in_korean(text: str, depth: int = 0) -> str:
    """Return a text in Korean; unknown text stays English."""
    lines, _ = _korean()
    if depth > MAX_DEPTH or text in words_of_programs:
        return text
    if text in lines:
        return lines[text]
    return "\n".join(
        "".join(_around_words(part, depth) for part in STYLE.split(line))
        for line in text.split("\n")
    )


def _around_words(text: str, depth: int) -> str:
    """Translate a text except for the words of a program."""
    for words in words_of_programs:
        whole = re.escape(words)
        marked = re.sub(f"(?:^|(?<=: )){whole}(?=$| \\(|[:;] )", lambda _: _WORDS, text)
        cut = _start_of_cut(text, words) if marked == text else None
        if cut is not None:
            marked, words = text[:cut] + _WORDS, text[cut:]
        if marked != text:
            return _columns(marked, depth).replace(_WORDS, words)
    return _columns(text, depth)


def _start_of_cut(text: str, words: str) -> int | None:
    """Return the start of words whose middle was omitted from a long message."""
    start = text.find(words[:PREFIX_LENGTH]) if len(words) > PREFIX_LENGTH else -1
    return start if start >= 0 and "…" in text[start:] else None


def _columns(text: str, depth: int) -> str:
    """Translate each column, and keep the alignment."""
    parts, shift = re.split(r"( {2,})", text), 0
    for i, part in enumerate(parts):
        if i % 2:
            spaces = max(2, len(part) + shift)
            shift += len(part) - spaces
            parts[i] = " " * spaces
        else:
            parts[i] = _line(part, depth)
            shift += width(part) - width(parts[i])
    return "".join(parts)


def _line(text: str, depth: int) -> str:
    """Translate one line as a whole, or by the longest pattern that matches."""
    lines, patterns = _korean()
    if _WORDS not in text and (error := ERROR.match(text)) and depth <= MAX_DEPTH:
        return error[0] + _line(text[error.end() :], depth + 1)
    bare = text.strip()
    if bare in lines and (" " in bare or bare.startswith("[")):
        return text.replace(bare, lines[bare])
    for pattern, korean in patterns:
        parts = pattern.parts(bare)
        if parts is not None:
            return text.replace(bare, korean.format(*(_Part(part, depth) for part in parts)))
    return text


class _Part(NamedTuple):
    """The text in the place of a `{}`, and its nesting depth."""

    text: str
    depth: int

    def __format__(self, spec: str) -> str:
        return in_korean(self.text, self.depth + 1) if spec == "say" else self.text


class _Pattern(NamedTuple):
    """A message with `{}` in it: the pieces around those, and whether the first may have ": "."""

    pieces: list[str]
    may_begin_with_a_place: bool

    def parts(self, text: str) -> list[str] | None:
        """Return the texts in the places of `{}`, as short as possible; None without a match."""
        parts = _parts(self.pieces, text)
        if parts is None or self.may_begin_with_a_place:
            return parts
        colon = text.find(": ")
        return None if 0 <= colon < len(parts[0]) else parts


@cache
def _korean() -> tuple[dict[str, str], list[tuple[_Pattern, str]]]:
    """Read the table of whole lines, and of patterns, longest first."""
    table = {english: korean for english, korean in _table().items() if english != "rules"}
    lines = {english: korean for english, korean in table.items() if "{}" not in english}
    longest_first = sorted(
        table.keys() - lines.keys(), key=lambda pattern: (-len(pattern), pattern)
    )
    return lines, [(_pattern(english), table[english]) for english in longest_first]


def _pattern(english: str) -> _Pattern:
    """Return the pattern of a message; a leading `{}` must end before a colon, as in `x.py:3: `."""
    is_short = re.match(r"\{\}(?![:;]| \[)", english) is not None
    return _Pattern(english.split("{}"), not is_short)


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("autolm.outside") / "korean.json").read_text("utf-8"))
    return table
