"""A plan: what a step of training does, as a list of instructions over memory laid out beforehand.

Instructions are for the machine of `fused_loops.py`. They name buffers, stretches of numbers that
have no place yet; once all instructions are there, it is known from when to when each buffer is
needed, and buffers that are not needed at the same time get the same memory. The gradients are
planned as `engine/backprop.py` computes them: each is a sum of what was sent, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.fused_loops import COPY, WIDTH
from autolm.engine.graph import Node

Array = NDArray[Any]
LINE = 64  # bytes: each buffer begins a line of the cache, so that no two share one
# Whether to add to what is there: never, always, or if gradients of several runs are added up.
FRESH, KEEP, KEEP_IF_AGAIN = range(3)


class Buffer:
    """A stretch of numbers.

    Attributes
    ----------
    size
        How many.
    array
        What they lie in, if that is known before: parameters, inputs, constants.
    onto
        The buffer whose memory may be taken, as it is read for the last time where this is filled.
    """

    __slots__ = ("array", "onto", "size")

    def __init__(self, size: int, array: Array | None = None, onto: Buffer | None = None) -> None:
        self.size, self.array, self.onto = size, array, onto


class Instruction(NamedTuple):
    """A code of the machine, its fields, and the one number that is no integer."""

    code: int
    fields: tuple[Buffer | int, ...]
    factor: float


class Plan:
    """Instructions in their order, and which buffer holds the gradient of which node.

    Parameters
    ----------
    slopes
        The buffer for the gradient of each node that is trained.

    Attributes
    ----------
    instructions
        What to do.
    """

    def __init__(self, slopes: dict[Node, Buffer]) -> None:
        self.instructions: list[Instruction] = []
        self._slopes, self._begun = slopes, set[Node]()
        self._gradients: dict[Node, Buffer] = {}

    def emit(self, code: int, *fields: Buffer | int, factor: float = 0.0) -> None:
        """Add an instruction."""
        self.instructions.append(Instruction(code, fields, factor))

    def upstream(self, node: Node) -> Buffer | None:
        """Return what has arrived at a node; None if nothing has."""
        return self._gradients.get(node)

    def done(self, node: Node) -> None:
        """Forget the gradient of a node that has sent it on."""
        self._gradients.pop(node, None)

    def into(self, parent: Node, size: int) -> tuple[Buffer, int]:
        """Return where to write a contribution to a parent, and whether to add it there."""
        if parent in self._slopes:
            first = parent not in self._begun
            self._begun.add(parent)
            return self._slopes[parent], KEEP_IF_AGAIN if first else KEEP
        if parent not in self._gradients:
            self._gradients[parent] = Buffer(size)
            return self._gradients[parent], FRESH
        held = self._gradients[parent]
        if sum(held is each for each in self._gradients.values()) > 1:  # others have yet to read it
            own = Buffer(size)
            self.copy(held, own)
            self._gradients[parent] = own
        return self._gradients[parent], KEEP

    def send(self, parent: Node, buffer: Buffer) -> None:
        """Send a parent what stands in a buffer already, all of it, which is not written again."""
        if parent in self._slopes or parent in self._gradients:
            into, keep = self.into(parent, buffer.size)
            self.copy(buffer, into, keep)
        else:
            self._gradients[parent] = buffer

    def copy(self, buffer: Buffer, to: Buffer, keep: int = FRESH) -> None:
        """Copy all numbers, or add them; one number is repeated."""
        self.emit(COPY, buffer, to, buffer.size, to.size, keep)

    def constant(self, array: Array) -> Buffer:
        """Return a buffer of numbers that stay what they are."""
        return Buffer(array.size, array)


class Layout(NamedTuple):
    """Where the buffers of a plan lie in one stretch of memory, and how long that is."""

    places: dict[Buffer, int]  # in numbers
    size: int


def laid_out(instructions: Sequence[Instruction], itemsize: int) -> Layout:
    """Give each buffer without an array a place, the first that is free while it is needed.

    The largest are placed first: what is small then fits between them.
    """
    spans: dict[Buffer, list[int]] = {}
    for at, instruction in enumerate(instructions):
        for field in instruction.fields:
            if isinstance(field, Buffer) and field.array is None:
                spans.setdefault(field, [at, at])[1] = at
    roots: dict[Buffer, Buffer] = {}
    for buffer, (first, last) in spans.items():
        onto = buffer.onto and roots.get(buffer.onto)
        if onto is not None and onto.size >= buffer.size and spans[onto][1] <= first:
            roots[buffer] = onto
            spans[onto][1] = max(spans[onto][1], last)
        else:
            roots[buffer] = buffer
    step = LINE // itemsize
    places: dict[Buffer, int] = {}
    end = 0
    own = [buffer for buffer, root in roots.items() if buffer is root]
    for buffer in sorted(own, key=lambda each: -each.size):
        first, last = spans[buffer]
        taken = sorted(
            (places[other], places[other] + other.size)
            for other in places
            if spans[other][0] <= last and first <= spans[other][1]
        )
        start = 0
        for low, high in taken:
            if start + buffer.size <= low:
                break
            start = max(start, -(-high // step) * step)
        places[buffer] = start
        end = max(end, start + buffer.size)
    return Layout({buffer: places[root] for buffer, root in roots.items()}, end)


class Program(NamedTuple):
    """Instructions with addresses, as the machine takes them, and the arrays that these are in."""

    table: NDArray[np.int64]
    factors: NDArray[np.float64]
    held: list[Array]


def assembled(
    instructions: Sequence[Instruction],
    layout: Layout,
    memory: Array,
    placed: Callable[[Buffer], Array],
) -> Program:
    """Put addresses for buffers; `placed` tells the array of a buffer that is not in `memory`."""
    table = np.zeros((len(instructions), WIDTH), np.int64)
    held: dict[Buffer, Array] = {}
    for row, (code, fields, _) in zip(table, instructions, strict=True):
        row[0] = code
        for i, field in zip(count(1), fields):
            if not isinstance(field, Buffer):
                row[i] = field
            elif field.array is None:
                row[i] = memory.ctypes.data + layout.places[field] * memory.itemsize
            else:
                array = held.setdefault(field, placed(field))
                row[i] = array.ctypes.data
    factors = np.array([each.factor for each in instructions])
    return Program(table, factors, [memory, *held.values()])
