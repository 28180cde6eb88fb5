"""A recorded training step: the plain step of any model, replayed without building its graph.

`recorded(loss_function, optimizer)` calls the function as usual for the first batches of a shape
and compares their graphs: which arrays come from the batch, and what stays. The graph becomes a
program (`recorder.py`), which is verified on one more batch and then replayed. To draw, step or
explain a loss, call the function itself: it uses the same parameters.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm.compiled.examples import Example, NotRecordable, NotYetRecordable
from autolm.compiled.instructions import NotReplayed
from autolm.compiled.parameter_memory import ParameterMemory
from autolm.compiled.replay import Replay
from autolm.engine.recording import recording
from autolm.nn.optimizers import Optimizer, clip_gradients, gradient_norm
from autolm.ops.arguments import read_bool
from autolm.tensor.arguments import read_finite, read_kind
from autolm.tensor.quiet import quiet
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]
Shapes = tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]

MAX_RECORDS = 8  # shapes of batches, beyond which the plain step runs
MAX_EXAMPLES = 6  # batches of one shape, after which no more are waited for
MAX_ERROR = {np.dtype(np.float64): 1e-9}  # relative to the largest number of a gradient
MAX_ERROR_OF_OTHERS = 1e-3


def recorded(
    loss_function: Callable[..., Tensor],
    optimizer: Optimizer,
    *,
    clip: float | None = None,
    gradients: bool = False,
) -> RecordedStep:
    """Make a training step that is recorded at its first calls and replayed afterwards.

    ``step(*arrays)`` does what the plain step does: forward, backward, clipping and the optimizer's
    step. It returns the loss before the step.

    Parameters
    ----------
    loss_function
        Takes arrays, ``(batch, …)`` for example, and returns the loss, a Tensor with one element.
    optimizer
        Moves its parameters; its learning rate may be assigned before each step.
    clip
        Clip the gradient norm to this value, as `clip_gradients` does; None clips nothing.
    gradients
        Leave the clipped gradient of each parameter in its ``.grad``, as the plain step does.
        Otherwise ``.grad`` is None after a step.

    Returns
    -------
    RecordedStep

    Raises
    ------
    TypeError, ValueError
        For an optimizer that is none, or a clip that is not above 0.

    Notes
    -----
    A step that cannot be replayed runs plainly, and a warning says why. That is so if the loss
    function reads a result as a number, draws random numbers outside of an operation, computes an
    array from the batch with NumPy instead of autolm, or makes another graph for another batch.
    A replayed step writes the parameters in place, so a graph that was made before the step cannot
    be differentiated after it.

    Examples
    --------
    >>> import numpy as np
    >>> from autolm import SGD, Tensor, recorded
    >>> w = Tensor([0.0, 0.0], name="w")
    >>> step = recorded(lambda x, y: ((x @ w - y) ** 2).mean(), SGD([w], 0.1))
    >>> rng = np.random.default_rng(0)
    >>> for _ in range(200):
    ...     x = rng.normal(size=(8, 2))
    ...     loss = step(x, x @ [1.0, -2.0])
    >>> w.data.round(3)
    array([ 1., -2.])
    >>> print(step.explain().splitlines()[0])
    (8, 2), (8,): replayed since call 4
    """
    return RecordedStep(loss_function, optimizer, clip=clip, gradients=gradients)


class RecordedStep:
    """A training step that is recorded at its first calls; `recorded` makes it.

    Attributes
    ----------
    gradient_norm
        The norm of the gradient of the latest step, before clipping.
    """

    def __init__(
        self,
        loss_function: Callable[..., Tensor],
        optimizer: Optimizer,
        *,
        clip: float | None = None,
        gradients: bool = False,
    ) -> None:
        if not callable(loss_function):
            raise TypeError(f"recorded: loss_function must be callable, not {loss_function!r}")
        self._function = loss_function
        self._optimizer = read_kind(
            "recorded", "optimizer", optimizer, Optimizer, "an optimizer of autolm.nn"
        )
        self._clip = math.inf
        if clip is not None and not (isinstance(clip, float) and clip == math.inf):
            self._clip = read_finite("recorded", "clip", clip, above=0)
        self._leaves_gradients = read_bool("recorded", "gradients", gradients)
        self._memory = ParameterMemory(optimizer)
        self._records: dict[Shapes, _Record] = {}
        self._replayed: Replay | None = None
        self._calls = 0
        self.gradient_norm = math.nan

    def __call__(self, *arrays: ArrayLike) -> float:
        """Take one training step; return the loss before it."""
        loss = self.compute(*arrays)
        self.update()
        return loss

    def compute(self, *arrays: ArrayLike) -> float:
        """Compute the loss, which is returned, and the gradient, without moving a parameter."""
        self._calls += 1
        batch = [np.asarray(array) for array in arrays]
        shapes = tuple((array.shape, array.dtype) for array in batch)
        record = self._records.get(shapes)
        if record is None:
            record = self._records[shapes] = _Record()
            if len(self._records) > MAX_RECORDS:
                record.give_up(f"{MAX_RECORDS} other shapes have a record already")
        self._replayed = None
        if record.replay is not None and record.is_verified:
            if record.replay.is_stale():
                record.begin()
            else:
                loss = self._replay(record.replay, batch)
                if loss is not None:
                    return loss
        return self._compute_plainly(record, batch)

    def update(self) -> None:
        """Clip the gradient that `compute` computed, and take the optimizer's step."""
        if self._replayed is None:
            clip_gradients(self._optimizer.parameters.values(), self._clip)
            self._optimizer.step()
            if not self._leaves_gradients:
                self._optimizer.zero_grad()
            return
        reached = self._replayed.reached
        if self.gradient_norm > self._clip:
            self._memory.scale(self._clip / self.gradient_norm)
        if self._leaves_gradients:
            self._memory.leave_gradients(reached)
        self._memory.update(reached)

    def reason(self, *shapes: tuple[int, ...]) -> str:
        """Say why batches of these shapes are not replayed; empty if they are."""
        for recorded_shapes, record in self._records.items():
            if tuple(shape for shape, _ in recorded_shapes) == shapes:
                return "" if record.is_verified else record.reason or "not enough batches yet"
        return "no batch of these shapes yet"

    def explain(self) -> str:
        """Say, for each shape of a batch, what is replayed, and what runs plainly and why."""
        if not self._records:
            return "no step was taken yet"
        lines = []
        for shapes, record in self._records.items():
            lines.append(f"{', '.join(str(shape) for shape, _ in shapes)}: {record.state()}")
            if record.replay is not None and record.is_verified:
                lines += [f"  {line}" for line in record.replay.explain()]
        return "\n".join(lines)

    def _replay(self, replay: Replay, batch: list[Array]) -> float | None:
        """Compute by the program; None if the plain step has to refuse the batch."""
        self._memory.gather()
        try:
            with quiet():
                loss = replay.run(batch)
        except NotReplayed:
            return None
        self.gradient_norm = self._memory.norm(replay.reached)
        self._replayed = replay
        return loss

    def _compute_plainly(self, record: _Record, batch: list[Array]) -> float:
        self._optimizer.zero_grad()
        if record.reason:
            loss = self._function(*batch)
            loss.backward()
        else:
            copies = [array.copy() for array in batch]
            with recording(sites=True, constants=True):
                loss = self._function(*batch)
            example = Example.of(loss, copies)
            loss.backward()
            try:
                self._learn(record, example)
            except NotRecordable as why:
                record.give_up(str(why))
        self.gradient_norm = gradient_norm(self._optimizer.parameters.values())
        return float(loss)

    def _learn(self, record: _Record, example: Example) -> None:
        """Take one more example into a record: make its program of two, and verify it on a third.

        Raises
        ------
        NotRecordable
            If there can be none.
        """
        if example.reads:
            raise NotRecordable(example.reads)
        if record.replay is not None:
            self._verify(record, record.replay, example)
        elif record.example is None:
            record.example = example
        else:
            record.count += 1
            try:
                record.replay = Replay(record.example, example, self._memory)
            except NotYetRecordable:
                if record.count >= MAX_EXAMPLES:
                    raise
            record.example = example
        if record.is_verified:
            record.first_replay = self._calls + 1

    def _verify(self, record: _Record, replay: Replay, example: Example) -> None:
        """Compare the program's loss and gradient with those of the plain step just done."""
        self._memory.gather()
        try:
            with quiet():
                loss = replay.run(example.batch)
        except NotReplayed:
            return  # the next batch may do
        expected = float(example.loss)
        for name, parameter in self._optimizer.parameters.items():
            if parameter.has_grad is not (parameter in replay.reached):
                raise NotRecordable(f"a gradient reaches {name} for some batches only")
        bound = max(MAX_ERROR.get(p.dtype, MAX_ERROR_OF_OTHERS) for p in replay.reached)
        is_close = abs(loss - expected) <= bound * max(abs(expected), 1e-30)
        if not is_close or not self._memory.is_close(replay.reached, bound):
            raise NotRecordable(
                "the program made of the first batches gave another loss or gradient for the next"
            )
        record.is_verified, record.example = True, None


class _Record:
    """Where the record of one shape of batches has got to."""

    def __init__(self) -> None:
        self.reason = ""  # why the plain step runs for good
        self.first_replay = 0
        self.begin()

    def begin(self) -> None:
        """Begin anew, without an example."""
        self.example: Example | None = None
        self.replay: Replay | None = None
        self.is_verified, self.count = False, 0

    def give_up(self, why: str) -> None:
        """Run the plain step from now on, and warn once that it runs."""
        self.begin()
        self.reason = why
        warnings.warn(f"recorded: the plain step runs: {why}", stacklevel=5)

    def state(self) -> str:
        """Say how batches of this shape are computed."""
        if self.reason:
            return f"the plain step runs: {self.reason}"
        if self.is_verified:
            return f"replayed since call {self.first_replay}"
        return "not recorded yet"
