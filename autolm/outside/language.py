"""The language of the command: translation of messages where they are shown.

A `Message` is translated by its template. The Korean of the templates is in
`locale/ko/LC_MESSAGES/autolm.po`, which gettext reads in its compiled form, `autolm.mo`;
`python -m tests.catalogue` extracts the templates and compiles it.
"""

from __future__ import annotations

import gettext
import locale
import os
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from autolm.outside.finished_english import in_korean, rule_in_korean
from autolm.outside.message import Message, fill, message

LANGUAGES = ("en", "ko")
CATALOGUES = Path(__file__).with_name("locale")

_spoken: ContextVar[str] = ContextVar("autolm_language", default="en")


def usual_language() -> str:
    """Return the language of the locale, if it is one that is known here; or else English."""
    named = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), None)
    spoken = named or locale.getlocale()[0] or ""
    return "ko" if spoken.lower().startswith(("ko", "korean")) else "en"


def speak(language: str) -> None:
    """Set the language of messages from now on.

    Raises
    ------
    ValueError
        If the language is not one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(
            message(
                "language is {language!r}; choose one of {languages}",
                language=language,
                languages=", ".join(LANGUAGES),
            )
        )
    _spoken.set(language)


def say(text: str) -> str:
    """Translate a message of autolm to the current language; return other text unchanged.

    Examples
    --------
    >>> say("interrupted")
    'interrupted'
    """
    language = _spoken.get()
    if language == "en":
        return str(text)
    return _translated(text, language) if isinstance(text, Message) else in_korean(text)


def say_template(text: str) -> str:
    """Return a text of a table, such as a help text, whose literal is marked by `message`."""
    return say(Message(text, text, {}))


def say_rule(text: str) -> str:
    """Return a rule, formula or convention of an operation in the reader's language."""
    return text if _spoken.get() == "en" else rule_in_korean(text)


def _translated(text: Message, language: str) -> str:
    """Translate a template and those of its parts that are messages themselves."""
    parts = {
        field: _translated(part, language) if isinstance(part, Message) else part
        for field, part in text.parts.items()
    }
    translation = _catalogue(language).gettext(text.template) if text.template else ""
    if translation == text.template and not text.parts:
        return in_korean(text)
    return fill(translation, parts)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("autolm", CATALOGUES, [language])
