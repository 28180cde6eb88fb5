"""Backpropagation: the chain rule over a graph, in reverse topological order.

    ∂L/∂parent  +=  contribution,      contributions = node.backward_rule(∂L/∂node)

`Backprop` sums the contributions in a dictionary outside the nodes, and `write_gradients` stores
the sums when the pass is finished. An interrupted pass therefore leaves every gradient unchanged.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from contextvars import ContextVar
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
    """A contribution to one parent, and the parent's sum before and after it.

    `local` is the slope ∂node/∂parent if both are single numbers, else None.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import printed_contribution

        return printed_contribution(self)


class Backprop:
    """One backward pass: the operations, root first, and the sums so far. It changes no node.

    Attributes
    ----------
    root, operations, leaves
        The node it starts from, the results in the order of their visits, and the leaves.
    position, stored
        The number of operations done, and whether `write_gradients` has stored the sums.
    gradients
        ∂L/∂node as summed so far, by node. Unless `retain_grads` is set, the gradient of a result
        is dropped after its operation is done.
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
        additions = self._visit(node)
        is_number = type(upstream) is float
        slopes = node.contributions(1.0) if is_number else [None] * len(additions)
        contributions = tuple(
            Contribution(parent, slope, *numbers)
            for slope, (parent, *numbers) in zip(slopes, additions, strict=True)
        )
        return Step(index, node, upstream, contributions, node.op and node.op.rule)

    def _visit(self, node: Node) -> list[tuple[Any, ...]]:
        """Add a node's contributions to its parents' sums.

        Return (parent, contribution, sum before, sum after) for each parent. If the backward rule
        raises an exception, nothing has changed, and the pass can be continued.
        """
        sums, additions = dict[Node, Any](), list[tuple[Any, ...]]()
        try:
            contributions = node.contributions(self.gradients[node])
            for parent, contribution in zip(node.parents, contributions, strict=True):
                before = sums[parent] if parent in sums else self.gradients.get(parent)
                if parent.requires_grad:
                    sums[parent] = contribution if before is None else before + contribution
                additions.append((parent, contribution, before, sums.get(parent)))
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node, self.root)}")
            raise
        self.gradients |= sums
        self.position += 1
        if not self.retain_grads:
            del self.gradients[node]
        return additions


def backward(root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Run a whole pass and store its gradients."""
    with root.computing():
        backprop = Backprop(root, grad, retain_grads)
        backprop.run()
    write_gradients(backprop)


def steps(root: Node, grad: Any = None, retain_grads: bool | None = None) -> Iterator[Step]:
    """Run a pass one operation at a time, and store the gradients before yielding the last step."""
    backprop = Backprop(root, grad, retain_grads)  # now, so that errors are raised by this call

    def each_step() -> Iterator[Step]:
        while step := backprop.advance():
            if backprop.finished:
                write_gradients(backprop)
            yield step
        write_gradients(backprop)  # a pass from a leaf has no steps

    return each_step()


def write_gradients(backprop: Backprop) -> None:
    """Store the sums of a finished pass: add them at leaves, replace the gradients of results.

    Only the first call stores. If anything interrupts it, every gradient is restored.
    """
    if backprop.stored:
        return
    after = dict[Node, Any]() if backprop.retain_grads else dict.fromkeys(backprop.operations)
    with backprop.root.computing():
        for node, total in backprop.gradients.items():
            accumulates = node.gradient is not None and not node.parents
            after[node] = node.as_gradient(node.gradient + total if accumulates else total)
    before = {node: node.gradient for node in after if not holds_running_sum(node)}
    try:
        for node in before:
            node.gradient = after[node]
    except BaseException:
        for node, gradient in before.items():
            node.gradient = gradient
        raise
    backprop.stored = True
    latest_root.set(ref(backprop.root))


# The root of the latest pass, for `explain` and other tools.
latest_root: ContextVar[Any] = ContextVar("autolm_latest_root", default=lambda: None)

# The order of the root of the running pass of `fast_values.py`, whose rules may run other passes.
running_order: ContextVar[int] = ContextVar("autolm_running_order", default=0)


def holds_running_sum(node: Node) -> bool:
    """Whether the outer pass may keep a sum in this node, which an inner pass must not change."""
    return 0 < node.order <= running_order.get()
