"""A recorded training step: the plain step of any model, replayed without building its graph.

`recorded(loss_function, optimizer)` calls the function as usual for the first batches of a shape,
and compares their graphs to find which arrays come from the batch. It lowers the graph to a program
(`recorder.py`), verifies that on one more batch, and then replays it. Later replays are verified
too, at growing intervals, because the function may have changed. To draw, step or explain a loss,
call the function itself: it uses the same parameters.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm.compiled.examples import (
    Example,
    NotRecordable,
    NotYetRecordable,
    are_equal_arrays,
)
from autolm.compiled.instructions import NotReplayed
from autolm.compiled.parameter_memory import ParameterMemory
from autolm.compiled.replay import Replay
from autolm.engine.recording import recording
from autolm.nn.optimizers import Optimizer, clip_gradients, gradient_norm
from autolm.outside.arguments import must_be, read_bool, read_finite, read_kind
from autolm.tensor.quiet import quiet
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]
Shapes = tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]

MAX_RECORDS = 8  # different shapes of batches; for further shapes the plain step runs
MAX_EXAMPLES = 6  # batches of one shape without a replay; then the plain step runs
MAX_ERROR = {np.dtype(np.float64): 1e-9}  # relative to the largest number of a gradient
MAX_ERROR_OF_OTHERS = 1e-3
SMALLEST = 0.01  # errors of a loss below this share of the first loss are rounding errors


def recorded(
    loss_function: Callable[..., Tensor],
    optimizer: Optimizer,
    *,
    clip: float | None = None,
    gradients: bool = False,
) -> RecordedStep:
    """Return a training step that is recorded at its first calls and replayed afterwards.

    ``step(*arrays)`` runs the forward and the backward pass, clips the gradient, takes the
    optimizer's step, and returns the loss before the step.

    Parameters
    ----------
    loss_function
        Takes arrays, ``(batch, …)`` for example, and returns the loss, a Tensor with one element.
    optimizer
        Updates its parameters; its learning rate can be assigned before each step.
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
    TypeError
        If `loss_function` is not callable, or `optimizer` is not an optimizer of `autolm.nn`.
    ValueError
        If `clip` is not above 0.

    Notes
    -----
    If a step cannot be replayed, the plain step runs, and a warning says why. This happens if the
    loss function reads a result as a number, draws random numbers outside of an operation, computes
    an array from the batch with NumPy instead of autolm, or builds another graph for another batch.

    A replay does not call the loss function. A number that the function takes from elsewhere, such
    as the weight of a term, should therefore be an argument of the step, and a condition on the
    batch is not evaluated again. To detect changes, replays 1, 2, 4, 8 and so on are compared with
    the plain step; if they differ, a warning says so, and the plain step runs from then on.

    A replayed step updates the parameters in place: copy ``p.data`` to keep it. A graph that was
    built before the step cannot be differentiated after it. A replay does not change the ``.grad``
    of leaves that the optimizer does not have. Threads that call the same step run one at a time.

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
            raise TypeError(must_be("recorded: loss_function", "callable", loss_function))
        self._function = loss_function
        self._optimizer = read_kind(
            "recorded", "optimizer", optimizer, Optimizer, "an optimizer of autolm.nn"
        )
        self._clip = math.inf
        if clip is not None and not (isinstance(clip, float) and clip == math.inf):
            self._clip = read_finite("recorded", "clip", clip, above=0)
        self._stores_gradients = read_bool("recorded", "gradients", gradients)
        self._memory = ParameterMemory(optimizer)
        self._records: dict[Shapes, _Record] = {}
        self._further = _Record()
        self._replayed: Replay | None = None
        self._calls = 0
        self._lock = Lock()
        self.gradient_norm = math.nan

    def __reduce__(self) -> Any:
        """Copy or pickle a step without its records: a copied program would lose its views."""
        make = partial(RecordedStep, clip=self._clip, gradients=self._stores_gradients)
        return make, (self._function, self._optimizer)

    def __call__(self, *arrays: ArrayLike) -> float:
        """Take one training step; return the loss before it."""
        with self._lock:
            loss = self.compute(*arrays)
            self.update()
        return loss

    def compute(self, *arrays: ArrayLike) -> float:
        """Compute the gradient without updating a parameter; return the loss."""
        self._calls += 1
        batch = [np.asarray(array) for array in arrays]
        record = self._record_of(tuple((array.shape, array.dtype) for array in batch))
        self._replayed = None
        if record.replay is not None and record.replay.is_stale(batch):
            record.reset()
        if record.replay is not None and record.is_verified:
            record.replays, record.examples = record.replays + 1, 0
            is_checked = record.replays & (record.replays - 1) == 0  # a power of two
            loss = None if is_checked else self._replay(record.replay, batch)
            if loss is not None:
                return loss
        return self._compute_plainly(record, batch)

    def update(self) -> None:
        """Clip the gradient that `compute` computed, and take the optimizer's step."""
        if self._replayed is not None and type(self._optimizer).step is not Optimizer.step:
            self._memory.store_gradients(self._replayed.reached)
            self._replayed = None
        if self._replayed is None:
            clip_gradients(self._optimizer.parameters.values(), self._clip)
            self._optimizer.step()
            if not self._stores_gradients:
                self._optimizer.zero_grad()
            return
        reached = self._replayed.reached
        if self.gradient_norm > self._clip:
            self._memory.scale(self._clip / self.gradient_norm)
        if self._stores_gradients:
            self._memory.store_gradients(reached)
        self._memory.update(reached)

    def reason(self, *shapes: tuple[int, ...]) -> str:
        """Return why batches of these shapes are not replayed; an empty string if they are."""
        for recorded_shapes, record in self._records.items():
            if tuple(shape for shape, _ in recorded_shapes) == shapes:
                return "" if record.is_verified else record.reason or "not enough batches yet"
        return self._further.reason or "no batch of these shapes yet"

    def explain(self) -> str:
        """Return a text that says, for each shape of a batch, whether it is replayed or why not."""
        if not self._records:
            return "no step was taken yet"
        lines = []
        for shapes, record in self._records.items():
            lines.append(f"{', '.join(str(shape) for shape, _ in shapes)}: {record.state()}")
            if record.replay is not None and record.is_verified:
                lines += [f"  {line}" for line in record.replay.explain()]
        if self._further.reason:
            lines.append(f"further shapes: {self._further.state()}")
        return "\n".join(lines)

    def _record_of(self, shapes: Shapes) -> _Record:
        """Return the record for these shapes; shapes beyond `MAX_RECORDS` share one."""
        record = self._records.get(shapes)
        if record is None and len(self._records) < MAX_RECORDS:
            record = self._records[shapes] = _Record()
        elif record is None:
            record = self._further
            if not record.reason:
                record.give_up(f"{MAX_RECORDS} other shapes have a record already")
        return record

    def _replay(self, replay: Replay, batch: list[Array]) -> float | None:
        """Run the program; return None if only the plain step can compute or refuse the batch."""
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
            loss = self._take_example(record, batch)
            if (
                record.replay is not None and record.replays
            ):  # use the verified replay, as in other steps
                replayed = self._replay(record.replay, batch)
                if replayed is not None:
                    self._optimizer.zero_grad()
                    return replayed
        self.gradient_norm = gradient_norm(self._optimizer.parameters.values())
        return float(loss)

    def _take_example(self, record: _Record, batch: list[Array]) -> Tensor:
        """Run the plain pass, and record its graph as an example; return the loss."""
        copies = [np.array(array, order="C") for array in batch]
        random_state = _random_state()
        with recording(locations=True, constants=True):
            loss = read_kind("recorded", "the loss", self._function(*copies), Tensor, "a Tensor")
        draws = _random_state() != random_state
        example = Example.of(loss, copies)
        loss.backward()
        try:
            if draws:
                raise NotRecordable("the loss function draws random numbers")
            if not all(map(are_equal_arrays, copies, batch)):
                raise NotRecordable("the loss function writes into an array of the batch")
            self._add_example(record, example)
        except NotRecordable as error:
            record.give_up(str(error))
        return example.loss

    def _add_example(self, record: _Record, example: Example) -> None:
        """Add an example to a record: two examples make its program, and a third verifies it.

        Raises
        ------
        NotRecordable
            If the step cannot be recorded.
        """
        if example.reads:
            raise NotRecordable(example.reads)
        if record.replay is not None:
            self._verify(record, record.replay, example)
            return
        record.examples += 1
        if record.examples > MAX_EXAMPLES:
            raise NotRecordable(
                record.waits_for or "a Tensor or array that it uses is replaced before each replay"
            )
        if record.example is not None:
            try:
                record.replay = Replay(record.example, example, self._memory)
            except NotYetRecordable as error:
                record.waits_for = str(error)
        record.example = example

    def _verify(self, record: _Record, replay: Replay, example: Example) -> None:
        """Compare the program's loss and gradient with those of the plain pass of the example.

        Non-finite numbers are not compared. Differences that are small relative to the first loss
        and gradient are rounding errors.
        """
        self._memory.gather()
        try:
            with quiet():
                loss = replay.run(example.batch)
        except NotReplayed:
            return  # verify it on the next batch
        for name, parameter in self._optimizer.parameters.items():
            if parameter.has_grad is not (parameter in replay.reached):
                raise NotRecordable(f"a gradient reaches {name} for some batches only")
        expected, largest = float(example.loss), self._memory.largest_gradient(replay.reached)
        if not math.isfinite(largest) or not (math.isfinite(expected) or math.isfinite(loss)):
            return
        if not record.is_verified:
            record.smallest = SMALLEST * abs(expected), SMALLEST * largest
        bound = max(MAX_ERROR.get(p.dtype, MAX_ERROR_OF_OTHERS) for p in replay.reached)
        is_close = abs(loss - expected) <= bound * max(abs(expected), record.smallest[0], 1e-30)
        if not is_close or not self._memory.is_close(replay.reached, bound, record.smallest[1]):
            raise NotRecordable(
                f"replay {record.replays} gave another loss or gradient than the loss function, "
                "which uses something that has changed: a number, an array, or randomness"
                if record.is_verified
                else "the program of the first batches gave another loss or gradient for the next"
            )
        if not record.is_verified:
            record.is_verified, record.example = True, None
            record.first_replay = self._calls + 1


class _Record:
    """The state of the record for one shape of batches."""

    def __init__(self) -> None:
        self.reason = ""  # why the plain step always runs
        self.first_replay = 0
        self.examples = 0  # since the latest replay
        self.waits_for = ""  # why the examples so far are not enough
        self.smallest = (
            0.0,
            0.0,
        )  # lower bounds of the scales of errors: of the loss, and of the gradient
        self.reset()

    def reset(self) -> None:
        """Discard the examples and the program."""
        self.example: Example | None = None
        self.replay: Replay | None = None
        self.is_verified, self.replays = False, 0

    def give_up(self, reason: str) -> None:
        """Run the plain step from now on, and warn once."""
        self.reset()
        self.reason = reason
        warnings.warn(f"recorded: the plain step runs: {reason}", stacklevel=6)

    def state(self) -> str:
        """Return a text that says how batches of this shape are computed."""
        if self.reason:
            return f"the plain step runs: {self.reason}"
        if self.is_verified:
            return f"replayed since call {self.first_replay}"
        return "not recorded yet"


def _random_state() -> Any:
    """Return the state of the global random generators of Python and NumPy."""
    state: Any = np.random.get_state()
    return random.getstate(), state[1].tobytes(), state[2:]
