"""Docstrings, comments, messages, documents and names are in plain English.

The patterns are phrases that readers of this project had to read twice. A hit is a hint and not a
verdict, so a few are allowed in every thousand words, and none of the names below.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = (*ROOT.glob("*.md"), ROOT / "demos" / "guide.md")
PHRASES = (
    r"\b(?:is|are|was|were|be|been) (?:told|asked|said)\b",
    r"\b(?:is|are) none of\b",
    r"\bof (?:which|whom)\b",
    r"\b(?:goes|went) by\b",
    r"\bas (?:it|they) (?:was|were|stands?)\b",
    r"\bwhatever|wherever|whichever|whoever\b",
    r"\b(?:mends?|mended|learnt|reckons?|thereby|whereby|betwixt)\b",
    r"\b(?:rooms?|floors?|faces?) of the (?:house|package)\b",
    r"\bstands? (?:in|on|at|there|here|by itself|as it is)\b",
    r"(?:^|\. )(?:Of|That of|Those of|He who) ",
    r"(?:^|\. )Let (?!us\b)",
    r"(?:^|\. )What [a-z ]+ (?:is|are|has|does|comes)\b[^?]*\.",
)
NAMES = {
    *("told", "found", "known", "kept", "given", "made", "placed", "moved", "shown", "taken"),
    *("held", "sent", "asked", "said", "seen", "mine", "those", "others", "beside"),
}
MOST_PHRASES = 10  # in ten thousand words
MOST_NAMES = 40  # in ten thousand assigned names
PACKAGES = sorted(path.parent for path in (ROOT / "autolm").glob("*/__init__.py"))


def texts_of(path):
    """Yield the lines of a file that a person reads."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        yield from re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines()
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield from node.value.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def assigned_names(path):
    """Yield each name that a file assigns, as often as it does."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def phrases_in(paths):
    """Return the hits of the phrases, and how many words there are."""
    hits, words = [], 0
    for path in paths:
        for line in map(str.strip, texts_of(path)):
            if not re.search("[가-힣]", line):
                words += len(line.split())
                hits += [f"{path.name}: {line}" for phrase in PHRASES if re.search(phrase, line)]
    return hits, words


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: folder.name)
def test_a_package_is_described_in_plain_english(package):
    hits, words = phrases_in(package.rglob("*.py"))
    assert len(hits) <= max(2, MOST_PHRASES * words / 1e4), "\n".join(hits)


def test_the_documents_are_in_plain_english():
    hits, words = phrases_in(DOCUMENTS)
    assert len(hits) <= max(2, MOST_PHRASES * words / 1e4), "\n".join(hits)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: folder.name)
def test_names_say_what_they_hold(package):
    names = [name for path in package.rglob("*.py") for name in assigned_names(path)]
    vague = sorted(name for name in names if name.strip("_") in NAMES)
    assert len(vague) <= max(2, MOST_NAMES * len(names) / 1e4), vague


@pytest.mark.parametrize(
    "line",
    ["the program is told its name", "a list of which each is empty", "Let it end. Whatever fails"],
)
def test_a_phrase_of_the_list_is_noticed(line):
    assert any(re.search(phrase, line) for phrase in PHRASES)
