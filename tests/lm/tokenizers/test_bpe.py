"""Byte-level BPE: published encoding, exact round trip, special tokens, refusals."""

from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm.lm.tokenizers import BPETokenizer

any_text = st.text(st.characters(exclude_categories=()))
splits = st.sampled_from([None, "gpt"])

VERSE = "the cat sat on the mat, the cat's hat on the cat 😀\r\n"


def test_published_encoding_is_reproduced() -> None:
    tokenizer = BPETokenizer.train("aaabdaaabac", 3)
    assert tokenizer.encode("aaabdaaabac") == [258, 100, 258, 97, 99]
    assert tokenizer.vocab_size == 259


@given(any_text, any_text, splits, st.integers(0, 20))
@example("", "\r\n\r", None, 1)
@example("👩‍👩‍👧 flags 🇫🇷", "👩‍👧🇫", "gpt", 20)
@example("\ud83d\ude00 \ud800", "\ude00\ud83d", None, 20)  # lone surrogates, and a pair of halves
def test_round_trip_is_exact_for_any_text(
    trained_on: str, text: str, split: Literal["gpt"] | None, num_merges: int
) -> None:
    tokenizer = BPETokenizer.train(trained_on, num_merges, split=split, special_tokens=("<end>",))
    for string in (text, trained_on, text + "<end>" + text):
        for allow_special in (True, False):
            token_ids = tokenizer.encode(string, allow_special=allow_special)
            assert tokenizer.decode(token_ids) == string
            assert all(0 <= token_id < tokenizer.vocab_size for token_id in token_ids)


@given(st.lists(st.integers(0, 255)))
def test_any_bytes_decode_to_some_text(token_ids: list[int]) -> None:
    expected = bytes(token_ids).decode("utf-8", "replace")
    decoded = BPETokenizer(()).decode(token_ids)
    assert decoded == expected or "\ud7ff" < max(decoded) < "\ue000"


def test_words_do_not_share_a_token_when_split() -> None:
    tokenizer = BPETokenizer.train(VERSE * 3, 200, split="gpt")
    tokens = [tokenizer.token_bytes(token_id) for token_id in range(256, tokenizer.vocab_size)]
    assert b" cat" in tokens
    assert not any(b" " in token[1:] for token in tokens)


def test_special_tokens_come_after_the_merges_and_are_atomic() -> None:
    tokenizer = BPETokenizer.train("abab", 1, special_tokens=("<end>", "<pad>"))
    assert tokenizer.encode("ab<pad>ab<end>") == [256, 258, 256, 257]
    assert tokenizer.decode([257, 256, 258]) == "<end>ab<pad>"
    assert tokenizer.token_bytes(258) == b"<pad>"


def test_the_longest_special_token_wins() -> None:
    tokenizer = BPETokenizer((), special_tokens=("<a>", "<a>b"))
    assert tokenizer.encode("<a>b<a>c") == [257, 256, ord("c")]


def test_nothing_is_learnt_from_special_tokens_or_across_them() -> None:
    tokenizer = BPETokenizer.train("x<e>y" * 9, 5, special_tokens=("<e>",))
    assert tokenizer.merges == ((ord("y"), ord("x")),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BPETokenizer.train("text", -1), "num_merges must be at least 0, not -1"),
        (lambda: BPETokenizer.train("text", 3, split="words"), "split is 'words'; choose None or"),
        (lambda: BPETokenizer((), special_tokens=("<a>", "<a>")), "given twice"),
        (lambda: BPETokenizer((), special_tokens=("",)), "cannot be empty"),
        (lambda: BPETokenizer((), special_tokens="<a>"), r"write \('<a>',\)"),
        (lambda: BPETokenizer((), special_tokens=("\ud800",)), "not valid Unicode"),
        (lambda: BPETokenizer([(97, 98), (97, 258), (97, 99)]), "merge 1 joins 97 and 258"),
        (lambda: BPETokenizer([(97, 98), (97, 98)]), "same merge occurs twice"),
        (lambda: BPETokenizer(()).decode([256]), "token id 256 is not in the vocabulary"),
        (lambda: BPETokenizer(()).decode([-1]), "token id -1 is not in the vocabulary"),
    ],
)
def test_nonsense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@given(any_text, st.text(st.characters(categories=["Cs"]), min_size=1), any_text)
def test_a_lone_surrogate_is_three_bytes_which_spell_it_again(
    before: str, lone: str, after: str
) -> None:
    tokenizer = BPETokenizer(())
    token_ids = tokenizer.encode(lone)
    assert token_ids == [
        byte for c in map(ord, lone) for byte in (0xED, 0x80 | c >> 6 & 0x3F, 0x80 | c & 0x3F)
    ]
    text = before + lone + after
    assert tokenizer.decode(tokenizer.encode(text)) == text
