"""What is saved is loaded; anything else is refused with one clear line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolm.lm.tokenizers import (
    BPETokenizer,
    CharacterTokenizer,
    Tokenizer,
    load_tokenizer,
    tokenizer_from_json,
)

TEXT = "the owl's hat\r\n😀 \ud83d\ude00"
TOKENIZERS = [
    CharacterTokenizer.train(TEXT),
    BPETokenizer.train(TEXT, 5),
    BPETokenizer.train(TEXT, 5, split="gpt", special_tokens=("<end>", "é")),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_loaded_tokenizer_is_the_saved_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert type(loaded) is type(tokenizer)
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_file_cut_short_anywhere_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer, or cut short"):
            load_tokenizer(path)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\0\0", b"[" * 100_000, b"null", b"[1, 2]", b'{"kind": "words"}', b"{}", b"\0"],
)
def test_a_wrong_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer") as error:
        load_tokenizer(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the tokenizer: No such file"):
        load_tokenizer(tmp_path / "tokenizer.json")


BPE_JSON = {"kind": "bpe", "split": None, "merges": [[97, 98]], "special_tokens": []}


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "characters"},
        {"kind": "characters", "characters": "abc"},
        {"kind": "characters", "characters": []},
        {"kind": "characters", "characters": ["a", 1]},
        {"kind": "characters", "characters": ["ab"]},
        {"kind": "characters", "characters": ["b", "a"]},
        {"kind": "characters", "characters": ["a", "a"]},
        {"kind": "bpe"},
        BPE_JSON | {"merges": None},
        BPE_JSON | {"merges": [[97]]},
        BPE_JSON | {"merges": [[97, "b"]]},
        BPE_JSON | {"merges": [[97, True]]},
        BPE_JSON | {"merges": [[97, 256]]},
        BPE_JSON | {"merges": [[97, -1]]},
        BPE_JSON | {"merges": [[-1, 97]]},
        BPE_JSON | {"split": "words"},
        BPE_JSON | {"special_tokens": "<end>"},
        BPE_JSON | {"special_tokens": [1]},
        {name: value for name, value in BPE_JSON.items() if name != "split"},
    ],
)
def test_contents_that_contradict_themselves_are_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        tokenizer_from_json(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["gpt", "a", "", "ab"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.just("kind"), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["bpe", "characters"])},
        optional={key: json_values for key in ("split", "merges", "special_tokens", "characters")},
    )
)
def test_arbitrary_json_is_a_tokenizer_or_a_value_error(content: dict[str, Any]) -> None:
    try:
        tokenizer = tokenizer_from_json(json.loads(json.dumps(content)))
    except ValueError:
        return
    assert tokenizer.to_json()["kind"] == content["kind"]
