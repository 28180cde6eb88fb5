"""What a graph reads and is asked for: its tokens, the next one at each place, and what it expects.

The tokens are those that an embedding looks up, the targets those of the cross entropy. They are
called by their ids where nobody says what the ids stand for.
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

LIKELIEST = 5


class Sentence:
    """The tokens that a graph reads, (batch, time); of one text the batch is 1.

    Attributes
    ----------
    ids, targets
        What is read, and what is to come next; −1 where nothing is asked.
    reads, logits
        The node of the embedding, and that of the logits, if the graph has a loss over them.
    """

    def __init__(self, reads: Node, logits: Node | None, targets: Any, tokens: Tokens) -> None:
        self.reads, self.logits = reads, logits
        self._table, ids = _looked_up(reads)
        self._rank = ids.ndim
        self.ids = np.atleast_2d(ids)
        self.targets = None if targets is None else np.reshape(targets, self.ids.shape)
        self._tokens = tokens

    def text(self, token_id: int) -> str:
        """Call a token."""
        known = self.vocabulary
        return known[token_id] if 0 <= token_id < len(known) else str(token_id)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every token by its id; empty where that is not known."""
        return self._tokens.vocabulary

    @property
    def rows(self) -> list[list[str]]:
        """The texts that are read."""
        if len(self._tokens.texts) == self.ids.size:
            return [list(self._tokens.texts)]
        return [[self.text(int(each)) for each in row] for row in self.ids]

    def axes(self) -> dict[tuple[Node, int], Axis]:
        """Say what the axes that are known here run along, counted from the end."""
        rows = self.rows
        # Rows of a batch differ in their labels, which the page then takes from `rows`.
        known = {(self.reads, -2): Axis("tokens", tuple(rows[0]) if len(rows) == 1 else ())}
        if self._rank > 1:
            known[self.reads, -3] = Axis("batch")
        vocabulary = Axis("vocabulary", self.vocabulary)
        known[self._table, -2] = vocabulary
        if self.logits is not None:
            known[self.logits, -1] = vocabulary
        return known

    def likeliest(self) -> list[list[list[tuple[str, float]]]]:
        """Say at each place which tokens the logits expect next, with their probabilities."""
        if self.logits is None:
            return []
        logits = np.asarray(adapter_of(self.logits.data).array(), float)
        logits = logits.reshape(*self.ids.shape, -1)
        return [[_first(row, self.text) for row in rows] for rows in logits]

    def as_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        goals = [] if self.targets is None else self.targets.tolist()
        return {
            "rows": self.rows,
            "targets": [[self.text(i) if i >= 0 else "" for i in row] for row in goals],
            "likeliest": self.likeliest(),
        }


def _first(logits: NDArray[Any], text: Any) -> list[tuple[str, float]]:
    shifted = np.exp(logits - logits.max())
    shares = shifted / shifted.sum()
    best = np.argsort(-shares, kind="stable")[:LIKELIEST]
    return [(text(int(i)), float(shares[i])) for i in best]


def sentence_of(order: Sequence[Node], tokens: Tokens | None) -> Sentence | None:
    """Find what a graph reads: the first embedding of tokens, and the cross entropy of its last."""
    reads = [node for node in order if _is(node, "embedding", "token_ids")]
    if not reads or np.ndim(_looked_up(reads[0])[1]) not in (1, 2):
        return None
    _, ids = _looked_up(reads[0])
    asks = [numpy_view(node) for node in order if _is(node, "cross_entropy", "targets")]
    asks = [
        each
        for each in asks
        if np.asarray(each.attributes["targets"]).dtype.kind in "iu"
        and np.size(each.attributes["targets"]) == ids.size
    ]
    logits = asks[-1].parents[0] if asks else None
    targets = asks[-1].attributes["targets"] if asks else None
    return Sentence(reads[0], logits, targets, tokens or Tokens((), {}))


def _looked_up(node: Node) -> tuple[Node, NDArray[Any]]:
    """Return the table of an embedding, and the ids that were looked up in it."""
    made = numpy_view(node)
    return made.parents[0], np.asarray(made.attributes["token_ids"])


def _is(node: Node, name: str, attribute: str) -> bool:
    if not node.parents or node.op.name != name:
        return False
    return attribute in numpy_view(node).attributes
