"""What every tokenizer promises: text to token ids and back, bytes of each token, JSON on disk.

`CharacterTokenizer` and `BPETokenizer` keep this contract; training, sampling and run folders know
nothing more about a tokenizer than what stands here.
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
    """The name of this sort of tokenizer in its file."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The number of distinct token ids."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; `decode` gives exactly ``text`` back."""

    @abstractmethod
    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of one token: of a whole character, or of a part of one.

        A sampler that shows text as it comes feeds these to an incremental UTF-8 decoder.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what `save` writes: JSON data, with the tokenizer's ``kind``."""

    def decode(self, token_ids: Iterable[int]) -> str:
        """Return the text that ``token_ids`` spell; bytes that are no UTF-8 become U+FFFD.

        Raises
        ------
        ValueError
            When an id is outside ``range(vocab_size)``.
        """
        ids = read_items("decode", "token_ids", token_ids, "a list of ints")
        return text_of(b"".join(map(self.token_bytes, ids)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to ``path`` as JSON, whole or not at all (see `load_tokenizer`)."""
        path = read_path("save", "path", path)
        write_whole(path, json.dumps(self.to_json()).encode("ascii") + b"\n")

    def _known(self, token_id: int) -> int:
        token_id = read_int("tokenizer", "token_id", token_id)
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(
                f"token id {token_id} is not in the vocabulary: ids are 0 to {self.vocab_size - 1}"
            )
        return token_id


def bytes_of(text: str) -> bytes:
    r"""Return the UTF-8 bytes of any string, even of one with lone surrogates.

    A lone surrogate (half of a pair, as broken file names give) has no UTF-8 form in the standard;
    it gets the three bytes that its code point would have, so that every string has its bytes.

    Examples
    --------
    >>> bytes_of("é\ud800")
    b'\xc3\xa9\xed\xa0\x80'
    """
    return text.encode("utf-8", "surrogatepass")


def text_of(encoded: bytes) -> str:
    r"""Return the string that `bytes_of` encoded; in other bytes, U+FFFD marks what is no UTF-8.

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
