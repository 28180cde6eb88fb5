"""The computation graph and the chain rule: the ground floor, on which all else stands.

A computation is a graph of nodes. A node knows its data, its parents, the operation that made it,
and a backward rule: a closure that takes the upstream gradient ∂L/∂node and *returns* one
contribution per parent. It never touches a parent. `Backprop` visits the operations in reverse
topological order and adds the contributions up, in one place:

    ∂L/∂parent  +=  contribution,      contributions = node.backward_rule(∂L/∂node)
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Any, ClassVar
from weakref import ref

from autolm.engine.copying import Copied

# An operation's record. Its rule has a text per operand: ḡ is the upstream gradient, y the result.
Operation = namedtuple("Operation", "name symbol formula rule forward")


# How steps read, and how nodes show themselves, is for higher rooms to say, when they are asked.
class Step(namedtuple("Step", "index node upstream contributions rule")):
    """What an operation does in a backward pass."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import backward_line

        return backward_line(self)


class Contribution(namedtuple("Contribution", "parent local value before after")):
    """What it sends to one parent."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import sent

        return sent(self)


class ForwardStep(namedtuple("ForwardStep", "index node operands result")):
    """What an operation does in a forward pass."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import forward_line

        return forward_line(self)


class Node(Copied):
    """One value in a computation graph; `==` is identity."""

    __slots__ = ("__weakref__", "_grad", "backward_rule", "data", "made", "name", "op", "parents",
                 "requires_grad", "scope", "site")  # fmt: skip
    data: Any
    op: Operation | None
    parents: tuple[Node, ...]  # in operand order, with repeats; none at a leaf
    backward_rule: Callable[[Any], tuple[Any, ...]] | None
    requires_grad: bool  # False at a constant, which no gradient reaches
    made: int  # numbers results in the order in which they were made; 0 at a leaf
    name: str
    scope: str  # where it was made, such as "blocks.0.attention"
    site: str | None  # file:line that made it, inside `record_sites()`
    attributes: Mapping[str, Any] = {}  # what the operation was told besides operands
    as_gradient: Callable[[Any], Any]  # gives a gradient (None: 1) the form of `data`, as a copy
    contributions: Callable[[Any], Any]  # applies the rule; each is fit to be added to its parent's
    grad_if_none: ClassVar[Any] = None  # what `grad` reads where `has_grad` is False
    retains_grads: ClassVar[bool] = False  # whether interior nodes keep theirs by default

    @property
    def grad(self) -> Any:
        """∂L/∂self, as far as backward passes have told."""
        return self.grad_if_none if self._grad is None else self._grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = None if grad is None else self.as_gradient(grad)

    @property
    def has_grad(self) -> bool:
        """Whether a gradient was computed here: "not computed" is not 0."""
        return self._grad is not None

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Compute ∂self/∂leaf for every leaf under this node, by the chain rule.

        Leaves accumulate over calls; interior nodes hold the latest, if retained (a Value's are by
        default). `grad` is ∂L/∂self: 1 if left out. An error leaves every gradient as it was.
        """
        (backward_pass.get() or Backprop)(self, grad, retain_grads).run()

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Walk that same pass one operation at a time; the gradients are set at its end."""
        return iter(Backprop(self, grad, retain_grads).forward, None)

    def forward_steps(self) -> Iterator[ForwardStep]:
        """Walk the operations under this node in the order in which they were done."""
        results = [node for node in topological_order(self) if node.parents]
        for i, node in enumerate(results):
            yield ForwardStep(i, node, tuple(parent.data for parent in node.parents), node.data)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Show a result in a notebook as its picture."""
        from autolm.drawing.notebook import bundle

        return bundle(self)

    def zero_grad(self) -> None:
        """Forget the gradients of this node and of every node under it."""
        for node in topological_order(self):
            node._grad = None


def topological_order(root: Node, *, constants: bool = True) -> list[Node]:
    """List the nodes under `root`, constants or not: leaves, then results as they were made."""
    found, seen, stack = list[Node](), {root}, [root]
    while stack:  # not recursion: only memory bounds the depth
        found.append(node := stack.pop())
        for parent in node.parents:
            if parent not in seen and (constants or parent.requires_grad):
                seen.add(parent)
                stack.append(parent)
    return sorted(reversed(found), key=attrgetter("made"))  # operands were made before results


class Backprop:
    """One backward pass: its operations, root first, and the gradients so far.

    They stay out of the nodes until the last is done, so that a rule that fails changes nothing.
    """

    def __init__(self, root: Node, grad: Any = None, retain_grads: bool | None = None) -> None:
        if not root.requires_grad:
            raise RuntimeError("backward: nothing here requires a gradient (no_grad? constants?)")
        self.operations = [n for n in topological_order(root, constants=False)[::-1] if n.parents]
        self.gradients = {root: root.as_gradient(grad)}
        self.retain_grads = root.retains_grads if retain_grads is None else retain_grads
        self.root, self.position = root, 0
        self._visit([])  # from a leaf there is nowhere to go

    def forward(self) -> Step | None:
        """Do one operation and return its step; None when none is left."""
        if self.position == len(self.operations):
            return None
        node, log = self.operations[self.position], list[Any]()
        upstream = self.gradients[node]
        self._visit([node], log)
        slopes = node.contributions(1.0) if type(upstream) is float else (None,) * len(log)
        sent = (Contribution(p, slope, *c) for slope, (p, *c) in zip(slopes, log, strict=True))
        return Step(self.position - 1, node, upstream, tuple(sent), node.op and node.op.rule)

    def run(self) -> None:
        """Do every operation that is left."""
        self._visit(self.operations[self.position :])

    def _visit(self, nodes: list[Node], log: list[Any] | None = None) -> None:
        """Send each node's gradient on to its parents: the chain rule, and all of it."""
        gradients, sum_so_far = self.gradients, self.gradients.get
        try:
            for node in nodes:
                sent, i = node.contributions(gradients[node]), 0
                for parent in node.parents:
                    before = sum_so_far(parent)
                    if parent.requires_grad:
                        gradients[parent] = sent[i] if before is None else before + sent[i]
                    if log is not None:
                        log.append((parent, sent[i], before, sum_so_far(parent)))
                    i += 1  # noqa: SIM113 (quicker)
                if not self.retain_grads:
                    del gradients[node]
                self.position += 1
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node)}")
            raise
        if self.position == len(self.operations) and self.gradients:
            self._finish()

    def _finish(self) -> None:
        """Write the gradients into the nodes: leaves accumulate, interiors do not."""
        for node, grad in self.gradients.items():
            if node._grad is not None and not node.parents:
                grad = node._grad + grad
            self.gradients[node] = grad if type(grad) is float else node.as_gradient(grad)
        for node in () if self.retain_grads else self.operations:
            node._grad = None
        for node, grad in self.gradients.items():
            node._grad = grad
        self.gradients.clear()  # nothing is written twice
        latest_root.set(ref(self.root))


def require_text(kind: str, name: Any) -> None:
    """Refuse a name that is no text, such as the parents that micrograd's constructor takes."""
    if not isinstance(name, str):
        raise TypeError(
            f"{kind}: name is a {type(name).__name__}, and a name is a str "
            "(parents are not told; an operation records them)"
        )


def describe(node: Node) -> str:
    """Say which node this is, for a message: operation, name, scope, site, as far as known."""
    words = [node.op.name if node.op else "leaf", node.name and repr(node.name)]
    words += [node.scope and f"in {node.scope}", node.site and f"at {node.site}"]
    return " ".join(filter(None, words))


def _stopped(*told: Any) -> Any:
    """Make a pass that opens the debugger, which AUTOLM_DEBUG=1 asks for."""
    from autolm.debugger.stop_backward import StoppedPass

    return StoppedPass(*told)


# For those who watch: what `backward()` runs, if not a `Backprop`; and where the latest one began.
backward_pass: ContextVar[Any] = ContextVar(
    "autolm_backward_pass", default=_stopped if os.getenv("AUTOLM_DEBUG") == "1" else None
)
latest_root: ContextVar[Any] = ContextVar("autolm_latest_root", default=lambda: None)

# How nodes are made just now: with parents or not, in which scope, with sites or not.
recorder = ContextVar("autolm_recording", default=(True, "", os.getenv("AUTOLM_SITES") == "1"))
current_recording = recorder.get
next_made = count(1).__next__  # gives the number of the next result


@contextmanager
def recording(*, enabled: Any = None, scope: Any = None, sites: Any = None) -> Iterator[None]:
    """Change that for a `with` block or a decorated function, however it ends; in one thread."""
    changes = zip((enabled, scope, sites), recorder.get(), strict=True)
    token = recorder.set(tuple(old if new is None else new for new, old in changes))  # type: ignore[arg-type]
    try:
        yield
    finally:
        recorder.reset(token)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the part of a model that is being computed: `with scope("attention"):`; scopes nest."""
    with recording(scope=".".join(filter(None, (recorder.get()[1], name)))):
        yield


no_grad = partial(recording, enabled=False)  # with no_grad(): new nodes are constants
record_sites = partial(recording, sites=True)  # with record_sites(): they know their file:line


def calling_site() -> str:
    """Return file:line of the nearest caller outside the engine."""
    frame = sys._getframe(1)
    engine = (
        "autolm.engine.graph",
        "autolm.engine.value",
        "autolm.tensor.tensor",
        "autolm.op",
    )  # op: ops, operators
    while frame.f_globals.get("__name__", "").startswith(engine) and frame.f_back:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
