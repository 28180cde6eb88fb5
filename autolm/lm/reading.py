"""A model that reads a text as it grows, and computes only what is new in it."""

from __future__ import annotations

import warnings
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
    one token is recorded; a warning, and `told`, say why if it is not.

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
            if len(x) == 1 and self._is_recorded(read + 1):
                self._read = context.copy()
                for cache in self._caches:
                    cache.length += 1
                assert self._recorded is not None
                return self._recorded(x.data, read)[0].copy()
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                x = block(x, cache)
            self._read = context.copy()
            return np.asarray(self.model.unembed(x[-1]).data)

    @property
    def may_be_recorded(self) -> bool:
        """Whether it is asked for, and nothing stands in its way that is known."""
        return current_native() is not None and self.model.causal and not self.told

    def _is_recorded(self, length: int) -> bool:
        """Record what a row goes through, for the first time, and where caches have grown since."""
        if self.may_be_recorded:
            kept = self.room(length)
            if self._recorded is None or any(
                now[0] is not then[0] for now, then in zip(kept, self._recorded.caches, strict=True)
            ):
                self._recorded = self.recorded(kept)
        return self._recorded is not None and current_native() is not None

    def room(self, length: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return the arrays of the caches, with room for so many positions."""
        for cache in self._caches:
            cache.make_room(length)
        return [(cache.keys, cache.values) for cache in self._caches]

    def recorded(self, kept: Any, *batch: int) -> RecordedReading | None:
        """Record it for one text, or a batch of them, whose caches are these; or tell why not."""
        row = self.model.embed(np.zeros(1, int))
        try:
            return RecordedReading(self._layers, (*batch, *row.shape), row.dtype, kept)
        except NotRecorded as why:
            self.told = str(why)
            warnings.warn(f"native: tokens are read as without it: {why}", stacklevel=5)
            return None

    def _layers(self, row: Any, position: int) -> Any:
        with recording(enabled=True):
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                row = block(row, _Passing(cache, position))
            return self.model.unembed(row)

    def _goes_on(self, context: NDArray[np.integer[Any]]) -> bool:
        return 0 < self._read.size < context.size and np.array_equal(
            context[: self._read.size], self._read
        )


class Readings:
    """Several texts that a model reads side by side; all have as many tokens, at last `length`.

    Inside `native()` they go through its layers together, as one row each: a matrix is then read
    once for all of them. Where that is not recorded, each is read by itself.
    """

    def __init__(self, model: Any, count: int, length: int) -> None:
        self._each = [Reading(model) for _ in range(count)]
        self.model, self._length = model, min(length, model.max_len)
        self._each[0].room(self._length)
        self._together: RecordedReading | None = None
        self._read: NDArray[np.integer[Any]] = np.empty((count, 0), np.intp)

    def next_logits(self, token_ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the logits (batch, vocab_size) of what comes after each of (batch, time)."""
        count, time = token_ids.shape
        if count == 1 or time > self._length or not self._are_recorded():
            pairs = zip(self._each, token_ids, strict=True)
            return np.array([reading.next_logits(row) for reading, row in pairs])
        assert self._together is not None
        before = self._read.shape[1]
        if before >= time or not np.array_equal(token_ids[:, :before], self._read):
            before = 0
        self._read = token_ids.copy()
        with no_grad(), quiet():
            if before == 0 and time > 1:  # all that is given, in one pass
                x = self.model.embed(token_ids)
                for block, kept in zip(self.model.blocks, self._together.caches, strict=True):
                    x = block(x, _Beginning(*kept))
                return np.asarray(self.model.unembed(x[:, -1]).data)
            for position in range(before, time):
                row = self.model.embed(token_ids[:, position : position + 1], first=position)
                logits = self._together(row.data, position)
        return logits[:, 0].copy()

    def _are_recorded(self) -> bool:
        first, count = self._each[0], len(self._each)
        if first.may_be_recorded and self._together is None:
            pairs = first.room(self._length)
            kept = [[np.zeros((count, *a.shape), a.dtype) for a in pair] for pair in pairs]
            self._together = first.recorded(kept, count)
        return self._together is not None and current_native() is not None


class _Beginning(KeyValueCache):
    """A cache of several texts, (batch, length, width), that takes in what they begin with."""

    def __init__(self, keys: NDArray[Any], values: NDArray[Any]) -> None:
        self.keys, self.values, self.length = keys, values, 0

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        self.keys[:, : keys.shape[1]], self.values[:, : keys.shape[1]] = keys.data, values.data
        return keys, values


class _Passing(KeyValueCache):
    """A cache that hands on what it is given: for a graph, in which it is an attention's own."""

    def __init__(self, cache: KeyValueCache, position: int) -> None:
        self.keys, self.values, self.length = cache.keys, cache.values, position

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        return keys, values
