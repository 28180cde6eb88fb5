"""A model that reads a text as it grows, and computes only what is new in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.engine.graph import no_grad
from autolm.nn.module import Module
from autolm.tensor.arguments import read_kind
from autolm.tensor.quiet import quiet


class Reading:
    """What a model keeps of the tokens that it has read: keys and values, layer by layer.

    It is good for as long as the parameters stay what they are.

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
        self._begin()

    def _begin(self) -> None:
        self._read: NDArray[np.integer[Any]] = np.empty(0, np.intp)
        self._caches = self.model.caches()

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
            x = self.model.embed(context[self._read.size :], first=self._read.size)
            for block, cache in zip(self.model.blocks, self._caches, strict=True):
                x = block(x, cache)
            self._read = context.copy()
            return np.asarray(self.model.unembed(x[-1]).data)

    def _goes_on(self, context: NDArray[np.integer[Any]]) -> bool:
        return 0 < self._read.size < context.size and np.array_equal(
            context[: self._read.size], self._read
        )
