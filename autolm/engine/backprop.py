"""Backpropagation: the chain rule over a graph, in reverse topological order.

    ∂L/∂parent  +=  contribution,      contributions = node.backward_rule(∂L/∂node)

`Backprop` adds the contributions up in a dictionary outside the nodes, and `write_gradients` stores
the sums when the pass is done: a pass that does not finish leaves every gradient as it was.
"""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any
from weakref import ref

from autolm.engine.graph import Node, describe, stepped_root, topological_order


class Step(namedtuple("Step", "index node upstream contributions rule")):
    """One operation of a backward pass: its upstream gradient and its contributions."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import printed_step

        return printed_step(self)


class Contribution(namedtuple("Contribution", "parent local value before after")):
    """A contribution to one parent, with the parent's sum before and after it.

    `local` is the slope ∂node/∂parent where both are single numbers, else None.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import printed_contribution

        return printed_contribution(self)


class Backprop:
    """One backward pass: its operations, root first, and the sums so far. It changes no node.

    Attributes
    ----------
    root, operations, leaves
        The node it starts from, the results it visits in order, and the leaves it ends at.
    position, stored
        The number of operations done, and whether the nodes have the sums.
    gradients
        ∂L/∂node as summed so far, by node. Without `retain_grads`, the gradient of a result is
        dropped once its operation is done.
    """

    def __init__(self, root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
        if not root.requires_grad:
            raise RuntimeError("backward: nothing here requires a gradient (no_grad? constants?)")
        if not (retain_grads is None or retain_grads is True or retain_grads is False):
            kind = type(retain_grads).__name__
            raise TypeError(f"backward: retain_grads must be True, False or None, not a {kind}")
        order = topological_order(root, constants=False)
        self.root, self.position, self.stored = root, 0, False
        self.operations = [node for node in reversed(order) if node.parents]
        self.leaves = order[: len(order) - len(self.operations)]
        self.gradients = {root: root.as_gradient(grad)}
        self.retain_grads = root.retains_grads if retain_grads is None else retain_grads

    def __repr__(self) -> str:
        done = f"{self.position} of {len(self.operations)} operations done"
        return f"<backward of {describe(self.root)}: {done}>"

    @property
    def finished(self) -> bool:
        """Whether every operation is done."""
        return self.position == len(self.operations)

    def run(self) -> None:
        """Do all remaining operations."""
        while not self.finished:
            self._visit(self.operations[self.position])

    def advance(self) -> Step | None:
        """Do one operation and return its step; None if the pass is finished."""
        if self.finished:
            return None
        stepped_root.set(ref(self.root))
        index, node = self.position, self.operations[self.position]
        upstream = self.gradients[node]
        sent = self._visit(node)
        slopes = node.contributions(1.0) if type(upstream) is float else [None] * len(sent)
        contributions = tuple(
            Contribution(parent, slope, *sums)
            for slope, (parent, *sums) in zip(slopes, sent, strict=True)
        )
        return Step(index, node, upstream, contributions, node.op and node.op.rule)

    def _visit(self, node: Node) -> list[tuple[Any, ...]]:
        """Add a node's contributions to its parents' sums.

        Return (parent, contribution, sum before, sum after) of each. A rule that raises changes
        nothing, so the pass can go on from there.
        """
        sums, sent = dict[Node, Any](), list[tuple[Any, ...]]()
        try:
            contributions = node.contributions(self.gradients[node])
            for parent, value in zip(node.parents, contributions, strict=True):
                before = sums[parent] if parent in sums else self.gradients.get(parent)
                if parent.requires_grad:
                    sums[parent] = value if before is None else before + value
                sent.append((parent, value, before, sums.get(parent)))
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node, self.root)}")
            raise
        self.gradients |= sums
        self.position += 1
        if not self.retain_grads:
            del self.gradients[node]
        return sent


def backward(root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Run a whole pass and store its gradients."""
    with root.computing():
        done = Backprop(root, grad, retain_grads)
        done.run()
    write_gradients(done)


def steps(root: Node, grad: Any = None, retain_grads: bool | None = None) -> Iterator[Step]:
    """Run a pass one operation at a time; the gradients are stored before the last is yielded."""
    return _stored_at_end(Backprop(root, grad, retain_grads))


def _stored_at_end(walk: Backprop) -> Iterator[Step]:
    while step := walk.advance():
        if walk.finished:
            write_gradients(walk)
        yield step
    write_gradients(walk)  # a pass from a leaf has no steps


def write_gradients(done: Backprop) -> None:
    """Store the sums of a finished pass, once: leaves accumulate, interior nodes do not.

    If anything interrupts it, every gradient is put back.
    """
    if done.stored:
        return
    after = dict[Node, Any]() if done.retain_grads else dict.fromkeys(done.operations)
    with done.root.computing():
        for node, total in done.gradients.items():
            adds = node.gradient is not None and not node.parents
            after[node] = node.as_gradient(node.gradient + total if adds else total)
    before = {node: node.gradient for node in after if not holds_running_sum(node)}
    try:
        for node in before:
            node.gradient = after[node]
    except BaseException:
        for node, gradient in before.items():
            node.gradient = gradient
        raise
    done.stored = True
    latest_root.set(ref(done.root))


# The root of the latest pass, for `explain` and the tools.
latest_root: ContextVar[Any] = ContextVar("autolm_latest_root", default=lambda: None)

# The order of the root whose pass is running in `fast_values.py`, where a rule runs another pass.
running_order: ContextVar[int] = ContextVar("autolm_running_order", default=0)


def holds_running_sum(node: Node) -> bool:
    """Whether a pass around this one may keep a sum in the node: a pass inside leaves it alone."""
    return 0 < node.order <= running_order.get()


# The function that replaces `backward` while a debugger watches.
backward_pass: ContextVar[Callable[[Any, Any, bool | None], None] | None] = ContextVar(
    "autolm_backward_pass"
)


def watching_pass() -> Callable[[Any, Any, bool | None], None] | None:
    """Return the function that replaces `backward` here, if any."""
    try:
        return backward_pass.get()
    except LookupError:
        return _pass_of_environment()


@cache
def _pass_of_environment() -> Callable[[Any, Any, bool | None], None] | None:
    """Read AUTOLM_DAP (an editor) and AUTOLM_DEBUG (the prompt), at the first pass."""
    if os.getenv("AUTOLM_DAP"):
        from autolm.debugger.dap import attached

        return attached.stopped_backward
    if os.getenv("AUTOLM_DEBUG") == "1":
        from autolm.debugger import stop_backward

        return stop_backward.stopped_backward
    return None
