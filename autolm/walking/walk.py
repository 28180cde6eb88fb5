"""A backward pass that can be walked in both directions; every front end uses it.

`stepper.py` takes single steps, `segments.py` bounds their memory, and `runner.py` takes many steps
up to a breakpoint. `Walk` opens and closes the pass and edits data in it. Nothing here prints.
"""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any

from autolm.engine.backprop import latest_root
from autolm.engine.graph import Node
from autolm.walking.runner import Runner
from autolm.walking.what_if import Edit, edit


class Walk(Runner):
    """A backward pass that can be walked forwards and back, and stopped anywhere.

    While the walk is open, the `.grad` of every node is the sum of the contributions so far. Use it
    in a `with` block. If the pass is finished when the block ends, the gradients are exactly those
    of `backward()`. Otherwise every gradient, and all data changed by `set`, is restored.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        The number of steps in a segment. Only the gradients of the last one or two segments are
        kept; going back further recomputes a segment. √(number of steps) needs the least memory.
        The `.grad` of earlier results is empty then; `restore_grad` computes it. By default
        everything is kept.

    Attributes
    ----------
    root
        The node at which the pass begins.
    operations
        The nodes that the pass visits, one per step.
    leaves
        The leaves at which the pass ends.
    position
        How many steps are done.
    edge
        How many contributions of the next step are sent already.
    gradients
        The sums of the contributions so far, by node.
    breakpoints
        The breakpoints of `run` and `run_back`, by id; `break_at` adds to them.
    edits
        The edits that `set` made, in order.
    overridden
        Results whose data was set and no longer follows from their operands.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(3.0, name="x")
    >>> y = x * x + x
    >>> with Walk(y) as walk:
    ...     print(walk.preview(), x.has_grad)
    ...     print(walk.step(), x.grad)
    ...     print(walk.send(), x.grad)
    ...     print(walk.back(), (walk.position, walk.edge), x.grad)
    1  +  y = mul + x   mul: 1 × 1 = 1, grad – → 1   x: 1 × 1 = 1, grad – → 1 False
    1  +  y = mul + x   mul: 1 × 1 = 1, grad – → 1   x: 1 × 1 = 1, grad – → 1 1.0
    x: 3, grad 1 → 4 4.0
    True (1, 0) 1.0
    >>> x.has_grad
    False
    """

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Edits, and the end of the pass

    def set(self, node: Node, data: Any) -> Edit:
        """Set the data of a node, recompute its dependents, and keep the position.

        A dependent result that was set before is recomputed too. If the walk ends unfinished, every
        change is undone.
        """
        self._require_open("set")
        position, edge, seed = self.position, self.edge, self.gradients[self.root]
        self.goto(0)
        try:
            change = edit(self.root, node, data, grad=seed, set_before=self.overridden)
            self.edits.append(change)
            self.overridden -= change.data.keys()
            self.overridden |= {node} if node.parents else set()
        finally:
            self._computed = None
            self.goto(position, edge)
        return change

    def finish(self) -> None:
        """Do the rest of the pass and end the walk, with the gradients of `backward()`."""
        self._require_open("finish")
        self.goto(len(self.operations))
        self.close()

    def abandon(self) -> None:
        """End the walk and restore every gradient and all data that was set."""
        if not self._is_open:
            return
        self._is_open = False
        while self.edits:
            self.edits.pop().undo()
        self.overridden.clear()
        for node in self._nodes():
            node.gradient = self._grads_before.get(node)
        self.root.end_walk(self.seed, finished=False)

    def close(self) -> None:
        """End the walk: keep the gradients of a finished pass, abandon an unfinished one."""
        if not self._is_open:
            return
        if not self.finished:
            self.abandon()
            return
        while self._retains and self._segments.first_available:
            self._restore_segment()
        self._is_open = False
        for node in () if self._retains else self.operations:
            node.gradient = None
        self.root.end_walk(self.seed, finished=True, edits=self.edits)
        latest_root.set(weakref.ref(self.root))
