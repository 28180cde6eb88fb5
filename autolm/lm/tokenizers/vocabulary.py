"""Byte-level BPE with the ids of a vocabulary file, as Hugging Face stores GPT-2's tokenizer.

Tokens are written with one printable character per byte. Unsupported options of a
`tokenizer.json` are refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from autolm.lm.design import PretrainedError
from autolm.lm.tokenizers.characters import CharacterTokenizer
from autolm.lm.tokenizers.merging import Pair
from autolm.lm.tokenizers.splitting import special_token_pattern, split_digits
from autolm.lm.tokenizers.tokenizer import Tokenizer, bytes_of
from autolm.lm.tokenizers.word_cache import WordCache
from autolm.outside.arguments import quote, read_text
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import MAX_TOKENIZER_BYTES, parse_json, read_untrusted

TOKENIZER, VOCABULARY, MERGES = "tokenizer.json", "vocab.json", "merges.txt"
END_OF_TEXT = "<|endoftext|>"
CHARACTERS = {  # the pre_tokenizer of a `CharacterTokenizer`
    "type": "Split",
    "pattern": {"Regex": r"[\s\S]"},
    "behavior": "Isolated",
    "invert": False,
}


def visible_bytes() -> dict[int, str]:
    """Return the character that represents each byte: its own if that is printable.

    Source: the published code of Radford et al., Language Models are Unsupervised Multitask
    Learners (2019).
    """
    printable_bytes = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other_bytes = [byte for byte in range(256) if byte not in printable_bytes]
    letters = {byte: chr(byte) for byte in printable_bytes}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(other_bytes)}


class VocabularyTokenizer(Tokenizer):
    """Byte-level BPE with the ids of a vocabulary.

    Parameters
    ----------
    vocabulary
        The id of each token in its written form; it contains all 256 bytes.
    merges
        Pairs of written tokens, by rank.
    added
        The ids of tokens that are matched literally at any position in a text.
    digits_apart
        Whether each digit is a separate piece.

    Raises
    ------
    PretrainedError
        If merges and vocabulary are inconsistent.

    Examples
    --------
    >>> letters = visible_bytes().values()
    >>> vocabulary = {letter: number for number, letter in enumerate([*letters, "ab", "<end>"])}
    >>> tokenizer = VocabularyTokenizer(vocabulary, [("a", "b")], {"<end>": 257})
    >>> tokenizer.encode("ab<end>")
    [256, 257]
    """

    kind: ClassVar[str] = "vocabulary"

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        added: Mapping[str, int],
        *,
        digits_apart: bool = False,
    ) -> None:
        letters = visible_bytes()
        values = {letter: byte for byte, letter in letters.items()}
        for byte, letter in letters.items():
            if letter not in vocabulary:
                raise PretrainedError(f"the vocabulary lacks byte {byte}, written {letter!r}")
        self.added, self.digits_apart = dict(added), digits_apart
        pairs, merged = list[Pair](), list[int]()
        for rank, (first, second) in enumerate(merges):
            for token in (first, second, first + second):
                if token not in vocabulary:
                    raise PretrainedError(f"merge {rank} needs {token!r}, not in the vocabulary")
            pairs.append((vocabulary[first], vocabulary[second]))
            merged.append(vocabulary[first + second])
        self._bytes = {
            token_id: bytes(values[letter] for letter in token)
            for token, token_id in vocabulary.items()
            if token not in added and all(letter in values for letter in token)
        } | {token_id: bytes_of(token) for token, token_id in added.items()}
        self._vocab_size = max(self._bytes) + 1  # used for every token
        self._pattern = special_token_pattern(self.added)
        byte_ids = [vocabulary[letters[byte]] for byte in range(256)]
        self._words = WordCache(pairs, merged, byte_ids)

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return self._vocab_size

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``."""
        read_text("VocabularyTokenizer", "text", text)
        token_ids = list[int]()
        for index, part in enumerate(self._pattern.split(text) if self._pattern else [text]):
            if index % 2:
                token_ids.append(self.added[part])
                continue
            for piece in split_digits(part) if self.digits_apart else [part]:
                token_ids += self._words.ids(piece)
        return token_ids

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token; empty for an unused id."""
        return self._bytes.get(self._checked_id(token_id), b"")

    def to_json(self) -> dict[str, Any]:
        """Raise NotImplementedError: the tokenizer stays in the folder of its model."""
        raise NotImplementedError("a pretrained tokenizer is kept in its own folder")


def load_vocabulary(folder: Path) -> VocabularyTokenizer | CharacterTokenizer:
    """Read the tokenizer of a folder.

    Raises
    ------
    PretrainedError
        If it is missing, damaged, or has an unsupported option.
    """
    whole = folder / TOKENIZER
    file = whole if os.path.lexists(whole) else folder / VOCABULARY
    try:
        content = parse_json(read_untrusted(file, MAX_TOKENIZER_BYTES))
        merges = None if file == whole else _text(folder / MERGES)
    except FileNotFoundError as error:
        missing = f"{folder}: has no {TOKENIZER}, nor {VOCABULARY} and {MERGES}"
        raise PretrainedError(f"{missing}: {error.strerror}") from None
    except OSError as error:
        raise PretrainedError(
            message(
                "{filename}: cannot be read: {strerror}",
                filename=error.filename,
                strerror=plain_message(error.strerror or ""),
            )
        ) from None
    except ValueError as error:
        raise PretrainedError(message("{file}: damaged: {error}", file=file, error=error)) from None
    try:
        if merges is None:
            return _of_json(content)
        lines = [line for line in merges.splitlines() if not line.startswith("#version")]
        vocabulary = _vocabulary(content)
        added = {END_OF_TEXT: vocabulary[END_OF_TEXT]} if END_OF_TEXT in vocabulary else {}
        return VocabularyTokenizer(vocabulary, _merges([line for line in lines if line]), added)
    except ValueError as error:
        raise PretrainedError(f"{file}: {error}") from None


def _text(file: Path) -> str:
    try:
        return read_untrusted(file, MAX_TOKENIZER_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name} is no UTF-8 text: {error}") from None


def _of_json(content: Any) -> VocabularyTokenizer | CharacterTokenizer:
    model = _object(_object(content, "tokenizer").get("model"), "model")
    if _has_one_token_per_character(content, model):
        return CharacterTokenizer(list(_vocabulary(model.get("vocab"))))
    _refuse_all_but("model", model, type=("BPE",), byte_fallback=(False, None))
    _refuse_all_but("model", model, dropout=(None, 0.0), ignore_merges=(False, None))
    _refuse_all_but(
        "model", model, continuing_subword_prefix=("", None), end_of_word_suffix=("", None)
    )
    _refuse_all_but("the tokenizer", content, normalizer=(None,))
    _refuse_templates(content.get("post_processor"))
    vocabulary = _vocabulary(model.get("vocab"))
    added: dict[str, int] = {}
    for token in _list(content.get("added_tokens") or [], "added_tokens"):
        entry = _object(token, "an added token")
        _refuse_all_but(f"added token {entry.get('content')!r}", entry, lstrip=(False,))
        _refuse_all_but(
            f"added token {entry.get('content')!r}", entry, rstrip=(False,), single_word=(False,)
        )
        if not isinstance(entry.get("content"), str):
            raise PretrainedError(f"an added token's content is {quote(entry.get('content'))}")
        added |= _vocabulary({entry["content"]: entry.get("id")})
    return VocabularyTokenizer(
        vocabulary,
        _merges(model.get("merges")),
        added,
        digits_apart=_has_digits_apart(content.get("pre_tokenizer")),
    )


def _has_one_token_per_character(content: dict[str, Any], model: dict[str, Any]) -> bool:
    """Whether `export` wrote it for a `CharacterTokenizer`."""
    vocabulary = model.get("vocab")
    return (
        model.get("type") == "WordLevel"
        and content.get("normalizer") is None
        and content.get("post_processor") is None
        and content.get("pre_tokenizer") == {"type": "Sequence", "pretokenizers": [CHARACTERS]}
        and isinstance(vocabulary, dict)
        and len(vocabulary) > 0
        and all(len(token) == 1 for token in vocabulary)
        and vocabulary == {token: i for i, token in enumerate(sorted(vocabulary))}
    )


def _has_digits_apart(splitter: Any) -> bool:
    """Return whether the pre-tokenizer separates digits; other pre-tokenizers are refused."""
    steps = [_object(splitter, "pre_tokenizer")]
    if steps[0].get("type") == "Sequence":
        inner = _list(steps[0].get("pretokenizers") or [], "pretokenizers")
        steps = [_object(step, "pre_tokenizer") for step in inner]
    digits_apart = len(steps) == 2 and steps[0].get("type") == "Digits"
    if digits_apart:
        _refuse_all_but("Digits", steps.pop(0), individual_digits=(True,))
    if len(steps) != 1 or steps[0].get("type") != "ByteLevel":
        kinds = " and ".join(str(step.get("type")) for step in steps) or "nothing"
        raise PretrainedError(f"pre_tokenizer {kinds} is not supported: ByteLevel is")
    _refuse_all_but("ByteLevel", steps[0], add_prefix_space=(False,), use_regex=(True, None))
    return digits_apart


def _refuse_templates(processor: Any) -> None:
    """Refuse a post-processor that adds tokens."""
    steps = processor.get("processors") if isinstance(processor, dict) else None
    for step in [processor] if steps is None else _list(steps, "processors"):
        if step is not None and _object(step, "post_processor").get("type") != "ByteLevel":
            raise PretrainedError(f"post_processor {step.get('type')!r} is not supported")


def _refuse_all_but(what: str, content: Mapping[str, Any], **allowed: tuple[Any, ...]) -> None:
    for name, values in allowed.items():
        if content.get(name, values[0]) not in values:
            raise PretrainedError(f"{what}: {name} {content[name]!r} is not supported")


def _object(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise PretrainedError(f"{what} is {quote(content)}, and must be an object")
    return content


def _list(content: Any, what: str) -> list[Any]:
    if not isinstance(content, list):
        raise PretrainedError(f"{what} is {quote(content)}, and must be a list")
    return content


def _vocabulary(content: Any) -> dict[str, int]:
    for token, token_id in _object(content, "the vocabulary").items():
        if not isinstance(token, str) or type(token_id) is not int or not 0 <= token_id < 2**31:
            raise PretrainedError(f"the vocabulary gives {token!r} the id {token_id!r}")
    return content


def _merges(content: Any) -> list[tuple[str, str]]:
    merges = _list(content, "merges")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    for pair in pairs:
        if not isinstance(pair, list) or [type(token) for token in pair] != [str, str]:
            raise PretrainedError(f"merges: {quote(pair)} is no pair of tokens")
    return [(first, second) for first, second in pairs]
