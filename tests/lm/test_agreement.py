"""Workers of one run must agree on every choice, the text, the tokenizer and the checkpoint."""

import dataclasses

import numpy as np
import pytest

from autolm.lm.agreement import (
    WorkersDisagree,
    digest_of_checkpoint,
    facts_of,
    require_agreement,
)
from autolm.lm.config import TrainingConfig
from autolm.lm.corpora import Corpus
from autolm.lm.run_folder import Checkpoint
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer

CORPUS = Corpus("text", "abcab\n", "cab\n", "lines")
TOKENIZER = CharacterTokenizer(CORPUS.text)
FACTS = facts_of(TrainingConfig(), CORPUS, TOKENIZER, resumes=False)


def other_value(field):
    """Return a value of a choice that is not its default."""
    choice = TrainingConfig.choices()[field.name]
    if choice.known:
        return next(word for word in choice.known if word != field.default)
    return not field.default if isinstance(field.default, bool) else field.default * 2 + 1


@pytest.mark.parametrize(
    "field",
    [f for f in dataclasses.fields(TrainingConfig) if f.name != "data"],
    ids=lambda f: f.name,
)
def test_every_choice_is_compared_and_named(field):
    config = TrainingConfig()
    object.__setattr__(config, field.name, other_value(field))  # also what no run may have
    facts = facts_of(config, CORPUS, TOKENIZER, resumes=False)
    option = f"--{field.name.replace('_', '-')}"
    with pytest.raises(WorkersDisagree, match=f"^workers disagree on {option}: .* at rank 2, "):
        require_agreement([FACTS, FACTS, facts])


@pytest.mark.parametrize(
    ("corpus", "tokenizer", "name"),
    [
        (Corpus("text", "bacab\n", "cab\n", "lines"), TOKENIZER, "the text"),
        (Corpus("text", "abcab\n", "cba\n", "lines"), TOKENIZER, "the text"),
        (Corpus("text", "abcab\ncab\n", "", "lines"), TOKENIZER, "the text"),
        (CORPUS, BPETokenizer(()), "the tokenizer"),
    ],
)
def test_text_and_tokenizer_are_compared(corpus, tokenizer, name):
    with pytest.raises(WorkersDisagree, match=f"^workers disagree on {name}: sha256 "):
        require_agreement([FACTS, facts_of(TrainingConfig(), corpus, tokenizer, resumes=False)])


def test_a_fact_that_one_worker_lacks_is_a_difference():
    with pytest.raises(WorkersDisagree, match="on b: 1 at rank 1, nothing at rank 0"):
        require_agreement([{"a": "1"}, {"a": "1", "b": "1"}])


def test_a_worker_that_resumes_and_one_that_begins_disagree():
    begins = facts_of(TrainingConfig(seed=3), CORPUS, TOKENIZER, resumes=False)
    resumes = facts_of(TrainingConfig(), CORPUS, TOKENIZER, resumes=True)
    with pytest.raises(WorkersDisagree, match="on --resume: given at rank 1, not given at rank 0"):
        require_agreement([begins, resumes])


def test_equal_workers_with_texts_in_other_places_agree():
    there = Corpus("elsewhere", "abcab\n", "cab\n", "lines")
    elsewhere = TrainingConfig(data="elsewhere.txt", kind="lines")
    facts = facts_of(elsewhere, there, TOKENIZER, resumes=False)
    here = facts_of(TrainingConfig(kind="lines"), CORPUS, TOKENIZER, resumes=False)
    require_agreement([here, facts])


def test_a_digest_changes_with_every_part_of_a_checkpoint():
    def digest(weight=1.0, moment=2.0, step=3, cursor=4):
        model, optimizer = {"w": np.array([weight])}, {"m": np.array([moment])}
        return digest_of_checkpoint(Checkpoint(model, optimizer, {"step": step, "data": cursor}))

    digests = {digest(), digest(1.5), digest(moment=2.5), digest(step=5), digest(cursor=6)}
    assert len(digests) == 5
    assert digest() == digest()
