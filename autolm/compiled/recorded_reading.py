"""Reading a text token by token, recorded: a row through a model, without Python in between.

Where a model goes on by one token, all that changes are a row and its position. So its layers are
recorded once, for one row of each of a batch, and what an attention sees of the rows before lies in
arrays that the program writes into. It is the machine of `fused_loops.py`, as for training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled import fused_loops as loops
from autolm.compiled.emitters import Emission, NotRecorded, Value, emit_forward
from autolm.compiled.intrinsics import blas_of, blas_on_one_thread
from autolm.compiled.plan import Buffer, Plan, assembled, laid_out
from autolm.compiled.recorded_step import told_by_inputs
from autolm.engine.graph import Node, topological_order
from autolm.ops.backend import FLOATS
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]
ALONE = 1e6  # multiplications of a product, below which a second thread is not worth waking


class RecordedReading:
    """The layers of a model for one new row of each text.

    Parameters
    ----------
    layers
        Called with a row, (batch, 1, width), and a position; returns what comes of it, as a graph.
        It is called at two positions, so that it is known that nothing else depends on them.
    shape
        Of the row.
    dtype
        Of all numbers.
    caches
        For each attention, in the order in which they are computed, the arrays for its keys and its
        values, (batch, length, width of all heads); a position is below their length.

    Attributes
    ----------
    caches
        These arrays.

    Raises
    ------
    NotRecorded
        If there is no instruction for something in it, or something else depends on the position.
    """

    def __init__(
        self,
        layers: Callable[[Tensor, int], Tensor],
        shape: tuple[int, ...],
        dtype: Any,
        caches: Sequence[Sequence[Array]],
    ) -> None:
        self.caches = caches
        dtype = np.dtype(dtype)
        if dtype not in FLOATS:
            raise NotRecorded(f"numbers are {dtype}")
        try:
            self._blas = blas_of(dtype)
        except LookupError as error:
            raise NotRecorded(str(error)) from None
        row = Tensor(np.zeros(shape, dtype), name="row")
        results = [layers(row, position) for position in (0, 1)]
        orders = [topological_order(each) for each in results]
        shared = {*orders[0]} & {*orders[1]}
        trained = {node: i for i, node in enumerate(shared) if not node.parents}
        told = told_by_inputs(orders, ([], []), [], trained)
        plan, values, keeps = Plan({}), dict[Node, Value](), iter(caches)
        self.row = np.zeros(row.size, dtype)
        for node in orders[0]:
            if node.data.dtype != dtype:
                raise NotRecorded(f"a {node.data.dtype} among {dtype}")
            if node.parents:
                emission = Emission(plan, node, values)
                emission.places, emission.caches = told[node], keeps
                emit_forward(emission)
                values[node] = emission.result
            else:
                array = self.row if node is row else np.ascontiguousarray(node.data)
                values[node] = Value(Buffer(array.size, array), node.data.shape)
        self.result = np.zeros(results[0].shape, dtype)
        plan.copy(values[results[0]].buffer, Buffer(self.result.size, self.result))
        layout = laid_out(plan.instructions, dtype.itemsize)
        memory = np.zeros(layout.size, dtype)
        self._program = assembled(plan.instructions, layout, memory, _array)
        table = self._program.table
        products = table[table[:, 0] == loops.MATMUL, 4:7].prod(axis=1)  # rows, columns, inner
        self._is_small = products.mean() < ALONE
        self._state, self._like = np.zeros(loops.STATE), np.empty(0, dtype)
        self._run = loops.machine()

    def __call__(self, row: Array, position: int) -> Array:
        """Let a row through, and return what comes of it: an array that the next call fills."""
        self.row[:] = row.reshape(-1)
        self._state[loops.POSITION] = position
        table, factors = self._program.table, self._program.factors
        with blas_on_one_thread() if self._is_small else nullcontext():
            self._run(table, factors, self._state, self._like, *self._blas, False)
        return self.result


def _array(buffer: Buffer) -> Array:
    assert buffer.array is not None
    return buffer.array
