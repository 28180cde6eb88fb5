"""Engines compute the steps of a training run: the interface, and the NumPy engine.

`Training` draws the batches, follows the schedule and decides when to validate, save and stop; an
engine takes steps and computes losses, in any library and on any number of workers. The PyTorch
engine is in `autolm.torch`.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autolm.compiled.recorded_step import RecordedStep
from autolm.engine.recording import no_grad
from autolm.lm.batches import Batch
from autolm.lm.config import TrainingConfig
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW, clip_gradients
from autolm.outside.message import message

Arrays = Mapping[str, NDArray[Any]]

EXAMPLES = 3  # batches that a recorded step is made of and verified on


class WorkerLost(OSError):
    """Another worker is lost, so all must end; the last checkpoint can be resumed."""


class StepResult(NamedTuple):
    """The loss before a step, and the gradient norm before clipping."""

    loss: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether both numbers are finite."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class TrainingEngine(ABC):
    """Takes steps and computes losses. Each worker has an engine; all make the same calls.

    Attributes
    ----------
    name
        The value of `config.engine`.
    model
        The model in NumPy, whose parameters an engine begins with.
    leads
        Whether this worker is the first, which reports and writes files.
    num_workers
        Number of workers.
    status
        One-line description for the report; empty for plain NumPy.
    """

    name = "numpy"
    is_leader = True
    num_workers = 1
    status = ""

    def __init__(self, model: TinyLM, config: TrainingConfig) -> None:
        if config.engine != self.name:
            raise ValueError(
                message(
                    "the choices are for the engine {engine}, not {name}",
                    engine=config.engine,
                    name=self.name,
                )
            )
        self.model, self.config = model, config

    @abstractmethod
    def advance(self, batch: Batch, learning_rate: float) -> StepResult:
        """Take one step of AdamW on clipped gradients, unless loss or gradient is not finite."""

    @abstractmethod
    def validate(self, batch: Batch) -> float:
        """Return the mean loss on a batch, in nats per target."""

    @abstractmethod
    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Return parameters and optimizer state, and set the parameters of `model` to them."""

    @abstractmethod
    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Continue from a result of `checkpoint`.

        Raises
        ------
        TypeError, ValueError
            If they belong to another model; then nothing is changed.
        """

    @abstractmethod
    def running(self) -> AbstractContextManager[object]:
        """Apply settings for the duration of a run, such as the number of threads."""

    def any_worker(self, flag: bool) -> bool:
        """Return whether the flag is set on any worker."""
        return flag

    def from_leader(self, text: str) -> str:
        """Return the text of the first worker on every worker, waiting for it."""
        return text

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Run a block on the first worker, and if it succeeded there, on the others."""
        if not self.is_leader:
            self.from_leader("")
        yield
        if self.is_leader:
            self.from_leader("")


class NumPyEngine(TrainingEngine):
    """Training in NumPy, plain or with compiled loops.

    Raises
    ------
    ValueError
        If the run is native and numba is not installed, or if it is for another engine.
    """

    def __init__(self, model: TinyLM, config: TrainingConfig) -> None:
        if config.native and find_spec("numba") is None:
            raise ValueError(
                message("native needs numba, which is not installed: pip install 'autolm[fast]'")
            )
        super().__init__(model, config)
        self.optimizer = AdamW(
            model.named_parameters(),
            config.learning_rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
        )
        self.recorded: RecordedStep | None = None
        if config.native:
            self.recorded = RecordedStep(model.compute_loss, self.optimizer, clip=config.clip)
            self.status = f"native, {self._record((config.batch_size, config.block_size))}"

    def _record(self, shape: tuple[int, int]) -> str:
        """Record the step before the first batch, so that a resumed run repeats its numbers."""
        assert self.recorded is not None
        start, counted = perf_counter(), np.arange(math.prod(shape)).reshape(shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the status says why
            for i in range(EXAMPLES):
                ids, targets = ((counted + i + k) % self.model.vocab_size for k in range(2))
                self.recorded.compute(ids, targets)
        self.optimizer.zero_grad()
        reason = self.recorded.reason(shape, shape)
        if reason:
            return f"step not recorded: {reason}"
        return f"step recorded in {perf_counter() - start:.1f} s"

    def advance(self, batch: Batch, learning_rate: float) -> StepResult:
        """Do forward, backward and AdamW."""
        if self.recorded is not None:
            with np.errstate(all="ignore"):  # an overflow shows in the norm
                result = StepResult(self.recorded.compute(*batch), self.recorded.gradient_norm)
            if result.is_finite:
                self.optimizer.learning_rate = learning_rate
                self.recorded.update()
            return result
        loss = self.model.compute_loss(*batch)
        if not math.isfinite(float(loss)):
            return StepResult(float(loss), math.nan)
        self.optimizer.zero_grad()
        with np.errstate(all="ignore"):
            loss.backward()
            norm = clip_gradients(self.model.parameters(), self.config.clip)
        result = StepResult(float(loss), norm)
        if result.is_finite:
            self.optimizer.learning_rate = learning_rate
            self.optimizer.step()
        return result

    def validate(self, batch: Batch) -> float:
        """Do forward, without a graph."""
        with no_grad():
            return float(self.model.compute_loss(*batch))

    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Return parameters and optimizer state."""
        return self.model.state(), self.optimizer.state()

    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Set parameters and optimizer state."""
        self.model.load_state(parameters)
        self.optimizer.load_state(memory)

    def running(self) -> AbstractContextManager[object]:
        """Limit the threads of matrix products."""
        return threadpool_limits(self.config.threads, "blas")
