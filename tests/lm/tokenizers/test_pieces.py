"""A text that comes in pieces has the tokens of the whole, and is never in memory as a whole."""

import tracemalloc
from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autolm.lm.tokenizers import BPETokenizer, word_cache

SPECIALS = ("<e>", "<e>!", "e> ")
pieces_of_text = st.lists(
    st.text(st.sampled_from("ab <e>!'ls\n²_٣é\u0301"), max_size=9) | st.text(max_size=5)
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_cache, "BLOCK", 6)


@given(pieces_of_text, st.sampled_from([None, "gpt"]), st.booleans())
@example(["a  ", "<e", ">!", " b"], "gpt", True)
@example(["it'", "ll  ", " x", "² ½!"], "gpt", True)
@example(["aaaaaa <e>", "! aaaaaaa"], "gpt", True)
@example(["aaaa e", "> <e", ">aa"], None, True)
@pytest.mark.usefixtures("small_blocks")
def test_pieces_have_the_ids_and_merges_of_the_whole(
    pieces: list[str], split: Literal["gpt"] | None, has_specials: bool
) -> None:
    text, specials = "".join(pieces), SPECIALS if has_specials else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_cache, "BLOCK", 1 << 20)  # one block: no piece is cut
        whole = BPETokenizer.train(text, 12, split=split, special_tokens=specials)
        expected = [whole.encode(text, allow_special=allowed) for allowed in (True, False)]
    in_pieces = BPETokenizer.train(pieces, 12, split=split, special_tokens=specials)
    assert in_pieces.merges == whole.merges
    for allowed, ids in zip((True, False), expected, strict=True):
        assert list(whole.encode_iterable(pieces, allow_special=allowed)) == ids


def generated(length: int) -> Iterator[str]:
    """Yield lines of numbers as words, so many characters together."""
    number = 0
    while length > 0:
        number = (1103515245 * number + 12345) % 2**31
        line = " ".join("abcdefghij"[int(digit)] * 3 for digit in str(number)) + "\n"
        length -= len(line)
        yield line


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    block, length = 1 << 11, 1 << 18
    monkeypatch.setattr(word_cache, "BLOCK", block)
    BPETokenizer.train(generated(block), 20, split="gpt")  # modules are imported, tables are made
    tracemalloc.start()
    try:
        tokenizer = BPETokenizer.train(generated(length), 20, split="gpt")
        read = sum(1 for _ in tokenizer.encode_iterable(generated(length)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read > length / 8  # all of it
    assert peak < length / 2  # of which a block, its words and its ids are but a part


@pytest.mark.parametrize("pieces", [b"bytes", "text", 5, None])
def test_what_is_no_pieces_is_refused(pieces: object) -> None:
    with pytest.raises(TypeError, match="pieces must be pieces of a text, not"):
        BPETokenizer(()).encode_iterable(pieces)  # type: ignore[arg-type]
