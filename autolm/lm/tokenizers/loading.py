"""Read a saved tokenizer of any kind."""

import json
import os

from autolm.lm.tokenizers.bpe import BPETokenizer
from autolm.lm.tokenizers.characters import CharacterTokenizer
from autolm.lm.tokenizers.tokenizer import Tokenizer
from autolm.outside.arguments import quote, read_path
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import MAX_TOKENIZER_BYTES, read_untrusted

_KINDS = (CharacterTokenizer, BPETokenizer)


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Return the tokenizer that `Tokenizer.save` wrote to ``path``.

    Raises
    ------
    ValueError
        If the file is missing, or is not a valid tokenizer file.
    """
    path = read_path("load_tokenizer", "path", path)
    try:
        return tokenizer_from_json(json.loads(read_untrusted(path, MAX_TOKENIZER_BYTES)))
    except OSError as error:
        raise ValueError(
            message(
                "{path}: cannot read the tokenizer: {strerror}",
                path=path,
                strerror=plain_message(error.strerror or ""),
            )
        ) from error
    except json.JSONDecodeError as error:
        raise ValueError(
            message(
                "{path}: not a tokenizer, or cut short: no JSON at line {lineno}, column {colno}",
                path=path,
                lineno=error.lineno,
                colno=error.colno,
            )
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(
            message("{path}: not a tokenizer: {error}", path=path, error=error)
        ) from error


def tokenizer_from_json(content: object) -> Tokenizer:
    """Return the tokenizer that `Tokenizer.to_json` described.

    Raises
    ------
    ValueError
        If ``content`` is not the description of a tokenizer.

    Examples
    --------
    >>> tokenizer_from_json({"kind": "characters", "characters": ["a", "b"]}).encode("abba")
    [0, 1, 1, 0]
    """
    if not isinstance(content, dict):
        raise ValueError(
            message("content, the JSON, is {content}, and not an object", content=quote(content))
        )
    for tokenizer_class in _KINDS:
        if content.get("kind") == tokenizer_class.kind:
            return tokenizer_class.from_json(content)
    kinds = " or ".join(repr(tokenizer_class.kind) for tokenizer_class in _KINDS)
    raise ValueError(message("its kind is {x!r}, not {known}", x=content.get("kind"), known=kinds))
