"""A recorded step of training: forward, backward, clipping and AdamW, without Python in between.

What `Tape` is to Values, this is to Tensors. A function is called on two examples, so that it is
known what in its graph comes from its inputs and what stays; of the graph a plan is made, and of
that a program for the machine of `fused_loops.py`. To draw, to step and to blame, the function is
called as before: the graph is made of the same parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.compiled import fused_loops as loops
from autolm.compiled.emitters import (
    Emission,
    NotRecorded,
    Value,
    emit_backward,
    emit_forward,
)
from autolm.compiled.intrinsics import blas_of
from autolm.compiled.plan import (
    KEEP,
    Buffer,
    Instruction,
    Layout,
    Plan,
    Program,
    assembled,
    laid_out,
)
from autolm.engine.graph import Node, describe, topological_order
from autolm.ops.backend import FLOATS
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]
Inputs = Sequence[NDArray[np.integer[Any]]]


class Group(NamedTuple):
    """Parameters that are trained alike, and the moments beside them, flat and in their order."""

    parameters: Sequence[Tensor]
    first_moment: Array
    second_moment: Array
    decays: bool


class AdamWRates(NamedTuple):
    """What a step of AdamW is told: see `nn.AdamW`, and `clip_gradients` for `longest`."""

    learning_rate: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    steps: int  # with this one
    longest: float


class Recorded(NamedTuple):
    """The plan of one graph: what its inputs, its loss and the slope of that are in it."""

    instructions: list[Instruction]
    layout: Layout
    inputs: list[Buffer]
    parameters: dict[Buffer, int]  # by place among all
    slopes: dict[Buffer, int]
    loss: Buffer
    seed: Buffer


def recorded(
    function: Callable[..., Tensor], examples: tuple[Inputs, Inputs], parameters: Sequence[Tensor]
) -> Recorded:
    """Plan forward and backward of a function of integers, whose result is a loss.

    Parameters
    ----------
    function
        Called on each of the examples.
    examples
        Inputs of the same shapes; no two of them, and no input in both, are equal.
    parameters
        The leaves that are trained.

    Raises
    ------
    NotRecorded
        If there is no instruction for something in it, or it is not the same each time.
    """
    for i, pair in enumerate(zip(*examples, strict=True)):
        if any(_are(pair, other) for other in [*zip(*examples, strict=True)][:i]):
            raise NotRecorded("inputs that are equal in both examples cannot be told apart")
    losses = [function(*inputs) for inputs in examples]
    loss = losses[0]
    orders = [topological_order(each) for each in losses]
    places: dict[Node, int] = {each: place for place, each in enumerate(parameters)}
    dtype = parameters[0].dtype
    inputs = [Buffer(each.size, np.zeros(each.size, np.int64)) for each in examples[0]]
    told = told_by_inputs(orders, examples, inputs, places)
    for parameter in parameters:
        if parameter not in told:
            raise NotRecorded(f"the loss does not depend on the parameter {parameter.name}")

    of_parameters = [Buffer(each.size, each.data) for each in parameters]
    slopes = [Buffer(each.size, each.data) for each in parameters]
    plan = Plan(dict(zip(parameters, slopes, strict=True)))
    values: dict[Node, Value] = {}
    emissions: list[Emission] = []
    for node in orders[0]:
        if isinstance(node, Tensor) and node.dtype != dtype:
            raise NotRecorded(f"a {node.dtype} among {dtype}")
        if node.parents:
            emission = Emission(plan, node, values)
            emission.places = told[node]
            emit_forward(emission)
            emissions.append(emission)
            values[node] = emission.result
        elif node in places:
            values[node] = Value(of_parameters[places[node]], node.data.shape)
        else:
            values[node] = Value(plan.constant(node.data.astype(dtype)), node.data.shape)

    seed = Buffer(1, np.ones(1, dtype))
    plan.send(loss, seed)
    for emission in reversed(emissions):
        upstream = plan.upstream(emission.node)
        if upstream is not None:
            emit_backward(emission, upstream)
            plan.done(emission.node)
    lost = Buffer(1, np.zeros(1, dtype))
    plan.copy(values[loss].buffer, lost)
    return Recorded(
        plan.instructions,
        laid_out(plan.instructions, dtype.itemsize),
        inputs,
        {buffer: place for place, buffer in enumerate(of_parameters)},
        {buffer: place for place, buffer in enumerate(slopes)},
        lost,
        seed,
    )


def told_by_inputs(
    orders: Sequence[Sequence[Any]],
    examples: tuple[Inputs, Inputs],
    inputs: Sequence[Buffer],
    trained: Mapping[Any, int],
) -> dict[Node, Mapping[str, Buffer]]:
    """Find which attributes of which nodes are the inputs, as they are in both graphs."""
    first, second = orders
    if len(first) != len(second):
        raise NotRecorded("its graph is not the same each time")
    twins = dict(zip(first, second, strict=True))
    told: dict[Node, Mapping[str, Buffer]] = {}
    for node, twin in twins.items():
        same = node.op is twin.op and node.data.shape == twin.data.shape
        if not same or [id(twins[each]) for each in node.parents] != [*map(id, twin.parents)]:
            raise NotRecorded("its graph is not the same each time")
        if not node.parents and node in trained:
            if node is not twin:
                raise NotRecorded("its graph is not the same each time")
        elif not node.parents:
            if node.requires_grad:
                raise NotRecorded("a leaf requires a gradient, and is not trained")
            if not np.array_equal(node.data, twin.data):
                what = f"an array that is no input ({describe(node)})"
                raise NotRecorded(f"{what} is not the same each time")
        told[node] = {}
        for name, value in node.attributes.items():
            other = twin.attributes[name]
            buffer = _input(value, other, examples, inputs)
            if buffer is not None:
                told[node] = {**told[node], name: buffer}
            elif not _equal(value, other):
                raise NotRecorded(f"{name} of {node.op.name} is not the same each time")
            elif isinstance(value, np.ndarray) and value.dtype.kind in "iu":
                stays = Buffer(value.size, np.ascontiguousarray(value, np.int64).reshape(-1))
                told[node] = {**told[node], name: stays}
    return told


def _are(pair: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(pair, other, strict=True))


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, np.ndarray):
        return np.array_equal(value, other)
    return type(value) is type(other) and bool(value == other)


def _input(
    value: Any, other: Any, examples: tuple[Inputs, Inputs], inputs: Sequence[Buffer]
) -> Buffer | None:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        return None
    for one, two, buffer in zip(*examples, inputs, strict=True):
        if _are((value, other), (one, two)):
            return buffer
    return None


class _Share:
    """What one worker does: a program over memory of its own, for some rows of each input."""

    def __init__(
        self, plan: Recorded, flat: Array, slopes: Array, spans: Sequence[slice], memory: Array
    ) -> None:
        dtype = flat.dtype
        self.inputs = [np.zeros(each.size, np.int64) for each in plan.inputs]
        self.loss, self.seed = np.zeros(1, dtype), np.ones(1, dtype)
        own = dict(zip(plan.inputs, self.inputs, strict=True))
        own |= {plan.loss: self.loss, plan.seed: self.seed}
        own |= {buffer: flat[spans[place]] for buffer, place in plan.parameters.items()}
        own |= {buffer: slopes[spans[place]] for buffer, place in plan.slopes.items()}

        def placed(buffer: Buffer) -> Array:
            if buffer in own:
                return own[buffer]
            array: Any = buffer.array
            kind = np.int64 if array.dtype.kind in "iu" else dtype
            return np.ascontiguousarray(array, kind).reshape(-1)

        self.program = assembled(plan.instructions, plan.layout, memory, placed)


class RecordedStep:
    """A step of training, recorded: replayed for new inputs of the same shapes.

    Parameters
    ----------
    function
        Makes the loss of integer arrays: a mean over what `weigh` counts.
    examples
        See `recorded`.
    groups
        The parameters, and what AdamW keeps beside them, which is written where it lies.
    num_workers
        How many threads share the rows of the inputs.
    weigh
        What the loss of some rows counts for, in a mean of several: how many targets they have.

    Attributes
    ----------
    nbytes
        The memory that it takes, besides parameters and moments.
    num_workers
        How many threads there are: no more than rows.
    was_compiled
        Whether machine code was made now; see `kept`.

    Raises
    ------
    NotRecorded
        See `recorded`.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        examples: tuple[Inputs, Inputs],
        groups: Sequence[Group],
        num_workers: int = 1,
        weigh: Callable[..., int] | None = None,
    ) -> None:
        self._parameters = [each for group in groups for each in group.parameters]
        dtype = self._parameters[0].dtype
        if dtype not in FLOATS or any(each.dtype != dtype for each in self._parameters):
            raise NotRecorded("parameters are not all of float32, or all of float64")
        try:
            self._blas = blas_of(dtype)
        except LookupError as error:
            raise NotRecorded(str(error)) from None
        self.shapes = [each.shape for each in examples[0]]
        rows = self.shapes[0][0] if len(self.shapes[0]) > 1 else 1
        self.num_workers = count = min(num_workers, rows)
        self._weigh = weigh
        bounds = [rows * i // count for i in range(count + 1)]
        self._rows = [slice(*bounds[i : i + 2]) for i in range(count)]
        if count == 1:  # inputs may be of one axis
            self._rows = [slice(None)]
        plans: dict[tuple[int, ...], Recorded] = {}
        self._shares = []
        for own in self._rows:
            shares = [[each[own] for each in inputs] for inputs in examples]
            shape = shares[0][0].shape
            if shape not in plans:
                plans[shape] = recorded(function, (shares[0], shares[1]), self._parameters)

        ends = np.cumsum([0, *(each.size for each in self._parameters)])
        self._spans = [slice(*ends[i : i + 2]) for i in range(len(self._parameters))]
        total = int(ends[-1])
        self._flat = np.empty(total, dtype)
        self._views: list[Array] = [
            self._flat[span].reshape(each.shape)
            for span, each in zip(self._spans, self._parameters, strict=True)
        ]
        self._slopes = [np.zeros(total, dtype) for _ in self._rows]
        self.nbytes = total * dtype.itemsize * count
        for own, slopes in zip(self._rows, self._slopes, strict=True):
            plan = plans[examples[0][0][own].shape]
            memory = np.empty(plan.layout.size + 16, dtype)
            self.nbytes += memory.nbytes
            self._shares.append(_Share(plan, self._flat, slopes, self._spans, memory))
        self._states = [np.zeros(loops.STATE) for _ in self._rows]
        self._run, self._like = loops.machine(), np.empty(0, dtype)
        known = sum(self._run.stats.cache_misses.values())
        self._do(_program(Plan({})), 0)
        self.was_compiled = sum(self._run.stats.cache_misses.values()) > known
        self._pool = ThreadPoolExecutor(count - 1) if count > 1 else None
        self._plan_update(groups, total)

    def _plan_update(self, groups: Sequence[Group], total: int) -> None:
        """Plan what comes after the gradients: by one worker at once, by several in two parts."""
        count = len(self._rows)
        self._sums, self._updates = [], []
        for worker in range(count):
            low, high = total * worker // count, total * (worker + 1) // count
            span, slopes = slice(low, high), self._slopes
            sums, update = Plan({}), Plan({})
            mine = _lies(slopes[0][span])
            for other in slopes[1:]:
                sums.copy(_lies(other[span]), mine, KEEP)
            sums.emit(loops.SQUARES, mine, high - low)
            begin = 0
            for group in groups:
                end = begin + group.first_moment.size
                lo, hi = max(low, begin), min(high, end)
                if lo < hi:
                    moments = (
                        _lies(each[lo - begin : hi - begin])
                        for each in (group.first_moment, group.second_moment)
                    )
                    lies = _lies(self._flat[lo:hi]), _lies(slopes[0][lo:hi])
                    update.emit(loops.ADAMW, *lies, *moments, hi - lo, group.decays)
                begin = end
            self._sums.append(_program(sums))
            self._updates.append(_program(update))
        if count == 1:
            limit = Plan({})
            limit.emit(loops.LIMIT, _lies(self._shares[0].loss))
            parts = self._shares[0].program, self._sums[0], _program(limit), self._updates[0]
            self._whole = Program(
                np.concatenate([part.table for part in parts]),
                np.concatenate([part.factors for part in parts]),
                [array for part in parts for array in part.held],
            )

    @property
    def gradients(self) -> list[Array]:
        """Those of the latest step, before they were clipped, in the order of the groups."""
        return [
            self._slopes[0][span].reshape(view.shape)
            for span, view in zip(self._spans, self._views, strict=True)
        ]

    def gather(self) -> None:
        """Take the parameters' numbers as they are now; from here on they lie in one stretch."""
        for parameter, view in zip(self._parameters, self._views, strict=True):
            if parameter._array is not view:
                view[...] = parameter._array
                parameter.data = view

    def __call__(self, inputs: Inputs, rates: AdamWRates) -> tuple[float, float] | None:
        """Take one step; return the loss before it and the length of its gradient.

        Nothing moves if one of them is not finite. None says that the inputs are refused, by what
        the function itself will say of them.
        """
        self.gather()
        for state in self._states:
            state[:] = (
                *(rates.learning_rate, *rates.betas),
                *(1 - beta**rates.steps for beta in rates.betas),
                *(rates.eps, rates.weight_decay, math.nan, rates.longest, 1.0, 0.0),
            )
        if self._pool is None:
            return self._alone(inputs)
        return self._together(inputs, rates)

    def _do(self, program: Program, worker: int) -> int:
        return int(
            self._run(
                program.table,
                program.factors,
                self._states[worker],
                self._like,
                *self._blas,
                False,
            )
        )

    def _alone(self, inputs: Inputs) -> tuple[float, float] | None:
        (share,) = self._shares
        for own, given in zip(share.inputs, inputs, strict=True):
            own[:] = given.reshape(-1)
        if self._do(self._whole, 0) in (loops.REFUSED, loops.UNSCORED):
            return None
        return float(share.loss[0]), float(self._states[0][loops.NORM])

    def _together(self, inputs: Inputs, rates: AdamWRates) -> tuple[float, float] | None:
        assert self._weigh is not None
        weights = [self._weigh(*(each[own] for each in inputs)) for own in self._rows]
        if not any(weights):
            return None
        for share, own, weight in zip(self._shares, self._rows, weights, strict=True):
            share.seed[0] = weight / sum(weights)
            for mine, given in zip(share.inputs, inputs, strict=True):
                mine[:] = given[own].reshape(-1)
        ends = self._all([share.program for share in self._shares])
        for share, slopes, weight, end in zip(
            self._shares, self._slopes, weights, ends, strict=True
        ):
            if end == loops.UNSCORED and not weight:  # rows without a target send nothing
                share.loss[0] = 0
                slopes[:] = 0
            elif end != loops.DONE:
                return None
        loss = sum(float(share.loss[0]) * float(share.seed[0]) for share in self._shares)
        self._all(self._sums)
        norm = math.hypot(*(state[loops.NORM] for state in self._states))
        if math.isfinite(loss) and math.isfinite(norm):
            for state in self._states:
                state[loops.CLIP] = rates.longest / norm if norm > rates.longest else 1.0
            self._all(self._updates)
        return loss, norm

    def _all(self, programs: Sequence[Program]) -> list[int]:
        """Let each worker do its program; the first is this thread."""
        assert self._pool is not None
        others = [
            self._pool.submit(self._do, program, worker)
            for worker, program in enumerate(programs[1:], 1)
        ]
        return [self._do(programs[0], 0), *(each.result() for each in others)]


def _lies(array: Array) -> Buffer:
    return Buffer(array.size, array)


def _program(plan: Plan) -> Program:
    def placed(buffer: Buffer) -> Array:
        assert buffer.array is not None
        return buffer.array

    return assembled(plan.instructions, Layout({}, 0), np.empty(0), placed)
