"""Backpropagation: the chain rule over a graph, and all of it.

    ∂L/∂parent  +=  contribution,      contributions = node.backward_rule(∂L/∂node)

`Backprop` computes: it visits the operations in reverse topological order, and holds the sums. It
changes no node; `write_gradients` does, once all is done. `backward_of_values` is the same pass for
a graph of plain numbers, where there may be a million nodes and each must cost little.
"""

from __future__ import annotations

import os
from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from threading import RLock
from typing import Any, ClassVar
from weakref import ref

from autolm.engine.graph import Node, describe, stepped_root, topological_order
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
    root, operations, leaves
        Where it begins; the nodes that it visits; and where it ends.
    position
        How many of them it has visited.
    gradients
        ∂L/∂node as far as it has come, by node. Without `retain_grads`, that of a result is dropped
        when it has been sent on.
    """

    def __init__(self, root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
        if not root.requires_grad:
            raise RuntimeError("backward: nothing here requires a gradient (no_grad? constants?)")
        _require_switch(retain_grads)
        order = topological_order(root, constants=False)
        self.operations = [node for node in order[::-1] if node.parents]
        self.leaves = order[: len(order) - len(self.operations)]
        self.gradients = {root: root.as_gradient(grad)}
        self.retain_grads = root.retains_grads if retain_grads is None else retain_grads
        self.root, self.position = root, 0

    def __repr__(self) -> str:
        done = f"{self.position} of {len(self.operations)} operations done"
        return f"<backward of {describe(self.root)}: {done}>"

    @property
    def finished(self) -> bool:
        """Whether every operation is done."""
        return self.position == len(self.operations)

    def advance(self) -> Step | None:
        """Do one operation and return its step; None when none is left."""
        if self.finished:
            return None
        stepped_root.set(ref(self.root))
        node = self.operations[self.position]
        upstream, told = self.gradients[node], list[tuple[Any, ...]]()
        self._visit(node, told)
        slopes = node.contributions(1.0) if type(upstream) is float else (None,) * len(told)
        contributions = (
            Contribution(p, slope, *c) for slope, (p, *c) in zip(slopes, told, strict=True)
        )
        return Step(
            self.position - 1, node, upstream, tuple(contributions), node.op and node.op.rule
        )

    def run(self) -> None:
        """Do every operation that is left."""
        for node in self.operations[self.position :]:
            self._visit(node)

    def _visit(self, node: Node, told: list[tuple[Any, ...]] | None = None) -> None:
        """Send a node's gradient on to its parents; tell what each was sent, and its sums."""
        gradients = self.gradients
        changed: dict[Node, Any] = {}  # (dict[...]() takes longer than an addition)
        try:
            contributions = node.contributions(gradients[node])
            for parent, value in zip(node.parents, contributions, strict=True):
                before = changed[parent] if parent in changed else gradients.get(parent)
                if parent.requires_grad:
                    changed[parent] = value if before is None else before + value
                if told is not None:
                    told.append((parent, value, before, changed.get(parent)))
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node, self.root)}")
            raise
        self.gradients |= changed  # no interrupt comes between these two
        self.position += 1
        if not self.retain_grads:
            del gradients[node]


def _require_switch(retain_grads: Any) -> None:
    if not (retain_grads is None or retain_grads is True or retain_grads is False):
        given = type(retain_grads).__name__
        raise TypeError(f"backward: retain_grads must be True, False or None, not a {given}")


def write_gradients(done: Backprop) -> None:
    """Put the sums of a pass into the nodes: leaves accumulate, interior nodes do not."""
    if not done.gradients:
        return  # they are written
    unlock = at_once(map(_Slots.lock.__exit__, *[(None,)] * 3))
    (_,) = at_once(map(_Slots.lock.acquire, (True,)))
    try:
        around = _Slots.in_use  # where this pass is run by a rule of another, or at a breakpoint
        earlier: dict[Node, Any] = around.earlier if around else {}
        taken = set[Node](around.nodes()) if around else ()
        totals = dict[Node, Any]() if done.retain_grads else dict.fromkeys(done.operations)
        with done.root.computing():
            for node, sum in done.gradients.items():
                before = earlier.get(node) if node in taken else node.gradient
                total = sum if before is None or node.parents else before + sum
                totals[node] = total if type(total) is float else node.as_gradient(total)
        held = {node: totals.pop(node) for node in list(totals) if node in taken}
        write = at_once(
            chain(
                map(_set_gradient, totals, totals.values()),
                map(earlier.__setitem__, held, held.values()),
            )
        )
        latest_root.set(ref(done.root))
        (_,) = write
        done.gradients = {}
    finally:
        (_,) = unlock


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
    with root.computing():
        done = Backprop(root, grad, retain_grads)
        done.run()
    write_gradients(done)


def backward_of_values(root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Do the same for Values, with the sums in their gradient slots while it runs.

    Whatever ends it before its time, an error or Ctrl-C, every slot is put back. Once all are
    settled, no interrupt can come any more: see `at_once`.
    """
    if not root.parents or not root.requires_grad:
        return backward(root, grad, retain_grads)
    _require_switch(retain_grads)
    unlock = at_once(map(_Slots.lock.__exit__, *[(None,)] * 3))
    (_,) = at_once(map(_Slots.lock.acquire, (True,)))
    try:
        if _Slots.in_use:  # a rule of another pass runs this one, or somebody at a breakpoint in it
            return backward(root, grad, retain_grads)
        seed = root.as_gradient(grad)
        slots = _Slots()
        try:
            _Slots.in_use = slots
            slots.take(root)
            root.gradient = seed
            _send(root, slots.results)
            latest_root.set(ref(root))
            slots.settle(keep_results=retain_grads is not False)
        except BaseException:
            (_,) = slots.put_back
            raise
        finally:
            _Slots.in_use = None
    finally:
        (_,) = unlock


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
        where = f"in the backward rule of {describe(node, root)}"
        error.add_note(where)
        if error.__traceback__ and error.__traceback__.tb_next:
            raise  # it is the rule's own error
        try:
            node.contributions(node.gradient)
        except TypeError as unfit:  # it says what is wrong with what the rule sent
            unfit.add_note(where)
            raise unfit from None
        raise


class _Slots:
    """What a pass of Values borrowed: the `gradient` slots of its nodes, which hold its sums.

    A sum in the node itself costs less than one in a dict. The price is that the nodes are in
    disorder while the pass runs; so it keeps what was there before, and only one pass at a time may
    borrow. Another that is begun meanwhile by the same thread keeps its sums to itself, as
    `Backprop` does, and adds them to `earlier`; one of another thread waits for the lock.

    Attributes
    ----------
    results, leaves, constants
        The nodes whose slots are borrowed, by kind; the results in the order of the pass.
    earlier
        Their gradients from before, of those that had one.
    nothing_yet
        What a sum begins as: -0.0, since -0.0 + x is x even where x is -0.0. It is a float of this
        pass alone, so its being in a slot means that this pass was here, and no other can.
    put_back
        When unpacked, gives every slot what it had before.
    """

    __slots__ = ("constants", "earlier", "leaves", "nothing_yet", "put_back", "results")
    in_use: ClassVar[_Slots | None] = None  # by the pass that runs; set and read under the lock
    lock = RLock()

    def __init__(self) -> None:
        self.results, self.leaves, self.constants = list[Any](), list[Any](), list[Any]()
        self.earlier: dict[Any, Any] = {}
        self.nothing_yet = float("-0.0")  # a text makes a new float each time; a literal does not
        earlier = map(self.earlier.get, self.nodes())
        self.put_back = at_once(map(_set_gradient, self.nodes(), earlier))

    def nodes(self) -> Iterator[Any]:
        """Yield those whose slots are taken, also those that will be when it comes to them."""
        return chain(self.results, self.leaves, self.constants)

    def take(self, root: Any) -> None:
        """Find every node under a root, and begin its sum; it is listed before it is changed."""
        results, earlier, nothing, stack = self.results, self.earlier, self.nothing_yet, [root]
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
                if len(operands) == 4:
                    a, b, _, _ = operands
                    if a.gradient is not nothing:  # else it has been found
                        stack.append(a)
                    if b.gradient is not nothing:
                        stack.append(b)
                else:
                    found = operands[: len(operands) // 2]
                    stack += [each for each in found if each.gradient is not nothing]
            elif order == 0:
                self.leaves.append(node)
            else:
                self.constants.append(node)
            node.gradient = nothing
        results.sort(key=attrgetter("order"), reverse=True)

    def settle(self, keep_results: bool) -> None:
        """Leave the gradients as they are to be: leaves accumulate, and constants have none."""
        earlier = self.earlier
        if {*map(type, map(attrgetter("gradient"), self.leaves))} - {float}:
            for node in self.results:
                node.contributions(node.gradient)  # raises at a rule that sent no number
            for leaf in self.leaves:
                leaf.gradient = leaf.as_gradient(leaf.gradient)
        for leaf in self.leaves:
            if leaf in earlier:
                leaf.gradient = earlier[leaf] + leaf.gradient
        for constant in self.constants:
            constant.gradient = earlier.get(constant)
        for result in () if keep_results else self.results:
            result.gradient = None


def at_once(work: Iterator[Any]) -> Iterator[Any]:
    """Return what does all of the work, an iterator made of C functions, when it is unpacked.

    CPython lets an interrupt in where a function of its own begins, at a jump back and after a call
    of C; never inside C, nor after another instruction. To unpack is another instruction: `(_,) =`
    does the work, and the statement after it comes without fail. So what is done in this way last,
    before a `backward()` returns, leaves no moment for Ctrl-C between the work and its end.
    """
    return map(deque, (work,), (0,))


_set_gradient = vars(Node)["gradient"].__set__  # of the slot, which is written in C


@cache
def _pass_of_environment() -> Callable[[Any, Any, bool | None], None] | None:
    """Read, at the first pass, who watches: an editor at AUTOLM_DAP, or the prompt."""
    if os.getenv("AUTOLM_DAP"):
        return partial(_watched, "AUTOLM_DAP")
    return partial(_watched, "AUTOLM_DEBUG=1") if os.getenv("AUTOLM_DEBUG") == "1" else None


def _watched(asked: str, root: Node, grad: Any, retain_grads: bool | None) -> None:
    watching = higher(f"backward under {asked}")
    if watching is None:
        raise RuntimeError(f"backward: {asked}, and the debugger is not installed here")
    watching(root, grad, retain_grads)


# For those who watch: what does a `backward()`, if not this file; and where the latest one began.
backward_pass: ContextVar[Callable[[Any, Any, bool | None], None] | None] = ContextVar(
    "autolm_backward_pass"
)
latest_root: ContextVar[Any] = ContextVar("autolm_latest_root", default=lambda: None)


def watching_pass() -> Callable[[Any, Any, bool | None], None] | None:
    """Return what does a `backward()` here, if not this file."""
    try:
        return backward_pass.get()
    except LookupError:
        return _pass_of_environment()
