"""Splitting loses nothing, and cuts where GPT-2 cuts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.tokenizers.splitting import special_token_pattern, split_like_gpt

any_text = st.text(st.characters(exclude_categories=()))
tricky_text = st.text(st.sampled_from(" \t\n\r\u00a0'’_s-llve.,!?0٣²½aéßあ😀\u0301\ud800\0"))


@given(any_text | tricky_text)
def test_chunks_are_a_lossless_partition(text: str) -> None:
    chunks = split_like_gpt(text)
    assert "".join(chunks) == text
    assert all(chunks)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("Hello world", ["Hello", " world"]),
        ("I'll they've it's", ["I", "'ll", " they", "'ve", " it", "'s"]),
        ("in 1984!!", ["in", " 1984", "!!"]),
        ("a  b", ["a", " ", " b"]),
        ("a\n\nb", ["a", "\n", "\n", "b"]),
        ("end  \n", ["end", "  \n"]),
        ("snake_case", ["snake", "_", "case"]),
        ("naïve Straße", ["naïve", " Straße"]),
        ("hi 😀😀", ["hi", " 😀😀"]),
        ("", []),
    ],
)
def test_chunks_are_those_of_gpt2(text: str, chunks: list[str]) -> None:
    assert split_like_gpt(text) == chunks


# Python's own white space (str.isspace) without the four controls that Unicode does not count.
SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | set(
    map(chr, range(0x2000, 0x200B))
)


def kind(character: str) -> str:
    """Classify a character by its Unicode category: letter, number, space or other."""
    if character in SPACES:
        return "S"
    return {"L": "L", "N": "N"}.get(unicodedata.category(character)[0], "O")


def test_every_character_is_split_by_its_unicode_category() -> None:
    characters = [c for c in map(chr, range(0x110000)) if c != "'"]  # it may begin a contraction
    for start in range(0, len(characters), 10_000):
        text, expected = "", list[str]()
        for c in characters[start : start + 10_000]:
            text += f"a{c}{c}1!"
            expected += {
                "L": [f"a{c}{c}", "1", "!"],
                "N": ["a", f"{c}{c}1", "!"],
                "O": ["a", c + c, "1", "!"],
                "S": ["a", " ", " 1", "!"] if c == " " else ["a", c, c, "1", "!"],
            }[kind(c)]
        assert split_like_gpt(text) == expected


@given(any_text, st.lists(any_text.filter(bool), min_size=1, max_size=4))
def test_cutting_around_special_tokens_is_lossless(text: str, special_tokens: list[str]) -> None:
    pattern = special_token_pattern(special_tokens)
    assert pattern is not None
    assert "".join(pattern.split(text)) == text
