"""Recorded decoding: compute the layers of a model for the next token, without a graph.

The layers are recorded once, for one row of each sequence. The keys and values of earlier rows are
in caches, to which the program of each attention appends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autolm import ops
from autolm.compiled.examples import Example, Matches, NotRecordable
from autolm.compiled.kernels import FLOATS, kernels
from autolm.compiled.recorder import Instruction, Recorder, Written
from autolm.compiled.replay import instructions
from autolm.ops.attention import read_attention
from autolm.tensor.tensor import Tensor

Array = NDArray[Any]


class RecordedDecoder:
    """The layers of a model, for one new row of each sequence.

    Parameters
    ----------
    layers
        Called with a row, ``(batch, 1, d_model)`` or ``(1, d_model)``, and its position; returns
        the result of the layers, as a graph.
    shape, dtype
        The shape and dtype of the row.
    caches
        For each attention, in the order of computation, the arrays of its keys and of its values,
        ``(batch, length, width)`` or ``(length, width)``. A position must be below their length.

    Raises
    ------
    NotRecordable
        If anything but the attentions depends on the position, or numba is not installed.
    """

    def __init__(
        self,
        layers: Callable[[Tensor, int], Tensor],
        shape: tuple[int, ...],
        dtype: DTypeLike,
        caches: Sequence[Sequence[Array]],
    ) -> None:
        table = instructions()
        if ops.attention not in table or np.dtype(dtype) not in FLOATS:
            raise NotRecordable("compiled loops need numba, and float32 or float64")
        self.caches = caches
        row = Tensor(np.zeros(shape, dtype), False, name="row")
        first, second = (Example.of(layers(row, position), []) for position in (0, 1))
        matches = Matches(first, second)
        self._row, self._position = row._array, np.zeros(1, np.intp)
        leaves: dict[Tensor, Array] = {}
        for i, node in enumerate(second.order):
            if not node.parents:
                matches.leaf(i)
                leaves[node] = node._array
        attention = self._attention_to(iter(caches))
        recorder = Recorder(table | {ops.attention: attention}, leaves, {})
        for i, node in enumerate(second.order):
            if node.parents:
                attributes = {name: matches.attribute(i, name) for name in node.attributes}
                recorder.forward(node, attributes)
        self._result = np.empty(second.loss.shape, second.loss.dtype)
        recorder.call(np.copyto, self._result, recorder.arrays[second.loss])
        recorder.program.allocate()
        self._program = recorder.program

    def __call__(self, row: Array, position: int) -> Array:
        """Return the result of the layers for a row; the next call overwrites it."""
        self._row[...] = row.reshape(self._row.shape)
        self._position[0] = position
        self._program.run()
        return self._result

    def _attention_to(self, caches: Iterator[Sequence[Array]]) -> Instruction:
        """Return the instruction for attention, which appends to its caches and reads them."""

        def attention(
            recorder: Recorder, q: Array, k: Array, v: Array, **attributes: Any
        ) -> Written:
            how = read_attention(q, k, v, **attributes)
            if how.mask is not None or not how.causal:
                raise NotRecordable("an attention has a mask, or is not causal")
            keys, values = (cache.reshape(-1, *cache.shape[-2:]) for cache in next(caches))
            # A single position has a window of 1 at most: the attributes have the whole window.
            window = attributes.get("window") or keys.shape[1]
            y, weights = recorder.result(), recorder.new((keys.shape[1],))
            rows = (x.reshape(-1, x.shape[-1]) for x in (q, k, v))
            sizes = how.heads, how.kv_heads, window, how.factor
            recorder.call(
                kernels().attend_to_cache,
                *rows,
                *(keys, values, self._position, *sizes, weights, y.reshape(-1, y.shape[-1])),
            )
            return y, lambda grad: (None, None, None)

        return attention
