"""The loss of a text is the mean surprise at its tokens, as in training."""

import numpy as np
import pytest

from autolm.engine.graph import topological_order
from autolm.lm import BPETokenizer, CharacterTokenizer, TinyLM
from autolm.lm.text_loss import text_loss, tokens_of

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


def test_empty_line_is_a_line_and_a_stream_of_one_token_is_too_short(model):
    assert float(text_loss(model, WORDS, "lines", "")) > 0
    with pytest.raises(ValueError, match="too short"):
        text_loss(model, WORDS, "stream", "a")


def test_text_beyond_the_model_or_its_alphabet_is_refused(model):
    with pytest.raises(ValueError, match="at most 6"):
        text_loss(model, WORDS, "lines", "ababab")
    with pytest.raises(ValueError, match=r"'x'.*at position 0"):
        text_loss(model, WORDS, "lines", "x")


def test_rows_of_activations_are_of_the_tokens_and_those_of_parameters_are_not():
    model = TinyLM(WORDS.vocab_size, 4, 2, 4, 2, dtype="float64", seed=0)  # widths of 4, as tokens
    loss = text_loss(model, WORDS, "lines", "aba")
    tokens = tokens_of(loss, WORDS)
    assert tokens.texts == ("⏎", "a", "b", "a")
    for node in topological_order(loss):
        is_activation = node.shape[:1] == (4,) and (node.parents or node.name == "positions")
        place = (2,) * node.ndim
        assert tokens.at(node, place) == ("‘b’ at 2" if is_activation else ""), node.name


def test_a_token_changes_first_the_rows_that_are_said_to_be_its_own(model):
    one, other = (text_loss(model, WORDS, "stream", text) for text in ("abab", "aaab"))
    rows = tokens_of(one, WORDS).axes
    pairs = zip(topological_order(one), topological_order(other), strict=True)
    for node, twin in pairs:
        if node in rows:  # the model is causal
            assert tokens_of(one, WORDS).at(node, (1, 0)) == "‘b’ at 1"
            np.testing.assert_allclose(node.data[0], twin.data[0], rtol=1e-12)
            assert node.name == "positions" or not np.allclose(node.data[1], twin.data[1])


def test_pieces_of_characters_and_spaces_are_visible():
    pieces = BPETokenizer.train("the cat é the cat", 260)
    model = TinyLM(pieces.vocab_size, 4, 1, 8, 1, seed=0)
    tokens = tokens_of(text_loss(model, pieces, "stream", "é the c"), pieces)
    assert tokens.texts[:2] == (r"\xc3", r"\xa9")
    assert "".join(tokens.texts[2:]) in "␣the␣c"


def test_words_alone_name_the_tokens_where_there_is_no_tokenizer():
    model = TinyLM(5, 4, 1, 4, 1, seed=0)
    words = ["cat", "down", "mat", "sat", "the"]
    loss = model.compute_loss([4, 0, 3], [0, 3, 1])
    tokens = tokens_of(loss, words)
    assert tokens.texts == ("the", "cat", "sat")
    assert tokens.vocabulary == tuple(words)
    with pytest.raises(ValueError, match="id 4 is read, but there are 4 tokens"):
        tokens_of(loss, words[:4])
    with pytest.raises(TypeError, match="a Tokenizer or a list of words, not 5"):
        tokens_of(loss, 5)
