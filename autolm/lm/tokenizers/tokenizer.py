"""The interface of tokenizers: text to token ids and back, bytes of each token, JSON on disk.

Training, sampling and run folders use only this interface.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from autolm.outside.arguments import read_int, read_items, read_path
from autolm.outside.whole_file import write_whole


class Tokenizer(ABC):
    """A two-way map between text and a sequence of token ids in ``range(vocab_size)``."""

    kind: ClassVar[str]
    """The kind of tokenizer in its file."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The number of distinct token ids."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; `decode` gives exactly ``text`` back."""

    @abstractmethod
    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of one token: of a character or a part of one.

        To stream text, pass these bytes to an incremental UTF-8 decoder.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that `save` writes, including ``kind``."""

    def decode(self, token_ids: Iterable[int]) -> str:
        """Return the text that ``token_ids`` spell; invalid UTF-8 becomes U+FFFD.

        Raises
        ------
        ValueError
            If an id is outside ``range(vocab_size)``.
        """
        ids = read_items("decode", "token_ids", token_ids, "a list of ints")
        return text_of(b"".join(map(self.token_bytes, ids)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to ``path`` as JSON, atomically; `load_tokenizer` reads it."""
        path = read_path("save", "path", path)
        write_whole(path, json.dumps(self.to_json()).encode("ascii") + b"\n")

    def _checked_id(self, token_id: int) -> int:
        token_id = read_int("tokenizer", "token_id", token_id)
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(
                f"token id {token_id} is not in the vocabulary: ids are 0 to {self.vocab_size - 1}"
            )
        return token_id


def bytes_of(text: str) -> bytes:
    r"""Return the UTF-8 bytes of any string, including lone surrogates.

    A lone surrogate (half of a pair, as in broken file names) is invalid in UTF-8; it is encoded as
    the three bytes of its code point.

    Examples
    --------
    >>> bytes_of("é\ud800")
    b'\xc3\xa9\xed\xa0\x80'
    """
    return text.encode("utf-8", "surrogatepass")


def text_of(encoded: bytes) -> str:
    r"""Return the string that `bytes_of` encoded; invalid bytes become U+FFFD.

    Examples
    --------
    >>> text_of(bytes_of("é\ud800")) == "é\ud800"
    True
    >>> text_of(b"caf\xc3")
    'caf�'
    """
    try:
        return encoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return encoded.decode("utf-8", "replace")
