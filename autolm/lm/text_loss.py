"""The loss of a model on one text that a user gives, as in training."""

import numpy as np

from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import Tokenizer
from autolm.tensor.arguments import read_choice, read_kind
from autolm.tensor.tensor import Tensor


def text_loss(model: TinyLM, tokenizer: Tokenizer, kind: str, text: str) -> Tensor:
    """Return the mean surprise at each token of a text, in nats, with its graph.

    Of kind "lines" the text is one line, and its beginning and its end are predicted too; of kind
    "stream" the first token, before which nothing stands, is not.

    Raises
    ------
    ValueError
        When the text is too short or too long, or has a character that the tokenizer does not know.
    """
    read_kind("text_loss", "model", model, TinyLM, "a TinyLM")
    read_kind("text_loss", "tokenizer", tokenizer, Tokenizer, "a Tokenizer")
    read_choice("text_loss", "kind", kind, ("lines", "stream"))
    tokenizer.encode(text)  # what it does not know it names by its place in the text
    token_ids = np.array(tokenizer.encode(f"\n{text}\n" if kind == "lines" else text))
    if len(token_ids) < 2:
        raise ValueError("the text is too short: a model is asked for each token after another")
    return model.compute_loss(token_ids[:-1], token_ids[1:])
