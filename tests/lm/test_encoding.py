"""A corpus, encoded, is the same text; its numbers are those of the text."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.batches import IGNORE_INDEX
from autolm.lm.corpora import Corpus, Kind
from autolm.lm.encoding import EncodedLines, EncodedStream, EncodedText, encode_corpus
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer

LINES = Corpus("fruit", "plum\nfig\n\npêche\n", "kiwi\n", kind="lines")
STREAM = Corpus("fruit", "plum, fig; pêche. ", "kiwi!", kind="stream")


def tokenizers(corpus: Corpus) -> list[Tokenizer]:
    return [CharacterTokenizer.train(corpus.text), BPETokenizer.train("fig plum\nfig plum", 4)]


def targets(text: EncodedText) -> list[int]:
    batches = list(text.evaluation_batches(block_size=5, batch_size=2))
    return [int(t) for _, rows in batches for t in rows.flat if t != IGNORE_INDEX]


@pytest.mark.parametrize("tokenizer", tokenizers(LINES))
def test_targets_of_lines_spell_the_text(tokenizer: Tokenizer) -> None:
    encoded = encode_corpus(LINES, tokenizer)
    assert tokenizer.decode(targets(encoded.train)) == LINES.train
    assert tokenizer.decode(targets(encoded.validation)) == LINES.validation


@pytest.mark.parametrize("tokenizer", tokenizers(STREAM))
def test_targets_of_a_stream_spell_the_text_after_its_first_token(tokenizer: Tokenizer) -> None:
    train = encode_corpus(STREAM, tokenizer).train
    first = tokenizer.encode(STREAM.train)[0]
    assert tokenizer.decode([first, *targets(train)]) == STREAM.train


@given(
    st.text("ab\né", min_size=3, max_size=40), st.sampled_from(["lines", "stream"]), st.booleans()
)
def test_numbers_of_targets_and_bytes_are_those_of_the_targets(
    text: str, kind: Kind, with_bpe: bool
) -> None:
    corpus = Corpus("random", text + "\n", "a\n", kind=kind)
    tokenizer = BPETokenizer.train(text, 3) if with_bpe else CharacterTokenizer.train(text + "a\n")
    train = encode_corpus(corpus, tokenizer).train
    assert train.num_targets == len(targets(train))
    assert train.num_bytes == sum(len(tokenizer.token_bytes(token)) for token in targets(train))


def test_training_batches_are_of_the_kind_of_the_text() -> None:
    for corpus, kind in ((LINES, EncodedLines), (STREAM, EncodedStream)):
        train = encode_corpus(corpus, CharacterTokenizer.train(corpus.text)).train
        assert isinstance(train, kind)
        inputs, shifted = train.batches(block_size=4, batch_size=3, seed=0).next_batch()
        assert inputs.shape == shifted.shape == (3, 4)


def test_ladder_of_lines_sees_a_boundary_before_and_after_each() -> None:
    # "a" begins each of the lines "a", "a", "ab"; in 2 cases of 3 the line then ends.
    text = encode_corpus(
        Corpus("a", "a\na\nab\n", "b\n", "lines"), CharacterTokenizer("ab\n")
    ).train
    ladder = text.ladder(vocab_size=3)
    after_a = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert ladder.bigram == pytest.approx(3 / 7 * after_a)
    assert ladder.trigram == pytest.approx(3 / 7 * after_a)


def test_ladder_of_a_stream_is_that_of_its_tokens() -> None:
    text = encode_corpus(Corpus("s", "abac" * 50 + "a", "a", "stream"), CharacterTokenizer("abc"))
    assert text.train.ladder(vocab_size=3).bigram == pytest.approx(0.5 * math.log(2))
    assert text.train.ladder(vocab_size=3).trigram == pytest.approx(0, abs=1e-12)


def test_unknown_characters_of_the_corpus_are_refused() -> None:
    with pytest.raises(ValueError, match="'k'"):
        encode_corpus(LINES, CharacterTokenizer.train(LINES.train))


def test_generation_of_lines_begins_with_the_newline_token() -> None:
    tokenizer = CharacterTokenizer.train(LINES.text)
    train = encode_corpus(LINES, tokenizer).train
    assert isinstance(train, EncodedLines)
    assert tokenizer.decode([train.boundary_id]) == "\n"
    assert np.all(train.batches(8, 1, seed=0).next_batch()[0][:, 0] == train.boundary_id)
