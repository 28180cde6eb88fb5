"""A run goes on from a checkpoint exactly, does as its choices say, and stops at nan."""

import dataclasses
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autolm.lm.baselines import entropy_baselines
from autolm.lm.corpora import Corpus, toy_language_corpus
from autolm.lm.run_folder import RunError, RunFolder
from autolm.lm.training import NonFiniteLoss, Training, train_tokenizer
from autolm.nn import AdamW
from autolm.walking import blame_nonfinite
from tests.runs import small_corpus, small_training

STEPS = 10


def test_a_step_is_adamw_on_the_clipped_gradient_of_the_next_batch() -> None:
    choices: dict[str, Any] = {
        "clip": 0.5,
        "weight_decay": 0.1,
        "dtype": "float64",
        "beta1": 0.7,
        "beta2": 0.99,
        "learning_rate": 0.01,
    }
    training, twin = small_training(**choices), small_training(**choices)
    optimizer = AdamW(twin.model.named_parameters(), 0, betas=(0.7, 0.99), weight_decay=0.1)
    for step in range(3):
        metrics = training.advance()
        twin.model.zero_grad()
        loss = twin.model.compute_loss(*twin.batches.next_batch())
        loss.backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in twin.model.parameters()))
        for parameter in twin.model.parameters():
            parameter.grad = parameter.grad * min(1.0, 0.5 / norm)
        optimizer.learning_rate = 0.01 * (step + 1) / 3  # in the warm-up
        optimizer.step()
        assert norm > 0.5
        assert metrics.gradient_norm == pytest.approx(norm, rel=1e-12)
        assert (metrics.step, metrics.loss, metrics.tokens) == (step + 1, float(loss), 24)
    for path, array in twin.model.state().items():
        np.testing.assert_allclose(training.model.state()[path], array, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["lines", "stream"])
def test_validation_is_the_mean_over_all_tokens_however_they_are_batched(kind: str) -> None:
    losses = [
        small_training(kind, batch_size=size, dtype="float64").validate() for size in (1, 2, 7)
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-12)


def test_a_quick_validation_takes_the_first_batches_only() -> None:
    training = small_training(batch_size=1, dtype="float64")
    first, second, *_ = training.text.validation.evaluation_batches(8, 1)
    mean = np.mean([float(training.model.compute_loss(*batch)) for batch in (first, second)])
    assert training.validate(max_batches=2) == pytest.approx(mean, rel=1e-12)


def test_validation_changes_neither_the_run_nor_its_data() -> None:
    training, twin = small_training(), small_training()
    training.validate()
    assert training.advance() == twin.advance()


def test_bits_per_byte_are_the_same_loss_for_another_unit() -> None:
    corpus = Corpus("two bytes each", train="éàéèùé" * 9, validation="éàùè" * 9, kind="stream")
    config = small_training().config
    training = Training(config, corpus, train_tokenizer(config, corpus))
    assert training.bits_per_byte(math.log(2)) == pytest.approx(0.5)  # one bit for two bytes


def test_the_baselines_is_of_the_training_text() -> None:
    training = small_training("stream")
    ids = np.array(training.tokenizer.encode(small_corpus("stream").train))
    assert training.baselines() == entropy_baselines(ids, training.tokenizer.vocab_size)


def test_the_true_entropy_is_told_where_tokens_are_characters() -> None:
    corpus = toy_language_corpus(train_sentences=20, validation_sentences=5)
    config = small_training("lines").config
    byte_pairs = dataclasses.replace(config, tokenizer="bpe", num_merges=3)
    runs = [Training(c, corpus, train_tokenizer(c, corpus)) for c in (config, byte_pairs)]
    assert [run.true_entropy() for run in runs] == [corpus.true_entropy, None]
    assert small_training().true_entropy() is None


def test_byte_pairs_are_learnt_from_the_training_text() -> None:
    config = dataclasses.replace(small_training().config, tokenizer="bpe", num_merges=1)
    corpus = Corpus(
        "split", train="ababab ababab", validation="xyxyxyxyxyxyxyxyxyxy", kind="stream"
    )
    assert train_tokenizer(config, corpus).token_bytes(256) == b"ab"


@pytest.mark.parametrize("cut", [None, -30], ids=["longer", "cut elsewhere"])
def test_a_run_does_not_continue_with_another_text(cut: int | None) -> None:
    config, old = small_training().config, small_corpus("stream")
    train, validation = (
        (old.train + "ab", old.validation) if cut is None else (old.text[:cut], old.text[cut:])
    )
    corpus = dataclasses.replace(old, train=train, validation=validation)
    training = Training(config, corpus, train_tokenizer(config, corpus))
    with pytest.raises(RunError, match="small: the text has changed since this run began"):
        training.restore(small_training().checkpoint())


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}},
        {"model": small_training(num_layers=2).checkpoint().model},
        {"optimizer": {"steps": np.array(1)}},
        {"state": {"step": 1}},
        {"state": {"step": 1, "data": {"epoch": 1}}},
        {"state": {"step": 1, "data": 5}},
        {"state": {"step": 1, "data": {"batch": -1}}},
    ],
    ids=range(7),
)
def test_a_checkpoint_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    training = small_training()
    good = training.checkpoint()
    if "state" in change:
        change["state"]["data_sha256"] = good.state["data_sha256"]
    with pytest.raises(RunError, match="the checkpoint does not fit this run"):
        training.restore(dataclasses.replace(good, **change))


@pytest.mark.parametrize(
    ("train", "validation", "block_size", "message"),
    [
        ("abcdefgh", "abcdef", 8, "the text has 8 tokens, too few for a context of 8"),
        ("abcdefghij", "a", 8, "split: too short: 9 tokens to predict in training and 0 in valid"),
        ("ab", "ab", 1, "split: too short: 1 tokens to predict in training"),
    ],
)
def test_a_text_too_short_is_refused_before_the_run_begins(
    train: str, validation: str, block_size: int, message: str
) -> None:
    config = dataclasses.replace(small_training().config, block_size=block_size)
    corpus = Corpus("split", train, validation, "stream")
    with pytest.raises(ValueError, match=message):
        Training(config, corpus, train_tokenizer(config, corpus))


def poisoned(training: Training) -> Training:
    weights = training.model.blocks[0].attention.W_Q
    weights.data = np.where(np.eye(8) == 1, np.nan, weights.data)
    return training


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (Training.advance, "loss is nan at step 1"),
        (Training.validate, "validation loss is nan at step 0"),
    ],
)
def test_a_loss_that_is_not_finite_stops_and_leads_to_the_parameter(act: Any, what: str) -> None:
    training = poisoned(small_training())
    before = training.checkpoint()
    with pytest.raises(NonFiniteLoss, match=f"^{what}") as caught:
        act(training)
    assert str(blame_nonfinite(caught.value.loss)) == (
        "blocks.0.attention.W_Q received nan at [0, 0]"
    )
    after = training.checkpoint()
    for path, array in before.model.items():
        np.testing.assert_array_equal(after.model[path], array)
    assert after.state["step"] == before.state["step"] == 0
    assert after.optimizer["steps"] == 0


def test_a_gradient_that_is_not_finite_stops_before_the_parameters_are_changed() -> None:
    training = small_training()
    # The logits are about 1e-38 · 3e38, and finite; gradients that pass W_out alone are not.
    training.model.norm.gain.data = np.full(8, 1e-38)
    training.model.W_out.data = np.sign(training.model.W_out.data) * 3e38
    before = training.checkpoint()
    with pytest.raises(NonFiniteLoss, match=r"gradient norm is (inf|nan) at step 1") as caught:
        training.advance()
    assert math.isfinite(float(caught.value.loss))
    blame = str(blame_nonfinite(caught.value.loss))
    assert re.match(r"backward of (matmul|layer_norm)   .*\.py:\d+", blame)
    for path, array in training.model.state().items():
        np.testing.assert_array_equal(array, before.model[path])


def test_a_run_saved_by_an_earlier_version_continues_with_its_losses(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).with_name("saved_run"), tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    config = folder.config()
    training = Training(config, small_corpus(config.kind), folder.tokenizer())
    training.restore(folder.load())
    losses = [training.advance().loss for _ in range(3)]
    expected = [2.132653693417236, 2.1101959409966486, 2.102014863383264]
    assert losses == pytest.approx(expected, rel=1e-12)
    assert training.validate() == pytest.approx(2.059535622019342, rel=1e-12)
