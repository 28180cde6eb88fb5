"""Parameters laid side by side, so that an optimizer moves them all with a dozen NumPy calls.

A call of NumPy costs about a microsecond however little it does, and a transformer has many small
parameters. So those of one dtype are handled as one flat array, and what an optimizer keeps beside
them is flat too. The parameters themselves stay arrays of their own shape: views of the flat one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autolm.tensor import Tensor

Array = NDArray[Any]


class Part(NamedTuple):
    """One parameter of a group, and where it lies in the flat arrays."""

    path: str
    parameter: Tensor
    place: slice


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

    def runs(self) -> Iterator[Run]:
        """Yield the parameters that have gradients, as runs of neighbours; mostly this is one."""
        for has_grad, parts in groupby(self.parts, key=lambda part: part.parameter.has_grad):
            if has_grad:
                yield Run(list(parts), self.memory)

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
    data, grad
        Copies; `bind` gives the parameters what `data` has become.
    memory
        Views: what is written into them is kept.
    """

    def __init__(self, parts: list[Part], memory: dict[str, Array]) -> None:
        self._parts = parts
        self._start = parts[0].place.start
        self.data = np.concatenate([part.parameter.data.ravel() for part in parts])
        self.grad = np.concatenate([part.parameter.grad.ravel() for part in parts])
        span = slice(self._start, parts[-1].place.stop)
        self.memory = {slot: flat[span] for slot, flat in memory.items()}

    def bind(self) -> None:
        """Give each parameter its share of `data`."""
        for _, parameter, place in self._parts:
            share = self.data[place.start - self._start : place.stop - self._start]
            parameter.data = share.reshape(parameter.shape)
