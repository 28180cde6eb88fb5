"""A row of an array goes by the token that was read there, where that is known."""

import pytest

from autolm import Tensor
from autolm.walking.tokens import Tokens
from autolm.walking.wording import visible_token

ROWS, COLUMNS, WIDTH = (Tensor([[1.0, 2.0], [3.0, 4.0]]) for _ in range(3))
TOKENS = Tokens(("t", "␣"), {ROWS: 0, COLUMNS: 1})


@pytest.mark.parametrize(
    ("node", "index", "expected"),
    [
        (ROWS, (1, 0), "‘␣’ at 1"),
        (ROWS, (-2, 1), "‘t’ at 0"),
        (COLUMNS, (1, 0), "‘t’ at 0"),
        (WIDTH, (1, 1), ""),
        (COLUMNS, (1,), ""),
    ],
    ids=["row", "from the end", "column", "no tokens", "no such axis"],
)
def test_a_place_is_told_by_its_token(node, index, expected):
    assert TOKENS.at(node, index) == expected


def test_what_stands_for_a_node_has_its_tokens():
    other = Tensor([[0.0, 0.0], [0.0, 0.0]])
    along = TOKENS.for_nodes({COLUMNS: other, WIDTH: ROWS})
    assert along.at(other, (0, 1)) == "‘␣’ at 1"
    assert along.at(ROWS, (0, 1)) == ""


def test_many_tokens_are_not_all_listed():
    assert repr(TOKENS) == "‘t’ ‘␣’"
    assert repr(Tokens(("x",) * 30, {})).endswith("‘x’ … 6 more")


@pytest.mark.parametrize("token", [" ", "\n", "\t", "\r", "\x00", "\u200b", "\ud800"], ids=ascii)
def test_what_is_not_seen_is_made_visible(token):
    visible = visible_token(token)
    assert visible and visible.isprintable() and not visible.isspace()
