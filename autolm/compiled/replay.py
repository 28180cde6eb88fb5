"""The program of a training step: recorded from two examples, and run on further batches."""

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
    """Return the available instructions; those with compiled loops need numba."""
    return ALWAYS | (COMPILED if find_spec("numba") else {})


class Replay:
    """The forward and backward pass of a loss, without its graph.

    Parameters
    ----------
    first, second
        Plain passes over two batches of the same shapes.
    memory
        The arrays of the parameters and of their gradients.

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
        self._inputs = [array.copy() for array in second.batch]
        self._parameters = list(memory.data)
        self._trained = [p.requires_grad for p in self._parameters]
        self._constants: list[tuple[Tensor, Array]] = []
        self._untracked: list[tuple[Tensor, Array]] = []  # leaves of no or another optimizer
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
        self._pinned = [(i, second.batch[i]) for i in sorted(matches.pinned)]
        trained = {p: grad for p, grad in memory.gradient.items() if p.requires_grad}
        recorder = Recorder(instructions(), leaves, trained)
        for node, values in attributes.items():
            recorder.forward(node, values)
        if not recorder.depends_on_a_parameter(second.loss):
            raise NotRecordable("the loss does not depend on a parameter of the optimizer")
        recorder.backward(second.order)
        self._loss = np.empty(second.loss.shape, second.loss.dtype)
        recorder.call(np.copyto, self._loss, recorder.arrays[second.loss])
        recorder.program.allocate()
        self._program = recorder.program
        self._counts = recorder.by_instruction, recorder.by_function
        self.reached = {p for p in memory.data if recorder.has_gradient(p)}

    def _leaf(self, leaf: Tensor, source: Source | None) -> Array:
        """Return the array of a leaf: a part of the batch, or the array of the leaf itself."""
        if source is not None:
            return source.of(self._inputs)
        if leaf.requires_grad:
            self._untracked.append((leaf, leaf._array.copy()))
            return self._untracked[-1][1]
        self._constants.append((leaf, leaf._array))
        return leaf._array

    def _resolved(self, attribute: Any) -> Any:
        """Return an attribute with the arrays of the batch in place of their sources."""
        if isinstance(attribute, Source):
            return attribute.of(self._inputs)
        if isinstance(attribute, tuple | list):
            return type(attribute)(map(self._resolved, attribute))
        return attribute

    def run(self, batch: Sequence[Array]) -> float:
        """Compute the gradients for a batch; return its loss."""
        for copy, array in zip(self._inputs, batch, strict=True):
            np.copyto(copy, array)
        for leaf, copy in self._untracked:
            np.copyto(copy, leaf._array)
        self._program.run()
        return self._loss.item()

    def is_stale(self, batch: Sequence[Array]) -> bool:
        """Whether the program is invalid for a batch.

        That is so if a Tensor that the loss function uses has another array, if a parameter was
        frozen or unfrozen, or if an array of the batch changed that may be a constant.
        """
        return (
            [p.requires_grad for p in self._parameters] != self._trained
            or any([leaf._array is not array for leaf, array in self._constants])
            or any([not np.array_equal(batch[i], array) for i, array in self._pinned])
        )

    def explain(self) -> list[str]:
        """Say which operations have instructions, and which run by their own functions."""
        kinds = "by instructions", "by their own functions"
        lines = [
            f"{kind}: {', '.join(f'{count} × {name}' for name, count in sorted(counts.items()))}"
            for kind, counts in zip(kinds, self._counts, strict=True)
            if counts
        ]
        return [*lines, f"memory: {self._program.nbytes / 2**20:.1f} MiB"]
