"""Token-by-token decoding with a key-value cache: only new tokens are computed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.compiled.examples import NotRecordable
from autolm.compiled.recorded_decoder import RecordedDecoder
from autolm.engine.recording import no_grad, recording
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.module import Module
from autolm.outside.arguments import read_bool, read_kind
from autolm.tensor.quiet import quiet


class KVCachedDecoder:
    """Compute next-token logits of one growing text, with a cache of past keys and values.

    The cache is valid while the parameters do not change. With `recorded`, the computation of a
    single new token is recorded; if that is not possible, a warning and `status` give the reason.

    Examples
    --------
    >>> from autolm.lm import TinyLM
    >>> model = TinyLM(vocab_size=5, d_model=8, num_heads=2, d_ff=16, num_layers=1, seed=0)
    >>> decoder = KVCachedDecoder(model)
    >>> for token_ids in ([0, 1], [0, 1, 2]):
    ...     logits = decoder.next_logits(np.array(token_ids))
    >>> np.allclose(logits, model.next_logits(np.array([0, 1, 2])), atol=1e-6)
    True
    """

    def __init__(self, model: Any, *, recorded: bool = False) -> None:  # model: a LanguageModel
        self.model = read_kind("KVCachedDecoder", "model", model, Module, "a TinyLM")
        self._caches = self.model.caches()
        self._is_requested = read_bool("KVCachedDecoder", "recorded", recorded)
        self._recorded: RecordedDecoder | None = None
        self.status = ""
        self._begin()

    def _begin(self) -> None:
        self._read: NDArray[np.integer[Any]] = np.empty(0, np.intp)
        for cache in self._caches:
            cache.length = 0

    def next_logits(self, token_ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the logits (vocab_size,) of the token after a sequence (time,), without a graph.

        If the sequence extends the previous one, only its new tokens are computed. All tokens are
        computed for any other sequence, for one longer than `max_len` (every visible token has
        moved to another position), and if the model is not causal (every token sees the new ones).
        """
        context = self.model.sequence(token_ids)[-self.model.max_len :]
        if not self.model.causal:
            return self.model.next_logits(context)
        if not self._extends(context):
            self._begin()
        with no_grad(), quiet():
            read = self._read.size
            x = self.model.embed(context[read:], first=read)
            if len(x) == 1 and self._ensure_row_recorded(read + 1):
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
    def can_record(self) -> bool:
        """Whether recording is requested and has not failed before."""
        return self._is_requested and self.model.causal and not self.status

    def _ensure_row_recorded(self, length: int) -> bool:
        """Record one row, the first time and again after the caches have grown."""
        if self.can_record:
            arrays = self.reserve(length)
            if self._recorded is None or any(
                now[0] is not then[0]
                for now, then in zip(arrays, self._recorded.caches, strict=True)
            ):
                self._recorded = self.recorded(arrays)
        return self._recorded is not None

    def reserve(self, length: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return the arrays of the caches, grown to at least `length` positions."""
        for cache in self._caches:
            cache.make_room(length)
        return [(cache.keys, cache.values) for cache in self._caches]

    def recorded(self, arrays: Any, *batch: int) -> RecordedDecoder | None:
        """Record the layers for one text or a batch, with these caches; on failure set `status`."""
        row = self.model.embed(np.zeros(1, int))
        try:
            return RecordedDecoder(self._layers, (*batch, *row.shape), row.dtype, arrays)
        except NotRecordable as why:
            self.status = str(why)
            warnings.warn(f"decoding is not recorded: {why}", stacklevel=5)
            return None

    def _layers(self, row: Any, position: int) -> Any:
        with recording(enabled=True, constants=True):
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                row = block(row, _IdentityCache(cache, position))
            return self.model.unembed(row)

    def _extends(self, context: NDArray[np.integer[Any]]) -> bool:
        return 0 < self._read.size < context.size and np.array_equal(
            context[: self._read.size], self._read
        )


class BatchDecoder:
    """Computes next-token logits of several texts of equal length, up to `length` tokens.

    With `recorded` the texts pass through the layers together, one row each, so that each matrix
    is read once. If that cannot be recorded, each text has its own `KVCachedDecoder`.
    """

    def __init__(self, model: Any, count: int, length: int, *, recorded: bool = False) -> None:
        self._decoders = [KVCachedDecoder(model, recorded=recorded) for _ in range(count)]
        self.model, self._length = model, min(length, model.max_len)
        self._decoders[0].reserve(self._length)
        self._batch_decoder: RecordedDecoder | None = None
        self._read: NDArray[np.integer[Any]] = np.empty((count, 0), np.intp)

    def next_logits(self, token_ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the logits (batch, vocab_size) of the token after each of (batch, time)."""
        count, time = token_ids.shape
        if count == 1 or time > self._length or not self._ensure_recorded():
            pairs = zip(self._decoders, token_ids, strict=True)
            return np.array([decoder.next_logits(row) for decoder, row in pairs])
        assert self._batch_decoder is not None
        before = self._read.shape[1]
        if before >= time or not np.array_equal(token_ids[:, :before], self._read):
            before = 0
        self._read = token_ids.copy()
        with no_grad(), quiet():
            if before == 0 and time > 1:  # the whole prompt, in one pass
                x = self.model.embed(token_ids)
                for block, arrays in zip(
                    self.model.blocks, self._batch_decoder.caches, strict=True
                ):
                    x = block(x, _PromptCache(*arrays))
                return np.asarray(self.model.unembed(x[:, -1]).data)
            for position in range(before, time):
                row = self.model.embed(token_ids[:, position : position + 1], first=position)
                logits = self._batch_decoder(row.data, position)
        return logits[:, 0].copy()

    def _ensure_recorded(self) -> bool:
        first, count = self._decoders[0], len(self._decoders)
        if first.can_record and self._batch_decoder is None:
            pairs = first.reserve(self._length)
            arrays = [[np.zeros((count, *a.shape), a.dtype) for a in pair] for pair in pairs]
            self._batch_decoder = first.recorded(arrays, count)
        return self._batch_decoder is not None


class _PromptCache(KeyValueCache):
    """A cache of several texts, (batch, length, width), that stores their prompts."""

    def __init__(self, keys: NDArray[Any], values: NDArray[Any]) -> None:
        self.keys, self.values, self.length = keys, values, 0

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        self.keys[:, : keys.shape[1]], self.values[:, : keys.shape[1]] = keys.data, values.data
        return keys, values


class _IdentityCache(KeyValueCache):
    """A cache that returns its input unchanged, for the graph that is recorded."""

    def __init__(self, cache: KeyValueCache, position: int) -> None:
        self.keys, self.values, self.length = cache.keys, cache.values, position

    def extend(self, keys: Any, values: Any) -> tuple[Any, Any]:
        return keys, values
