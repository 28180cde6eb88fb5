"""Load trained models, from a run folder or a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from autolm.lm.config import TrainingConfig
from autolm.lm.design import tinylm_design
from autolm.lm.language_model import LanguageModel
from autolm.lm.pretrained import is_pretrained, load_pretrained, read_config
from autolm.lm.run_folder import RunFolder
from autolm.lm.size import require_memory
from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import Tokenizer


class TrainedModel(NamedTuple):
    """A model, its tokenizer, and whether its texts are lines or a stream."""

    model: LanguageModel
    tokenizer: Tokenizer
    kind: str


def trained(folder: str | Path) -> TrainedModel:
    """Load a run folder, or a pretrained model of Hugging Face.

    Raises
    ------
    RunError, PretrainedError
        If the folder is neither, or is damaged.
    """
    if is_pretrained(folder):
        model, tokenizer = load_pretrained(folder)
        return TrainedModel(model, tokenizer, _text_kind(Path(folder), tokenizer))
    run = RunFolder.open(folder)
    return TrainedModel(trained_model(run), run.tokenizer(), run.config().kind)


def _text_kind(folder: Path, tokenizer: Tokenizer) -> str:
    """Return "lines" for an exported run of lines, where a newline begins and ends a text."""
    boundary = read_config(folder).get("bos_token_id")
    if not isinstance(boundary, int) or not 0 <= boundary < tokenizer.vocab_size:
        return "stream"
    return "lines" if tokenizer.token_bytes(boundary) == b"\n" else "stream"


def trained_model(folder: RunFolder) -> TinyLM:
    """Load the trained model of a run."""
    config, tokenizer = choices_of(folder)
    require_memory(config, tokenizer.vocab_size, training=False)
    model = TinyLM(tokenizer.vocab_size, **config.architecture())
    model.load_state(folder.weights())
    return model


def choices_of(folder: RunFolder) -> tuple[TrainingConfig, Tokenizer]:
    """Read the options and the tokenizer of a run, and verify the shapes of its parameters.

    The parameters themselves are not loaded.
    """
    config, tokenizer = folder.config(), folder.tokenizer()
    design = tinylm_design(tokenizer.vocab_size, **config.architecture())
    folder.require_shapes(design.parameter_shapes())
    return config, tokenizer
