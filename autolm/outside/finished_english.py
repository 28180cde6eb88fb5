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
DEEPEST = 8  # how often what was put in is said in turn: no message of ours does so more often
LONGEST_RULE = 200  # characters: a longer one is none of ours
BEGINNING = 40  # characters by which words are known that were cut
_WORDS = f"\x1b{secrets.token_hex(8)}"  # stands for a program's words; no text can know it


@cache
def rules_in_korean() -> dict[str, str]:
    """Return what the rules, formulas and conventions of operations have of words, in Korean."""
    rules: dict[str, str] = _table()["rules"]
    return rules


def rule_in_korean(text: str) -> str:
    """Return a rule, formula or convention of an operation in Korean."""
    return _rule(text) if len(text) <= LONGEST_RULE else text


def _rule(text: str) -> str:
    """Say it as a whole, or a side of its equation, or by a pattern; as `pages/assets/words.js`."""
    whole = rules_in_korean().get
    return (
        whole(text) or _by_side(text, whole) or _by_side(text, _fitting) or _fitting(text) or text
    )


def _fitting(text: str) -> str | None:
    for pattern, korean in rules_in_korean().items():
        parts = _parts(pattern.split("{}"), text, is_greedy=True) if "{}" in pattern else None
        if parts is not None:
            return korean.format(*map(_rule, parts))
    return None


def _parts(pieces: Sequence[str], text: str, is_greedy: bool = False) -> list[str] | None:
    """Return what a text has between the pieces of a pattern; None if it does not fit.

    Each part is as short as can be, or if `is_greedy` as long as can be, from the first on: as a
    regular expression would have it, in time that grows with the text and no faster.
    """
    first, *middle, last = pieces
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return None
    places = [(0, len(first))]
    if is_greedy:
        high = end
        found = []
        for piece in reversed(middle):
            high = text.rfind(piece, len(first), high)
            if high < 0:
                return None
            found.append((high, high + len(piece)))
        places += reversed(found)
    else:
        for piece in middle:
            start = text.find(piece, places[-1][1], end)
            if start < 0:
                return None
            places.append((start, start + len(piece)))
    places.append((end, len(text)))
    return [text[low:high] for (_, low), (high, _) in pairwise(places)]


def _by_side(text: str, translate: Callable[[str], str | None]) -> str | None:
    for sign in re.finditer(" = |: ", text):
        sides = [text[: sign.start()], text[sign.end() :]]
        known = [translate(side) for side in sides]
        if any(known):
            return sign[0].join(new or old for new, old in zip(known, sides, strict=True))
    return None


def in_korean(text: str, depth: int = 0) -> str:
    """Return a text in Korean; what is not known stays English."""
    known, _ = _korean()
    if depth > DEEPEST or text in words_of_programs:
        return text
    if text in known:
        return known[text]
    return "\n".join(
        "".join(_around_words(part, depth) for part in STYLE.split(line))
        for line in text.split("\n")
    )


def _around_words(text: str, depth: int) -> str:
    """Say what stands around the words of a program, and not those."""
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
    """Return where words begin whose middle was left out, since the message was too long."""
    start = text.find(words[:BEGINNING]) if len(words) > BEGINNING else -1
    return start if start >= 0 and "…" in text[start:] else None


def _columns(text: str, depth: int) -> str:
    """Say each column, and keep those after it where they were."""
    parts, moved = re.split(r"( {2,})", text), 0
    for i, part in enumerate(parts):
        if i % 2:
            kept = max(2, len(part) + moved)
            moved += len(part) - kept
            parts[i] = " " * kept
        else:
            parts[i] = _line(part, depth)
            moved += width(part) - width(parts[i])
    return "".join(parts)


def _line(text: str, depth: int) -> str:
    """Say one line: it is known as a whole, or the most telling pattern that fits."""
    known, patterns = _korean()
    if _WORDS not in text and (error := ERROR.match(text)) and depth <= DEEPEST:
        return error[0] + _line(text[error.end() :], depth + 1)
    bare = text.strip()
    if bare in known and (" " in bare or bare.startswith("[")):
        return text.replace(bare, known[bare])
    for pattern, korean in patterns:
        parts = pattern.parts(bare)
        if parts is not None:
            return text.replace(bare, korean.format(*(_Part(part, depth) for part in parts)))
    return text


class _Part(NamedTuple):
    """What stood in the place of a `{}`, and how often it was said in turn."""

    text: str
    depth: int

    def __format__(self, spec: str) -> str:
        return in_korean(self.text, self.depth + 1) if spec == "say" else self.text


class _Pattern(NamedTuple):
    """A message with `{}` in it: the pieces around those, and whether the first may have ": "."""

    pieces: list[str]
    may_begin_with_a_place: bool

    def parts(self, text: str) -> list[str] | None:
        """Return what a text has in the places of `{}`, as short as can be; None if none fits."""
        parts = _parts(self.pieces, text)
        if parts is None or self.may_begin_with_a_place:
            return parts
        colon = text.find(": ")
        return None if 0 <= colon < len(parts[0]) else parts


@cache
def _korean() -> tuple[dict[str, str], list[tuple[_Pattern, str]]]:
    """Read the table: whole lines; and patterns, first those in which most is given."""
    table = {english: korean for english, korean in _table().items() if english != "rules"}
    lines = {english: korean for english, korean in table.items() if "{}" not in english}
    telling = sorted(table.keys() - lines.keys(), key=lambda each: (-len(each), each))
    return lines, [(_pattern(each), table[each]) for each in telling]


def _pattern(english: str) -> _Pattern:
    """Return what fits a message; what it begins with ends before a colon, as `x.py:3: ` does."""
    is_short = re.match(r"\{\}(?![:;]| \[)", english) is not None
    return _Pattern(english.split("{}"), not is_short)


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("autolm.outside") / "korean.json").read_text("utf-8"))
    return table
