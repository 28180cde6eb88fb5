"""Tape: a recorded graph of Values as flat arrays, replayed for new numbers.

Recording a graph costs far more than its arithmetic. If only the numbers change from step to step,
a Tape records the graph once and then does the arithmetic alone, a hundred times faster. It
computes the operations of `value.py` in the order of `backward()`, so every number is equal bit for
bit. `write_back()` writes the numbers to the Values again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm.compiled.tape_loops import CODES, PLAIN, Loops, native_loops
from autolm.engine.backprop import backward
from autolm.engine.graph import Node, describe, topological_order
from autolm.engine.value import OPERATIONS, Operation, Value
from autolm.outside.arguments import quote, read_bool, read_items

Array = NDArray[np.float64]


class Tape:
    """A recorded graph of Values that replays forward and backward for new numbers.

    With numba installed (extra `fast`) it runs as machine code, which is compiled at first use and
    cached on disk; otherwise as a loop in Python. Results equal those of the Values bit for bit.

    Parameters
    ----------
    loss
        The recorded result, a Value.
    inputs
        Leaves under it that get new numbers at every `forward`.
    parameters
        Leaves under it that are trained. All other leaves are constants, and so are numbers that
        the program computed from `.data`, such as a largest logit.
    native
        True requires numba, False uses plain Python. None uses numba if it is installed and the
        compiled loops have every operation of the graph.

    Attributes
    ----------
    parameters : (len(parameters),) array
        The numbers of the parameters. An optimizer writes into it: ``tape.parameters[:] = …``.
    gradient : (len(parameters),) array
        ∂loss/∂parameters of the latest `backward`.
    native : bool
        Whether it runs as machine code.

    Raises
    ------
    TypeError
        If the loss is not a Value.
    ValueError
        If an operation is not an operation of Value, or is not compiled although `native=True`; or
        if an input or parameter is not a leaf under the loss.
    ModuleNotFoundError
        If `native=True` and numba is not installed.

    Examples
    --------
    >>> w, x = Value(1.0, "w"), Value(0.0, "x")
    >>> tape = Tape((w * x - 6.0) ** 2, inputs=[x], parameters=[w])
    >>> for step in range(100):
    ...     loss = tape.forward([2.0])
    ...     tape.parameters[:] -= 0.1 * tape.backward()
    >>> tape.write_back()
    >>> round(w.data, 6), x.data
    (3.0, 2.0)
    """

    parameters: Array
    gradient: Array

    def __init__(
        self,
        loss: Value,
        *,
        inputs: Sequence[Value] = (),
        parameters: Sequence[Value],
        native: bool | None = None,
    ) -> None:
        if not isinstance(loss, Value):
            raise TypeError(
                f"Tape: loss must be one Value, not {quote(loss)} "
                "(loss.to_values() makes Values of a Tensor)"
            )
        inputs = _values("inputs", inputs)
        parameters = _values("parameters", parameters)
        if native is not None:
            native = read_bool("Tape", "native", native)
        order = topological_order(loss)
        self._loss, self._operations = loss, [node for node in order if node.parents]
        for node in self._operations:
            _require_replayable(node)
        self._leaves = _ordered_leaves(order, parameters, inputs)
        index = {node: i for i, node in enumerate([*self._leaves, *self._operations])}
        self._data = np.array([node.data for node in index], dtype=np.float64)
        self._gradients = np.zeros(len(index))
        self._index, self._ready = index, False

        trained = len(parameters)
        self.parameters, self.gradient = self._data[:trained], self._gradients[:trained]
        self._results = self._data[len(self._leaves) :]
        self._inputs = self._data[trained : trained + len(inputs)]
        self._trained = parameters

        counts = (len(node.parents) for node in self._operations)
        parents = chain.from_iterable(node.parents for node in self._operations)
        starts = np.array([0, *accumulate(counts)], dtype=np.uint32)
        operands = np.array([index[parent] for parent in parents], dtype=np.uint32)
        program = (
            np.array([CODES.get(node.op.name, 0) for node in self._operations], dtype=np.uint8),
            operands[starts[:-1]],
            operands[starts[1:] - 1],
            starts,
            operands,
        )
        self._loops = _loops(native, self._operations)
        self.native = self._loops.native
        # A memoryview yields Python floats, which are faster in plain Python than NumPy's.
        form: Any = np.asarray if self.native else memoryview
        self._forward_arrays = [form(array) for array in (*program, self._data)]
        self._backward_arrays = [*self._forward_arrays, form(self._gradients)]

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self._operations)

    def forward(self, inputs: ArrayLike = ()) -> float:
        """Compute the loss with these inputs and the current parameters.

        Parameters
        ----------
        inputs
            A number for each of the `inputs`, in their order; an array of any shape.

        Raises
        ------
        ValueError
            If the number of inputs is wrong.
        FloatingPointError
            If a result is not finite; the message names the first such operation.
        """
        numbers = np.empty(0, object)
        with suppress(TypeError, ValueError):  # nodes in a list; lists of unequal lengths
            numbers = np.asarray(inputs)
        if numbers.dtype.kind not in "iuf":
            raise TypeError(f"Tape.forward: inputs must be numbers, not {quote(inputs)}")
        if numbers.size != self._inputs.size:
            raise ValueError(f"Tape.forward: {numbers.size} numbers for {self._inputs.size} inputs")
        self._inputs[:] = numbers.ravel()
        self._ready = False
        if self._loops.forward(*self._forward_arrays) != 0.0:
            self._stop_forward()
        self._ready = True
        return float(self._data[self._index[self._loss]])

    def backward(self) -> Array:
        """Compute and return `gradient` at the numbers of the latest `forward`.

        Raises
        ------
        RuntimeError
            If `forward` was not called, or failed.
        FloatingPointError
            If a gradient is not finite; the message names the operation or the parameter.
        """
        if not self._ready:
            raise RuntimeError("Tape.backward: there are no results yet; call forward first")
        self._gradients.fill(-0.0)
        self._gradients[self._index[self._loss]] = 1.0
        check = self._loops.backward(*self._backward_arrays)
        if check != 0.0 or not np.isfinite(self.gradient).all():
            self._stop_backward()
        return self.gradient

    def write_back(self) -> None:
        """Write data and gradients to the Values, as if the graph had just been recorded.

        The graph then has the current parameters and the inputs of the latest `forward`, and can be
        drawn, stepped and explained. Non-finite numbers are written too, for `blame_nonfinite`.
        """
        for leaf, number in zip(self._leaves, self._data.tolist(), strict=False):
            leaf.data = number
        for node in self._operations:
            node.recompute()
        for node in self._index:
            node.grad = None
        backward(self._loss)

    def _stop_forward(self) -> None:
        """Raise the error that names the first operation whose result is not finite."""
        from autolm.walking.wording import expression, show

        def number(node: Node) -> str:
            return show(self._data[self._index[node]])

        node = self._operations[int(np.isfinite(self._results).argmin())]
        raise FloatingPointError(
            f"forward stopped at {describe(node)}: {expression(node, number)} = {number(node)}"
            f"{_ADVICE}"
        )

    def _stop_backward(self) -> None:
        """Raise the error that names the operation or parameter with a non-finite gradient."""
        from autolm.walking.wording import show

        upstream = np.isfinite(self._gradients[len(self._leaves) :])[::-1]
        if upstream.all():
            node: Node = self._trained[int(np.isfinite(self.gradient).argmin())]
        else:
            node = self._operations[len(upstream) - 1 - int(upstream.argmin())]
        gradient = show(self._gradients[self._index[node]])
        raise FloatingPointError(
            f"backward stopped at {describe(node)}: its gradient is {gradient}{_ADVICE}"
        )


_ADVICE = "; after write_back(), blame_nonfinite(loss) tells how it came about"


def _values(argument: str, values: Any) -> list[Value]:
    listed = read_items("Tape", argument, values, "a list of Values")
    for i, value in enumerate(listed):
        if not isinstance(value, Value):
            raise TypeError(f"Tape: {argument} must be Values, and at {i} is {quote(value)}")
    return listed


def _ordered_leaves(
    order: Sequence[Node], parameters: Sequence[Value], inputs: Sequence[Value]
) -> list[Node]:
    """List the leaves: parameters, inputs, then all others; check that the first two are leaves."""
    under = set(order)
    labels: dict[Node, str] = {}
    for kind, leaves in (("parameter", parameters), ("input", inputs)):
        for i, leaf in enumerate(leaves):
            wrong = ""
            if leaf not in under:
                wrong = "is not under the loss"
            elif leaf.parents:
                wrong = "is the result of an operation; a leaf is needed"
            elif leaf in labels:
                wrong = f"is given twice: it is {labels[leaf]} already"
            elif kind == "parameter" and not leaf.requires_grad:
                wrong = "is a constant: it was made with requires_grad=False"
            if wrong:
                raise ValueError(f"Tape: {kind} {i} ({describe(leaf)}) {wrong}")
            labels[leaf] = f"{kind} {i}"
    return [*labels, *(node for node in order if not node.parents and node not in labels)]


def _require_replayable(node: Node) -> None:
    if OPERATIONS.get(node.op.name) is not node.op:
        raise ValueError(
            f"Tape: {describe(node)} is no operation of Value's own, which are "
            f"{', '.join(OPERATIONS)}"
        )
    if not node.requires_grad:
        raise ValueError(f"Tape: {describe(node)} is a result that requires no gradient")


def _loops(native: bool | None, operations: Sequence[Node]) -> Loops:
    """Return compiled loops, the same loops in Python, or loops that call the operations."""
    without = dict.fromkeys(node.op.name for node in operations if node.op.name not in CODES)
    if without and native:
        raise ValueError(f"Tape(native=True): there is no compiled {', '.join(without)}")
    if without:
        return _loops_by_definition([node.op for node in operations])
    if native is None:
        native = find_spec("numba") is not None
    if not native:
        return PLAIN
    try:
        return native_loops()
    except ModuleNotFoundError as error:
        message = "Tape(native=True) needs numba: pip install 'autolm[fast]'"
        raise ModuleNotFoundError(message) from error


def _loops_by_definition(operations: Sequence[Operation]) -> Loops:
    """Return loops that call each operation itself, which is slow but works for every operation."""

    def forward(*program: Any) -> float:
        *_, starts, operands, data = program
        leaves, check = len(data) - len(operations), 0.0
        for k, op in enumerate(operations):
            y, _ = op.at([data[i] for i in operands[starts[k] : starts[k + 1]]])
            data[leaves + k] = y
            check += y - y
        return check

    def backward(*program: Any) -> float:
        *_, starts, operands, data, gradients = program
        leaves, check = len(data) - len(operations), 0.0
        for k in range(len(operations) - 1, -1, -1):
            grad = gradients[leaves + k]
            check += grad - grad
            indices = operands[starts[k] : starts[k + 1]]
            contributions = operations[k].at([data[i] for i in indices])[1](grad)
            for i, contribution in zip(indices, contributions, strict=True):
                gradients[i] += contribution
        return check

    return Loops(forward, backward, native=False)
