"""A corpus, encoded, is the same text; its numbers are those of the text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.batches import IGNORE_INDEX
from autolm.lm.corpora import Corpus, TextKind
from autolm.lm.encoding import EncodedText, encode_corpus
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer

LINES = Corpus("fruit", "plum\nfig\n\npêche\n", "kiwi\n", kind="lines")
STREAM = Corpus("fruit", "plum, fig; pêche. ", "kiwi!", kind="stream")


def tokenizers(corpus: Corpus) -> list[Tokenizer]:
    return [CharacterTokenizer.train(corpus.text), BPETokenizer.train("fig plum\nfig plum", 4)]


def targets(text: EncodedText) -> list[int]:
    batches = list(text.evaluation_batches(block_size=5, batch_size=2))
    return [int(t) for _, rows in batches for t in rows.flat if t != IGNORE_INDEX]


@pytest.mark.parametrize(("corpus", "skipped"), [(LINES, 0), (STREAM, 1)], ids=["lines", "stream"])
@pytest.mark.parametrize("which", [0, 1], ids=["characters", "bpe"])
def test_targets_spell_the_text_after_the_first_token_of_a_stream(
    corpus: Corpus, skipped: int, which: int
) -> None:
    tokenizer = tokenizers(corpus)[which]
    encoded = encode_corpus(corpus, tokenizer)
    for text, part in ((corpus.train, encoded.train), (corpus.validation, encoded.validation)):
        first = tokenizer.encode(text)[:skipped]
        assert tokenizer.decode([*first, *targets(part)]) == text


@given(
    st.text("ab\né", min_size=3, max_size=40), st.sampled_from(["lines", "stream"]), st.booleans()
)
def test_numbers_of_targets_and_bytes_are_those_of_the_targets(
    text: str, kind: TextKind, with_bpe: bool
) -> None:
    corpus = Corpus("random", text + "\n", "a\n", kind=kind)
    tokenizer = BPETokenizer.train(text, 3) if with_bpe else CharacterTokenizer.train(text + "a\n")
    train = encode_corpus(corpus, tokenizer).train
    assert train.num_targets == len(targets(train))
    assert train.num_bytes == sum(len(tokenizer.token_bytes(token)) for token in targets(train))


def test_baselines_of_lines_sees_a_boundary_before_and_after_each() -> None:
    # "a" begins each of the lines "a", "a", "ab"; in 2 cases of 3 the line then ends.
    text = encode_corpus(
        Corpus("a", "a\na\nab\n", "b\n", "lines"), CharacterTokenizer("ab\n")
    ).train
    baselines = text.baselines(vocab_size=3)
    after_a = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert baselines.bigram == pytest.approx(3 / 7 * after_a)
    assert baselines.trigram == pytest.approx(3 / 7 * after_a)
