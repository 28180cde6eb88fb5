"""Parameters laid side by side, so that an optimizer moves them all with a dozen NumPy calls.

A call of NumPy costs about a microsecond however little it does, and a transformer has many small
parameters. So those of one dtype are handled as one flat array, and what an optimizer keeps beside
them is flat too. The parameters themselves stay arrays of their own shape: views of the flat one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


class Part(NamedTuple):
    """One parameter of a group, and where it lies in the flat arrays."""

    path: str
    parameter: Tensor
    place: slice


_has_grad = attrgetter("parameter.has_grad")


class ParameterGroup:
    """Parameters of one dtype that are treated alike.

    Attributes
    ----------
    parts
        Each parameter with its path and its place.
    memory
        By name, a flat array of what is kept beside the parameters; zeros at first.
    """

    def __init__(self, parameters: dict[str, Tensor], slots: tuple[str, ...]) -> None:
        self.parts: list[Part] = []
        end = 0
        for path, parameter in parameters.items():
            self.parts.append(Part(path, parameter, slice(end, end := end + parameter.size)))
        dtype = np.result_type(*(part.parameter.dtype for part in self.parts))
        self.memory = {slot: np.zeros(end, dtype) for slot in slots}
        self._latest: Run | None = None

    def runs(self) -> Iterator[Run]:
        """Yield the parameters that have gradients, as runs of neighbours; mostly this is one."""
        for has_grad, parts in groupby(self.parts, key=_has_grad):
            if has_grad:
                self._latest = Run(list(parts), self.memory, self._latest)
                yield self._latest

    def arrays(self) -> dict[str, Array]:
        """Return what is kept, by "slot/path", each in the shape of its parameter; as views."""
        return {
            f"{slot}/{path}": flat[place].reshape(parameter.shape)
            for slot, flat in self.memory.items()
            for path, parameter, place in self.parts
        }


class Run:
    """Neighbours in a group, as flat arrays: their data, their gradients, and what is kept.

    Attributes
    ----------
    data
        The parameters; not to be written into, since a graph may need them.
    memory
        Views: what is written into them is kept.
    """

    data: Array

    def __init__(self, parts: list[Part], memory: dict[str, Array], latest: Run | None) -> None:
        self._parts, self._start = parts, parts[0].place.start
        self._shares: list[Array] = []
        if latest is not None and latest.holds(parts):
            self.data = latest.data
        else:
            self.data = np.concatenate([part.parameter.data.ravel() for part in parts])
        span = slice(self._start, parts[-1].place.stop)
        self.memory = {slot: flat[span] for slot, flat in memory.items()}

    def gradients(self) -> Array:
        """Return the gradients, as a copy."""
        return np.concatenate([part.parameter.grad.ravel() for part in self._parts])

    def bind(self, data: Array) -> None:
        """Give each parameter its share of new data, into which nobody else may write."""
        self.data, self._shares = data, []
        for _, parameter, place in self._parts:
            share = data[place.start - self._start : place.stop - self._start]
            self._shares.append(share.reshape(parameter.shape))
            parameter.data = self._shares[-1]

    def holds(self, parts: list[Part]) -> bool:
        """Whether these are the same parameters, and their data still what `bind` gave them."""
        return len(parts) == len(self._shares) and all(
            part.parameter.data is share and share.base is self.data  # in a copy, it lies elsewhere
            for part, share in zip(parts, self._shares, strict=True)
        )
