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

InterruptCheck = Callable[[], Any]  # asked between two steps whether to stop
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
        begun = engine.Backprop(root, grad, retain_grads=True)  # the way back needs every gradient
        self.root, self.operations, self.gradients = root, begun.operations, begun.gradients
        self.leaves = begun.leaves
        self.seed = self.gradients[root]
        self._retains = root.retains_grads if retain_grads is None else retain_grads
        # How many steps are done, and with how many operands of the next; and how many of the notes
        # are of these: for each operand, its sum before. One assignment moves the whole place.
        self._place, self._notes = (0, 0, 0), list[Any]()
        self._segments = Segments(root, self.operations, self.segment, self._step_of)
        self._computed: Step | None = None  # the step that is next, or was when it was computed
        self._users: dict[Node, list[tuple[int, int]]] | None = None
        self._earlier = {node: node.gradient for node in self._nodes() if node.has_grad}
        self._is_open = True
        root.begin_walk()
        for node in self.operations:
            node.gradient = None
        self._show(root)

    def __repr__(self) -> str:
        done = f"{self.position} of {len(self.operations)} steps done"
        sent = f" and {self.edge} of the next's contributions sent" if self.edge else ""
        left = "" if self._is_open or self.finished else ", and left"
        return f"<backward of {label(self.root)} = {show(self.root.data)}: {done}{sent}{left}>"

    # Where it is

    @property
    def position(self) -> int:
        """How many steps are done."""
        return self._place[0]

    @property
    def edge(self) -> int:
        """How many contributions of the next step are sent already."""
        position, operands, _ = self._place
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
        """Return the step that is next, its arithmetic computed and nothing done; None at the end.

        What of it is sent already is in it, as it was.
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
        leaf = read_node("earlier", "leaf", leaf)
        return None if leaf.parents else self._earlier.get(leaf)

    def consumers(self, node: Node) -> list[tuple[int, int]]:
        """List the steps that send to a node, done or not: each index, and as which operand."""
        node = read_node("consumers", "node", node)
        if self._users is None:
            self._users = {}
            for index, each in enumerate(self.operations):
                for operand, parent in enumerate(each.parents):
                    self._users.setdefault(parent, []).append((index, operand))
        return self._users.get(node, []) if node.requires_grad else []

    def uses(self, node: Node) -> tuple[Use, ...]:
        """List who has sent what to a node so far; in this order it adds up exactly."""
        sent = [each for each in self.consumers(node) if each < self._place[:2]]
        uses, arrived = list[Use](), self.gradients
        for index, operand in sent:
            each = self.operations[index]
            if each not in arrived:
                arrived = (
                    self.gradients
                    if index >= self._segments.first_kept
                    else self._segments.gradients_around(index)
                )
            uses.append(compute_use(each, operand, arrived[each]))
        return tuple(uses)

    def gradient_so_far(self, node: Node) -> Any:
        """Return what has arrived at a node so far, also where that was let go; None before."""
        node = read_node("arrived", "node", node)
        first = self.consumers(node)[:1] if self._segments.first_kept else []
        if node in self.gradients or not any(each < self._place[:2] for each in first):
            return self.gradients.get(node)
        index = next(i for i in range(self._segments.first_kept) if self.operations[i] is node)
        return self._segments.gradients_around(index)[node]

    def restore_grad(self, node: Node) -> None:
        """Let the `.grad` of a node show what has arrived, also where a segment let that go."""
        node = read_node("show_again", "node", node)
        if self._is_open and node.parents and not node.has_grad:
            arrived = self.gradient_so_far(node)
            node.gradient = None if arrived is None else node.as_gradient(arrived)

    def explain(self, node: Node, paths: int = 0) -> Explanation:
        """Explain the gradient that has arrived so far, with its heaviest `paths`."""
        paths = read_int("explain", "paths", paths, low=0)
        told = explain_pass(self, node, self.uses(node), paths=paths)
        return replace(told, gradient=self.gradient_so_far(node))

    # One step, either way

    def step(self) -> Step | None:
        """Do the step that is next, or the rest of it, and return it; None at the end."""
        self._require_open("step")
        step = self.preview()
        if step is not None:
            self._send(step, len(step.contributions))
        return step

    def send(self) -> Contribution | None:
        """Send one contribution of the step that is next, and return it; the last one ends it."""
        self._require_open("send")
        step, edge = self.preview(), self.edge
        if step is None:
            return None
        self._send(step, self._operands(step.node, edge + 1))
        takes = [each for each in step.contributions if each.after is not None]
        return takes[edge] if takes else None

    def back(self) -> bool:
        """Undo what was sent of the step that is next, or else the step before.

        Returns whether there was anything to undo.
        """
        self._require_open("back")
        position, operands, noted = self._place
        if not operands:
            if not position:
                return False
            if position == self._segments.first_kept:
                self._recall()
            position -= 1
            operands = len(self.operations[position].parents)
        parents = self.operations[position].parents[:operands]
        sums = self._notes[noted - operands : noted]
        # Of a parent with several uses, the sum before the first counts.
        before = dict(zip(parents[::-1], sums[::-1], strict=True))
        self._move((position, 0, noted - operands), before)
        del self._notes[noted - operands :]
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

    def _recall(self) -> None:
        """Restore the gradients and the notes of the segment before those that are kept."""
        start, gradients = self._segments.recall(self._notes)
        self._put(gradients)
        self._segments.first_kept = start

    def _send_first(self, edge: int) -> None:
        step = self.preview()
        if step is not None:
            self._send(step, self._operands(step.node, edge))

    def _operands(self, node: Node, edge: int) -> int:
        """Return how many operands of a node are done when `edge` contributions are sent."""
        takes = [i for i, parent in enumerate(node.parents) if parent.requires_grad]
        return takes[edge] if edge < len(takes) else len(node.parents)

    def _send(self, step: Step, end: int) -> None:
        """Send what comes before operand `end`."""
        position, operands, noted = self._place
        if not operands:
            dropped = self._segments.begin(position, self.gradients, self._notes, noted)
            self._put(dict.fromkeys(dropped))
        sent = step.contributions[operands:end]
        self._notes[noted:] = [each.before for each in sent]
        is_whole = end == len(step.contributions)
        place = (position + 1, 0) if is_whole else (position, end)
        after = {each.parent: each.after for each in sent if each.after is not None}
        self._move((*place, noted + len(sent)), after)

    def _move(self, place: tuple[int, int, int], sums: Mapping[Node, Any]) -> None:
        """Set some sums and the place, or, if Ctrl-C comes in between, neither."""
        before = {node: self.gradients.get(node) for node in sums}
        try:
            self._put(sums)
            self._place = place
        except BaseException:
            self._put(before)
            raise

    def _put(self, sums: Mapping[Node, Any]) -> None:
        for node, sum in sums.items():
            if sum is None:
                self.gradients.pop(node, None)
            else:
                self.gradients[node] = sum
            self._show(node)

    def _show(self, node: Node) -> None:
        """Let a node's `.grad` be what `backward()` would make of the sum so far."""
        total = self.gradients.get(node)
        earlier = None if node.parents else self._earlier.get(node)
        if total is None:
            node.gradient = earlier
        elif earlier is None:
            node.gradient = node.as_gradient(total)
        else:
            with quiet():
                node.gradient = node.as_gradient(earlier + total)

    def goto(self, k: int, edge: int = 0, interrupted: InterruptCheck | None = None) -> None:
        """Go to where k steps are done, and `edge` contributions of the next, whichever way it is.

        Raises
        ------
        ValueError
            When there is no such place.
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
        """Yield the nodes whose gradients the pass touches."""
        return chain(self.operations, self.leaves)


def read_optional_function(name: str, argument: str, function: Any, words: str) -> None:
    """Check that an argument is None or a function; `words` says which."""
    if function is not None:
        read_function(name, argument, function, words)
