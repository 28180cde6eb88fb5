"""A model with the numbers that training gave it."""

from __future__ import annotations

from autolm.lm.run_folder import RunFolder
from autolm.lm.tinylm import TinyLM


def trained_model(folder: RunFolder) -> TinyLM:
    """Make the model of a run, with the weights it has learnt."""
    model = TinyLM(folder.tokenizer().vocab_size, **folder.config().architecture())
    model.load_state(folder.weights())
    return model
