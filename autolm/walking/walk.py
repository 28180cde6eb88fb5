"""The engine's backward pass, walked in both directions, with breakpoints and live gradients.

Each step notes what the sums that it adds to were before. Going back puts those back, bit for bit;
so a step costs the same in either direction, however far the walk has come. For Values the notes
take some 80 bytes a step, and the gradients, which are all kept, 50. Of Tensors no array is copied:
what stays alive is every gradient and, where a node has several uses, the sums on the way to it.
"""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any

from autolm.engine import backprop as engine
from autolm.engine.backprop import Contribution, Step, latest_root
from autolm.engine.graph import Node
from autolm.ops.arguments import read_bool, read_int
from autolm.tensor.arguments import read_function, read_kind, read_node, read_text
from autolm.tensor.quiet import quiet
from autolm.walking.breakpoints import (
    Breakpoint,
    Condition,
    at_change_of,
    at_name,
    at_nonfinite,
    at_operation,
    at_scope,
)
from autolm.walking.what_if import Edit, edit, seed
from autolm.walking.wording import label, show


class Backprop:
    """A backward pass that can be walked forwards and back, and stopped anywhere.

    While it is open, the `.grad` of every node shows the sum of what has arrived so far. Use it in
    a `with` block: left at the end of the pass, the gradients are exactly those of `backward()`;
    left before, every gradient, and every number changed by `set`, is what it was.

    Attributes
    ----------
    root, operations
        Where the pass begins; and the nodes that it visits, one in each step.
    position
        How many steps are done; the last of them is `step`.
    breakpoints
        Where `run` and `run_back` stop, by number; `break_at` adds to them.
    stopped_by
        The breakpoint at which the latest run stopped; None where something else ended it.
    edits
        What `set` has changed, in turn.
    replaced
        Results that hold what they were set to, and not what their operation makes.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(3.0, name="x")
    >>> y = x * x + x
    >>> with Backprop(y) as walk:
    ...     print(walk.forward(), x.grad)
    ...     print(walk.forward(), x.grad)
    ...     print(walk.back(), x.grad)
    1  +  mul + x   mul: 1 × 1 = 1, grad 0 → 1   x: 1 × 1 = 1, grad 0 → 1 1.0
    2  ×  x · x   x: 1 × 3 = 3, grad 1 → 4   x: 1 × 3 = 3, grad 4 → 7 7.0
    1  +  mul + x   mul: 1 × 1 = 1, grad 0 → 1   x: 1 × 1 = 1, grad 0 → 1 1.0
    >>> x.has_grad
    False
    """

    def __init__(self, root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
        grad = seed("Backprop", read_node("Backprop", "root", root), grad)
        if retain_grads is not None:
            retain_grads = read_bool("Backprop", "retain_grads", retain_grads)
        # It keeps every gradient, which the way back needs.
        self._pass = engine.Backprop(root, grad, retain_grads=True)
        self._retains = root.retains_grads if retain_grads is None else retain_grads
        self.breakpoints: dict[int, Breakpoint] = {}
        self.stopped_by: Breakpoint | None = None
        self.edits: list[Edit] = []
        self.replaced: set[Node] = set()
        self._overwritten: list[tuple[Any, ...]] = []  # for each step done, the sums before it
        self._earlier = {node: node.gradient for node in self._nodes() if node.has_grad}
        self._is_open = True
        for node in self.operations:
            node.gradient = None
        self._show(root)

    def __repr__(self) -> str:
        done = f"{self.position} of {len(self.operations)} steps done"
        left = "" if self._is_open or self.finished else ", and left"
        return f"<backward of {label(self.root)} = {show(self.root.data)}: {done}{left}>"

    def __enter__(self) -> Backprop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def root(self) -> Node:
        """Where the pass begins."""
        return self._pass.root

    @property
    def operations(self) -> list[Node]:
        """The nodes that it visits, one in each step."""
        return self._pass.operations

    @property
    def position(self) -> int:
        """How many steps are done."""
        return self._pass.position

    @property
    def gradients(self) -> dict[Node, Any]:
        """The sums so far, by node."""
        return self._pass.gradients

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self._pass.finished

    @property
    def step(self) -> Step | None:
        """The step that was done last; None at the start."""
        if self.position == 0:
            return None
        node = self.operations[self.position - 1]
        upstream = self.gradients[node]
        slopes: Any = [None] * len(node.parents)
        if type(upstream) is float:
            slopes = node.contributions(1.0)
        values, befores = node.contributions(upstream), self._overwritten[-1]
        sent, sums = [], dict[Node, Any]()
        for parent, local, value, before in zip(node.parents, slopes, values, befores, strict=True):
            if parent.requires_grad:
                sums[parent] = value if before is None else _sum(before, value)
            sent.append(Contribution(parent, local, value, before, sums.get(parent)))
        return Step(self.position - 1, node, upstream, tuple(sent), node.op and node.op.rule)

    # Going

    def forward(self, n: int = 1) -> Step | None:
        """Do n steps; return the last that was done, None if the pass is at its end already."""
        step = None
        for _ in range(self._counted("forward", n)):
            with quiet():
                latest = self._pass.advance()
            if latest is None:
                break
            step = latest
            self._overwritten.append(tuple(sent.before for sent in step.contributions))
            for parent in step.node.parents:
                self._show(parent)
        return step

    def back(self, n: int = 1) -> Step | None:
        """Undo n steps; return the one that is the last then, None at the start."""
        for _ in range(min(self._counted("back", n), self.position)):
            self._undo()
        return self.step

    def goto(self, k: int) -> Step | None:
        """Go to where k steps are done, by whichever way it is; return the last of them."""
        k = read_int("goto", "k", k)
        if not 0 <= k <= len(self.operations):
            raise ValueError(f"goto: k is {k}, and the steps are 0 … {len(self.operations)}")
        self.forward(max(0, k - self.position))
        return self.back(max(0, self.position - k))

    def run(self, until: Condition | None = None) -> Step | None:
        """Go on until a breakpoint stops it, or a step of which `until` is true; return that step.

        None says that it ran to the end.
        """
        _require_question("run", "until", until)
        self.stopped_by = None
        while (step := self.forward()) is not None:
            if self._stops(step, until):
                return step
        return None

    def run_back(self, until: Condition | None = None) -> Step | None:
        """Go back in the same way; None says that it is at the start."""
        _require_question("run_back", "until", until)
        self.stopped_by = None
        while (step := self.back()) is not None:
            if self._stops(step, until):
                return step
        return None

    def break_at(
        self,
        *,
        op: str | None = None,
        name: str | None = None,
        scope: str | None = None,
        when: Condition | None = None,
        nonfinite: bool = False,
        watch: Node | None = None,
    ) -> Breakpoint:
        """Let `run` and `run_back` stop where all of these hold.

        Parameters
        ----------
        op
            The operation, by name or symbol: "mul" or "×".
        name, scope
            The node's name and scope; * and ? stand for anything, as in names of files.
        when
            A question about the step: ``lambda step: abs(step.upstream) > 10``.
        nonfinite
            Something that is sent is inf or nan.
        watch
            The gradient of this node changes.
        """
        for argument, pattern in (("op", op), ("name", name), ("scope", scope)):
            if pattern is not None:
                read_text("break_at", argument, pattern)
        _require_question("break_at", "when", when)
        read_bool("break_at", "nonfinite", nonfinite)
        if watch is not None:
            read_node("break_at", "watch", watch)
        asked = [
            (f"operation {op}", op and at_operation(op)),
            (f"name {name}", name and at_name(name)),
            (f"scope {scope}", scope and at_scope(scope)),
            ("when", when),
            ("inf or nan", at_nonfinite if nonfinite else None),
            ("watch", watch is not None and at_change_of(watch)),
        ]
        conditions = [(text, condition) for text, condition in asked if condition]
        if not conditions:
            raise ValueError("break_at: say where: op=, name=, scope=, when=, nonfinite= or watch=")
        text = ", ".join(text for text, _ in conditions)
        return self.add(Breakpoint(text, lambda step: all(holds(step) for _, holds in conditions)))

    def add(self, breakpoint: Breakpoint) -> Breakpoint:
        """Add a breakpoint under the next number."""
        read_kind("add", "breakpoint", breakpoint, Breakpoint, "a Breakpoint, as break_at makes it")
        self.breakpoints[max(self.breakpoints, default=0) + 1] = breakpoint
        return breakpoint

    def set(self, node: Node, data: Any) -> Edit:
        """Change the data of a node and all that depends on it, and stay at the same step.

        The latest change counts: a result that was set before, and depends on the node, is computed
        again. Left unfinished, the walk undoes every change.
        """
        position, seed = self.position, self.gradients[self.root]
        self.goto(0)
        try:
            change = edit(self.root, node, data, grad=seed, set_before=self.replaced)
            self.edits.append(change)
            self.replaced -= change.data.keys()
            self.replaced |= {node} if node.parents else set()
        finally:
            self.goto(position)
        return change

    def close(self) -> None:
        """End the walk: keep the gradients of a whole pass, and put everything back otherwise."""
        if not self._is_open:
            return
        self._is_open = False
        if self.finished:
            for node in () if self._retains else self.operations:
                node.gradient = None
            latest_root.set(weakref.ref(self.root))
            return
        while self.edits:
            self.edits.pop().undo()
        self.replaced.clear()
        for node in self._nodes():
            node.gradient = self._earlier.get(node)

    def earlier(self, leaf: Node) -> Any:
        """Return the gradient that a leaf had before this pass, to which the pass adds."""
        return None if read_node("earlier", "leaf", leaf).parents else self._earlier.get(leaf)

    # One step, either way

    def _counted(self, what: str, n: int) -> int:
        n = read_int(what, "n", n)
        if n < 0:
            raise ValueError(f"{what}: n is {n}; to go the other way, there is back and forward")
        if not self._is_open:
            raise RuntimeError(f"{what}: this walk is closed; open another with Backprop(root)")
        return n

    def _undo(self) -> None:
        self._pass.position -= 1
        parents = self.operations[self.position].parents
        for parent, before in zip(parents[::-1], self._overwritten.pop()[::-1], strict=True):
            if before is None:
                self.gradients.pop(parent, None)
            else:
                self.gradients[parent] = before
        for parent in parents:
            self._show(parent)

    def _show(self, node: Node) -> None:
        """Let a node's `.grad` be what `backward()` would make of the sum so far."""
        total, earlier = self.gradients.get(node), self.earlier(node)
        if total is None:
            node.gradient = earlier
        else:
            node.gradient = node.as_gradient(total if earlier is None else _sum(earlier, total))

    def _stops(self, step: Step, until: Condition | None) -> bool:
        for number, breakpoint in self.breakpoints.items():
            if breakpoint.stops(step):
                breakpoint.hits += 1
                self.stopped_by = breakpoint
                if breakpoint.temporary:
                    del self.breakpoints[number]
                return True
        return until is not None and bool(until(step))

    def _nodes(self) -> dict[Node, None]:
        """List the nodes whose gradients the pass touches."""
        reached = dict.fromkeys(p for node in self.operations for p in node.parents)
        return {self.root: None} | {node: None for node in reached if node.requires_grad}


def _require_question(name: str, argument: str, question: Any) -> None:
    if question is not None:
        read_function(name, argument, question, "a function of a step that answers True or False")


def _sum(before: Any, value: Any) -> Any:
    with quiet():
        return before + value
