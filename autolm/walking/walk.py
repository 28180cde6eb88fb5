"""A backward pass that can be walked both ways: what prompt, editor, page and notebook share.

`stepper.py` takes single steps, `segments.py` bounds their memory, and `runner.py` takes many steps
up to a breakpoint. `Walk` opens and closes the pass and changes numbers in it. Nothing here prints.
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

    While it is open, the `.grad` of every node shows the sum of what has arrived so far. Use it in
    a `with` block: left at the end of the pass, the gradients are exactly those of `backward()`;
    left before, every gradient, and every number changed by `set`, is what it was.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        Keep only what the last one or two segments of so many steps did, and do those before again
        where one goes back to them; √(number of steps) needs least memory. The `.grad` of a result
        of before shows nothing then: `show_again`. By default all is kept.

    Attributes
    ----------
    root, operations, leaves
        Where the pass begins; the nodes that it visits, one in each step; and where it ends.
    position, edge
        How many steps are done, and how many contributions of the next are sent already.
    gradients
        The sums so far, by node.
    breakpoints
        Where `run` and `run_back` stop, by id; `break_at` adds to them.
    edits
        What `set` has changed, in turn.
    replaced
        Results that hold what they were set to, and not what their operation makes.

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

    # What if, and the end

    def set(self, node: Node, data: Any) -> Edit:
        """Change the data of a node and all that depends on it, and stay at the same place.

        The latest change counts: a result that was set before, and depends on the node, is computed
        again. Left unfinished, the walk undoes every change.
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
        """Do what is left of the pass and end the walk, with the gradients of `backward()`."""
        self._require_open("finish")
        self.goto(len(self.operations))
        self.close()

    def abandon(self) -> None:
        """End the walk and put every gradient, and every number that was set, back."""
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
        """End the walk: keep the gradients of a whole pass, and abandon one that is not."""
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
