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


@pytest.mark.parametrize(
    ("choices", "tokens"),
    [
        ({"temperature": 0.0}, {1}),
        ({"top_k": 1}, {1}),
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 4}, {1, 2, 3, 4}),
        ({"top_k": 9}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.01}, {1}),
        ({"top_p": 0.39}, {1}),
        ({"top_p": 0.41}, {1, 3}),
        ({"top_p": 0.69}, {1, 3}),
        ({"top_p": 0.71}, {1, 2, 3}),
        ({"top_p": 1.0}, {0, 1, 2, 3, 4}),
        ({"top_k": 2, "top_p": 0.5}, {1}),  # 0.4 / 0.7 reaches it alone
    ],
)
def test_only_the_most_probable_tokens_are_drawn(choices: Any, tokens: set[int]) -> None:
    assert set(drawn(**choices)) == tokens


def test_top_p_is_reached_by_a_probability_that_equals_it() -> None:
    rng = np.random.default_rng(0)
    assert {pick(np.zeros(2), 1.0, None, 0.5, rng) for _ in range(20)} == {0}


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
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, not 1.1"),
        ({"prompt": "abΩ"}, r"character 'Ω' \(U\+03A9\) at position 2"),
    ],
)
def test_wrong_choices_and_prompts_are_refused_before_anything_is_shown(
    choice: dict[str, Any], message: str
) -> None:
    rng, prompt = np.random.default_rng(0), choice.get("prompt", "ab")
    options = {name: value for name, value in choice.items() if name != "prompt"}
    with pytest.raises(ValueError, match=message):
        next(stream_text(*WRITER, "lines", prompt, 3, rng=rng, **options))
    if options:
        with pytest.raises(ValueError, match=message):
            drawn(**choice)


CHARACTERS = CharacterTokenizer("\n ab")
WRITER = (TinyLM(4, 8, 2, 16, 1, max_len=6, seed=0), CHARACTERS)


def written(kind: str = "stream", prompt: str = "", seed: int = 0, tokens: int = 40) -> list[str]:
    rng = np.random.default_rng(seed)
    return list(stream_text(*WRITER, kind, prompt, tokens, rng=rng))


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

    def decoder(self, recorded: bool) -> "Recorder":
        return self

    def next_logits(self, token_ids: NDArray[Any]) -> NDArray[Any]:
        self.seen.append(token_ids.tolist())
        return np.eye(self.vocab_size)[next(self.tokens)]


@pytest.mark.parametrize(
    ("kind", "prompt", "text", "contexts"),
    [
        ("lines", "ab", "a\nb a", ["\nab", "\naba", "\n", "\nb", "\nb "]),
        ("lines", "abababab", "a", ["ababab"]),
        (
            *("stream", "ab", "a\nb abb"),
            ["ab", "aba", "aba\n", "aba\nb", "aba\nb ", "ba\nb a", "a\nb ab"],
        ),
        ("stream", "", "ab", ["\n", "\na"]),
    ],
)
def test_a_model_sees_its_line_or_as_much_of_a_stream_as_it_can(
    kind: str, prompt: str, text: str, contexts: list[str]
) -> None:
    model: Any = Recorder(CHARACTERS.encode(text), 4)
    rng = np.random.default_rng(0)
    pieces = stream_text(model, CHARACTERS, kind, prompt, len(text), temperature=0, rng=rng)
    assert [piece for piece in pieces if piece] == [*filter(None, [prompt]), *text]
    assert [CHARACTERS.decode(ids) for ids in model.seen] == contexts


def test_a_stream_begins_at_the_first_token_if_there_is_no_newline() -> None:
    tokenizer = CharacterTokenizer("ab")
    model, rng = TinyLM(2, 8, 2, 16, 1, seed=0), np.random.default_rng(0)
    assert len("".join(stream_text(model, tokenizer, "stream", "", 5, rng=rng))) == 5


@pytest.mark.parametrize(
    ("text", "tokens", "pieces_shown"),
    [("é→😀a", 10, ["é", "→", "😀", "a"]), ("a😀", 3, ["a", "\ufffd"])],
    ids=["whole", "cut off"],
)
def test_characters_of_several_bytes_are_never_split(
    text: str, tokens: int, pieces_shown: list[str]
) -> None:
    tokenizer = BPETokenizer([])
    model: Any = Recorder(tokenizer.encode(text), 256)
    rng = np.random.default_rng(0)
    pieces = stream_text(model, tokenizer, "stream", "x", tokens, temperature=0, rng=rng)
    assert list(pieces) == ["x", *pieces_shown]


@pytest.mark.parametrize("top_p", [None, 0.7])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_token_is_what_numpys_choice_draws(top_p: float | None, temperature: float) -> None:
    logits = np.random.default_rng(1).normal(size=50) * 3
    probabilities = np.exp((logits - logits.max()) / temperature)
    probabilities /= probabilities.sum()
    if top_p is not None:
        order = np.argsort(-probabilities)
        probabilities[order[int(np.searchsorted(np.cumsum(probabilities[order]), top_p)) + 1 :]] = 0
        probabilities /= probabilities.sum()
    for seed in range(50):
        expected = np.random.default_rng(seed).choice(50, p=probabilities)
        assert pick(logits, temperature, None, top_p, np.random.default_rng(seed)) == expected
