"""A program: calls that are repeated for every batch, on arrays that are laid out once.

Each call is a function and its arguments, the arrays that it reads and writes among them. Arrays
that are never in use at the same time share memory, so that a step works in the processor's cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class Program:
    """Calls in order.

    Examples
    --------
    >>> program = Program()
    >>> x, y = np.array([1.0, 2.0]), program.new((2,), float)
    >>> program.call(np.multiply, x, x, y)
    >>> program.call(np.add, y, x, x)
    >>> program.lay_out()
    >>> program.run()
    >>> x
    array([2., 6.])
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.nbytes = 0
        self._new: set[int] = set()  # the ids of arrays whose memory `lay_out` may assign
        self._owners: list[Array] = []

    def new(self, shape: Iterable[int], dtype: DTypeLike) -> Array:
        """Return an array for results; it has memory of its own only until `lay_out`."""
        array = np.empty(tuple(shape), dtype)
        self._new.add(id(array))
        self._owners.append(array)  # an id is unique only while the array lives
        return array

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Append a call. Every array that it reads or writes must be among the arguments."""
        self.calls.append((function, arguments))

    def run(self) -> None:
        """Make all calls."""
        for function, arguments in self.calls:
            function(*arguments)

    def lay_out(self) -> None:
        """Let new arrays share memory: each needs its own from its first call to its last."""
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
        self.calls = [(function, _moved(arguments, memory)) for function, arguments in self.calls]
        self._owners, self._new = [], set()

    def _assign(
        self, owners: dict[int, Array], first: dict[int, int], last: dict[int, int]
    ) -> dict[int, tuple[Array, Array]]:
        """Give each array memory that another of its size has finished with, or else new memory."""
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
    """Yield the arrays among arguments, and in tuples among them."""
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            yield argument
        elif type(argument) is tuple:
            yield from _arrays_in(argument)


def _owner_of(array: Array) -> Array:
    """Return the array whose memory a view shows; an array that is no view is its own."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _moved(arguments: tuple[Any, ...], memory: dict[int, tuple[Array, Array]]) -> tuple[Any, ...]:
    return tuple(
        _in_its_memory(argument, memory)
        if isinstance(argument, np.ndarray)
        else _moved(argument, memory)
        if type(argument) is tuple
        else argument
        for argument in arguments
    )


def _in_its_memory(array: Array, memory: dict[int, tuple[Array, Array]]) -> Array:
    owner = _owner_of(array)
    if id(owner) not in memory:
        return array
    owner, block = memory[id(owner)]
    offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return np.ndarray(array.shape, array.dtype, block.data, offset, array.strides)
