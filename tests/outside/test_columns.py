"""Columns of text stand under one another where names are Korean, as a terminal shows them."""

import pytest

from autolm import Value, edit
from autolm.debugger.screen import aligned
from autolm.outside.columns import padded, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("cat", 3), ("고양이", 6), ("猫x", 3), ("é", 1), ("e\u0301", 1), ("각", 2)],
)
def test_a_text_is_as_wide_as_a_terminal_shows_it(text, columns):
    assert width(text) == columns
    assert width(padded(text, 9)) == 9


def test_tables_of_names_in_any_script_are_aligned():
    x, weight = Value(2.0, name="입력"), Value(3.0, name="w")
    loss = x * weight + x
    loss.name = "손실"
    rows = [line.split() for line in edit(loss, x, 5.0).text().splitlines()]
    arrows = [line for line in edit(loss, x, 5.0).text().splitlines() if "→" in line]
    assert len({len(row[0]) for row in rows if "→" in row}) > 1  # the names are not of one length
    assert len({width(line) - width(line.split("  ", 1)[1].lstrip()) for line in arrows}) == 1
    table = aligned([["손실", "1"], ["loss", "2"], ["w", "3"]])
    assert {width(line) for line in table} == {width(table[0])}
