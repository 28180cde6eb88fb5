"""The program of a training step: made of two examples, run on further batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.examples import Example, Matches, NotRecordable, Source
from autolm.compiled.instructions import ALWAYS, COMPILED
from autolm.compiled.parameter_memory import ParameterMemory
from autolm.compiled.recorder import Instruction, Recorder
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


@cache
def instructions() -> dict[Any, Instruction]:
    """Return the instructions that run here: those of compiled loops only if there is numba."""
    return ALWAYS | (COMPILED if find_spec("numba") else {})


class Replay:
    """Forward and backward of a loss, without its graph.

    Parameters
    ----------
    first, second
        Plain passes over two batches of the same shapes.
    memory
        The parameters, and where their gradients go.

    Attributes
    ----------
    reached
        The parameters that get a gradient.

    Raises
    ------
    NotRecordable
        If the examples differ in more than what comes from the batch.
    """

    def __init__(self, first: Example, second: Example, memory: ParameterMemory) -> None:
        matches = Matches(first, second)
        self._inputs = [np.array(array, order="C") for array in second.batch]
        self._converted: dict[Source, Array] = {}
        self._fixed: list[tuple[Tensor, Array]] = []  # leaves that are the same Tensor each time
        leaves, attributes = dict[Tensor, Array](), dict[Tensor, dict[str, Any]]()
        for i, node in enumerate(second.order):
            if node in memory.data:
                leaves[node] = memory.data[node]
            elif not node.parents:
                leaves[node] = self._leaf(node, matches.leaf(i))
            else:
                attributes[node] = {
                    name: self._resolved(matches.attribute(i, name)) for name in node.attributes
                }
        recorder = Recorder(instructions(), leaves, memory.gradient)
        for source, array in self._converted.items():
            recorder.call(np.copyto, array, self._inputs[source.place], "unsafe")
        for node, values in attributes.items():
            recorder.forward(node, values)
        if not recorder.depends_on_a_parameter(second.loss):
            raise NotRecordable("the loss does not depend on a parameter of the optimizer")
        recorder.backward(second.order)
        self._loss = np.empty(second.loss.shape, second.loss.dtype)
        recorder.call(np.copyto, self._loss, recorder.arrays[second.loss])
        recorder.program.lay_out()
        self._program = recorder.program
        self._counts = recorder.by_instruction, recorder.by_function
        self.reached = {p for p in memory.data if recorder.has_gradient(p)}

    def _leaf(self, leaf: Tensor, index: int | None) -> Array:
        """Return the array of a leaf: an array of the batch, or the leaf's own."""
        if index is not None:
            return self._array_of(Source(index, leaf.dtype))
        self._fixed.append((leaf, leaf._array))
        return leaf._array

    def _resolved(self, attribute: Any) -> Any:
        """Return an attribute with the arrays that it takes from the batch."""
        if isinstance(attribute, Source):
            return self._array_of(attribute)
        if isinstance(attribute, tuple | list):
            return type(attribute)(map(self._resolved, attribute))
        return attribute

    def _array_of(self, source: Source) -> Array:
        own = self._inputs[source.place]
        if own.dtype == source.dtype:
            return own
        return self._converted.setdefault(source, own.astype(source.dtype))

    def run(self, batch: Sequence[Array]) -> float:
        """Compute the gradients for a batch; return its loss."""
        for own, array in zip(self._inputs, batch, strict=True):
            np.copyto(own, array)
        self._program.run()
        return self._loss.item()

    def is_stale(self) -> bool:
        """Whether a Tensor that the loss function uses was given another array since."""
        return any(leaf._array is not array for leaf, array in self._fixed)

    def explain(self) -> list[str]:
        """Say which operations have instructions, and which run by their own functions."""
        kinds = "by instructions", "by their own functions"
        lines = [
            f"{kind}: {', '.join(f'{count} × {name}' for name, count in sorted(counts.items()))}"
            for kind, counts in zip(kinds, self._counts, strict=True)
            if counts
        ]
        return [*lines, f"memory: {self._program.nbytes / 2**20:.1f} MiB"]
