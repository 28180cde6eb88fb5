"""The common part of all language models: logits, loss and generation.

A subclass defines the beginning of the residual stream (`begin`) and its end (`unembed`); the
blocks are between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autolm import ops
from autolm.engine.graph import named
from autolm.engine.recording import no_grad
from autolm.lm.batches import IGNORE_INDEX
from autolm.lm.decoding import BatchDecoder, KVCachedDecoder
from autolm.lm.next_token import pick_each, require_in_range
from autolm.nn.key_value_cache import KeyValueCache
from autolm.nn.module import Module
from autolm.ops.array_arguments import read_integers, read_rng
from autolm.outside.arguments import read_bool, read_int, read_size
from autolm.outside.message import message
from autolm.tensor.tensor import Tensor


class LanguageModel(Module):
    """A transformer that predicts the next token.

    Attributes
    ----------
    vocab_size
        Number of different tokens.
    max_len
        Longest sequence, in tokens.
    causal
        Whether a position sees only itself and those before it; a model that is to generate must.
    blocks
        The layers, each called with the residual stream, and a cache or None.
    """

    vocab_size: int
    max_len: int
    causal: bool = True
    blocks: Any

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def begin(self, token_ids: NDArray[np.integer[Any]], first: int) -> Tensor:
        """Begin the residual stream, (…, time, d_model), at position `first`."""
        raise NotImplementedError(message("{kind} defines no begin", kind=self._kind))

    def unembed(self, x: Tensor) -> Tensor:
        """End it: (…, d_model) -> logits (…, vocab_size)."""
        raise NotImplementedError(message("{kind} defines no unembed", kind=self._kind))

    def caches(self) -> list[KeyValueCache]:
        """Make an empty cache for each layer."""
        raise NotImplementedError(message("{kind} defines no caches", kind=self._kind))

    def forward(
        self, token_ids: ArrayLike, store_activations: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the logits of each next token, and the residual stream on the way.

        Parameters
        ----------
        token_ids
            Integers, (time,) or (batch, time).
        store_activations
            Whether to return the residual stream after the embedding ("input") and after each
            layer ("layer_0", …); otherwise the dictionary is empty.

        Returns
        -------
        logits
            (…, time, vocab_size).
        activations
            Each (…, time, d_model).
        """
        read_bool(self._kind, "store_activations", store_activations)
        x = self.embed(self._checked(token_ids))
        activations = {"input": x}
        for i, block in enumerate(self.blocks):
            x = block(x)
            activations[f"layer_{i}"] = x
        return self.unembed(x), activations if store_activations else {}

    def embed(self, token_ids: NDArray[np.integer[Any]], first: int = 0) -> Tensor:
        """Begin the residual stream, (…, time, d_model), at position `first`."""
        token_ids, first = (
            self._checked(token_ids),
            read_int(self._kind, "first", first, low=0),
        )
        if first + token_ids.shape[-1] > self.max_len:
            end = first + token_ids.shape[-1]
            raise ValueError(
                message(
                    "{kind}: first {first} leads to {end}, beyond max_len {max_len}",
                    kind=self._kind,
                    first=first,
                    end=end,
                    max_len=self.max_len,
                )
            )
        return named(self.begin(token_ids, first), "input")

    def compute_loss(self, token_ids: ArrayLike, target_ids: ArrayLike) -> Tensor:
        """Return the cross entropy per target, in nats, as a scalar; targets of −1 do not count."""
        logits, _ = self(token_ids)
        targets = read_integers(self._kind, "target_ids", target_ids)
        loss = ops.cross_entropy(logits, targets=targets, ignore_index=IGNORE_INDEX)
        return named(loss, "loss")

    def generate(
        self,
        token_ids: ArrayLike,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        rng: np.random.Generator | None = None,
        recorded: bool = False,
    ) -> NDArray[np.integer[Any]]:
        """Continue a sequence (time,) by sampling token after token; return it whole.

        Several sequences of one length, (batch, time), draw in their order in each round. The model
        sees at most the last `max_len` tokens. For the other parameters see
        `autolm.lm.next_token.pick`; with `recorded` the layers are recorded, see `KVCachedDecoder`.
        """
        rng = np.random.default_rng() if rng is None else read_rng("generate", "rng", rng)
        require_in_range("generate", temperature, top_k, top_p)
        max_new_tokens = read_size("generate", "max_new_tokens", max_new_tokens, low=0)
        ids = self._checked(token_ids, limit=False)
        rows = np.array([self.sequence(row) for row in np.atleast_2d(ids)])
        decoder = BatchDecoder(self, len(rows), rows.shape[1] + max_new_tokens, recorded=recorded)
        for _ in range(max_new_tokens):
            logits = decoder.next_logits(rows)
            drawn = pick_each(logits, temperature, top_k, top_p, rng)
            rows = np.concatenate([rows, drawn[:, None]], axis=1)
        return rows if ids.ndim == 2 else rows[0]

    def decoder(self, *, recorded: bool = False) -> KVCachedDecoder:
        """Return a decoder for one growing text, which does not compute known tokens again."""
        return KVCachedDecoder(self, recorded=recorded)

    def next_logits(self, token_ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the logits (vocab_size,) of the token after a sequence (time,); no graph."""
        with no_grad():
            logits, _ = self(self.sequence(token_ids)[-self.max_len :])
        return np.asarray(logits.data[-1])

    def sequence(self, token_ids: ArrayLike) -> NDArray[np.integer[Any]]:
        """Return the ids of one sequence (time,), which may be longer than `max_len`."""
        ids = self._checked(token_ids, limit=False)
        if ids.ndim != 1:
            raise ValueError(
                message(
                    "{kind}: token_ids must be one sequence (time,), got {shape}",
                    kind=self._kind,
                    shape=ids.shape,
                )
            )
        for token_id in (int(ids.min()), int(ids.max())):
            if not 0 <= token_id < self.vocab_size:
                raise ValueError(
                    message(
                        "{kind}: token id {token_id} is outside the vocabulary of {vocab_size}",
                        kind=self._kind,
                        token_id=token_id,
                        vocab_size=self.vocab_size,
                    )
                )
        return ids

    def _checked(self, token_ids: ArrayLike, limit: bool = True) -> NDArray[np.integer[Any]]:
        ids = read_integers(self._kind, "token_ids", token_ids)
        if ids.ndim not in (1, 2) or ids.size == 0:
            raise ValueError(
                message(
                    "{kind}: token_ids must be (time,) or (batch, time), got {shape}",
                    kind=self._kind,
                    shape=ids.shape,
                )
            )
        if limit and ids.shape[-1] > self.max_len:
            raise ValueError(
                message(
                    "{kind}: {shape} token_ids are more than max_len {max_len}",
                    kind=self._kind,
                    shape=ids.shape[-1],
                    max_len=self.max_len,
                )
            )
        return ids
