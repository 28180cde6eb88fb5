"""What commands take from a run folder: its text, its model, and the model's loss on a text."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from autolm.lm.config import TrainingConfig
    from autolm.lm.corpora import Corpus
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.tinylm import TinyLM
    from autolm.lm.tokenizers import Tokenizer
    from autolm.tensor.tensor import Tensor
    from autolm.walking.tokens import Tokens

LONGEST_LINE = 60  # characters of the validation text that a model reads by default


def corpus_of(config: TrainingConfig, piped: Callable[[], bytes]) -> Corpus:
    """Fetch the text of a run; `piped` gives what came from standard input, now or then."""
    from autolm.lm import corpora
    from autolm.lm.config import PYTHON_DOCUMENTATION, STANDARD_INPUT, TOY

    if config.data == TOY:
        return corpora.toy_language_corpus()
    if config.data == PYTHON_DOCUMENTATION:
        return corpora.python_documentation_corpus()
    if config.data == STANDARD_INPUT:
        return corpora.standard_input_corpus(io.BytesIO(piped()), kind=config.kind)
    return corpora.text_file_corpus(config.data, kind=config.kind)


def model_of(folder: RunFolder) -> tuple[TrainingConfig, Tokenizer]:
    """Read the choices and the tokenizer of a run, and see that its weights are of that model.

    Nothing as large as the model is read or made for it.
    """
    from autolm.lm.tinylm import parameter_shapes

    config, tokenizer = folder.config(), folder.tokenizer()
    folder.require_shapes(parameter_shapes(tokenizer.vocab_size, **config.architecture()))
    return config, tokenizer


class Trained(NamedTuple):
    """What a run has come to: the model with what it has learnt, and its tokenizer."""

    model: TinyLM
    tokenizer: Tokenizer
    config: TrainingConfig


def trained(folder: RunFolder) -> Trained:
    """Make the model of a run, with the weights it has learnt."""
    from autolm.lm.size import require_memory
    from autolm.lm.tinylm import TinyLM

    config, tokenizer = model_of(folder)
    require_memory(config, tokenizer.vocab_size, training=False)
    model = TinyLM(tokenizer.vocab_size, **config.architecture())
    model.load_state(folder.weights())
    return Trained(model, tokenizer, config)


class Read(NamedTuple):
    """What a trained model made of a text: the loss, whose graph knows its lines."""

    loss: Tensor
    model: TinyLM
    tokens: Tokens


def read_text(run: Path, text: str | None) -> Read:
    """Let a trained model read a text; without one, the first line of the run's validation text.

    It says what it reads.
    """
    from autolm.engine.graph import record_sites
    from autolm.lm.run_folder import RunFolder
    from autolm.lm.text_loss import text_loss, tokens_of
    from autolm.outside.terminal import printable

    folder = RunFolder.open(run)
    model, tokenizer, config = trained(folder)
    if text is None:
        lines = corpus_of(config, folder.text).validation.strip().splitlines()
        text = lines[0][:LONGEST_LINE]
    with record_sites():
        loss = text_loss(model, tokenizer, config.kind, text)
    print(f"the model reads: {printable(text)}")
    return Read(loss, model, tokens_of(loss, tokenizer))
