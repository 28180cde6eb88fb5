"""The loss of a text is the mean surprise at its tokens, as in training."""

import numpy as np
import pytest

from autolm.lm import CharacterTokenizer, TinyLM
from autolm.lm.text_loss import text_loss

WORDS = CharacterTokenizer.train("ab\n")


@pytest.fixture
def model():
    return TinyLM(WORDS.vocab_size, 4, 1, 8, 1, max_len=6, dtype="float64", seed=0)


@pytest.mark.parametrize(("kind", "read"), [("lines", "\nab\n"), ("stream", "ab")])
def test_loss_is_the_mean_of_the_negative_log_probabilities(model, kind, read):
    ids = np.array(WORDS.encode(read))
    logits = model.forward(ids[:-1])[0].data
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log(probabilities[np.arange(len(ids) - 1), ids[1:]]).mean()
    assert float(text_loss(model, WORDS, kind, "ab")) == pytest.approx(expected, rel=1e-12)


def test_loss_has_a_graph(model):
    text_loss(model, WORDS, "lines", "ab").backward()
    assert model.embedding.has_grad


def test_empty_line_is_a_line_and_a_stream_of_one_token_is_too_short(model):
    assert float(text_loss(model, WORDS, "lines", "")) > 0
    with pytest.raises(ValueError, match="too short"):
        text_loss(model, WORDS, "stream", "a")


def test_text_beyond_the_model_or_its_alphabet_is_refused(model):
    with pytest.raises(ValueError, match="more than max_len 6"):
        text_loss(model, WORDS, "lines", "ababab")
    with pytest.raises(ValueError, match=r"'x'.*at position 0"):
        text_loss(model, WORDS, "lines", "x")
