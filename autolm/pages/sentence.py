"""The tokens that a graph reads, its targets, and the most probable next tokens.

The tokens are the ids of an embedding, and the targets those of a cross entropy. Without texts,
tokens are shown as ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autolm.drawing.axes import Axis
from autolm.engine.graph import Node
from autolm.walking.array_adapter import adapter_of
from autolm.walking.numpy_view import numpy_view
from autolm.walking.tokens import Tokens

MAX_PREDICTIONS = 5


class Sentence:
    """The tokens that a graph reads, of shape (batch, time), where batch is 1 for a single text.

    Attributes
    ----------
    ids, targets
        Ids of the tokens, and of the targets, which are −1 at positions without one.
    reads, logits
        The node of the embedding, and the node of the logits or None.
    """

    def __init__(self, reads: Node, logits: Node | None, targets: Any, tokens: Tokens) -> None:
        self.reads, self.logits = reads, logits
        self._table, ids = _looked_up(reads)
        self._rank = ids.ndim
        self.ids = np.atleast_2d(ids)
        self.targets = None if targets is None else np.reshape(targets, self.ids.shape)
        self._tokens = tokens

    def text(self, token_id: int) -> str:
        """Return the text of a token, or else its id."""
        texts = self.vocabulary
        return texts[token_id] if 0 <= token_id < len(texts) else str(token_id)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The texts of all tokens, by id; empty if they are unknown."""
        return self._tokens.vocabulary

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the tokens, (batch, time)."""
        if len(self._tokens.texts) == self.ids.size:
            return [list(self._tokens.texts)]
        return [[self.text(int(token_id)) for token_id in row] for row in self.ids]

    def axes(self) -> dict[tuple[Node, int], Axis]:
        """Return the known axes, by node and axis, counted from the end."""
        rows = self.rows
        # The rows of a batch have different labels, which the page takes from `rows`.
        axes = {(self.reads, -2): Axis("tokens", tuple(rows[0]) if len(rows) == 1 else ())}
        if self._rank > 1:
            axes[self.reads, -3] = Axis("batch")
        vocabulary = Axis("vocabulary", self.vocabulary)
        axes[self._table, -2] = vocabulary
        if self.logits is not None:
            axes[self.logits, -1] = vocabulary
        return axes

    def predictions(self) -> list[list[list[tuple[str, float]]]]:
        """Return the most probable next tokens at each position, with their probabilities."""
        if self.logits is None:
            return []
        logits = np.asarray(adapter_of(self.logits.data).array(), float)
        logits = logits.reshape(*self.ids.shape, -1)
        return [[_most_probable(row, self.text) for row in rows] for rows in logits]

    def as_json(self) -> dict[str, Any]:
        """Return the sentence as JSON for the page."""
        goals = [] if self.targets is None else self.targets.tolist()
        return {
            "rows": self.rows,
            "targets": [[self.text(i) if i >= 0 else "" for i in row] for row in goals],
            "likeliest": self.predictions(),
        }


def _most_probable(logits: NDArray[Any], text: Any) -> list[tuple[str, float]]:
    shifted = np.exp(logits - logits.max())
    shares = shifted / shifted.sum()
    best = np.argsort(-shares, kind="stable")[:MAX_PREDICTIONS]
    return [(text(int(i)), float(shares[i])) for i in best]


def sentence_of(order: Sequence[Node], tokens: Tokens | None) -> Sentence | None:
    """Return the sentence of the first embedding and the last cross entropy; None without one."""
    reads = [node for node in order if _is(node, "embedding", "token_ids")]
    if not reads or np.ndim(_looked_up(reads[0])[1]) not in (1, 2):
        return None
    _, ids = _looked_up(reads[0])
    losses = [numpy_view(node) for node in order if _is(node, "cross_entropy", "targets")]
    losses = [
        loss
        for loss in losses
        if np.asarray(loss.attributes["targets"]).dtype.kind in "iu"
        and np.size(loss.attributes["targets"]) == ids.size
    ]
    logits = losses[-1].parents[0] if losses else None
    targets = losses[-1].attributes["targets"] if losses else None
    return Sentence(reads[0], logits, targets, tokens or Tokens((), {}))


def _looked_up(node: Node) -> tuple[Node, NDArray[Any]]:
    """Return the table of an embedding, and the ids of its rows."""
    view = numpy_view(node)
    return view.parents[0], np.asarray(view.attributes["token_ids"])


def _is(node: Node, name: str, attribute: str) -> bool:
    if not node.parents or node.op.name != name:
        return False
    return attribute in numpy_view(node).attributes
