"""What `export` writes is what transformers loads: equal logits, ids and continuations."""

import importlib.util
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autolm.cli import main
from autolm.lm import BPETokenizer, CharacterTokenizer
from autolm.lm.huggingface_export import export, tokenizer_json
from autolm.lm.run_folder import RunError, RunFolder
from autolm.lm.trained import trained
from tests.runs import small_training


def run_of(folder: Path, steps: int = 3, **choices: Any) -> RunFolder:
    training = small_training(**choices)
    for _ in range(steps):
        training.advance()
    return RunFolder.create(folder, training.config, training.tokenizer, training.checkpoint())


def every_category() -> str:
    """Return characters of each category, in a chance order: so that all kinds meet.

    Of those that no one has a meaning for, only such as never will have one: what Python's table
    does not know yet, another's may.
    """
    by_category: dict[str, list[str]] = {"Cn": [chr(0xFDD0 + number) for number in range(32)]}
    for number in range(0x30000):
        category = unicodedata.category(chr(number))
        if category not in ("Cn", "Cs"):  # a surrogate is no text elsewhere
            by_category.setdefault(category, []).append(chr(number))
    rng = np.random.default_rng(0)
    some = [c for known in by_category.values() for c in rng.choice(known, 150)]
    some += [" ", "\n", "'", "'s", "'ll", "\x1c", "_", "a", "7"] * 150
    return "".join(rng.permutation(some))


needs_transformers = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="no transformers: pip install 'autolm[test,torch,huggingface]'",
)


@needs_transformers
@pytest.mark.parametrize(
    ("norm", "choices"),
    [
        ("pre", {"kind": "lines", "dtype": "float64", "num_layers": 2}),
        ("post", {"kind": "stream", "tokenizer": "bpe", "num_merges": 20, "dtype": "float32"}),
    ],
)
def test_transformers_computes_and_writes_the_same(
    tmp_path: Path, norm: str, choices: dict[str, Any]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = run_of(tmp_path / "run", norm=norm, learning_rate=0.05, **choices)
    folder = str(export(run, tmp_path / "exported"))
    ours, tokenizer, _ = trained(run.path)
    words = AutoTokenizer.from_pretrained(folder)
    model, loading_info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(loading_info.values()), loading_info
    assert model.dtype == getattr(torch, run.config().dtype)
    text = "a no ja\nb on k\n"
    ids = tokenizer.encode(text)
    assert words.encode(text) == ids
    assert words.decode(ids) == text
    token_ids = np.array(ids[: run.config().block_size])
    theirs = model(torch.tensor(token_ids[None])).logits[0].detach().numpy()
    expected = ours(token_ids)[0].data
    tolerance = {"float64": 1e-12, "float32": 2e-5}[run.config().dtype]
    assert np.abs(theirs - expected).max() < tolerance * np.abs(expected).max()
    start = torch.tensor(token_ids[None, :2])
    wrote = model.generate(
        start,
        max_new_tokens=5,
        do_sample=False,
        eos_token_id=None,
        attention_mask=torch.ones_like(start),
    )
    assert wrote[0].tolist() == ours.generate(token_ids[:2], 5, temperature=0).tolist()
    by_default = model.generate(start, eos_token_id=None, attention_mask=torch.ones_like(start))
    assert by_default.shape[1] == run.config().block_size


CHOICES = {  # of runs that `export` writes, with all kinds of tokenizers, norms and texts
    "GPT-2, characters, lines": {"norm": "pre", "kind": "lines"},
    "GPT-2, BPE, stream": {"norm": "pre", "kind": "stream", "tokenizer": "bpe", "num_merges": 20},
    "OPT, characters, stream": {"norm": "post", "kind": "stream"},
    "OPT, BPE, lines": {"norm": "post", "kind": "lines", "tokenizer": "bpe", "num_merges": 20},
}


@pytest.mark.parametrize("name", CHOICES)
def test_autolm_reads_an_exported_run_back(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path / "run", learning_rate=0.05, **CHOICES[name])
    model, tokenizer, kind = trained(run.path)
    again, tokenizer_again, kind_again = trained(export(run, tmp_path / "exported"))
    ids = tokenizer.encode("a no ja\nb on k\n")[: model.max_len]
    assert tokenizer_again.encode("a no ja\nb on k\n")[: model.max_len] == ids
    assert (again.max_len, kind_again) == (model.max_len, kind)
    np.testing.assert_array_equal(again(np.array(ids))[0].data, model(np.array(ids))[0].data)


@needs_transformers
@pytest.mark.parametrize("split", ["gpt", None])
def test_ids_of_every_unicode_category_are_the_same(split: Any) -> None:
    import json

    from tokenizers import Tokenizer

    text = every_category()
    learnt = BPETokenizer.train(text[:3000], 60, split=split, special_tokens=("<end>",))
    theirs = Tokenizer.from_str(json.dumps(tokenizer_json(learnt)))
    text = f"{text}<end>{text}"
    ids = learnt.encode(text)
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids, skip_special_tokens=False) == text
    characters = CharacterTokenizer.train(text)
    theirs = Tokenizer.from_str(json.dumps(tokenizer_json(characters)))
    assert theirs.encode(text).ids == characters.encode(text)
    assert theirs.decode(characters.encode(text)) == text
    with pytest.raises(Exception, match="UNK"):
        theirs.encode("\U0001f408")


def test_what_has_no_counterpart_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path / "run", steps=0, norm="none")
    with pytest.raises(RunError, match="has no norms, and no class of transformers is so"):
        export(run, tmp_path / "exported")
    twice = BPETokenizer([(97, 98), (98, 99), (256, 99), (97, 257)])  # abc, in two ways
    with pytest.raises(RunError, match=r"merges 2 and 3 of the tokenizer both spell b'abc'"):
        tokenizer_json(twice)
    good = run_of(tmp_path / "good", steps=0)
    with pytest.raises(RunError, match="run: has something in it: name another folder"):
        export(good, run.path)
    with pytest.raises(SystemExit) as end:
        main(["export", str(good.path), str(tmp_path / "cat" / "exported")])
    assert end.value.code == 0
    assert "for AutoModelForCausalLM and AutoTokenizer" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "cat" / "exported").iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    assert {path.name for path in tmp_path.iterdir()} == {"run", "good", "cat"}
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "none"), str(tmp_path / "x")])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
