r"""What the command says, in the reader's language: `korean.json` has the Korean of each line.

A message is made where it is known what to say, in English, and said here where it is shown. So
nothing below a face of the command knows of languages, and each translation stands in one table.
There `{}` is any text. In the Korean it is put in as it is, or by ``{:say}`` said in turn; ``{1}``
is the second. Columns, parted by two spaces or more, are lines of their own, and stay in place; but
a single word is said only where it is all there is to say, for in a column it may be a name, if it
is not in brackets. Words in rules of operations are a table of their own, `rules`: there a pattern
may be as short as `{} where {}`.
"""

from __future__ import annotations

import json
import locale
import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, partial
from importlib.resources import files
from typing import Any

from autolm.outside.columns import width
from autolm.outside.terminal import STYLE

LANGUAGES = ("en", "ko")
ERROR = re.compile(r".*?\b[A-Z]\w*(?:Error|Exception|Warning): (?=.)")
DEEPEST = 4  # messages inside a message that are translated; deeper ones are not ours

_spoken: ContextVar[str] = ContextVar("autolm_language", default="en")


def usual_language() -> str:
    """Return the language of the locale, if it is one that is known here; or else English."""
    named = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), None)
    spoken = named or locale.getlocale()[0] or ""
    return "ko" if spoken.lower().startswith(("ko", "korean")) else "en"


def speak(language: str) -> None:
    """Choose the language of what is said from here on.

    Raises
    ------
    ValueError
        For another than those that are known here.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}; choose one of {', '.join(LANGUAGES)}")
    _spoken.set(language)


def say(text: str) -> str:
    """Return a text of ours in the reader's language; what is not known stays as it is.

    Examples
    --------
    >>> say("interrupted")
    'interrupted'
    """
    return text if _spoken.get() == "en" else _said(text)


def say_rule(text: str) -> str:
    """Return a rule, formula or convention of an operation in the reader's language."""
    return text if _spoken.get() == "en" else _rule(text)


@cache
def rules_in_korean() -> dict[str, str]:
    """Return what the rules, formulas and conventions of operations have of words, in Korean."""
    rules: dict[str, str] = _table()["rules"]
    return rules


def _rule(text: str, depth: int = 0) -> str:
    """Say it as a whole, or a side of its equation, or by a pattern; as `pages/assets/words.js`."""
    whole, fitting = rules_in_korean().get, partial(_fitting, depth=depth)
    if depth > DEEPEST:
        return text
    return whole(text) or _by_side(text, whole) or _by_side(text, fitting) or fitting(text) or text


def _fitting(text: str, depth: int) -> str | None:
    for pattern, korean in rules_in_korean().items():
        found = "{}" in pattern and re.fullmatch(
            "(.*)".join(map(re.escape, pattern.split("{}"))), text
        )
        if found:
            return korean.format(*(_rule(part, depth + 1) for part in found.groups()))
    return None


def _by_side(text: str, translate: Callable[[str], str | None]) -> str | None:
    for sign in re.finditer(" = |: ", text):
        sides = [text[: sign.start()], text[sign.end() :]]
        known = [translate(side) for side in sides]
        if any(known):
            return sign[0].join(new or old for new, old in zip(known, sides, strict=True))
    return None


def _said(text: str, depth: int = 0) -> str:
    known, _ = _korean()
    if text in known:
        return known[text]
    columns = partial(_columns, depth=depth)
    return "\n".join("".join(map(columns, STYLE.split(line))) for line in text.split("\n"))


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
    if depth > DEEPEST:
        return text
    if error := ERROR.match(text):  # of a program: `x.py:3: ValueError: ` and what it says
        return error[0] + _line(text[error.end() :], depth + 1)
    known, patterns = _korean()
    bare = text.strip()
    if bare in known and (" " in bare or bare.startswith("[")):
        return text.replace(bare, known[bare])
    for pattern, korean in patterns:
        found = pattern.fullmatch(bare)
        if found:
            parts = [_Part(part) for part in found.groups()]
            for part in parts:
                part.depth = depth + 1
            return text.replace(bare, korean.format(*parts))
    return text


class _Part(str):
    """The text in the place of a `{}`, and how many messages it is inside of."""

    depth = 0

    def __format__(self, spec: str) -> str:
        return _said(self, self.depth) if spec == "say" and self.depth <= DEEPEST else str(self)


@cache
def _korean() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Read the table: whole lines; and patterns, first those in which most is given."""
    table = {english: korean for english, korean in _table().items() if english != "rules"}
    lines = {english: korean for english, korean in table.items() if "{}" not in english}
    telling = sorted(table.keys() - lines.keys(), key=lambda each: (-len(each), each))
    return lines, [(re.compile(_pattern(each)), table[each]) for each in telling]


def _pattern(english: str) -> str:
    """Return what fits a message; what it begins with ends before a colon, as `x.py:3: ` does."""
    pattern = "(.*?)".join(map(re.escape, english.split("{}")))
    if re.match(r"\{\}(?![:;]| \[)", english):
        return pattern.replace("(.*?)", "((?:(?!: ).)*?)", 1)
    return pattern


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("autolm.outside") / "korean.json").read_text("utf-8"))
    return table
