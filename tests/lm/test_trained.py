"""A model is made only of choices that its weights fit, found out before anything is as large."""

import json
import os
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
from safetensors import safe_open

from autolm.lm import trained
from autolm.lm.design import tinylm_design
from autolm.lm.run_folder import RunError, RunFolder
from tests.runs import small_training


@pytest.mark.parametrize("choices", [{"num_layers": 10**12}, {"d_model": 16}])
def test_sizes_are_compared_with_the_header_of_the_weights_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choices: dict[str, int]
) -> None:
    training = small_training()
    config, tokenizer = training.config, training.tokenizer
    folder = RunFolder.create(tmp_path / "run", config, tokenizer, training.checkpoint())
    path = folder.path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | choices))
    for name in ("TinyLM", "require_memory"):  # nothing is made, and nothing as large is read
        monkeypatch.setattr(trained, name, lambda *_, **__: pytest.fail("too late"))
    monkeypatch.setattr(RunFolder, "weights", lambda folder: pytest.fail("too late"))
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: .*config\.json"):
        trained.trained_model(RunFolder.open(folder.path))


def test_weights_that_are_as_large_as_the_choices_say_are_compared_with_the_memory(
    tmp_path: Path,
) -> None:
    training = small_training()
    config = replace(training.config, d_model=1 << 18)
    folder = RunFolder.create(tmp_path / "run", config, training.tokenizer, training.checkpoint())
    path = folder.path / "checkpoint.safetensors"
    with safe_open(path, "numpy") as file:
        header, end = {"__metadata__": file.metadata()}, 0
    size = training.tokenizer.vocab_size
    for name, shape in tinylm_design(size, **config.architecture()).parameter_shapes():
        begin, end = end, end + 4 * prod(shape)
        header[f"model/{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    words = json.dumps(header).encode()
    path.write_bytes(len(words).to_bytes(8, "little") + words)
    os.truncate(path, 8 + len(words) + end)
    with pytest.raises(ValueError, match="and this machine has"):
        trained.trained_model(RunFolder.open(folder.path))
