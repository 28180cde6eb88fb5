"""Run training until it is complete or a signal stops it: train, validate, save and report."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from types import FrameType
from typing import Any, Protocol

import numpy as np

from autolm.lm.loss_plot import draw_losses
from autolm.lm.run_folder import PLOT, SAMPLES, RunFolder
from autolm.lm.run_verdict import NOTHING, RunVerdict, verdict_on
from autolm.lm.sampling import stream_text
from autolm.lm.tokenizers.tokenizer import bytes_of
from autolm.lm.training import NonFiniteLoss, StepMetrics, Training

QUICK_VALIDATION = 20  # batches; the last validation uses the whole text
SAMPLE_TOKENS = 300


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: done, or stopped by a signal after `step` steps."""

    done: bool
    step: int
    validation_loss: float
    sample: str
    verdict: RunVerdict = NOTHING


class RunReport(Protocol):
    """Receives the progress of a run."""

    def stepped(self, metrics: StepMetrics) -> None:
        """Report one step."""

    def validated(self, step: int, loss: float) -> None:
        """Report a validation loss."""


def run(training: Training, folder: RunFolder, report: RunReport) -> RunOutcome:
    """Train until all steps are done or until SIGINT or SIGTERM, then save.

    Raises
    ------
    NonFiniteLoss
        If a number is not finite. The last checkpoint is kept.
    NotSaved
        If the folder cannot be written. The last checkpoint stays readable.
    """
    engine = training.engine
    pending: list[dict[str, Any]] = []

    def validate_and_save(max_batches: int | None, *, record: bool) -> float:
        loss = training.validate(max_batches)  # before saving: it raises if a number is not finite
        if record:
            pending.append({"step": training.step, "validation_loss": loss})
        folder.append_metrics(pending)
        pending.clear()
        folder.save(training.checkpoint())
        report.validated(training.step, loss)
        return loss

    with stop_requests(engine.num_workers > 1) as received, engine.running():
        while not training.done and not engine.any_worker(bool(received)):
            try:
                metrics = training.advance()
            except NonFiniteLoss:
                folder.append_metrics(pending)  # they show how it diverged
                raise
            pending.append(asdict(metrics))
            report.stepped(metrics)
            if training.step % training.config.validate_every == 0 and not training.done:
                validate_and_save(QUICK_VALIDATION, record=True)
        # A resumed run must have the same metrics as an uninterrupted one: record only the end.
        loss = validate_and_save(
            None if training.done else QUICK_VALIDATION, record=training.done and bool(pending)
        )
        if not engine.is_leader:
            return RunOutcome(training.done, training.step, loss, "")
        records = list(folder.metrics())
        folder.write(PLOT, draw_losses(records, training.corpus.name, training.reference_losses()))
        sample = _sample(training)
        folder.write(SAMPLES, bytes_of(sample))
    baselines = training.baselines()
    verdict = verdict_on(
        records, baselines.uniform, baselines.bigram, last_is_whole=_is_long(training)
    )
    return RunOutcome(training.done, training.step, loss, sample, verdict)


def _is_long(training: Training) -> bool:
    """Whether the last validation uses more batches than those during training."""
    sizes = training.config.block_size, training.config.batch_size
    batches = training.text.validation.evaluation_batches(*sizes)
    return len(list(islice(batches, QUICK_VALIDATION + 1))) > QUICK_VALIDATION


def _sample(training: Training) -> str:
    rng = np.random.default_rng(training.config.seed)
    pieces = stream_text(
        training.model, training.tokenizer, training.corpus.kind, "", SAMPLE_TOKENS, rng=rng
    )
    return "".join(pieces)


@contextmanager
def stop_requests(is_relayed: bool = False) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list; a second SIGINT raises KeyboardInterrupt.

    Workers receive each Ctrl-C twice, from the terminal and relayed by torchrun: with `is_relayed`,
    the third SIGINT raises.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and len(received) > is_relayed:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
