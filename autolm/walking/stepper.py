"""The position of one backward pass, moved by single steps and contributions, both ways.

The position is *before* a step: `preview` computes what that step will do, and nothing is done
until `step` or `send`. Each contribution notes the sum that it was added to; going back restores
these sums, bit for bit. So a step costs the same in either direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from autolm.engine import backprop as engine
from autolm.engine.backprop import Contribution, Step
from autolm.engine.graph import Node, describe
from autolm.outside.arguments import read_bool, read_function, read_int
from autolm.outside.message import message
from autolm.tensor.nodes import read_node
from autolm.tensor.quiet import quiet
from autolm.walking.breakpoints import Breakpoint
from autolm.walking.explanation import Explanation, Use, compute_use, explain_pass
from autolm.walking.segments import Segments
from autolm.walking.what_if import Edit, read_seed
from autolm.walking.wording import label, show

InterruptCheck = Callable[[], Any]  # called between two steps; true stops the run
INTERRUPT_CHECK = "a function that says whether to stop"


class Stepper:
    """A backward pass with a position; see `Walk` for the parameters and attributes."""

    def __init__(
        self,
        root: Node,
        grad: Any = None,
        retain_grads: bool | None = None,
        *,
        segment: int | None = None,
    ) -> None:
        root = read_node("Walk", "root", root)
        grad = read_seed("Walk", root, grad)
        self.segment = None if segment is None else read_int("Walk", "segment", segment, low=1)
        if retain_grads is not None:
            retain_grads = read_bool("Walk", "retain_grads", retain_grads)
        self.breakpoints: dict[int, Breakpoint] = {}
        self.edits: list[Edit] = []
        self.overridden: set[Node] = set()
        # Going back needs every gradient.
        backprop = engine.Backprop(root, grad, retain_grads=True)
        self.root, self.operations, self.gradients = root, backprop.operations, backprop.gradients
        self.leaves = backprop.leaves
        self.seed = self.gradients[root]
        self._retains = root.retains_grads if retain_grads is None else retain_grads
        # The cursor: steps done, operands of the next step done, previous sums recorded. One
        # assignment changes all three. `_previous_sums` has each operand's sum before its
        # contribution.
        self._cursor, self._previous_sums = (0, 0, 0), list[Any]()
        self._segments = Segments(root, self.operations, self.segment, self._step_of)
        self._computed: Step | None = None  # the latest preview; valid if its index is the position
        self._consumers: dict[Node, list[tuple[int, int]]] | None = None
        self._grads_before = {node: node.gradient for node in self._nodes() if node.has_grad}
        self._is_open = True
        root.begin_walk()
        for node in self.operations:
            node.gradient = None
        self._update_grad(root)

    def __repr__(self) -> str:
        done_text = f"{self.position} of {len(self.operations)} steps done"
        sent_text = f" and {self.edge} of the next's contributions sent" if self.edge else ""
        state = "" if self._is_open or self.finished else ", and left"
        root = f"{label(self.root)} = {show(self.root.data)}"
        return f"<backward of {root}: {done_text}{sent_text}{state}>"

    # The position

    @property
    def position(self) -> int:
        """How many steps are done."""
        return self._cursor[0]

    @property
    def edge(self) -> int:
        """How many contributions of the next step are sent already."""
        position, operands, _ = self._cursor
        if not operands:
            return 0
        return sum(parent.requires_grad for parent in self.operations[position].parents[:operands])

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.position == len(self.operations)

    @property
    def next_node(self) -> Node | None:
        """The node whose step is next; None at the end."""
        return None if self.finished else self.operations[self.position]

    def preview(self) -> Step | None:
        """Compute the next step and return it, without doing it; None at the end.

        It includes the contributions that have been sent already.
        """
        node = self.next_node
        if node is None:
            return None
        if self._computed is None or self._computed.index != self.position:
            self._computed = self._step_of(self.position, self.gradients)
        return self._computed

    def _step_of(self, index: int, arrived: Mapping[Node, Any]) -> Step:
        node = self.operations[index]
        upstream, slopes = arrived[node], (None,) * len(node.parents)
        sums, contributions = dict[Node, Any](), []
        try:
            with quiet():
                values = node.contributions(upstream)
                if type(upstream) is float:
                    slopes = node.contributions(1.0)
                for parent, slope, value in zip(node.parents, slopes, values, strict=True):
                    before = sums[parent] if parent in sums else arrived.get(parent)
                    if parent.requires_grad:
                        sums[parent] = value if before is None else before + value
                    after = sums.get(parent)
                    contributions.append(Contribution(parent, slope, value, before, after))
        except Exception as error:
            error.add_note(
                message("in the backward rule of {node}", node=describe(node, self.root))
            )
            raise
        return Step(index, node, upstream, tuple(contributions), node.op and node.op.rule)

    def grad_before_pass(self, leaf: Node) -> Any:
        """Return the gradient that a leaf had before this pass, to which the pass adds."""
        leaf = read_node("grad_before_pass", "leaf", leaf)
        return None if leaf.parents else self._grads_before.get(leaf)

    def consumers(self, node: Node) -> list[tuple[int, int]]:
        """List the steps that contribute to a node, done or not, as pairs (index, operand)."""
        node = read_node("consumers", "node", node)
        if self._consumers is None:
            self._consumers = {}
            for index, consumer in enumerate(self.operations):
                for operand, parent in enumerate(consumer.parents):
                    self._consumers.setdefault(parent, []).append((index, operand))
        return self._consumers.get(node, []) if node.requires_grad else []

    def uses(self, node: Node) -> tuple[Use, ...]:
        """List the contributions to a node so far; added in this order, they give its gradient."""
        consumers = [consumer for consumer in self.consumers(node) if consumer < self._cursor[:2]]
        uses, arrived = list[Use](), self.gradients
        for index, operand in consumers:
            consumer = self.operations[index]
            if consumer not in arrived:
                arrived = (
                    self.gradients
                    if index >= self._segments.first_available
                    else self._segments.gradients_around(index)
                )
            uses.append(compute_use(consumer, operand, arrived[consumer]))
        return tuple(uses)

    def gradient_so_far(self, node: Node) -> Any:
        """Return the sum of the contributions to a node so far; None before the first."""
        node = read_node("gradient_so_far", "node", node)
        first = self.consumers(node)[:1] if self._segments.first_available else []
        if node in self.gradients or not any(consumer < self._cursor[:2] for consumer in first):
            return self.gradients.get(node)
        index = next(i for i in range(self._segments.first_available) if self.operations[i] is node)
        return self._segments.gradients_around(index)[node]

    def restore_grad(self, node: Node) -> None:
        """Set the `.grad` of a node to its sum so far, also if its segment was dropped."""
        node = read_node("restore_grad", "node", node)
        if self._is_open and node.parents and not node.has_grad:
            arrived = self.gradient_so_far(node)
            node.gradient = None if arrived is None else node.as_gradient(arrived)

    def explain(self, node: Node, paths: int = 0) -> Explanation:
        """Explain the gradient that has arrived so far, with its heaviest `paths`."""
        paths = read_int("explain", "paths", paths, low=0)
        result = explain_pass(self, node, self.uses(node), paths=paths)
        return replace(result, gradient=self.gradient_so_far(node))

    # One step, either way

    def step(self) -> Step | None:
        """Do the next step, or the rest of it, and return it; None at the end."""
        self._require_open("step")
        step = self.preview()
        if step is not None:
            self._send(step, len(step.contributions))
        return step

    def send(self) -> Contribution | None:
        """Send one contribution of the next step and return it; the last one completes the step."""
        self._require_open("send")
        step, edge = self.preview(), self.edge
        if step is None:
            return None
        self._send(step, self._operands(step.node, edge + 1))
        contributions = [
            contribution for contribution in step.contributions if contribution.after is not None
        ]
        return contributions[edge] if contributions else None

    def back(self) -> bool:
        """Undo the contributions of the next step that were sent, or else the step before.

        Returns whether there was anything to undo.
        """
        self._require_open("back")
        position, operands, noted = self._cursor
        if not operands:
            if not position:
                return False
            if position == self._segments.first_available:
                self._restore_segment()
            position -= 1
            operands = len(self.operations[position].parents)
        parents = self.operations[position].parents[:operands]
        sums = self._previous_sums[noted - operands : noted]
        # For a parent that is used several times, restore the sum before its first use.
        before = dict(zip(parents[::-1], sums[::-1], strict=True))
        self._move((position, 0, noted - operands), before)
        del self._previous_sums[noted - operands :]
        return True

    def unsend(self) -> bool:
        """Undo one contribution; returns whether there was one."""
        edge = self.edge
        if not self.back():
            return False
        node = self.operations[self.position]
        edge = (edge or sum(parent.requires_grad for parent in node.parents)) - 1
        if edge > 0:
            self._send_first(edge)
        return True

    def _restore_segment(self) -> None:
        """Restore the gradients and previous sums of the segment before the first available one."""
        start, gradients = self._segments.recompute_previous(self._previous_sums)
        self._set_sums(gradients)
        self._segments.first_available = start

    def _send_first(self, edge: int) -> None:
        step = self.preview()
        if step is not None:
            self._send(step, self._operands(step.node, edge))

    def _operands(self, node: Node, edge: int) -> int:
        """Return how many operands of a node are done when `edge` contributions are sent."""
        takes = [i for i, parent in enumerate(node.parents) if parent.requires_grad]
        return takes[edge] if edge < len(takes) else len(node.parents)

    def _send(self, step: Step, end: int) -> None:
        """Send the remaining contributions up to operand `end`, exclusive."""
        position, operands, noted = self._cursor
        if not operands:
            dropped = self._segments.begin(position, self.gradients, self._previous_sums, noted)
            self._set_sums(dict.fromkeys(dropped))
        contributions = step.contributions[operands:end]
        self._previous_sums[noted:] = [contribution.before for contribution in contributions]
        is_whole = end == len(step.contributions)
        place = (position + 1, 0) if is_whole else (position, end)
        after = {
            contribution.parent: contribution.after
            for contribution in contributions
            if contribution.after is not None
        }
        self._move((*place, noted + len(contributions)), after)

    def _move(self, place: tuple[int, int, int], sums: Mapping[Node, Any]) -> None:
        """Set sums and the position; on an exception such as Ctrl-C, restore the sums."""
        before = {node: self.gradients.get(node) for node in sums}
        try:
            self._set_sums(sums)
            self._cursor = place
        except BaseException:
            self._set_sums(before)
            raise

    def _set_sums(self, sums: Mapping[Node, Any]) -> None:
        for node, sum in sums.items():
            if sum is None:
                self.gradients.pop(node, None)
            else:
                self.gradients[node] = sum
            self._update_grad(node)

    def _update_grad(self, node: Node) -> None:
        """Set a node's `.grad` as `backward()` would set it for the sum so far."""
        total = self.gradients.get(node)
        earlier = None if node.parents else self._grads_before.get(node)
        if total is None:
            node.gradient = earlier
        elif earlier is None:
            node.gradient = node.as_gradient(total)
        else:
            with quiet():
                node.gradient = node.as_gradient(earlier + total)

    def goto(self, k: int, edge: int = 0, interrupted: InterruptCheck | None = None) -> None:
        """Go forwards or back to where k steps and `edge` contributions of the next one are done.

        Raises
        ------
        ValueError
            When `k` or `edge` is out of range.
        """
        self._require_open("goto")
        k, edge = read_int("goto", "k", k), read_int("goto", "edge", edge)
        read_optional_function("goto", "interrupted", interrupted, INTERRUPT_CHECK)
        if not 0 <= k <= len(self.operations):
            raise ValueError(
                message("goto: k must be 0…{count}, got {k}", k=k, count=len(self.operations))
            )
        parents = self.operations[k].parents if k < len(self.operations) else ()
        most = max(1, sum(parent.requires_grad for parent in parents))
        if not 0 <= edge < most:
            raise ValueError(
                message(
                    "goto: at step {k} edge must be 0…{last}, got {edge}",
                    k=k,
                    edge=edge,
                    last=most - 1,
                )
            )
        while self.position < k:
            self.step()
            if interrupted is not None and interrupted():
                return
        while self.position > k or self.edge > edge:
            self.back()
            if interrupted is not None and interrupted():
                return
        if self.edge < edge:
            self._send_first(edge)

    def _require_open(self, what: str) -> None:
        if not self._is_open:
            raise RuntimeError(
                message(
                    "{method}: this walk is closed; open a new one with Walk(root)", method=what
                )
            )

    def _nodes(self) -> Iterator[Node]:
        """Yield the nodes whose gradients the pass changes."""
        return chain(self.operations, self.leaves)


def read_optional_function(name: str, argument: str, function: Any, words: str) -> None:
    """Check that an argument is None or a function; `words` says which."""
    if function is not None:
        read_function(name, argument, function, words)
