"""Training texts: the toy language, a file, standard input, or Python's documentation.

A `Corpus` is a text, split into a training and a validation part. Its kind determines the
documents: each line by itself, or the whole text. `encoding` turns a corpus into token ids.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias, get_args

import numpy as np

from autolm.lm.toy_language import TOY_LANGUAGE
from autolm.outside.arguments import (
    quote,
    read_choice,
    read_finite,
    read_int,
    read_path,
    read_size,
    read_text,
)
from autolm.outside.message import message, plain_message
from autolm.outside.untrusted_file import read_untrusted

TextKind: TypeAlias = Literal["lines", "stream"]


class CorpusError(ValueError):
    """A text cannot be trained on; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class Corpus:
    """A text to train on and one to validate on.

    Attributes
    ----------
    name
        The name shown in reports.
    train, validation
        The two texts. For kind "lines", each document ends with a newline and contains no other.
    kind
        "lines": each line is a document, independent of the others. "stream": each of the two texts
        is one continuous document.
    true_entropy
        The exact entropy of the text, in nats per character including newlines, if known.
    """

    name: str
    train: str
    validation: str
    kind: TextKind
    true_entropy: float | None = None

    def __post_init__(self) -> None:
        for argument in ("name", "train", "validation"):
            read_text("Corpus", argument, getattr(self, argument))
        read_choice("Corpus", "kind", self.kind, get_args(TextKind))
        if self.true_entropy is not None:
            read_finite("Corpus", "true_entropy", self.true_entropy, low=0)

    @property
    def text(self) -> str:
        """Both texts together."""
        return self.train + self.validation


def toy_language_corpus(
    seed: int = 0, *, train_sentences: int = 20_000, validation_sentences: int = 2_000
) -> Corpus:
    """Return independent sentences of the toy language, whose true entropy is known.

    Raises
    ------
    ValueError
        If a number of sentences is less than one.

    Examples
    --------
    >>> corpus = toy_language_corpus(train_sentences=3, validation_sentences=1)
    >>> corpus.train.count(".") + corpus.train.count("?")
    3
    >>> round(corpus.true_entropy, 3)
    0.378
    """
    name = "toy_language_corpus"
    train_sentences = read_size(name, "train_sentences", train_sentences)
    validation_sentences = read_size(name, "validation_sentences", validation_sentences)
    rng = np.random.default_rng(read_int(name, "seed", seed, low=0))
    return Corpus(
        name="toy language",
        train=_lines_of(TOY_LANGUAGE.sample(rng) for _ in range(train_sentences)),
        validation=_lines_of(TOY_LANGUAGE.sample(rng) for _ in range(validation_sentences)),
        kind="lines",
        true_entropy=TOY_LANGUAGE.entropy_per_character,
    )


def python_documentation_corpus() -> Corpus:
    """Return Python's language reference, as ``help()`` shows it.

    The text is half a megabyte of English: the topics of ``pydoc_data`` in alphabetical order. It
    depends on the version of Python.

    Raises
    ------
    CorpusError
        If this Python was installed without its documentation.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise CorpusError(
            message(
                "Python's documentation is not part of this installation: give a text file instead"
            )
        ) from None
    text = "\n\n".join(topics[topic].strip() for topic in sorted(topics)) + "\n"
    return _split(text, "python documentation", "stream", validation_fraction=0.1, seed=0)


def text_file_corpus(
    path: str | os.PathLike[str],
    *,
    kind: TextKind = "stream",
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Corpus:
    r"""Read a UTF-8 file, and split off a fraction for validation.

    For kind "stream" the validation part is the end of the text; for "lines" it is a random sample
    of lines that depends only on ``seed``. Blank lines are skipped. ``\r\n`` counts as a newline.

    Raises
    ------
    CorpusError
        If the file is missing, a folder, empty, not UTF-8 text, or too short to split.
    """
    _require_parts("text_file_corpus", kind, validation_fraction, seed)
    path = read_path("text_file_corpus", "path", path)
    try:
        content = read_untrusted(path)
    except FileNotFoundError:
        raise CorpusError(message("{path}: no such file: check the name", path=path)) from None
    except IsADirectoryError:
        raise CorpusError(message("{path}: a folder: name a text file in it", path=path)) from None
    except OSError as error:
        raise CorpusError(
            message(
                "{path}: cannot be read: {strerror}",
                path=path,
                strerror=plain_message(error.strerror or ""),
            )
        ) from None
    name = os.fsencode(path.name).decode("utf-8", "backslashreplace")  # plots can show only UTF-8
    return _split(_decoded(content, str(path)), name, kind, validation_fraction, seed)


def standard_input_corpus(
    stream: BinaryIO,
    *,
    kind: TextKind = "stream",
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Corpus:
    """Read a text from ``stream``, such as ``sys.stdin.buffer``; see `text_file_corpus`.

    Raises
    ------
    CorpusError
        If the text is empty, not UTF-8, or too short to split.

    Examples
    --------
    >>> import io
    >>> corpus = standard_input_corpus(io.BytesIO(b"0123456789"))
    >>> corpus.train, corpus.validation
    ('012345678', '9')
    """
    name = "standard input"
    _require_parts(name, kind, validation_fraction, seed)
    content = stream.read() if hasattr(stream, "read") else None
    if not isinstance(content, bytes):
        raise TypeError(
            message(
                "{name}: stream must give bytes, as sys.stdin.buffer, not {stream}",
                name=name,
                stream=quote(stream),
            )
        )
    return _split(_decoded(content, name), name, kind, validation_fraction, seed)


def _decoded(content: bytes, name: str) -> str:
    if not content:
        raise CorpusError(message("{name}: empty: there is nothing to train on", name=name))
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise CorpusError(
            message(
                "{name}: not UTF-8 text: byte {start} is 0x{content:02x}; give a text "
                "file, saved as UTF-8",
                name=name,
                start=error.start,
                content=content[error.start],
            )
        ) from None
    if "\0" in text:
        raise CorpusError(
            message(
                "{name}: not text: byte {x} is zero; give a text file, saved as UTF-8",
                name=name,
                x=content.index(0),
            )
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _require_parts(name: str, kind: TextKind, validation_fraction: float, seed: int) -> None:
    read_choice(name, "kind", kind, get_args(TextKind))
    read_finite(name, "validation_fraction", validation_fraction, above=0, below=1)
    read_int(name, "seed", seed, low=0)


def _split(text: str, name: str, kind: TextKind, validation_fraction: float, seed: int) -> Corpus:
    if kind == "stream":
        train, validation = _split_stream(text, validation_fraction)
    else:
        train, validation = _split_lines(text, validation_fraction, seed)
    if not (train and validation):
        unit = "characters" if kind == "stream" else "lines that are not blank"
        raise CorpusError(
            message(
                "{name}: too short: too few {unit} to set {validation_fraction:g} of "
                "them apart for validation",
                name=name,
                unit=unit,
                validation_fraction=validation_fraction,
            )
        )
    return Corpus(name, train, validation, kind)


def _split_stream(text: str, validation_fraction: float) -> tuple[str, str]:
    cut = int(len(text) * (1 - validation_fraction))
    return text[:cut], text[cut:]


def _split_lines(text: str, validation_fraction: float, seed: int) -> tuple[str, str]:
    documents = [line for line in text.split("\n") if line.strip()]
    cut = int(len(documents) * (1 - validation_fraction))
    shuffled = np.random.default_rng(seed).permutation(len(documents))
    # Both parts keep the order of the file; only the assignment of lines to parts is random.
    train, validation = sorted(shuffled[:cut]), sorted(shuffled[cut:])
    return (
        _lines_of(documents[index] for index in train),
        _lines_of(documents[index] for index in validation),
    )


def _lines_of(documents: Iterable[str]) -> str:
    return "".join(f"{document}\n" for document in documents)
