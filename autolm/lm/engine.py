"""Engines compute the steps of a training run: the interface, and the NumPy engine.

`Training` draws the batches, follows the schedule and decides when to validate, save and stop; an
engine takes steps and computes losses, in any library and on any number of workers. The PyTorch
engine is in `autolm.torch`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autolm.compiled.fused import native
from autolm.engine.recording import no_grad
from autolm.lm.batches import Batch
from autolm.lm.config import TrainingConfig
from autolm.lm.native_step import NativeStep
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW, clip_gradients

Arrays = Mapping[str, NDArray[Any]]


class WorkerLost(OSError):
    """Another worker is lost, so all must end; the last checkpoint can be resumed."""


class Advance(NamedTuple):
    """The loss before a step, and the gradient norm before clipping."""

    loss: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether both numbers are finite."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class Engine(ABC):
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
    leads = True
    num_workers = 1
    status = ""

    def __init__(self, model: TinyLM, config: TrainingConfig) -> None:
        if config.engine != self.name:
            raise ValueError(f"the choices are for the engine {config.engine}, not {self.name}")
        self.model, self.config = model, config

    @abstractmethod
    def advance(self, batch: Batch, learning_rate: float) -> Advance:
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
        if not self.leads:
            self.from_leader("")
        yield
        if self.leads:
            self.from_leader("")


class NumPyEngine(Engine):
    """Training in NumPy, plain or with compiled loops.

    Raises
    ------
    ValueError
        If the run is native and numba is not installed, or if it is for another engine.
    """

    def __init__(self, model: TinyLM, config: TrainingConfig) -> None:
        if config.native and find_spec("numba") is None:
            raise ValueError(
                "native needs numba, which is not installed: pip install 'autolm[fast]'"
            )
        super().__init__(model, config)
        self.optimizer = AdamW(
            model.named_parameters(),
            config.learning_rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
        )
        self.native: NativeStep | None = None
        if config.native:
            self.native = NativeStep(model, self.optimizer, config.clip, config.threads)
            self.native.record((config.batch_size, config.block_size))
            self.status = f"native, {self.native.status}"

    def advance(self, batch: Batch, learning_rate: float) -> Advance:
        """Do forward, backward and AdamW."""
        taken = None if self.native is None else self.native.advance(batch, learning_rate)
        if taken is not None:
            return Advance(*taken)
        loss = self.model.compute_loss(*batch)
        if not math.isfinite(float(loss)):
            return Advance(float(loss), math.nan)
        self.optimizer.zero_grad()
        with np.errstate(all="ignore"):  # an overflow shows in the norm
            loss.backward()
            norm = clip_gradients(self.model.parameters(), self.config.clip)
        found = Advance(float(loss), norm)
        if found.is_finite:
            self.optimizer.learning_rate = learning_rate
            self.optimizer.step()
        return found

    def validate(self, batch: Batch) -> float:
        """Do forward, without a graph."""
        threads = (
            threadpool_limits(self.config.threads, "blas") if self._is_shared else nullcontext()
        )
        with no_grad(), threads:
            return float(self.model.compute_loss(*batch))

    @property
    def _is_shared(self) -> bool:
        """Whether several threads share a step; then each matrix product uses one thread."""
        return self.native is not None and self.native.num_workers > 1

    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Return copies of the arrays, since a recorded step writes in place."""
        parameters = {path: array.copy() for path, array in self.model.state().items()}
        return parameters, self.optimizer.state()

    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Set parameters and optimizer state."""
        self.model.load_state(parameters)
        self.optimizer.load_state(memory)

    def running(self) -> ExitStack:
        """Limit the threads of matrix products, and enable compiled loops for a native run."""
        with ExitStack() as stack:
            threads = 1 if self._is_shared else self.config.threads
            stack.enter_context(threadpool_limits(threads, "blas"))
            stack.enter_context(native(self.config.native))
            return stack.pop_all()
