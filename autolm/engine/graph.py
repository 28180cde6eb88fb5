"""The computation graph: nodes, their order, and how they are recorded. All else stands on it.

A computation is a graph of nodes. A node knows its data, its parents, the operation that made it,
and a backward rule: a closure that takes the upstream gradient ∂L/∂node and *returns* one
contribution per parent. It never touches a parent; `backprop.py` adds the contributions up.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ContextDecorator, nullcontext
from contextvars import ContextVar
from itertools import count
from types import FrameType
from typing import Any, ClassVar, TypeVar, overload
from weakref import ref

from autolm.engine.site import RUNS_LATER, Entered, Site, Sites, calling_site

# What was known where a node was made. Nodes of one place share it; it is replaced, not changed.
Note = namedtuple("Note", "scope name site entered", defaults=("", "", None, ()))
NO_NOTE = Note()
AnyNode = TypeVar("AnyNode", bound="Node")
Function = TypeVar("Function", bound=Callable[..., Any])


class Node:
    """One value in a computation graph; nodes are equal, and hash, by identity."""

    __slots__ = ("__weakref__", "gradient", "note", "op", "order")
    op: Any  # the record of the operation that made it; None at a leaf
    order: int  # numbers results in the order of making; 0 at a leaf
    note: Note | None  # its scope, name and site, if it has any
    gradient: Any  # None until one is computed

    data: Any
    parents: tuple[Any, ...]  # in operand order, with repeats; none at a leaf
    backward_rule: Callable[[Any], tuple[Any, ...]] | None
    requires_grad: bool  # False at a constant, which no gradient reaches
    attributes: Mapping[str, Any] = {}  # what the operation was told besides operands
    as_gradient: Callable[[Any], Any]  # gives a gradient (None: 1) the form of `data`, as a copy
    contributions: Callable[[Any], Any]  # applies the rule; each is fit to be added to its parent's
    recompute: Callable[[], None]  # runs the operation again, on what its operands hold now
    backward: Callable[..., None]  # the whole pass from here
    steps: Callable[..., Iterator[Any]]  # the same, one operation at a time
    computed: ClassVar[tuple[str, ...]]  # what `recompute` sets
    grad_if_none: ClassVar[Any] = None  # what `grad` reads where `has_grad` is False
    decomposition: Callable[[], Any] | None = None  # opens it, if its kind has a way of its own
    in_numpy: Callable[[], Any] | None = None  # its numbers and operation, if its kind is no Tensor
    goes_by_its_path: ClassVar[bool] = False  # whether "weight" alone would not tell which
    retains_grads: ClassVar[bool] = False  # whether interior nodes keep theirs by default
    computing: ClassVar[type[AbstractContextManager[Any]]] = nullcontext  # around a pass

    @property
    def grad(self) -> Any:
        """∂L/∂self, as far as backward passes have told."""
        return self.grad_if_none if self.gradient is None else self.gradient

    @grad.setter
    def grad(self, grad: Any) -> None:
        self.gradient = None if grad is None else self.as_gradient(grad)

    @property
    def has_grad(self) -> bool:
        """Whether a gradient was computed here: "not computed" is not 0."""
        return self.gradient is not None

    @property
    def name(self) -> str:
        """A label for pictures and messages; empty if it has none."""
        return "" if self.note is None else self.note.name

    @name.setter
    def name(self, name: str) -> None:
        require_text(type(self).__name__, name)
        self.note = (self.note or NO_NOTE)._replace(name=name)

    @property
    def scope(self) -> str:
        """Where in a model it was made, such as "blocks.0.attention"; empty outside of any."""
        return "" if self.note is None else self.note.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        self.note = (self.note or NO_NOTE)._replace(scope=scope)

    @property
    def site(self) -> Site | None:
        """The calls that made it, if it was made inside `record_sites()`."""
        return None if self.note is None else self.note.site

    @site.setter
    def site(self, site: Site | None) -> None:
        self.note = (self.note or NO_NOTE)._replace(site=site)

    @property
    def entered(self) -> tuple[Entered, ...]:
        """The scopes that it was made in, the outermost first, each with where it was entered."""
        return () if self.note is None else self.note.entered

    def forward_steps(self) -> Iterator[ForwardStep]:
        """Walk the operations under this node in the order in which they were done."""
        results = [node for node in topological_order(self) if node.parents]
        stepped_root.set(ref(self))
        for i, node in enumerate(results):
            yield ForwardStep(i, node, tuple(parent.data for parent in node.parents), node.data)

    def zero_grad(self) -> None:
        """Forget the gradients of this node and of every node under it."""
        for node in topological_order(self):
            node.gradient = None

    def require_repeatable(self) -> None:
        """Raise ValueError if the operation, run again on the same, would make something else."""

    def why_absent(self, name: str) -> str:
        """Say why a graph like this one has no node of that name; empty if nothing is known."""
        return ""

    def begin_walk(self) -> None:
        """Make ready for a walk from this root."""

    def end_walk(self, grad: Any, finished: bool, edits: Sequence[Any] = ()) -> None:
        """Do what else there is to do when a walk from this root, with this seed, is over."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy or pickle a leaf as any other object; refuse a result, whose rule is a function."""
        if self.parents:
            raise TypeError(
                f"the result of {self.op.name} cannot be copied or pickled, because its backward "
                "rule is a function: use its .data, or copy the leaves and compute it again"
            )
        return super().__reduce_ex__(protocol)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Show a result in a notebook as its picture."""
        from autolm.drawing.notebook import bundle

        return bundle(self)


# Under which root one steps through the operations: there is more in a graph than under a step.
stepped_root: ContextVar[Any] = ContextVar("autolm_stepped_root", default=lambda: None)


class ForwardStep(namedtuple("ForwardStep", "index node operands result")):
    """What an operation did in a forward pass."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import printed_forward_step

        return printed_forward_step(self)


def topological_order(root: Node, *, constants: bool = True) -> list[Node]:
    """List the nodes under `root`, constants or not: leaves, then results as they were made."""
    if not isinstance(root, Node):
        raise TypeError(f"topological_order: a Value or Tensor, not {type(root).__name__}")
    leaves, results, seen, stack = list[Node](), list[Node](), {root}, [root]
    while stack:  # not recursion: only memory bounds the depth
        node = stack.pop()
        parents = node.parents
        (results if parents else leaves).append(node)
        for parent in parents:
            if parent not in seen and (constants or parent.requires_grad):
                seen.add(parent)
                stack.append(parent)
    results.reverse()
    results.sort(key=_made)  # operands were made before results
    return leaves[::-1] + results


def _made(node: Node) -> int:
    return abs(node.order)


def named(node: AnyNode, name: str) -> AnyNode:
    """Give a node that was just made its name, and return it; quicker than `node.name = name`."""
    note = node.note or NO_NOTE
    node.note = Note(note.scope, name, note.site, note.entered)
    return node


def require_text(kind: str, name: Any) -> None:
    """Refuse a name that is no text, such as the parents that micrograd's constructor takes."""
    if not isinstance(name, str):
        raise TypeError(
            f"{kind}: name is a {type(name).__name__}, and a name is a str (parents are not told; "
            "an operation records them, and one of your own is written with "
            "autolm.engine.value.operation)"
        )


def describe(node: Node, root: Node | None = None) -> str:
    """Say which node this is, for a message: operation, name, scope, site, as far as known.

    A node without a name is called as the program calls it in the graph of `root`.
    """
    from autolm.walking.program_names import name_of

    name = node.name or name_of(node, root)
    words = [node.op.name if node.op else "leaf", name and repr(str(name))]
    words += [node.scope and f"in {node.scope}", node.site and f"at {node.site}"]
    return " ".join(filter(None, words))


# How nodes are made just now


class Recording:
    """Whether new nodes have parents, in which scope they are, and whether they know their site."""

    __slots__ = ("enabled", "entered", "known", "note", "scope")

    def __init__(
        self,
        enabled: bool = True,
        scope: str = "",
        known: Sites | None = None,
        entered: tuple[Entered, ...] = (),
    ) -> None:
        self.enabled, self.scope, self.entered = enabled, scope, entered
        self.known = known  # the sites that were recorded, to be shared; None if none are to be
        self.note = Note(scope, "", None, entered) if scope else None

    def note_here(self, frame: FrameType | None = None) -> Note | None:
        """Return the note of a node that is made here, or by the call of a frame."""
        if self.known is None:
            return self.note
        site = calling_site(self.known, self.entered, frame)
        note: Note | None = site.note
        if note is None or note.scope != self.scope:
            note = site.note = Note(self.scope, "", site, self.entered)
        return note


class _Unread(Recording):
    """How nodes are made before the first one, at which the environment is read."""

    __slots__ = ()

    def note_here(self, frame: FrameType | None = None) -> Note | None:
        """Note it as the environment says, and the next one without asking again."""
        return read_environment().note_here(frame)


_UNREAD = _Unread()
# None where nothing is special, as it is most of the time: nodes have parents, and no note.
recorder: ContextVar[Recording | None] = ContextVar("autolm_recording", default=_UNREAD)
current_recording = recorder.get
next_order = count(1).__next__  # gives the number of the next result


def read_environment() -> Recording:
    """Let lines be recorded where AUTOLM_SITES or a debugger's variable asks for that."""
    asked = "1" in (os.getenv("AUTOLM_SITES"), os.getenv("AUTOLM_DEBUG"))
    moment = Recording(known=Sites() if asked or os.getenv("AUTOLM_DAP") else None)
    recorder.set(None if moment.known is None else moment)
    return moment


def recording_here() -> Recording:
    """Return how nodes are made at this moment."""
    moment = current_recording()
    return read_environment() if moment is _UNREAD else moment or Recording()


def note_here(frame: FrameType | None = None) -> Note | None:
    """Return the note of a node that is made at this moment, by the call of a frame if given."""
    moment = current_recording()
    return None if moment is None else moment.note_here(frame)


def is_recording() -> bool:
    """Whether new nodes have parents: not inside `no_grad()`."""
    moment = current_recording()
    return moment is None or moment.enabled


class _Decorator(ContextDecorator):
    """A `with` block that decorates functions too, as long as they run when they are called."""

    def __call__(self, function: Function) -> Function:
        kind = type(self).__name__
        if not callable(function):
            raise TypeError(f"{kind}: what is decorated is a function, not {function!r}")
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & RUNS_LATER:
            raise TypeError(
                f"{kind}: {function.__name__} runs after it is called, so it cannot be decorated: "
                "write a `with` block in it, which no yield or await leaves"
            )
        return super().__call__(function)


class recording(_Decorator):
    """Change how nodes are made, for a `with` block or a decorated function, however it ends."""

    def __init__(
        self, *, enabled: bool | None = None, scope: str | None = None, sites: bool | None = None
    ) -> None:
        self._enabled, self._scope, self._sites = enabled, scope, sites

    def _recreate_cm(self) -> recording:
        return recording(enabled=self._enabled, scope=self._scope, sites=self._sites)

    def __enter__(self) -> None:
        now = recording_here()
        known = now.known
        if self._sites is not None:
            known = (known or Sites(sys._getframe(1))) if self._sites else None
        moment = Recording(
            now.enabled if self._enabled is None else self._enabled,
            now.scope if self._scope is None else self._scope,
            known,
            now.entered if self._scope is None else (),
        )
        self._token = recorder.set(moment)

    def __exit__(self, *_: object) -> None:
        recorder.reset(self._token)


@overload
def no_grad() -> recording: ...
@overload
def no_grad(function: Function, /) -> Function: ...
def no_grad(function: Any = None, /) -> Any:
    """Make constants of what is computed in a block, or in a function: nothing is recorded.

    ``with no_grad():`` or, on top of a function, ``@no_grad()`` or ``@no_grad``.

    >>> from autolm import Value
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.data, y.parents
    (9.0, ())
    """
    block = recording(enabled=False)
    return block if function is None else block(function)


@overload
def record_sites() -> recording: ...
@overload
def record_sites(function: Function, /) -> Function: ...
def record_sites(function: Any = None, /) -> Any:
    """Let nodes know where in the program they are made, in a block or in a function.

    ``with record_sites():`` or, on top of a function, ``@record_sites()`` or ``@record_sites``.
    """
    block = recording(sites=True)
    return block if function is None else block(function)


class scope(_Decorator):
    """Name the part of a model that is being computed: `with scope("attention"):`; scopes nest."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"scope: a name is a str, not {type(name).__name__}")
        self._name = name

    def _recreate_cm(self) -> scope:
        return scope(self._name)  # a decorated function may call itself

    def __enter__(self) -> None:
        now = recording_here()
        path = f"{now.scope}.{self._name}" if now.scope and self._name else now.scope or self._name
        entered = now.entered
        if now.known is not None and self._name:
            entered = now.known.entering(entered, path, calling_site(now.known, entered))
        self._token = recorder.set(Recording(now.enabled, path, now.known, entered))

    def __exit__(self, *_: object) -> None:
        recorder.reset(self._token)
