"""A training run, step by step: exactly resumable, and stopped by the first non-finite number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np

from autolm.engine.recording import record_locations
from autolm.lm.baselines import EntropyBaselines
from autolm.lm.batches import IGNORE_INDEX, Batch
from autolm.lm.config import TrainingConfig
from autolm.lm.corpora import Corpus
from autolm.lm.encoding import EncodedCorpus, encode_corpus
from autolm.lm.history import History
from autolm.lm.run_folder import Checkpoint, RunError
from autolm.lm.size import require_memory
from autolm.lm.tinylm import TinyLM
from autolm.lm.tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer
from autolm.lm.training_engine import NumPyEngine, TrainingEngine
from autolm.nn import schedule
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor


class NonFiniteLoss(ArithmeticError):
    """The loss or the gradient norm is not finite.

    Attributes
    ----------
    number
        The value: nan or inf.
    loss
        The loss of that step with its graph, recomputed in NumPy with locations recorded.
    """

    def __init__(self, what: str, number: float, step: int, loss: Tensor) -> None:
        super().__init__(f"{what} is {number} at step {step}")
        self.number, self.loss = number, loss


@dataclass(frozen=True)
class StepMetrics:
    """The measurements of one training step."""

    step: int  # number of completed steps
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    tokens: int


def train_tokenizer(config: TrainingConfig, corpus: Corpus) -> Tokenizer:
    """Create the tokenizer of a run: characters, or BPE trained on the training text."""
    if config.tokenizer == "characters":
        return CharacterTokenizer.train(corpus.text)
    return BPETokenizer.train(corpus.train, config.num_merges, split="gpt")


class Training:
    """A run in progress: the model, its engine, and the position in the data.

    Parameters
    ----------
    config
        The options of the run.
    corpus
        The text.
    tokenizer
        The tokenizer of the text.
    engine
        Creates the engine from the model and the options.

    Attributes
    ----------
    model
        The model in NumPy; with another engine, its state at the last checkpoint.
    history
        The measurements since this object was created; a notebook shows them as a plot.

    Raises
    ------
    ValueError
        If the text is too short for its batches, the entropy baselines or its validation; if the
        model and its batches do not fit into this machine; or if the engine does not support the
        choices.
    """

    def __init__(
        self,
        config: TrainingConfig,
        corpus: Corpus,
        tokenizer: Tokenizer,
        engine: Callable[[TinyLM, TrainingConfig], TrainingEngine] = NumPyEngine,
    ) -> None:
        self.config, self.corpus, self.tokenizer = config, corpus, tokenizer
        self.text: EncodedCorpus = encode_corpus(corpus, tokenizer)
        if self.text.train.num_targets < 2 or self.text.validation.num_targets < 1:
            raise ValueError(
                message(
                    "{name}: too short: {num_targets} tokens to predict in training and "
                    "{num_targets2} in validation; give a longer text",
                    name=corpus.name,
                    num_targets=self.text.train.num_targets,
                    num_targets2=self.text.validation.num_targets,
                )
            )
        require_memory(config, tokenizer.vocab_size, training=True)
        self.model = TinyLM(tokenizer.vocab_size, **config.architecture())
        self.engine = engine(self.model, config)
        self.batches = self.text.train.batches(config.block_size, config.batch_size, config.seed)
        self.learning_rate = schedule(
            config.schedule,
            config.learning_rate,
            config.steps,
            warmup_steps=config.warmup_steps,
            final_learning_rate=config.final_learning_rate,
        )
        self.step = 0
        self.history = History(corpus.name, self.reference_losses)

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.config.steps

    def baselines(self) -> EntropyBaselines:
        """Return the entropy baselines of the training text, in nats per token."""
        return self.text.train.baselines(self.tokenizer.vocab_size)

    def true_entropy(self) -> float | None:
        """Return the true entropy in nats per token, if it is known."""
        by_character = isinstance(self.tokenizer, CharacterTokenizer)
        return self.corpus.true_entropy if by_character else None

    def reference_losses(self) -> dict[str, float]:
        """Return the levels to compare a loss with, by name, in nats per token, highest first."""
        baselines = self.baselines()
        levels = {name: getattr(baselines, name) for name in ("uniform", "unigram", "bigram")}
        entropy = self.true_entropy()
        return levels if entropy is None else {**levels, "true entropy": entropy}

    def advance(self) -> StepMetrics:
        """Do one step of gradient descent.

        Raises
        ------
        NonFiniteLoss
            If the loss or its gradient is not finite; the parameters are then unchanged.
        """
        batch = self.batches.next_batch()
        rate = self.learning_rate(self.step)
        result = self.engine.advance(batch, rate)
        if not result.is_finite:
            what = "gradient norm" if math.isfinite(result.loss) else "loss"
            number = result.gradient_norm if math.isfinite(result.loss) else result.loss
            raise self._non_finite(what, number, self.step + 1, batch)
        self.step += 1
        metrics = StepMetrics(self.step, *result, rate, _num_targets(batch))
        self.history.records.append(asdict(metrics))
        return metrics

    def _non_finite(self, what: str, number: float, step: int, batch: Batch) -> NonFiniteLoss:
        self.engine.checkpoint()  # copies the parameters to the model
        with record_locations():
            loss = self.model.compute_loss(*batch)
        return NonFiniteLoss(what, number, step, loss)

    def validate(self, max_batches: int | None = None) -> float:
        """Return the loss in nats per token on the validation text, or on its first batches.

        Raises
        ------
        NonFiniteLoss
            If it is not finite.
        """
        total, count = 0.0, 0
        batches = self.text.validation.evaluation_batches(
            self.config.block_size, self.config.batch_size
        )
        for batch in islice(batches, max_batches):
            counted = _num_targets(batch)
            total += self.engine.validate(batch) * counted
            count += counted
            if not math.isfinite(total):
                raise self._non_finite(message("validation loss"), total / count, self.step, batch)
        self.history.records.append({"step": self.step, "validation_loss": total / count})
        return total / count

    def bits_per_byte(self, loss: float) -> float:
        """Convert a validation loss from nats per token, so that tokenizers can be compared."""
        validation = self.text.validation
        return loss * validation.num_targets / (validation.num_bytes * math.log(2))

    def checkpoint(self) -> Checkpoint:
        """Return everything needed to continue from here."""
        state = {
            "step": self.step,
            "data": self.batches.state(),
            "data_sha256": digest(self.corpus),
        }
        return Checkpoint(*self.engine.checkpoint(), state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint, with the same numbers as without the interruption.

        Raises
        ------
        RunError
            If it belongs to another model or to other data.
        """
        if checkpoint.state.get("data_sha256") != digest(self.corpus):
            raise RunError(
                message(
                    "{name}: the text has changed since this run began; give it back its "
                    "old text, or start a new run",
                    name=self.corpus.name,
                )
            )
        try:
            self.engine.restore(checkpoint.model, checkpoint.optimizer)
            self.batches.restore(checkpoint.state["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                message("the checkpoint does not fit this run: {error}", error=error)
            ) from None
        self.step = checkpoint.state["step"]
        if self.step > self.config.steps:
            raise RunError(
                message(
                    "steps is {steps}, and {step} are done already",
                    steps=self.config.steps,
                    step=self.step,
                )
            )


def _num_targets(batch: Batch) -> int:
    return int(np.count_nonzero(batch[1] != IGNORE_INDEX))


def digest(corpus: Corpus) -> str:
    """Fingerprint both texts of a corpus."""
    hashed = hashlib.sha256(corpus.train.encode("utf-8", "surrogatepass"))
    hashed.update(b"\0" + corpus.validation.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()
