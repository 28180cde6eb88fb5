"""The simplest tokenizer: one token per character.

It can be checked by hand, and TinyLM uses it by default: a loss per token is then a loss per
character.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from autolm.lm.tokenizers.tokenizer import Tokenizer, bytes_of
from autolm.outside.arguments import quote, read_items, read_kind, read_text
from autolm.outside.message import message


class CharacterTokenizer(Tokenizer):
    r"""A vocabulary of single characters, numbered in their sorted order.

    Parameters
    ----------
    characters
        The characters of the vocabulary, in any order; repeats do not count.

    Raises
    ------
    ValueError
        If the vocabulary is empty, or an item is not a single character.

    Examples
    --------
    >>> tokenizer = CharacterTokenizer.train("a cat sat\n")
    >>> tokenizer.characters
    ('\n', ' ', 'a', 'c', 's', 't')
    >>> tokenizer.encode("cat")
    [3, 2, 5]
    >>> tokenizer.decode([3, 2, 5])
    'cat'
    """

    kind: ClassVar[str] = "characters"

    def __init__(self, characters: Iterable[str]) -> None:
        if not isinstance(characters, str):
            characters = read_items("CharacterTokenizer", "characters", characters, "characters")
        for character in characters:
            if not isinstance(character, str) or len(character) != 1:
                raise ValueError(
                    message(
                        "CharacterTokenizer: characters: {character} is not one character",
                        character=quote(character),
                    )
                )
        self.characters = tuple(sorted(set(characters)))
        if not self.characters:
            raise ValueError(
                message("a character tokenizer needs a text with at least one character")
            )
        self._ids = {character: token_id for token_id, character in enumerate(self.characters)}

    @classmethod
    def train(cls, text: str) -> "CharacterTokenizer":
        """Return the tokenizer whose vocabulary is the distinct characters of ``text``."""
        return cls(read_text("CharacterTokenizer", "text", text))

    @property
    def vocab_size(self) -> int:
        """The number of distinct characters."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Return one token id per character of ``text``.

        Raises
        ------
        ValueError
            If ``text`` has a character outside the vocabulary; the message names it.
        """
        read_text("CharacterTokenizer", "text", text)
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            unknown = error.args[0]
        raise ValueError(
            message(
                "character {unknown!r} (U+{unknown2:04X}) at position {unknown3} is "
                "not one of the {vocab_size} that this tokenizer knows: leave it out, "
                "train on a text that has it, or use a BPE tokenizer",
                unknown=unknown,
                unknown2=ord(unknown),
                unknown3=text.index(unknown),
                vocab_size=self.vocab_size,
            )
        )

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of the character ``token_id``."""
        return bytes_of(self.characters[self._checked_id(token_id)])

    def to_json(self) -> dict[str, Any]:
        """Return ``{"kind": "characters", "characters": [...]}``."""
        return {"kind": self.kind, "characters": list(self.characters)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "CharacterTokenizer":
        """Return the tokenizer that `to_json` described.

        Raises
        ------
        ValueError
            If ``content`` is not such a description.
        """
        read_kind("CharacterTokenizer", "content", content, dict, "a dictionary")
        characters = content.get("characters")
        if not isinstance(characters, list) or not all(isinstance(c, str) for c in characters):
            raise ValueError(message("'characters' is not a list of characters"))
        if sorted(set(characters)) != characters:
            raise ValueError(message("'characters' are not distinct and in sorted order"))
        return cls(characters)
