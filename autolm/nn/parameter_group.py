"""Parameters as one flat array, so that an optimizer updates all of them in a few NumPy calls.

A NumPy call costs about a microsecond even for a small array, and a transformer has many small
parameters. The parameters of one dtype therefore share a flat array, and so do the moments. Each
parameter is a view in its shape.
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
    """One parameter of a group, and its slice of the flat arrays."""

    path: str
    parameter: Tensor
    place: slice


_has_grad = attrgetter("parameter.has_grad")


class ParameterGroup:
    """Parameters of one dtype with the same update rule.

    Attributes
    ----------
    parts
        Each parameter with its path and its slice.
    memory
        A flat array for each slot, such as a moment, by name; zero at first.
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
        """Yield runs of adjacent parameters that have gradients; usually there is one run."""
        for has_grad, parts in groupby(self.parts, key=_has_grad):
            if has_grad:
                self._latest = Run(list(parts), self.memory, self._latest)
                yield self._latest

    def arrays(self) -> dict[str, Array]:
        """Return the slots by "slot/path", as views in the shape of their parameter."""
        return {
            f"{slot}/{path}": flat[place].reshape(parameter.shape)
            for slot, flat in self.memory.items()
            for path, parameter, place in self.parts
        }


class Run:
    """Adjacent parameters of a group as flat arrays: data, gradients and slots.

    Attributes
    ----------
    data
        The parameters; read-only, since a graph may need them.
    memory
        The slots, as views to write into.
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
        """Assign each parameter its part of new data, which the caller must not write into."""
        self.data, self._shares = data, []
        for _, parameter, place in self._parts:
            share = data[place.start - self._start : place.stop - self._start]
            self._shares.append(share.reshape(parameter.shape))
            parameter.data = self._shares[-1]

    def holds(self, parts: list[Part]) -> bool:
        """Whether these are the same parameters, with the data that `bind` assigned."""
        return len(parts) == len(self._shares) and all(
            part.parameter.data is share and share.base is self.data  # not in a copied model
            for part, share in zip(parts, self._shares, strict=True)
        )
