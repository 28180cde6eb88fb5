"""The character tokenizer: sorted vocabulary, exact round trip, clear refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.tokenizers import CharacterTokenizer

any_text = st.text(st.characters(exclude_categories=()))


@given(any_text.filter(bool))
def test_the_vocabulary_is_the_sorted_distinct_characters_of_any_text(text: str) -> None:
    tokenizer = CharacterTokenizer.train(text)
    assert list(tokenizer.characters) == sorted(set(text))
    assert [tokenizer.characters[i] for i in tokenizer.encode(text)] == list(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_token_bytes_are_the_utf8_of_the_character() -> None:
    tokenizer = CharacterTokenizer.train("aé😀")
    assert [tokenizer.token_bytes(i) for i in range(3)] == [b"a", "é".encode(), "😀".encode()]


def test_unknown_character_is_named_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"'é' \(U\+00E9\) at position 3") as error:
        CharacterTokenizer.train("abcf").encode("cafés")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("token_id", [-1, 3])
def test_unknown_token_id_is_refused(token_id: int) -> None:
    with pytest.raises(ValueError, match=f"token id {token_id} is not in the vocabulary: .*0 to 2"):
        CharacterTokenizer.train("abc").decode([0, token_id])


def test_no_characters_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        CharacterTokenizer.train("")


def test_longer_strings_are_no_characters() -> None:
    with pytest.raises(ValueError, match="'bc' is not one character"):
        CharacterTokenizer(["a", "bc"])
