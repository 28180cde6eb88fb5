"""Models of Hugging Face computed in autolm: transformers' own numbers, and every tool's use."""

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
    pytest.skip(
        "no transformers: pip install 'autolm[test,torch,huggingface]'", allow_module_level=True
    )

import torch
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from autolm import explain
from autolm.cli import main
from autolm.lm import load_pretrained
from autolm.lm.design import PretrainedError
from autolm.lm.pretrained import sources_of
from autolm.lm.size import GPT3, parts
from tests.lm.huggingface_folders import CONFIGS, TEXT, write_model
from tests.lm.test_huggingface_export import every_category

logging.disable_progress_bar()
PICKLED = "pytorch_model.bin"
SPECIAL = "the cat's bone, and  the dog\n\nsat: 42 ½ cats ² naïve 고양이 _x<|endoftext|>it"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """A folder of each family, and the model that transformers has written into it."""
    folders_by_name = {}
    for name in CONFIGS:
        folder = tmp_path_factory.mktemp("pretrained")
        how = {"max_shard_size": "30KB"} if name == "GPT-Neo" else {}
        folders_by_name[name] = (folder, write_model(folder, name, **how))
    return folders_by_name


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take float32 out of transformers, which computes norms, angles and scores in it, always."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def theirs_as_ours(model: Any, ours: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return the gradients of transformers' parameters by our paths, in our layout."""
    gradients = {
        name.removeprefix("transformer.").removeprefix("model."): parameter.grad.numpy()
        for name, parameter in model.named_parameters()
    }
    arrays = {}
    for path, source in sources_of(ours.design).items():
        array = gradients[source.name]
        if source.part is not None:
            array = np.split(array, 3, axis=-1)[source.part]
        arrays[path] = array.T if source.is_transposed else array
    return arrays


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_loss_all_gradients_and_greedy_text_are_transformers(
    folders: Any, in_float64: None, name: str
) -> None:
    folder, _ = folders[name]
    class_ = type(folders[name][1])
    theirs = class_.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    model, tokenizer = load_pretrained(folder)
    ids = np.array(tokenizer.encode(TEXT)[:80]).reshape(2, 40)  # longer than the window
    output = theirs(torch.tensor(ids), labels=torch.tensor(ids))
    output.loss.backward()
    logits, activations = model(ids, store_activations=True)
    loss = model.compute_loss(ids[:, :-1], ids[:, 1:])
    loss.backward()
    expected = output.logits.detach().numpy()
    np.testing.assert_allclose(logits.data, expected, rtol=0, atol=1e-12 * abs(expected).max())
    assert [*activations] == ["input", "layer_0", "layer_1"]
    assert float(loss) == pytest.approx(output.loss.item(), rel=1e-12)
    gradients = theirs_as_ours(theirs, model)
    assert gradients.keys() == model.state().keys()
    for path, parameter in model.named_parameters():
        limit = 1e-11 * max(abs(gradients[path]).max(), 1e-3)
        np.testing.assert_allclose(
            parameter.grad, gradients[path], rtol=0, atol=limit, err_msg=path
        )
    start = torch.tensor(ids[:1, :5])
    wrote = theirs.generate(
        start,
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        attention_mask=torch.ones_like(start),
    )
    assert wrote[0].tolist() == model.generate(ids[0, :5], 20, temperature=0).tolist()
    counted = sum(part.parameters for part in parts(model.design))
    assert counted == model.num_parameters() == theirs.num_parameters()


def test_ids_are_those_of_transformers_on_every_category_from_either_file(
    folders: Any, tmp_path: Path
) -> None:
    folder, _ = folders["GPT-2"]
    text = SPECIAL + every_category() + TEXT
    expected = AutoTokenizer.from_pretrained(folder).encode(text)
    _, tokenizer = load_pretrained(folder)
    assert tokenizer.encode(text) == expected
    assert tokenizer.decode(expected) == text
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    for file in folder.iterdir():  # as a cache has it: links to files elsewhere
        if file.name != "tokenizer.json":
            (tmp_path / file.name).symlink_to(file)
    merges = [" ".join(pair) for pair in content["model"]["merges"]]
    (tmp_path / "vocab.json").write_text(json.dumps(content["model"]["vocab"]), "utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    _, old = load_pretrained(tmp_path)
    assert old.encode(text) == expected


def test_digits_can_stand_apart_as_smollms_do(folders: Any, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder, _ = folders["Llama"]
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    digits = {"type": "Digits", "individual_digits": True}
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [digits, content["pre_tokenizer"]],
    }
    changed(folder, tmp_path, "tokenizer.json", content)
    text = SPECIAL + " 1234 a1²③ Ⅷ " + every_category()
    theirs = Tokenizer.from_str(json.dumps(content))
    assert load_pretrained(tmp_path)[1].encode(text) == theirs.encode(text).ids


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_narrower_numbers_are_read_as_what_they_are(
    folders: Any, tmp_path: Path, kind: str
) -> None:
    folder, _ = folders["GPT-2"]
    dtype = getattr(torch, kind)
    weights = {
        name: array.to(dtype) for name, array in load_file(folder / "model.safetensors").items()
    }
    expected = weights["transformer.wte.weight"].float().numpy()
    for file in folder.glob("*.json"):
        (tmp_path / file.name).symlink_to(file)
    save_file(weights, tmp_path / "model.safetensors")
    model, _ = load_pretrained(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(model.embedding.data, expected)
    wide, _ = load_pretrained(tmp_path, dtype="float64")
    np.testing.assert_array_equal(wide.embedding.data, expected)


def changed(folder: Path, target: Path, name: str, content: Any) -> None:
    """Link a folder's files, but for one, which is another."""
    target.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.name != name:
            (target / file.name).symlink_to(file)
    if content == PICKLED:
        (target / PICKLED).write_bytes(b"")
    elif isinstance(content, dict):
        (target / name).write_text(json.dumps(content), "utf-8")
    elif content is not None:
        (target / name).write_bytes(content)


REFUSED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "model_type is 'mamba', which is not supported": ("GPT-2", "config", {"model_type": "mamba"}),
    "n_head is 'a', and must be a whole": ("GPT-2", "config", {"n_head": "a"}),
    "n_embd 32 is not divisible by n_head 5": ("GPT-2", "config", {"n_head": 5}),
    "activation_function 'mish' is not": ("GPT-2", "config", {"activation_function": "mish"}),
    "scale_attn_by_inverse_layer_idx True is": (
        "GPT-2",
        "config",
        {"scale_attn_by_inverse_layer_idx": True},
    ),
    "weights: wte.weight is": ("GPT-2", "config", {"vocab_size": 10**9}),
    "weights: h.2.attn.c_attn.bias is missing": ("GPT-2", "config", {"n_layer": 3}),
    "weights: h.1.attn.c_attn.bias is of no part": ("GPT-2", "config", {"n_layer": 1}),
    "n_layer is 1000000: more than": ("GPT-2", "config", {"n_layer": 10**6}),
    "attention_types": ("GPT-Neo", "config", {"attention_types": [[["global"], 9]]}),
    "rope_type 'yarn' is not supported": (
        "Llama",
        "config",
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
    ),
    "quantization_config .* is not supported": ("Llama", "config", {"quantization_config": {}}),
    "num_key_value_heads 3": ("Llama", "config", {"num_key_value_heads": 3}),
    "normalizer .* is not supported": ("GPT-2", "tokenizer", {"normalizer": {"type": "NFC"}}),
    "pre_tokenizer Metaspace is not": (
        "GPT-2",
        "tokenizer",
        {"pre_tokenizer": {"type": "Metaspace"}},
    ),
    "post_processor 'TemplateProcessing'": (
        "GPT-2",
        "tokenizer",
        {"post_processor": {"type": "TemplateProcessing"}},
    ),
    "type 'Unigram' is not supported": ("GPT-2", "tokenizer", {"model": {"type": "Unigram"}}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_supported_is_refused_by_name(
    folders: Any, tmp_path: Path, message: str
) -> None:
    name, what, change = REFUSED[message]
    folder, _ = folders[name]
    file = "config.json" if what == "config" else "tokenizer.json"
    content = json.loads((folder / file).read_text("utf-8"))
    changed(folder, tmp_path / "other", file, {**content, **change})
    with pytest.raises(PretrainedError, match=message) as refused:
        load_pretrained(tmp_path / "other")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", None, "has no .safetensors: no weights"),
        ("model.safetensors", PICKLED, r"pytorch_model\.bin is pickled"),
        ("model.safetensors", b"12", "damaged: it is not a whole safetensors file"),
        ("config.json", b"{", "damaged: not JSON: Expecting"),
        ("config.json", b"[]", "damaged: it is no JSON object"),
        ("tokenizer.json", None, "has no tokenizer.json, nor vocab.json and merges.txt"),
        ("tokenizer.json", b"[1]", r"tokenizer is \[1\], and must be an object"),
    ],
)
def test_what_is_missing_or_damaged_is_said_in_a_line(
    folders: Any, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    changed(folders["GPT-2"][0], tmp_path / "other", name, content)
    with pytest.raises(PretrainedError, match=message):
        load_pretrained(tmp_path / "other")


def test_a_tied_embedding_is_explained_by_its_two_uses(folders: Any) -> None:
    model, tokenizer = load_pretrained(folders["GPT-2"][0])
    ids = tokenizer.encode("the cat sat")
    loss = model.compute_loss(ids[:-1], ids[1:])
    explained = explain(model.embedding, loss)
    assert {use.consumer.op.name for use in explained.uses} == {"embedding", "transpose"}


def test_gpt3_has_the_parameters_and_operations_that_pytorch_counts() -> None:
    sizes = {"n_positions": 2048, "n_embd": 12_288, "n_layer": 96, "n_head": 96}
    with torch.device("meta"), torch.no_grad():  # where nothing takes memory
        model = GPT2LMHeadModel(GPT2Config(**sizes))
        ids, mask = torch.zeros(1, 2048, dtype=torch.long), torch.zeros(1, 1, 2048, 2048)
        with FlopCounterMode(display=False) as counter:
            model(ids, attention_mask=mask, use_cache=False)
    sized = parts(GPT3)
    assert sum(part.parameters for part in sized) == model.num_parameters()
    assert 2048 * sum(part.flops for part in sized) == counter.get_total_flops()


def test_every_tool_reads_a_folder(
    folders: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def command(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main([*words])
        out, error = capsys.readouterr()
        assert (end.value.code, error) == (0, "")
        return out

    for name in ("GPT-2", "Llama"):
        folder = str(folders[name][0])
        drawn = tmp_path / f"{name}.dot"
        command("draw", folder, "--text", "the cat sat", "-o", str(drawn))
        assert "blocks" in drawn.read_text("utf-8")
        output = command("sample", folder, "--prompt", "the cat", "--tokens", "5", "--seed", "1")
        assert output.startswith("the cat")
        table = command("info", folder, "--workers", "4")
        assert f"{name} " in table
        assert "fsdp: holds at least" in table
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    output = command("step", str(folders["GPT-2"][0]), "--text", "the cat sat")
    assert "the model reads: the cat sat" in output
