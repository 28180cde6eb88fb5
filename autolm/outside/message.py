"""Messages: English text that can be translated, because it keeps its template and its parts.

A message is written where it is known what to say: ``message("{file}: no such file", file=path)``.
It is a str, so that ``str(error)`` and a log are English in any setting; `language.say` translates
the template when the message is shown. A part that is a `Message` is translated too. Any other part
is a name, a number, or text of a user or a program, and is never translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from string import Formatter


class Message(str):
    """A text with the template and the parts that it was made of; see `message`.

    Attributes
    ----------
    template
        The text with a field in place of each part, as for `str.format`.
    parts
        The text of each field. A key is what is between the braces, such as ``"rate:.2e"``.
    """

    template: str
    parts: Mapping[str, str]

    def __new__(cls, text: str, template: str, parts: Mapping[str, str]) -> Message:
        """Make a message whose English is known."""
        self = super().__new__(cls, text)
        self.template, self.parts = template, parts
        return self

    def __getnewargs__(self) -> tuple[str, str, Mapping[str, str]]:  # type: ignore[override]
        """Return what copies and pickles are made of."""
        return str(self), self.template, self.parts


def message(template: str, /, **parts: object) -> Message:
    """Return a message that can be translated.

    Parameters
    ----------
    template
        English, with fields as for `str.format`. It must be a literal, because the catalogue of
        translations is extracted from the source.
    parts
        What to insert in the fields; for an error, its message.

    Examples
    --------
    >>> text = message("checksum of {file} is {sum:x}", file="model", sum=255)
    >>> text
    'checksum of model is ff'
    >>> text.template, text.parts
    ('checksum of {file} is {sum:x}', {'file': 'model', 'sum:x': 'ff'})
    """
    texts: dict[str, str] = {}
    for _, field in split_fields(template):
        if field is not None:
            part = _without_error(parts.get(field))
            texts[field] = part if isinstance(part, Message) else f"{{{field}}}".format(**parts)
    return Message(fill(template, texts), template, texts)


def _without_error(part: object) -> object:
    """Return the message of an error that has one, and any other part unchanged."""
    if isinstance(part, BaseException) and len(part.args) == 1:
        return part.args[0] if isinstance(part.args[0], Message) else part
    return part


def plain_message(text: str) -> Message:
    """Return a message without a template, for finished English such as Python's own errors."""
    return Message(text, text, {})


def joined(separator: str, texts: Iterable[str]) -> Message:
    """Join texts to one message, in which those that are messages can be translated.

    >>> joined("; ", ["a", message("no {name}", name="b")])
    'a; no b'
    """
    parts = {str(i): text for i, text in enumerate(texts)}
    template = separator.join(f"{{{i}}}" for i in parts)
    return Message(separator.join(parts.values()), template, parts)


def split_fields(template: str) -> Iterator[tuple[str, str | None]]:
    """Split a template into literal text and the field after it, if there is one.

    >>> list(split_fields("{name!r} is {rate:.2e} now"))
    [('', 'name!r'), (' is ', 'rate:.2e'), (' now', None)]
    """
    for literal, name, specification, conversion in Formatter().parse(template):
        ends = f"!{conversion}" if conversion else "", f":{specification}" if specification else ""
        yield literal, None if name is None else "".join((name, *ends))


def fill(template: str, texts: Mapping[str, str]) -> str:
    """Insert the text of each field in a template."""
    return "".join(
        literal + ("" if field is None else texts[field])
        for literal, field in split_fields(template)
    )
