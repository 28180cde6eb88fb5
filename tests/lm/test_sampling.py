"""Sampling keeps what it should, repeats itself by its seed, and shows only whole characters."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from autolm import Tensor
from autolm.lm.next_token import pick, pick_each
from autolm.lm.sampling import stream_text
from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer

LOGITS = np.log([0.05, 0.4, 0.15, 0.3, 0.1])


def drawn(**choices: Any) -> Counter[int]:
    """Draw a thousand tokens."""
    rng, given = np.random.default_rng(0), {"temperature": 1.0, "top_k": None, "top_p": None}
    return Counter(pick(LOGITS, **(given | choices), rng=rng) for _ in range(1000))


def test_tokens_come_as_often_as_they_are_likely() -> None:
    counts = drawn()
    for token, probability in enumerate(np.exp(LOGITS)):
        spread = np.sqrt(1000 * probability * (1 - probability))
        assert abs(counts[token] - 1000 * probability) < 4 * spread


def test_temperature_zero_takes_the_likeliest() -> None:
    assert set(drawn(temperature=0.0)) == {1}


def test_temperature_divides_the_logits() -> None:
    counts = drawn(temperature=0.5)  # probabilities are squared, and shared anew
    squared = np.exp(LOGITS) ** 2
    for token, probability in enumerate(squared / squared.sum()):
        spread = np.sqrt(1000 * probability * (1 - probability))
        assert abs(counts[token] - 1000 * probability) < 4 * spread


@pytest.mark.parametrize(("top_k", "kept"), [(1, {1}), (2, {1, 3}), (4, {1, 2, 3, 4}), (9, None)])
def test_top_k_keeps_so_many_of_the_likeliest(top_k: int, kept: set[int] | None) -> None:
    assert set(drawn(top_k=top_k)) == (kept or {0, 1, 2, 3, 4})


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.01, {1}),
        (0.39, {1}),
        (0.41, {1, 3}),
        (0.69, {1, 3}),
        (0.71, {1, 2, 3}),
        (0.96, {0, 1, 2, 3, 4}),
        (1.0, {0, 1, 2, 3, 4}),
    ],
)
def test_top_p_keeps_the_fewest_that_together_reach_it(top_p: float, kept: set[int]) -> None:
    assert set(drawn(top_p=top_p)) == kept


def test_top_p_is_of_what_top_k_left() -> None:
    assert set(drawn(top_k=2, top_p=0.5)) == {1}  # 0.4 / 0.7 reaches it alone


@given(
    arrays(np.float32, st.integers(1, 8), elements=st.floats(-1000, 1000, width=32)),
    st.sampled_from([0.0, 1e-310, 1e-3, 1.0, 1e6]),
    st.none() | st.integers(1, 10),
    st.none() | st.floats(1e-6, 1.0),
)
def test_some_token_is_always_picked(
    logits: NDArray[np.float32], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    token = pick(logits, temperature, top_k, top_p, np.random.default_rng(0))
    assert 0 <= token < logits.size
    if temperature in (0.0, 1e-310) or top_k == 1:
        assert logits[token] == logits.max()


@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("top_p", [None, 0.4])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_rows_draw_one_after_another_as_each_would_alone(
    top_k: int | None, top_p: float | None, temperature: float
) -> None:
    logits = np.random.default_rng(1).normal(size=(40, 9)).astype("float32")
    rng = np.random.default_rng(2)
    alone = [pick(row, temperature, top_k, top_p, rng) for row in logits]
    assert alone == pick_each(logits, temperature, top_k, top_p, np.random.default_rng(2)).tolist()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"temperature": -0.1}, "temperature must be finite and at least 0, not -0.1"),
        ({"temperature": np.nan}, "temperature must be finite and at least 0, not nan"),
        ({"temperature": np.inf}, "temperature must be finite and at least 0, not inf"),
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, not 1.1"),
        ({"top_p": np.nan}, "top_p must be above 0 and at most 1, not nan"),
    ],
)
def test_choices_out_of_range_are_refused_before_anything_is_shown(
    choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(**choice)
    pieces = stream_text(*WRITER, "lines", "ab", 3, rng=np.random.default_rng(0), **choice)
    with pytest.raises(ValueError, match=message):
        next(pieces)


CHARACTERS = CharacterTokenizer("\n ab")
WRITER = (TinyLM(4, 8, 2, 16, 1, max_len=6, seed=0), CHARACTERS)


def written(kind: str = "stream", prompt: str = "", seed: int = 0, tokens: int = 40) -> list[str]:
    rng = np.random.default_rng(seed)
    return list(stream_text(*WRITER, kind, prompt, tokens, rng=rng))


@pytest.mark.parametrize("kind", ["lines", "stream"])
def test_text_comes_piece_by_piece_after_the_prompt(kind: str) -> None:
    prompt, *pieces = written(kind, "ab a")
    assert prompt == "ab a"
    assert len(pieces) == 40
    assert all(piece in CHARACTERS.characters for piece in pieces)


@pytest.mark.parametrize("kind", ["lines", "stream"])
def test_the_same_seed_writes_the_same_text_and_another_another(kind: str) -> None:
    assert written(kind, seed=1) == written(kind, seed=1) != written(kind, seed=2)


def test_nothing_is_computed_before_a_piece_is_asked_for() -> None:
    calls = 0

    class Counting(TinyLM):
        def unembed(self, x: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return super().unembed(x)

    model, rng = Counting(4, 8, 2, 16, 1, seed=0), np.random.default_rng(0)
    pieces = stream_text(model, CHARACTERS, "stream", "ab", 100, rng=rng)
    next(pieces), next(pieces)
    assert calls == 1


class Recorder:
    """Writes a fixed text, and remembers what it was shown."""

    max_len = 6

    def __init__(self, tokens: list[int], vocab_size: int) -> None:
        self.tokens, self.vocab_size, self.seen = iter(tokens), vocab_size, list[list[int]]()

    def reading(self) -> "Recorder":
        return self

    def next_logits(self, token_ids: NDArray[Any]) -> NDArray[Any]:
        self.seen.append(token_ids.tolist())
        return np.eye(self.vocab_size)[next(self.tokens)]


def contexts(kind: str, prompt: str, text: str) -> list[str]:
    """Let a text be written after a prompt, and tell what was seen before each of its tokens."""
    model: Any = Recorder(CHARACTERS.encode(text), 4)
    rng = np.random.default_rng(0)
    pieces = stream_text(model, CHARACTERS, kind, prompt, len(text), temperature=0, rng=rng)
    assert "".join(pieces) == prompt + text
    return [CHARACTERS.decode(seen) for seen in model.seen]


def test_of_lines_a_model_sees_its_own_line_from_the_boundary_on() -> None:
    seen = contexts("lines", "ab", "a\nb a")
    assert seen == ["\nab", "\naba", "\n", "\nb", "\nb "]


def test_of_lines_a_line_longer_than_the_context_is_seen_from_its_end() -> None:
    assert contexts("lines", "abababab", "a")[-1] == "ababab"


def test_of_a_stream_a_model_sees_as_much_as_it_can() -> None:
    seen = contexts("stream", "ab", "a\nb abb")
    assert seen == ["ab", "aba", "aba\n", "aba\nb", "aba\nb ", "ba\nb a", "a\nb ab"]


def test_a_stream_without_prompt_begins_at_a_newline() -> None:
    assert contexts("stream", "", "ab") == ["\n", "\na"]


def test_a_stream_whose_tokenizer_knows_no_newline_begins_at_its_first_token() -> None:
    tokenizer = CharacterTokenizer("ab")
    model, rng = TinyLM(2, 8, 2, 16, 1, seed=0), np.random.default_rng(0)
    assert len("".join(stream_text(model, tokenizer, "stream", "", 5, rng=rng))) == 5


def test_an_unknown_character_in_the_prompt_is_named_before_anything_is_shown() -> None:
    with pytest.raises(ValueError, match=r"character 'Ω' \(U\+03A9\) at position 2"):
        written("stream", "abΩ")


def test_characters_of_several_bytes_are_never_split() -> None:
    text = "é→😀a"
    tokenizer = BPETokenizer([])
    tokens = tokenizer.encode(text)
    model: Any = Recorder(tokens, 256)
    rng = np.random.default_rng(0)
    pieces = stream_text(model, tokenizer, "stream", "x", len(tokens), temperature=0, rng=rng)
    assert list(pieces) == ["x", "é", "→", "😀", "a"]


def test_a_character_that_is_cut_off_at_the_end_is_marked() -> None:
    tokenizer = BPETokenizer([])
    model: Any = Recorder(tokenizer.encode("a😀")[:3], 256)
    rng = np.random.default_rng(0)
    pieces = stream_text(model, tokenizer, "stream", "x", 3, temperature=0, rng=rng)
    assert list(pieces) == ["x", "a", "\ufffd"]


@pytest.mark.parametrize("top_p", [None, 0.7])
def test_a_token_is_what_numpys_choice_draws(top_p: float | None) -> None:
    logits = np.random.default_rng(1).normal(size=50) * 3
    for seed in range(50):
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        if top_p is not None:
            order = np.argsort(-probabilities)
            more = order[int(np.searchsorted(np.cumsum(probabilities[order]), top_p)) + 1 :]
            probabilities[more] = 0
            probabilities /= probabilities.sum()
        drawn = np.random.default_rng(seed).choice(50, p=probabilities)
        assert pick(logits, 1.0, None, top_p, np.random.default_rng(seed)) == drawn
