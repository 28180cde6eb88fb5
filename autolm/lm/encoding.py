"""Encode a corpus as token ids.

The difference between lines and a stream is handled here: both kinds of `EncodedText` provide
training batches, evaluation batches and entropy baselines through the same interface.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from autolm.lm.baselines import EntropyBaselines, entropy_baselines
from autolm.lm.batches import (
    Batch,
    Batches,
    LineBatches,
    StreamBatches,
    as_token_ids,
    line_evaluation_batches,
    stream_evaluation_batches,
)
from autolm.lm.corpora import Corpus
from autolm.lm.tokenizers import Tokenizer
from autolm.lm.tokenizers.tokenizer import bytes_of
from autolm.outside.arguments import read_kind


class EncodedText(ABC):
    """A text as token ids.

    Attributes
    ----------
    num_targets
        The number of tokens to predict.
    num_bytes
        The number of UTF-8 bytes of these tokens. A loss of x nats per token is
        ``x * num_targets / (num_bytes * ln 2)`` bits per byte.
    """

    def __init__(self, num_targets: int, num_bytes: int) -> None:
        self.num_targets = num_targets
        self.num_bytes = num_bytes

    @abstractmethod
    def batches(self, block_size: int, batch_size: int, seed: int) -> Batches:
        """Return an endless sequence of random batches."""

    @abstractmethod
    def evaluation_batches(self, block_size: int, batch_size: int) -> Iterator[Batch]:
        """Yield batches in which each token is a target exactly once, the same each time."""

    @abstractmethod
    def baselines(self, vocab_size: int) -> EntropyBaselines:
        """Return the entropies of these targets given no, one and two tokens before them."""


class EncodedStream(EncodedText):
    """One continuous text; its first token is not a target, because nothing precedes it.

    Attributes
    ----------
    token_ids
        Shape ``(length,)``.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.token_ids = as_token_ids(tokenizer.encode(text))
        first_bytes = sum(len(tokenizer.token_bytes(token)) for token in self.token_ids[:1])
        super().__init__(len(self.token_ids) - 1, len(bytes_of(text)) - first_bytes)

    def batches(self, block_size: int, batch_size: int, seed: int) -> StreamBatches:
        """Return random windows."""
        return StreamBatches(self.token_ids, block_size, batch_size, seed)

    def evaluation_batches(self, block_size: int, batch_size: int) -> Iterator[Batch]:
        """Yield consecutive windows."""
        return stream_evaluation_batches(self.token_ids, block_size, batch_size)

    def baselines(self, vocab_size: int) -> EntropyBaselines:
        """Return the entropy baselines of the text."""
        return entropy_baselines(self.token_ids, vocab_size)


class EncodedLines(EncodedText):
    """Independent lines; the newline is the boundary before the first and after each of them.

    Attributes
    ----------
    documents
        Token ids of each line, shape ``(length,)``, without its newline.
    boundary_id
        The token of the newline, which begins and ends a generated line.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        (self.boundary_id,) = tokenizer.encode("\n")
        lines = text.removesuffix("\n").split("\n")
        self.documents = [as_token_ids(tokenizer.encode(line)) for line in lines]
        num_targets = sum(len(document) + 1 for document in self.documents)
        super().__init__(num_targets, sum(len(bytes_of(line)) + 1 for line in lines))

    def batches(self, block_size: int, batch_size: int, seed: int) -> LineBatches:
        """Return packed lines, in a new order in each epoch."""
        return LineBatches(self.documents, self.boundary_id, block_size, batch_size, seed)

    def evaluation_batches(self, block_size: int, batch_size: int) -> Iterator[Batch]:
        """Yield packed lines, in order."""
        return line_evaluation_batches(self.documents, self.boundary_id, block_size, batch_size)

    def baselines(self, vocab_size: int) -> EntropyBaselines:
        """Return the entropy baselines of the lines; no context reaches into the line before."""
        boundary = as_token_ids([self.boundary_id])
        framed = [part for document in self.documents for part in (document, boundary)]
        return entropy_baselines(np.concatenate([boundary, *framed]), vocab_size, self.boundary_id)


@dataclass(frozen=True)
class EncodedCorpus:
    """Both texts of a corpus as token ids."""

    train: EncodedText
    validation: EncodedText


def encode_corpus(corpus: Corpus, tokenizer: Tokenizer) -> EncodedCorpus:
    r"""Return the texts of ``corpus`` as token ids, ready for training and validation.

    Raises
    ------
    ValueError
        If the corpus has a character that the tokenizer does not know.

    Examples
    --------
    >>> from autolm.lm.tokenizers import CharacterTokenizer
    >>> corpus = Corpus("names", train="ab\nb\n", validation="a\n", kind="lines")
    >>> encoded = encode_corpus(corpus, CharacterTokenizer.train(corpus.text))
    >>> encoded.train.num_targets
    5
    >>> encoded.train.batches(block_size=6, batch_size=1, seed=0).next_batch()
    (array([[0, 1, 2, 0, 2, 0]]), array([[ 1,  2,  0,  2,  0, -1]]))
    """
    read_kind("encode_corpus", "corpus", corpus, Corpus, "a Corpus")
    read_kind("encode_corpus", "tokenizer", tokenizer, Tokenizer, "a Tokenizer")
    encoded_text = EncodedLines if corpus.kind == "lines" else EncodedStream
    return EncodedCorpus(
        train=encoded_text(corpus.train, tokenizer),
        validation=encoded_text(corpus.validation, tokenizer),
    )
