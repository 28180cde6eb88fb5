"""Corpora hold the text that they were given, parted as promised; bad input is one clear line."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.corpora import (
    CorpusError,
    TextKind,
    python_documentation_corpus,
    standard_input_corpus,
    text_file_corpus,
    toy_language_corpus,
)
from autolm.lm.toy_language import TOY_LANGUAGE


@given(st.text(st.sampled_from("ab\n é😀"), min_size=2, max_size=50), st.floats(0.05, 0.95))
def test_a_stream_is_parted_near_its_end_without_loss(text: str, fraction: float) -> None:
    try:
        corpus = standard_input_corpus(
            io.BytesIO(text.encode()), kind="stream", validation_fraction=fraction
        )
    except CorpusError:
        assert len(text) * (1 - fraction) < 1
        return
    assert corpus.text == text
    assert len(corpus.validation) == pytest.approx(fraction * len(text), abs=1)


@given(
    st.lists(st.text(st.sampled_from("abc "), max_size=4), max_size=30).filter(
        lambda lines: sum(bool(line.strip()) for line in lines) >= 2
    ),
    st.integers(0, 5),
)
def test_each_line_goes_to_exactly_one_part(lines: list[str], seed: int) -> None:
    stream = io.BytesIO("\n".join(lines).encode())
    corpus = standard_input_corpus(stream, kind="lines", validation_fraction=0.3, seed=seed)
    assert sorted(corpus.text.split("\n")[:-1]) == sorted(line for line in lines if line.strip())
    assert corpus.train.endswith("\n")
    assert corpus.validation.endswith("\n")


def test_lines_are_parted_at_random_by_their_seed_alone() -> None:
    text = "".join(f"{number}\n" for number in range(100)).encode()

    def validation(seed: int) -> str:
        return standard_input_corpus(io.BytesIO(text), kind="lines", seed=seed).validation

    assert validation(0) == validation(0) != validation(1)
    assert len(validation(0).split()) == 10
    assert validation(0).split() != [str(number) for number in range(90, 100)]


def test_newlines_of_every_system_and_a_byte_order_mark_are_normalized() -> None:
    content = b"\xef\xbb\xbfone\r\ntwo\rthree\r\n\r\n"
    lines = standard_input_corpus(io.BytesIO(content), kind="lines")
    assert sorted(lines.text.split("\n")) == ["", "one", "three", "two"]
    assert standard_input_corpus(io.BytesIO(content)).text == "one\ntwo\nthree\n\n"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing.txt", r"nothing\.txt: no such file"),
        (".", "a folder: name a text file in it"),
        ("file/data.txt", "cannot be read: Not a directory"),
    ],
)
def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match=message):
        text_file_corpus(tmp_path / path)


def test_toy_language_corpus_is_reproducible_and_grammatical() -> None:
    corpus = toy_language_corpus(3, train_sentences=50, validation_sentences=20)
    assert corpus == toy_language_corpus(3, train_sentences=50, validation_sentences=20)
    assert corpus != toy_language_corpus(4, train_sentences=50, validation_sentences=20)
    assert corpus.train.count("\n") == 50
    assert corpus.validation.count("\n") == 20
    assert all(TOY_LANGUAGE.contains(line) for line in corpus.text.split("\n")[:-1])


def test_true_entropy_counts_newlines_as_characters() -> None:
    corpus = toy_language_corpus(train_sentences=1500, validation_sentences=1)
    lines = corpus.train.split("\n")[:-1]
    nats = np.array([-TOY_LANGUAGE.log_probability(line) for line in lines])
    assert nats.sum() / len(corpus.train) == pytest.approx(corpus.true_entropy, rel=0.015)


def test_python_documentation_is_half_a_megabyte_of_english() -> None:
    corpus = python_documentation_corpus()
    assert len(corpus.text) > 300_000
    assert corpus.text.count(" the ") > 3000
    assert len(corpus.validation) == pytest.approx(0.1 * len(corpus.text), abs=1)
    assert corpus == python_documentation_corpus()


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", "stream", "empty"),
        (b"text\0text", "stream", "byte 4 is zero"),
        (b"caf\xe9", "stream", "not UTF-8 text: byte 3 is 0xe9"),
        ("text".encode("utf-16"), "lines", "not UTF-8 text: byte 0"),
        (b"\xef\xbb\xbf\xff", "stream", "byte 3 is 0xff"),
        (b"\xef\xbb\xbf", "stream", "too short"),
        (b"x", "stream", "too short"),
        (b"one line\n", "lines", "too short"),
        (b"\n \n\n", "lines", "too short"),
    ],
)
def test_unusable_content_is_refused_in_one_line(
    content: bytes, kind: TextKind, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=f"data.txt: .*{message}") as error:
        text_file_corpus(path, kind=kind)
    assert "\n" not in str(error.value)
    with pytest.raises(CorpusError, match=f"standard input: .*{message}"):
        standard_input_corpus(io.BytesIO(content), kind=kind)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_an_empty_part_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="validation_fraction must be above 0 and below 1"):
        standard_input_corpus(io.BytesIO(b"text"), validation_fraction=fraction)
