"""The loss of a model on one text, as in training, and the tokens of its rows."""

from collections.abc import Sequence

import numpy as np

from autolm import ops
from autolm.engine.graph import topological_order
from autolm.lm.language_model import LanguageModel
from autolm.lm.tokenizers import Tokenizer
from autolm.outside.arguments import read_choice, read_kind
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor
from autolm.walking.tokens import Tokens
from autolm.walking.wording import visible_token


def text_loss(model: LanguageModel, tokenizer: Tokenizer, kind: str, text: str) -> Tensor:
    """Return the mean negative log-likelihood of the tokens of a text, in nats, with its graph.

    Of kind "lines" the text is one line, and its beginning and its end are predicted too; of kind
    "stream" the first token, before which nothing stands, is not.

    Raises
    ------
    ValueError
        When the text is too short or too long, or has a character that the tokenizer does not know.
    """
    read_kind("text_loss", "model", model, LanguageModel, "a TinyLM")
    read_kind("text_loss", "tokenizer", tokenizer, Tokenizer, "a Tokenizer")
    read_choice("text_loss", "kind", kind, ("lines", "stream"))
    tokenizer.encode(text)  # what it does not know it names by its place in the text
    token_ids = np.array(tokenizer.encode(f"\n{text}\n" if kind == "lines" else text))
    if len(token_ids) < 2:
        raise ValueError(
            message("the text is too short: a model is asked for each token after another")
        )
    if len(token_ids) - 1 > model.max_len:
        raise ValueError(
            message(
                "the text has {count} tokens, and the model reads at most {most}: shorten it",
                count=len(token_ids) - 1,
                most=model.max_len,
            )
        )
    return model.compute_loss(token_ids[:-1], token_ids[1:])


def tokens_of(loss: Tensor, tokenizer: Tokenizer | Sequence[str]) -> Tokens:
    """Return the tokens that a model read, and which nodes under its loss have a row for each.

    Parameters
    ----------
    loss
        That of a model on one text.
    tokenizer
        What made the ids; or the words that they number, from 0 up.

    Raises
    ------
    ValueError
        When the graph is not of one text that was read by a model, or an id has no word.
    """
    nodes = topological_order(read_kind("tokens_of", "loss", loss, Tensor, "a Tensor"))
    read = [node.attributes["token_ids"] for node in nodes if node.op is ops.embedding]
    if len(read) != 1 or read[0].ndim != 1:
        raise ValueError(message("tokens_of: loss must be that of a model on one text (time,)"))
    known = _vocabulary(tokenizer)
    if int(read[0].max()) >= len(known):
        raise ValueError(
            message(
                "tokens_of: id {read} is read, but there are {count} tokens",
                read=read[0].max(),
                count=len(known),
            )
        )
    texts = tuple(known[token_id] for token_id in read[0])
    # What comes of the rows that were looked up is (time, width) too, and so are their positions.
    made = {node for node in nodes if node.op is ops.embedding}
    for node in nodes:
        if node.name == "positions" or any(parent in made for parent in node.parents):
            made.add(node)
    rows = [node for node in nodes if node in made and np.ndim(node.data) == 2]
    return Tokens(texts, dict.fromkeys(rows, 0), known)


def _vocabulary(tokenizer: Tokenizer | Sequence[str]) -> tuple[str, ...]:
    if isinstance(tokenizer, list | tuple) and all(isinstance(word, str) for word in tokenizer):
        return tuple(map(visible_token, tokenizer))
    expected = "a Tokenizer or a list of words"
    known = read_kind("tokens_of", "tokenizer", tokenizer, Tokenizer, expected)
    return tuple(_shown(known.token_bytes(i)) for i in range(known.vocab_size))


def _shown(token: bytes) -> str:
    """Write a token; a part of a character by its bytes."""
    try:
        return visible_token(token.decode())
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in token)
