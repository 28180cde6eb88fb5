"""Loads the corpus of a run, and computes the loss of a trained model on a text."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autolm.outside.message import message

if TYPE_CHECKING:
    from autolm.lm.config import TrainingConfig
    from autolm.lm.corpora import Corpus
    from autolm.lm.language_model import LanguageModel
    from autolm.lm.tokenizers import Tokenizer
    from autolm.tensor.tensor import Tensor
    from autolm.walking.tokens import Tokens

MAX_LINE_LENGTH = 60  # characters of the validation text that a model reads by default


def corpus_of(config: TrainingConfig, piped: Callable[[], bytes]) -> Corpus:
    """Return the corpus of a run; `piped` returns the text that came from standard input."""
    from autolm.lm import corpora
    from autolm.lm.config import PYTHON_DOCUMENTATION, STANDARD_INPUT, TOY

    if config.data == TOY:
        return corpora.toy_language_corpus()
    if config.data == PYTHON_DOCUMENTATION:
        return corpora.python_documentation_corpus()
    if config.data == STANDARD_INPUT:
        return corpora.standard_input_corpus(io.BytesIO(piped()), kind=config.kind)
    return corpora.text_file_corpus(config.data, kind=config.kind)


class ReadText(NamedTuple):
    """The loss of a trained model on a text, with the model and the tokens."""

    loss: Tensor
    model: LanguageModel
    tokens: Tokens


def read_text(folder: Path, text: str | None) -> ReadText:
    """Compute the loss of a trained model on a text, and print the text.

    The default text is the first line of the run's validation text.
    """
    from autolm.engine.recording import record_locations
    from autolm.lm.text_loss import text_loss, tokens_of
    from autolm.lm.trained import trained
    from autolm.outside.language import say
    from autolm.outside.terminal import LONGEST, print_safely

    model, tokenizer, kind = trained(folder)
    text = _default_text(folder, model, tokenizer) if text is None else text
    with record_locations():
        loss = text_loss(model, tokenizer, kind, text)
    tokens = tokens_of(loss, tokenizer)
    print_safely(say(message("the model reads: {text}", text=text)), longest=LONGEST)
    if len(tokens.texts) < len(text):  # otherwise tokens are characters
        pieces = " · ".join(tokens.texts)
        print_safely(say(message("as the tokens    {pieces}", pieces=pieces)), longest=LONGEST)
    return ReadText(loss, model, tokens)


def _default_text(folder: Path, model: LanguageModel, tokenizer: Tokenizer) -> str:
    """Return a text that the model can read: of the validation text, if it is known."""
    from autolm.lm.pretrained import is_pretrained
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.tokenizers import CharacterTokenizer

    if is_pretrained(folder):
        line = "The cat sat on the mat."
        if isinstance(tokenizer, CharacterTokenizer):
            line = "".join(c for c in line if c in tokenizer.characters)
            line = line or "".join(filter(str.isprintable, tokenizer.characters))
    else:
        run = RunFolder.open(folder)
        line = corpus_of(run.config(), run.text).validation.strip().splitlines()[0]
    starts = (line[:end] for end in range(min(len(line), MAX_LINE_LENGTH), 1, -1))
    short = (start for start in starts if len(tokenizer.encode(start)) < model.max_len)
    return next(short, line[:1])
