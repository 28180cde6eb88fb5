"""Compute the loss of a model on one text, and find the tokens of its graph's rows."""

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

    For kind "lines" the text is one line between two newlines, so that its first token and its end
    are targets too; for "stream" the first token is not a target.

    Raises
    ------
    ValueError
        If the text is too short or too long, or has a character that the tokenizer does not know.
    """
    read_kind("text_loss", "model", model, LanguageModel, "a TinyLM")
    read_kind("text_loss", "tokenizer", tokenizer, Tokenizer, "a Tokenizer")
    read_choice("text_loss", "kind", kind, ("lines", "stream"))
    tokenizer.encode(text)  # an unknown character is reported by its position
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
    """Return the input tokens of a loss, and the nodes in its graph with one row per token.

    Parameters
    ----------
    loss
        The loss of a model on one text.
    tokenizer
        The tokenizer of the ids, or the list of words that they index.

    Raises
    ------
    ValueError
        If the graph does not contain exactly one embedding of one text, or an id has no token.
    """
    nodes = topological_order(read_kind("tokens_of", "loss", loss, Tensor, "a Tensor"))
    embedded = [node.attributes["token_ids"] for node in nodes if node.op is ops.embedding]
    if len(embedded) != 1 or embedded[0].ndim != 1:
        raise ValueError(message("tokens_of: loss must be that of a model on one text (time,)"))
    vocabulary = _vocabulary(tokenizer)
    if int(embedded[0].max()) >= len(vocabulary):
        raise ValueError(
            message(
                "tokens_of: id {read} is read, but there are {count} tokens",
                read=embedded[0].max(),
                count=len(vocabulary),
            )
        )
    texts = tuple(vocabulary[token_id] for token_id in embedded[0])
    # Results that depend on the embedded rows, and the positions, have one row per token if 2-d.
    dependent = {node for node in nodes if node.op is ops.embedding}
    for node in nodes:
        if node.name == "positions" or any(parent in dependent for parent in node.parents):
            dependent.add(node)
    rows = [node for node in nodes if node in dependent and np.ndim(node.data) == 2]
    return Tokens(texts, dict.fromkeys(rows, 0), vocabulary)


def _vocabulary(tokenizer: Tokenizer | Sequence[str]) -> tuple[str, ...]:
    if isinstance(tokenizer, list | tuple) and all(isinstance(word, str) for word in tokenizer):
        return tuple(map(visible_token, tokenizer))
    expected = "a Tokenizer or a list of words"
    checked = read_kind("tokens_of", "tokenizer", tokenizer, Tokenizer, expected)
    return tuple(_display(checked.token_bytes(i)) for i in range(checked.vocab_size))


def _display(token: bytes) -> str:
    """Format a token; an incomplete character as escaped bytes."""
    try:
        return visible_token(token.decode())
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in token)
