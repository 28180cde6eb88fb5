"""Extract the messages into the catalogue of translations, and compile it.

Run it after a message was added or translated: ``python -m tests.catalogue``. It adds each new
template of ``message("…")`` to `autolm.po` with an empty translation, removes the ones that the
code no longer has, compiles `autolm.mo`, and lists what has no Korean.
"""

import gettext
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from autolm.debugger.commands import Debugger
from autolm.outside.language import CATALOGUES
from autolm.outside.message import split_fields

ROOT = Path(__file__).parents[1] / "autolm"
PO = CATALOGUES / "ko" / "LC_MESSAGES" / "autolm.po"
MO = PO.with_suffix(".mo")
HEADER = """# Korean translations of the messages of autolm.
# A translation has the fields of the English, {name}, in any order.
#"""


def extracted() -> dict[str, set[str]]:
    """Return each template that needs a translation, with the files that it is in."""
    templates: dict[str, set[str]] = {}
    found = extract_from_dir(
        ROOT, method_map=[("**.py", "python")], keywords={"message": None}, comment_tags=()
    )
    for path, _, template, _, _ in found:
        source = (ROOT / path).read_text("utf-8")
        if has_words(template) and "from autolm.outside.message import" in source:
            templates.setdefault(template, set()).add(Path("autolm", path).as_posix())
    for file, texts in tables():
        for text in texts:
            if " " in text:
                templates.setdefault(text, set()).add(file)
    return templates


def tables() -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the texts of tables and docstrings that `say_template` translates, with their file."""
    yield "autolm/debugger/commands.py", (*Debugger.groups, *Debugger.keys.values())
    for name in " ".join(Debugger.groups.values()).split():
        sentence, _, *rest = filter(None, map(str.strip, _help_of(name).splitlines()))
        yield "autolm/debugger/commands.py", (sentence, *rest)


def _help_of(command: str) -> str:
    return getattr(Debugger, f"do_{command}").__doc__ or ""


def has_words(template: str) -> bool:
    """Whether a template has anything to translate besides its fields."""
    return any(re.search(r"[A-Za-z]", literal) for literal, _ in split_fields(template))


def korean() -> dict[str, str]:
    """Return the translations in the .po file."""
    with PO.open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}


def compiled() -> dict[str, str]:
    """Return the translations in the .mo file."""
    with MO.open("rb") as file:
        catalogue: dict[str, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {english: translation for english, translation in catalogue.items() if english}


def write(translations: dict[str, str]) -> None:
    """Write and compile the catalogue of all extracted templates."""
    date = datetime(2026, 1, 1, tzinfo=UTC)  # the same in every run, so that a diff shows messages
    catalogue = Catalog(
        "ko",
        header_comment=HEADER,
        project="autolm",
        version="0.1.0",
        creation_date=date,
        revision_date=date,
        last_translator="autolm",
        language_team="Korean",
        fuzzy=False,
    )
    for template, files in extracted().items():
        locations = [(file, 1) for file in sorted(files)]
        catalogue.add(template, translations.get(template, ""), locations=locations)
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalogue, width=100, sort_by_file=True, include_lineno=False)
    with MO.open("wb") as file:
        write_mo(file, catalogue)


if __name__ == "__main__":
    write(korean() if PO.exists() else {})
    missing = [english for english, translation in korean().items() if not translation]
    sys.exit("\n".join(["no Korean for:", *missing]) if missing else None)
