"""A model that reads a text as it grows, and computes only what is new in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.emitters import NotRecorded
from autolm.compiled.recorded_reading import RecordedReading
from autolm.engine.graph import no_grad, recording
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.module import Module
from autolm.ops.backend import current_native
from autolm.tensor.arguments import read_kind
from autolm.tensor.quiet import quiet


class Reading:
    """What a model keeps of the tokens that it has read: keys and values, layer by layer.

    It is good for as long as the parameters stay what they are. Inside `native()`, what goes on by
    one token is recorded; `told` says why, if it is not.

    Examples
    --------
    >>> from autolm.lm import TinyLM
    >>> model = TinyLM(vocab_size=5, d_model=8, num_heads=2, d_ff=16, num_layers=1, seed=0)
    >>> reading = Reading(model)
    >>> for token_ids in ([0, 1], [0, 1, 2]):
    ...     logits = reading.next_logits(np.array(token_ids))
    >>> np.allclose(logits, model.next_logits(np.array([0, 1, 2])), atol=1e-6)
    True
    """

    def __init__(self, model: Any) -> None:  # a LanguageModel, whose file stands on this one
        self.model = read_kind("Reading", "model", model, Module, "a TinyLM")
        self._caches = self.model.caches()
        self._recorded: RecordedReading | None = None
        self.told = ""
        self._begin()

    def _begin(self) -> None:
        self._read: NDArray[np.integer[Any]] = np.empty(0, np.intp)
        for cache in self._caches:
            cache.length = 0

    def next_logits(self, token_ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the logits (vocab_size,) of what comes after a sequence (time,); no graph.

        A sequence that goes on where the last one ended costs its new tokens alone. Another is read
        from its beginning; so is one longer than `max_len`, as every token in sight has moved to
        another position, and one whose model is not causal, as every token sees the new ones.
        """
        context = self.model.sequence(token_ids)[-self.model.max_len :]
        if not self.model.causal:
            return self.model.next_logits(context)
        if not self._goes_on(context):
            self._begin()
        with no_grad(), quiet():
            read = self._read.size
            x = self.model.embed(context[read:], first=read)
            if len(x) == 1 and self._is_recorded():
                self._read = context.copy()
                for cache in self._caches:
                    cache.length += 1
                assert self._recorded is not None
                return self._recorded(x.data, read)[0].copy()
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                x = block(x, cache)
            self._read = context.copy()
            return np.asarray(self.model.unembed(x[-1]).data)

    def _is_recorded(self) -> bool:
        """Record what a row goes through, when one does for the first time."""
        if current_native() is None or self.told:
            return False
        if self._recorded is None:
            width = self._caches[0].keys.dtype, self.model.embed(np.zeros(1, int)).shape
            kept = [(cache.keys, cache.values) for cache in self._caches]
            try:
                self._recorded = RecordedReading(self._layers, width[1], width[0], kept)
            except NotRecorded as why:
                self.told = str(why)
        return self._recorded is not None

    def _layers(self, row: Any, position: int) -> Any:
        with recording(enabled=True):
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                row = block(row, _Passing(cache, position))
            return self.model.unembed(row)

    def _goes_on(self, context: NDArray[np.integer[Any]]) -> bool:
        return 0 < self._read.size < context.size and np.array_equal(
            context[: self._read.size], self._read
        )


class _Passing(KeyValueCache):
    """A cache that hands on what it is given: for a graph, in which it is an attention's own."""

    def __init__(self, cache: KeyValueCache, position: int) -> None:
        self.keys, self.values, self.length = cache.keys, cache.values, position

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        return keys, values
