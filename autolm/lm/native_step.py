"""The step of a native run, recorded once and replayed: what `--native` trains with.

The recorder of `autolm.compiled` needs the loss, two batches with different numbers, and the
moments of AdamW. A model that it cannot record trains with the plain step, and the run says why.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.emitters import NotRecorded
from autolm.compiled.recorded_step import AdamWRates, Group, RecordedStep
from autolm.lm.batches import IGNORE_INDEX, Batch
from autolm.lm.language_model import LanguageModel
from autolm.nn import AdamW

ALONE = 3e7  # operations of a step, below which a second thread is not worth its being woken


class NativeStep:
    """A step of AdamW on a language model, recorded for batches of one shape.

    Parameters
    ----------
    model, optimizer
        The arrays of the parameters are written in place.
    longest
        The norm that the gradient is clipped to.
    threads
        Number of threads that may share the rows of a batch.

    Attributes
    ----------
    status
        Duration of the latest recording, or the reason why it failed.
    """

    status = ""

    def __init__(
        self, model: LanguageModel, optimizer: AdamW, longest: float, threads: int
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._longest, self._threads = longest, threads
        self._shape: tuple[int, ...] = ()
        self._step: RecordedStep | None = None

    def record(self, shape: tuple[int, ...]) -> None:
        """Record the step for batches of a shape."""
        groups = [
            Group(
                [part.parameter for part in group.parts],
                group.memory["first_moment"],
                group.memory["second_moment"],
                is_matrix,
            )
            for (_, is_matrix), group in self._optimizer.groups.items()
        ]
        operations = 6 * math.prod(shape) * self._model.num_parameters()
        workers = self._threads if operations > ALONE else 1
        self._shape, self._step, start = shape, None, perf_counter()
        try:
            self._step = RecordedStep(
                self._model.compute_loss,
                _examples(self._model.vocab_size, shape),
                groups,
                workers,
                num_targets,
            )
        except NotRecorded as why:
            self.status = f"step not recorded: {why}"
        else:
            how = "compiled" if self._step.was_compiled else "compiled before"
            self.status = f"step recorded in {perf_counter() - start:.1f} s ({how})"

    @property
    def num_workers(self) -> int:
        """Number of threads that share a batch; 0 if nothing is recorded."""
        return 0 if self._step is None else self._step.num_workers

    def advance(self, batch: Batch, learning_rate: float) -> tuple[float, float] | None:
        """Take a step; return the loss before it and the gradient's length before clipping.

        Returns None without a step if the plain step must take it or report an error.
        """
        ids, targets = batch
        if ids.shape != targets.shape or not all(each.dtype.kind in "iu" for each in batch):
            return None
        if ids.shape != self._shape:
            self.record(ids.shape)
        optimizer = self._optimizer
        if self._step is None:
            return None
        rates = AdamWRates(
            learning_rate,
            optimizer.betas,
            optimizer.eps,
            optimizer.weight_decay,
            optimizer.steps + 1,
            self._longest,
        )
        found = self._step(batch, rates)
        if found is not None and math.isfinite(found[0]) and math.isfinite(found[1]):
            optimizer.steps += 1
        return found


def num_targets(_: NDArray[Any], targets: NDArray[Any]) -> int:
    """Count the targets that are not ignored."""
    return int(np.count_nonzero(targets != IGNORE_INDEX))


def _examples(vocab_size: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Make two batches that differ everywhere, so that inputs are not mistaken for constants."""
    counted = np.arange(math.prod(shape)).reshape(shape)
    first, second = ([(counted + i + p) % vocab_size for i in range(2)] for p in range(2))
    return first, second
