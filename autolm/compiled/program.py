"""A program: a list of calls that is repeated for every batch, on arrays allocated once.

Each call is a function and its arguments, including every array that it reads or writes. Arrays
that are never in use at the same time share memory, so that a step fits the processor's cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class Program:
    """A list of calls, run in order.

    Examples
    --------
    >>> program = Program()
    >>> x, y = np.array([1.0, 2.0]), program.new((2,), float)
    >>> program.call(np.multiply, x, x, y)
    >>> program.call(np.add, y, x, x)
    >>> program.allocate()
    >>> program.run()
    >>> x
    array([2., 6.])
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.nbytes = 0
        self._new: set[int] = set()  # the ids of arrays whose memory `allocate` may assign
        self._owners: list[Array] = []

    def new(self, shape: Iterable[int], dtype: DTypeLike) -> Array:
        """Return an array for results; `allocate` may let it share memory with others."""
        array = np.empty(tuple(shape), dtype)
        self._new.add(id(array))
        self._owners.append(array)  # an id is unique only while its array exists
        return array

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Append a call. Every array that it reads or writes must be among the arguments."""
        self.calls.append((function, arguments))

    def run(self) -> None:
        """Make all calls."""
        for function, arguments in self.calls:
            function(*arguments)

    def allocate(self) -> None:
        """Assign memory to the new arrays; two share it if no call needs both at once."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        owners: dict[int, Array] = {}
        for i, (_, arguments) in enumerate(self.calls):
            for array in _arrays_in(arguments):
                owner = _owner_of(array)
                if id(owner) in self._new:
                    owners[id(owner)] = owner
                    first.setdefault(id(owner), i)
                    last[id(owner)] = i
        memory = self._assign(owners, first, last)
        self.calls = [
            (function, _relocated(arguments, memory)) for function, arguments in self.calls
        ]
        self._owners, self._new = [], set()

    def _assign(
        self, owners: dict[int, Array], first: dict[int, int], last: dict[int, int]
    ) -> dict[int, tuple[Array, Array]]:
        """Assign each array a block of its size that is free again, or else a new block."""
        free: dict[int, list[Array]] = defaultdict(list)
        ending: dict[int, list[Array]] = defaultdict(list)
        memory: dict[int, tuple[Array, Array]] = {}
        now = 0
        for key in sorted(owners, key=lambda key: first[key]):
            for i in range(now, first[key]):
                for block in ending.pop(i, ()):
                    free[block.nbytes].append(block)
            now = first[key]
            size = owners[key].nbytes
            if free[size]:
                block = free[size].pop()
            else:
                block = np.zeros(size, np.uint8)
                self.nbytes += size
            ending[last[key]].append(block)
            memory[key] = owners[key], block
        return memory


def _arrays_in(arguments: Any) -> Iterator[Array]:
    """Yield the arrays in arguments and in their tuples."""
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            yield argument
        elif type(argument) is tuple:
            yield from _arrays_in(argument)


def _owner_of(array: Array) -> Array:
    """Return the array that owns the memory of a view; any other array owns its own memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _relocated(
    arguments: tuple[Any, ...], memory: dict[int, tuple[Array, Array]]
) -> tuple[Any, ...]:
    return tuple(
        _in_block(argument, memory)
        if isinstance(argument, np.ndarray)
        else _relocated(argument, memory)
        if type(argument) is tuple
        else argument
        for argument in arguments
    )


def _in_block(array: Array, memory: dict[int, tuple[Array, Array]]) -> Array:
    owner = _owner_of(array)
    if id(owner) not in memory:
        return array
    owner, block = memory[id(owner)]
    offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return np.ndarray(array.shape, array.dtype, block.data, offset, array.strides)
