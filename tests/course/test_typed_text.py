"""The model in the page, in plain JavaScript, computes what TinyLM computes."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from course.typed_text import export

from autolm import CharacterTokenizer, TinyLM, cross_entropy

MODULE = Path(__file__).parents[2] / "demos" / "course" / "static" / "typed.js"
PROGRAM = """
import {{ modelOf, forward, surprises }} from {module};
import {{ readFileSync }} from "node:fs";
const model = modelOf(JSON.parse(readFileSync({file}, "utf8")));
const {{ logits, weights }} = forward(model, {ids});
const result = {{ logits: logits.map((row) => [...row]), weights: weights.map((row) => [...row]) }};
console.log(JSON.stringify({{ ...result, surprises: surprises(model, {ids}, {context}) }}));
"""


@pytest.fixture
def model():
    return TinyLM(5, 8, 2, 12, 2, max_len=7, norm="pre", causal=True, dtype="float64", seed=3)


@pytest.fixture
def in_page(model, tmp_path):
    """Call the page's functions on some token ids."""
    if shutil.which("node") is None:
        pytest.skip("typed.js is tested with Node.js")
    file = tmp_path / "model.json"
    export(model, CharacterTokenizer.train("\nabcd"), str(file))

    def call(ids, context):
        parts = {"module": repr(MODULE.as_uri()), "file": repr(str(file)), "ids": list(ids)}
        program = PROGRAM.format(context=context, **parts)
        command = ["node", "--input-type=module", "-e", program]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        return json.loads(done.stdout)

    return call


def test_its_logits_are_those_of_tinylm(model, in_page):
    ids = [0, 1, 4, 2, 2, 3]
    logits, _ = model.forward(np.array(ids))
    np.testing.assert_allclose(in_page(ids, 7)["logits"], logits.data, atol=1e-5)


def test_its_attention_weights_are_causal_and_add_up_to_1(in_page):
    weights = np.array(in_page([0, 1, 4, 2], 7)["weights"])
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert not np.triu(weights, 1).any()


@pytest.mark.parametrize("context", [1, 3, 7])
def test_each_letter_is_predicted_from_as_many_letters_as_the_slider_says(model, in_page, context):
    ids = [0, 1, 4, 2, 2, 3, 1]
    expected = []
    for end in range(1, len(ids)):
        logits, _ = model.forward(np.array(ids[max(0, end - context) : end]))
        expected.append(cross_entropy(logits[-1], targets=np.array(ids[end])).item())
    np.testing.assert_allclose(in_page(ids, context)["surprises"], expected, atol=1e-5)
