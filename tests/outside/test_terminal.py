"""No text turns the terminal, and every text can be written in every encoding."""

import ast
import io
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.outside.terminal import (
    BIDIRECTIONAL_CONTROLS,
    BOLD,
    DIM,
    RED,
    in_a_line,
    in_ascii,
    print_safely,
    printable,
    show_in_any_encoding,
    styled,
    words_of,
)

TEXTS = st.text(st.characters(exclude_categories=[])) | st.text(
    st.sampled_from([*map(chr, range(160)), *BIDIRECTIONAL_CONTROLS, "\u2028", "\ud800", "é", "한"])
)


@given(TEXTS)
def test_what_is_printable_has_no_control_and_loses_nothing(text: str) -> None:
    printable_text = printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", printable_text)
    assert not BIDIRECTIONAL_CONTROLS & {*printable_text}
    assert all(unicodedata.category(c) != "Cs" for c in printable_text)
    plain = [c for c in text if c in "\n\té한" or " " <= c <= "~"]
    assert [c for c in printable_text if c in plain][: len(plain)] or not plain


@given(TEXTS, st.integers(2, 40))
def test_a_long_text_is_cut_in_its_middle(text: str, longest: int) -> None:
    printable_text = printable(text, longest)
    assert len(printable_text) <= 10 * longest + 1
    if len(text) > longest:
        assert "…" in printable_text


@given(st.lists(st.tuples(TEXTS, st.sampled_from([None, BOLD, DIM, RED]))))
def test_only_what_is_styled_changes_the_style(texts: list[tuple[str, int | None]]) -> None:
    stream = io.StringIO()
    ours = [text if style is None else styled(text, style) for text, style in texts]
    print_safely("".join(ours), stream, end="")
    theirs = [
        text if style is None else f"\x1b[{style}m{text}\x1b[0m"
        for text, style in ((printable(text), style) for text, style in texts)
    ]
    assert stream.getvalue() == "".join(theirs)


def test_one_file_writes_to_terminals() -> None:
    source = Path(__file__).parents[2] / "autolm"
    names = set()
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            is_console = called == "Console" and "rich.console" in text  # there is a safe one
            if called == "print" or re.search(r"std(out|err)\.write", called) or is_console:
                names.add(path.name)
    assert names == {"terminal.py"}


@given(TEXTS)
def test_a_message_is_a_line(text: str) -> None:
    assert len(in_a_line(text).splitlines()) <= 1


@given(TEXTS, st.sampled_from(["ascii", "cp1252", "cp437", "cp949", "utf-8", "utf-16"]))
def test_every_text_can_be_written(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show_in_any_encoding(stream)
    stream.write(text)
    stream.flush()


def test_every_sign_of_ours_has_a_stand_in() -> None:
    source = Path(__file__).parents[2] / "autolm"
    text = "".join(path.read_text("utf-8") for path in source.rglob("*.py"))
    signs = {c for c in text if not c.isascii()} - {*"한고양이😀"}  # those of examples
    assert [sign for sign in signs if re.match(r"\\[uU]", in_ascii(sign))] == []


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a"), "a"),
        (ValueError(), "ValueError"),
        (SyntaxError("bad", ("f", 1, 1, "x")), "bad"),
        (Mute(), "Mute, whose message cannot be read: it raises RuntimeError"),
    ],
)
def test_an_error_always_has_words(error: BaseException, words: str) -> None:
    assert words_of(error) == words
