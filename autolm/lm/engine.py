"""What computes a training run: the interface of an engine, and the one that NumPy is.

`Training` draws the batches, follows the schedule and decides when to validate, save and stop; an
engine takes steps and computes losses. So an engine in another library, or on several workers,
changes nothing of what a run is. PyTorch's stands in `autolm.torch`.
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
from autolm.engine.graph import no_grad
from autolm.lm.batches import Batch
from autolm.lm.config import TrainingConfig
from autolm.lm.native_step import NativeStep
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW, clip_gradients

Arrays = Mapping[str, NDArray[Any]]


class WorkerLost(OSError):
    """A worker has ended, and so the others must: what was saved before can be gone on with."""


class Advance(NamedTuple):
    """What a step has found: the loss before it, and the length of its gradient before clipping."""

    loss: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether both are numbers to go on with."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class Engine(ABC):
    """How a run computes. Of several workers each has an engine, and all make the same calls.

    Attributes
    ----------
    name
        What `config.engine` calls it.
    model
        The model in NumPy, whose parameters an engine begins with.
    leads
        Whether this worker is the first: what is said and written is its.
    num_workers
        How many there are.
    told
        What to say of it; empty where it is NumPy's alone.
    """

    name = "numpy"
    leads = True
    num_workers = 1
    told = ""

    def __init__(self, model: TinyLM, config: TrainingConfig) -> None:
        if config.engine != self.name:
            raise ValueError(f"the choices are for the engine {config.engine}, not {self.name}")
        self.model, self.config = model, config

    @abstractmethod
    def advance(self, batch: Batch, learning_rate: float) -> Advance:
        """Take one step of AdamW, on clipped gradients; none, if what it finds is not finite."""

    @abstractmethod
    def validate(self, batch: Batch) -> float:
        """Return the mean loss on a batch, in nats per target."""

    @abstractmethod
    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Return the parameters and the optimizer's memory; `model` has those parameters then."""

    @abstractmethod
    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Go on from what `checkpoint` returned.

        Raises
        ------
        TypeError, ValueError
            When they are of another model; then nothing was changed.
        """

    @abstractmethod
    def gradients(self) -> Arrays:
        """Return the gradient of the last step by path, clipped as it was; every worker asks."""

    @abstractmethod
    def running(self) -> AbstractContextManager[object]:
        """Set what holds for the time of a run, such as the number of threads."""

    def any_worker(self, flag: bool) -> bool:
        """Whether a flag is raised at any worker."""
        return flag

    def from_leader(self, text: str) -> str:
        """Return what the first worker gives, at every worker: it waits for that."""
        return text

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the first worker do something alone, and then, if it could, the others the same."""
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
        When the run is to be native, and numba is not installed; or is another engine's.
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
            self.told = f"native, {self.native.told}"

    def advance(self, batch: Batch, learning_rate: float) -> Advance:
        """Do forward, backward and AdamW."""
        taken = None if self.native is None else self.native.advance(batch, learning_rate)
        if taken is not None:
            return Advance(*taken)
        loss = self.model.compute_loss(*batch)
        if not math.isfinite(float(loss)):
            return Advance(float(loss), math.nan)
        self.optimizer.zero_grad()
        with np.errstate(all="ignore"):  # what overflows is told by its norm
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
        """Whether several threads share a step: then each does its matrix products alone."""
        return self.native is not None and self.native.num_workers > 1

    def checkpoint(self) -> tuple[Arrays, Arrays]:
        """Return the arrays of both, copied: a recorded step writes where they lie."""
        parameters = {path: array.copy() for path, array in self.model.state().items()}
        return parameters, self.optimizer.state()

    def restore(self, parameters: Arrays, memory: Arrays) -> None:
        """Set the arrays of both."""
        self.model.load_state(parameters)
        self.optimizer.load_state(memory)

    def gradients(self) -> Arrays:
        """Return those that the parameters hold, or the memory of a native step."""
        taken = None if self.native is None else self.native.gradients()
        if taken is not None:
            return taken
        parameters = dict(self.model.named_parameters())
        return {path: p.grad for path, p in parameters.items() if p.has_grad}

    def running(self) -> ExitStack:
        """Limit the threads of matrix products, and compile loops if that is asked for."""
        with ExitStack() as stack:
            threads = 1 if self._is_shared else self.config.threads
            stack.enter_context(threadpool_limits(threads, "blas"))
            stack.enter_context(native(self.config.native))
            return stack.pop_all()
