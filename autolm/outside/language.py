r"""What the command says, in the reader's language: `korean.json` has the Korean of each line.

A message is made where it is known what to say, in English, and said here where it is shown. So
nothing below a face of the command knows of languages, and each translation stands in one table.
There `{}` is any text. In the Korean it is put in as it is, or by ``{:say}`` said in turn; ``{1}``
is the second. Columns, parted by two spaces or more, are lines of their own, and stay in place; but
a single word is said only where it is all there is to say, for in a column it may be a name, if it
is not in brackets.
"""

from __future__ import annotations

import json
import locale
import os
import re
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from autolm.outside.columns import width
from autolm.outside.terminal import STYLE

LANGUAGES = ("en", "ko")

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


def _said(text: str) -> str:
    known, _ = _korean()
    if text in known:
        return known[text]
    return "\n".join("".join(map(_columns, STYLE.split(line))) for line in text.split("\n"))


def _columns(text: str) -> str:
    """Say each column, and keep those after it where they were."""
    parts, moved = re.split(r"( {2,})", text), 0
    for i, part in enumerate(parts):
        if i % 2:
            kept = max(2, len(part) + moved)
            moved += len(part) - kept
            parts[i] = " " * kept
        else:
            parts[i] = _line(part)
            moved += width(part) - width(parts[i])
    return "".join(parts)


def _line(text: str) -> str:
    """Say one line: it is known as a whole, or the most telling pattern that fits."""
    known, patterns = _korean()
    bare = text.strip()
    if bare in known and (" " in bare or bare.startswith("[")):
        return text.replace(bare, known[bare])
    for pattern, korean in patterns:
        found = pattern.fullmatch(bare)
        if found:
            return text.replace(bare, korean.format(*map(_Part, found.groups())))
    return text


class _Part(str):
    """What stood in the place of a `{}`."""

    def __format__(self, spec: str) -> str:
        return _said(self) if spec == "say" else str(self)


@cache
def _korean() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Read the table: whole lines; and patterns, first those in which most is given."""
    table = json.loads((files("autolm.outside") / "korean.json").read_text(encoding="utf-8"))
    lines = {english: korean for english, korean in table.items() if "{}" not in english}
    telling = sorted(table.keys() - lines.keys(), key=lambda each: (-len(each), each))
    patterns = [("(.*?)".join(map(re.escape, each.split("{}"))), table[each]) for each in telling]
    return lines, [(re.compile(pattern), korean) for pattern, korean in patterns]
