"""Segments of a walk: keep the gradients of the last one or two, recompute those before.

A walk of a large model holds every gradient and every partial sum of the pass. In segments of n
steps it holds those of the last n to 2n steps, and the sums with which each segment began. Going
back further runs a segment again, from these sums, to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from autolm.engine.backprop import Step
from autolm.engine.graph import Node, describe
from autolm.outside.message import message
from autolm.tensor.quiet import quiet
from autolm.walking.array_adapter import adapter_of


class SegmentStart(NamedTuple):
    """The state from which a segment can run again.

    Attributes
    ----------
    noted
        How many partial sums the walk had recorded at this point.
    sums
        The partial sums at nodes that the segment reads or changes.
    """

    noted: int
    sums: dict[Node, Any]


class Segments:
    """The segments of one pass.

    Parameters
    ----------
    root, operations
        As in `Walk`.
    size
        Steps in a segment; None for one segment of all steps.
    step_of
        Computes a step from its index and the sums so far.

    Attributes
    ----------
    first_available
        The first step whose gradient and partial sums the walk still holds.
    """

    def __init__(
        self,
        root: Node,
        operations: Sequence[Node],
        size: int | None,
        step_of: Callable[[int, Mapping[Node, Any]], Step],
    ) -> None:
        self.root, self.operations, self.size, self.step_of = root, operations, size, step_of
        self.first_available = 0
        self._starts: dict[int, SegmentStart] = {}

    def begin(
        self, position: int, gradients: Mapping[Node, Any], notes: list[Any], noted: int
    ) -> list[Node]:
        """Record a start where a segment begins; return the nodes whose gradients can be dropped.

        Their notes are dropped here. Calling it twice, after an interrupt, does no harm.
        """
        if self.size is None or position % self.size:
            return []
        first = max(0, position - self.size)
        around = self.operations[first : position + self.size]
        affected = {node_read for node in around for node_read in (node, *node.parents)}
        affected.difference_update(self.operations[first:position])
        sums = {node_read: gradients[node_read] for node_read in affected if node_read in gradients}
        self._starts[position] = SegmentStart(noted, sums)
        dropped, self.first_available = self.first_available, max(first, self.first_available)
        start, end = (self._starts[step].noted for step in (dropped, self.first_available))
        notes[start:end] = [None] * (end - start)
        return [n for n in self.operations[dropped : self.first_available] if n is not self.root]

    def recompute_previous(self, notes: list[Any]) -> tuple[int, dict[Node, Any]]:
        """Recompute the segment before the first available one, and restore its previous sums.

        Returns its first step and its gradients. The walk restores them, then moves
        `first_available`.
        """
        assert self.size is not None
        start = self.first_available - self.size
        gradients, restored = self._recompute(start)
        noted = self._starts[start].noted
        notes[noted : noted + len(restored)] = restored
        return start, gradients

    def gradients_around(self, index: int) -> dict[Node, Any]:
        """Return the gradients in the segment of a step, which runs again."""
        return self._recompute(index - index % (self.size or 1))[0]

    def _recompute(self, start: int) -> tuple[dict[Node, Any], list[Any]]:
        """Return the gradient of each step of a segment, and the sum before each contribution.

        Raises
        ------
        RuntimeError
            When the sums at its end differ from the first time; the message names the rule.
        """
        sums, gradients, notes = dict(self._starts[start].sums), dict[Node, Any](), list[Any]()
        end = start + (self.size or 0)
        for index in range(start, end):
            step = self.step_of(index, sums)
            gradients[step.node] = step.upstream
            notes += [contribution.before for contribution in step.contributions]
            sums |= {contribution.parent: contribution.after for contribution in step.contributions}
        then = self._starts[end].sums
        if not all(adapter_of(then[node]).equals(sums[node]) for node in then.keys() & sums.keys()):
            raise RuntimeError(
                message(
                    "{rules} differently when called again, so a walk with segment= cannot "
                    "go back; leave segment= out",
                    rules=self._nondeterministic_rule(start, end, gradients),
                )
            )
        return gradients, notes

    def _nondeterministic_rule(self, start: int, end: int, gradients: Mapping[Node, Any]) -> str:
        """Name the rule that gives two results for one upstream gradient."""
        for node, upstream in gradients.items():
            with quiet():
                once, again = node.contributions(upstream), node.contributions(upstream)
            pairs = zip(once, again, strict=True)
            if any(a is not None and not adapter_of(a).equals(b) for a, b in pairs):
                return message(
                    "the backward rule of {node} answers", node=describe(node, self.root)
                )
        return message(
            "the backward rules of steps {first} … {last} answer", first=start + 1, last=end
        )
