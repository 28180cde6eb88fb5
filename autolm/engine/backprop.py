"""Backpropagation: the chain rule over a graph, and all of it.

    ∂L/∂parent  +=  contribution,      contributions = node.backward_rule(∂L/∂node)

`Backprop` computes: it visits the operations in reverse topological order, and holds the sums. It
changes no node; `write_gradients` does, once all is done. `backward_of_values` is the same pass for
a graph of plain numbers, where there may be a million nodes and each must cost little.
"""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from operator import attrgetter
from threading import RLock
from typing import Any, ClassVar
from weakref import ref

from autolm.engine.graph import Node, describe, topological_order
from autolm.engine.hooks import higher


class Step(namedtuple("Step", "index node upstream contributions rule")):
    """What one operation does in a backward pass."""

    __slots__ = ()

    def __repr__(self) -> str:
        words = higher("step in words")
        return str(words(self)) if words else tuple.__repr__(self)


class Contribution(namedtuple("Contribution", "parent local value before after")):
    """What it sends to one parent, and the parent's sum before and after."""

    __slots__ = ()

    def __repr__(self) -> str:
        words = higher("contribution in words")
        return str(words(self)) if words else tuple.__repr__(self)


class Backprop:
    """One backward pass: its operations, root first, and the sums so far.

    Attributes
    ----------
    root, operations
        Where it begins; and the nodes that it visits.
    position
        How many of them it has visited.
    gradients
        ∂L/∂node as far as it has come, by node. Without `retain_grads`, that of a result is dropped
        when it has been sent on.
    """

    def __init__(self, root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
        if not root.requires_grad:
            raise RuntimeError("backward: nothing here requires a gradient (no_grad? constants?)")
        self.operations = [n for n in topological_order(root, constants=False)[::-1] if n.parents]
        self.gradients = {root: root.as_gradient(grad)}
        self.retain_grads = root.retains_grads if retain_grads is None else retain_grads
        self.root, self.position = root, 0

    @property
    def finished(self) -> bool:
        """Whether every operation is done."""
        return self.position == len(self.operations)

    def advance(self) -> Step | None:
        """Do one operation and return its step; None when none is left."""
        if self.finished:
            return None
        node = self.operations[self.position]
        upstream = self.gradients[node]
        sent = self._visit(node)
        slopes = node.contributions(1.0) if type(upstream) is float else (None,) * len(sent)
        contributions = (
            Contribution(p, slope, *c) for slope, (p, *c) in zip(slopes, sent, strict=True)
        )
        return Step(
            self.position - 1, node, upstream, tuple(contributions), node.op and node.op.rule
        )

    def run(self) -> None:
        """Do every operation that is left."""
        while not self.finished:
            self._visit(self.operations[self.position])

    def _visit(self, node: Node) -> list[tuple[Any, ...]]:
        """Send a node's gradient on to its parents; tell what each was sent, and its sums."""
        gradients, changed, sent = self.gradients, dict[Node, Any](), list[tuple[Any, ...]]()
        try:
            contributions = node.contributions(gradients[node])
            for parent, value in zip(node.parents, contributions, strict=True):
                before = changed.get(parent, gradients.get(parent))
                if parent.requires_grad:
                    changed[parent] = value if before is None else before + value
                sent.append((parent, value, before, changed.get(parent)))
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node, self.root)}")
            raise
        self.gradients |= changed  # no interrupt comes between these two
        self.position += 1
        if not self.retain_grads:
            del gradients[node]
        return sent


def write_gradients(done: Backprop) -> None:
    """Put the sums of a pass into the nodes: leaves accumulate, interior nodes do not."""
    if not done.gradients:
        return  # they are written
    results = () if done.retain_grads else done.operations
    with _slots_to_oneself():
        earlier = {node: node.gradient for node in chain(results, done.gradients)}
        totals = {node: _total(node, sum) for node, sum in done.gradients.items()}
        try:
            for node in results:
                node.gradient = None
            for node, total in totals.items():
                node.gradient = total
            done.gradients = {}
        except BaseException:
            for node, grad in earlier.items():
                node.gradient = grad
            raise
    latest_root.set(ref(done.root))


def _total(node: Node, sum: Any) -> Any:
    if node.gradient is not None and not node.parents:
        sum = node.gradient + sum
    return sum if type(sum) is float else node.as_gradient(sum)


def steps(root: Node, grad: Any = None, retain_grads: bool | None = None) -> Iterator[Step]:
    """Walk a pass one operation at a time; the gradients are written when the last is done."""
    return _write_at_end(Backprop(root, grad, retain_grads))


def _write_at_end(walk: Backprop) -> Iterator[Step]:
    while step := walk.advance():
        if walk.finished:
            write_gradients(walk)
        yield step
    write_gradients(walk)  # of a leaf, from which there is nowhere to go


def backward(root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Do a whole pass, and write its gradients."""
    done = Backprop(root, grad, retain_grads)
    done.run()
    write_gradients(done)


def backward_of_values(root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Do the same for Values, with the sums in their gradient slots while it runs.

    Whatever ends it before its time, an error or Ctrl-C, every slot is put back.
    """
    if not root.parents or not root.requires_grad:
        return backward(root, grad, retain_grads)
    seed = root.as_gradient(grad)
    with _slots_to_oneself():
        _Slots.in_use = slots = _Slots()
        try:
            slots.take(root)
            root.gradient = seed
            _send(root, slots.results)
            slots.settle(keep_results=retain_grads is not False)
        except BaseException:
            slots.put_back()
            raise
    latest_root.set(ref(root))


def _send(root: Node, results: list[Any]) -> None:
    """Send each gradient on to the operands, the last result first: the chain rule."""
    try:
        for node in results:
            op = node.op
            arity = op.arity
            if arity == 2:
                a, b, x, y = node.operands
                to_a, to_b = op.forward(x, y)[1](node.gradient)
                a.gradient += to_a
                b.gradient += to_b
            elif arity == 1:
                a, x = node.operands
                (to_a,) = op.forward(x)[1](node.gradient)
                a.gradient += to_a
            else:
                operands = node.operands
                half = len(operands) // 2
                sent = op.at(operands[half:])[1](node.gradient)
                for parent, contribution in zip(operands[:half], sent, strict=True):
                    parent.gradient += contribution
    except Exception as error:
        error.add_note(f"in the backward rule of {describe(node, root)}")
        raise


class _Slots:
    """The gradient slots that a pass of Values has its sums in, and what was there before."""

    __slots__ = ("constants", "earlier", "leaves", "results", "sums")
    in_use: ClassVar[_Slots | None] = None
    lock = RLock()  # of all slots: passes in several threads may share leaves

    def __init__(self) -> None:
        self.results, self.leaves, self.constants = list[Any](), list[Any](), list[Any]()
        self.earlier: dict[Any, Any] = {}  # where there was a gradient

    def take(self, root: Any) -> None:
        """Find every node under a root, and begin its sum; it is listed before it is changed."""
        results, earlier, nothing, stack = self.results, self.earlier, _NOTHING_YET, [root]
        while stack:
            node = stack.pop()
            before = node.gradient
            if before is nothing:
                continue
            if before is not None:
                earlier[node] = before
            order = node.order
            if order > 0:
                results.append(node)
                operands = node.operands
                stack += operands[: len(operands) // 2]
            elif order == 0:
                self.leaves.append(node)
            else:
                self.constants.append(node)
            node.gradient = nothing
        results.sort(key=attrgetter("order"), reverse=True)

    def settle(self, keep_results: bool) -> None:
        """Leave the gradients as they are to be: leaves accumulate, and constants have none."""
        earlier = self.earlier
        for leaf in self.leaves:
            if leaf in earlier:
                leaf.gradient = earlier[leaf] + leaf.gradient
        for constant in self.constants:
            constant.gradient = earlier.get(constant)
        for result in () if keep_results else self.results:
            result.gradient = None

    def nodes(self) -> Iterator[Any]:
        """Yield those whose slots are taken."""
        return chain(self.results, self.leaves, self.constants)

    def put_back(self) -> None:
        """Put every slot back as it was."""
        for node in self.nodes():
            node.gradient = self.earlier.get(node)

    def step_aside(self) -> None:
        """Give the slots to another pass: one that a rule runs, or somebody in a debugger."""
        self.sums = [node.gradient for node in self.nodes()]
        self.put_back()

    def come_back(self) -> None:
        """Take them again; what the other pass left counts as there before."""
        self.earlier = {node: node.gradient for node in self.nodes() if node.has_grad}
        for node, sum in zip(self.nodes(), self.sums, strict=True):
            node.gradient = sum


_NOTHING_YET = -0.0  # a sum begins so, since -0.0 + x is x for x = -0.0 as well; and marks its node


@contextmanager
def _slots_to_oneself() -> Iterator[None]:
    """Let no other pass have its sums in gradient slots for a while."""
    with _Slots.lock:
        around, _Slots.in_use = _Slots.in_use, None
        if around:
            around.step_aside()
        try:
            yield
        finally:
            if around:
                around.come_back()
            _Slots.in_use = around


def _debugged(root: Node, grad: Any, retain_grads: bool | None) -> None:
    higher("backward in the debugger")(root, grad, retain_grads)


# For those who watch: what does a `backward()`, if not this file; and where the latest one began.
backward_pass: ContextVar[Callable[[Any, Any, bool | None], None] | None] = ContextVar(
    "autolm_backward_pass", default=_debugged if os.getenv("AUTOLM_DEBUG") == "1" else None
)
latest_root: ContextVar[Any] = ContextVar("autolm_latest_root", default=lambda: None)
