"""The computation graph: its nodes and their order.

A computation is a graph of nodes. A node knows its data, its parents, the operation that computed
it, and a backward rule: a function that takes the upstream gradient ∂L/∂node and returns one
contribution per parent. A rule never changes a parent; `backprop.py` adds the contributions up.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from itertools import count
from typing import Any, ClassVar, TypeVar
from weakref import ref

from autolm.engine.location import Entered, Location
from autolm.engine.recording import NO_NOTE, Note

AnyNode = TypeVar("AnyNode", bound="Node")


class Node:
    """One value in a computation graph; nodes are equal, and hash, by identity.

    The base class of Value and Tensor, which define the attributes that are only declared here. A
    *leaf* is a node without parents, a *result* is a node that an operation computed.
    """

    __slots__ = ("__weakref__", "gradient", "note", "op", "order")
    gradient: Any  # ∂L/∂self; None until a backward pass computes it
    op: Any  # the record of the operation that computed it; None at a leaf
    order: int  # counts results in the order of computation; 0 at a leaf
    note: Note | None  # its scope, name and location, if it has any

    data: Any
    parents: tuple[Any, ...]  # in operand order, with repeats: both parents of a * a are a
    backward_rule: Callable[[Any], tuple[Any, ...]] | None
    requires_grad: bool  # False at a constant: no gradient reaches it
    attributes: Mapping[str, Any] = {}  # arguments of the operation other than operands
    as_gradient: Callable[[Any], Any]  # a copy of a gradient in the form of `data`; 1 of None
    contributions: Callable[[Any], Any]  # applies the backward rule and checks what it returns
    recompute: Callable[[], None]  # runs the operation again on the current data of its parents
    backward: Callable[..., None]  # runs the backward pass from this node
    steps: Callable[..., Iterator[Any]]  # runs the same pass one operation at a time
    computed: ClassVar[tuple[str, ...]]  # the slots that `recompute` sets
    grad_if_none: ClassVar[Any] = None  # the value of `grad` before a gradient is computed
    decomposition: Callable[[], Any] | None = None  # used by `autolm.open` in place of `op`
    in_numpy: Callable[[], Any] | None = None  # an equal node of NumPy data, if it has other
    goes_by_its_path: ClassVar[bool] = False  # whether its label is the whole path in its model
    retains_grads: ClassVar[bool] = False  # whether results keep their gradients by default
    computing: ClassVar[type[AbstractContextManager[Any]]] = nullcontext  # around a backward pass

    @property
    def grad(self) -> Any:
        """∂L/∂self, as computed by the backward passes so far."""
        return self.grad_if_none if self.gradient is None else self.gradient

    @grad.setter
    def grad(self, grad: Any) -> None:
        self.gradient = None if grad is None else self.as_gradient(grad)

    @property
    def has_grad(self) -> bool:
        """Whether a gradient was computed: a gradient of 0 differs from none."""
        return self.gradient is not None

    @property
    def name(self) -> str:
        """A label for pictures and messages, or an empty string."""
        return "" if self.note is None else self.note.name

    @name.setter
    def name(self, name: str) -> None:
        require_text(type(self).__name__, name)
        self.note = (self.note or NO_NOTE)._replace(name=name)

    @property
    def scope(self) -> str:
        """The part of the model that computed it, such as "blocks.0.attention", or ""."""
        return "" if self.note is None else self.note.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        self.note = (self.note or NO_NOTE)._replace(scope=scope)

    @property
    def location(self) -> Location | None:
        """The calls that created it, if it was created inside `record_locations()`."""
        return None if self.note is None else self.note.location

    @location.setter
    def location(self, location: Location | None) -> None:
        self.note = (self.note or NO_NOTE)._replace(location=location)

    @property
    def entered(self) -> tuple[Entered, ...]:
        """The scopes around its creation, outermost first, and where each was entered."""
        return () if self.note is None else self.note.entered

    def forward_steps(self) -> Iterator[ForwardStep]:
        """Walk the operations under this node in the order in which they ran."""
        results = [node for node in topological_order(self) if node.parents]
        stepped_root.set(ref(self))
        for i, node in enumerate(results):
            yield ForwardStep(i, node, tuple(parent.data for parent in node.parents), node.data)

    def zero_grad(self) -> None:
        """Clear the gradients of this node and of every node under it."""
        for node in topological_order(self):
            node.gradient = None

    # Overridden by nodes of PyTorch

    def require_repeatable(self) -> None:
        """Raise ValueError if running the operation again could give another result."""

    def why_absent(self, name: str) -> str:
        """Return the reason why the graph of this node has no node of that name, if it is known."""
        return ""

    def begin_walk(self) -> None:
        """Prepare for a walk from this root."""

    def end_walk(self, grad: Any, finished: bool, edits: Sequence[Any] = ()) -> None:
        """Clean up after a walk from this root, with the seed `grad`."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy or pickle a leaf as any other object; refuse a result, whose rule is a function."""
        if self.parents:
            raise TypeError(
                f"the result of {self.op.name} cannot be copied or pickled, because its backward "
                "rule is a function: use its .data, or copy the leaves and compute it again"
            )
        return super().__reduce_ex__(protocol)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Draw the graph of a result in a notebook."""
        from autolm.drawing.notebook import bundle

        return bundle(self)


next_order = count(1).__next__  # returns the number of the next result


def topological_order(root: Node, *, constants: bool = True) -> list[Node]:
    """List the nodes under `root`: leaves, then results in the order of their computation.

    Every node comes after its parents. Without `constants`, only nodes that require a gradient.
    """
    if not isinstance(root, Node):
        raise TypeError(f"topological_order: a Value or Tensor, not {type(root).__name__}")
    leaves, results, visited, stack = list[Node](), list[Node](), {root}, [root]
    while stack:  # a loop and not a recursion, whose depth Python limits
        node = stack.pop()
        parents = node.parents
        (results if parents else leaves).append(node)
        for parent in parents:
            if parent not in visited and (constants or parent.requires_grad):
                visited.add(parent)
                stack.append(parent)
    results.reverse()
    results.sort(key=_place_in_order)
    return leaves[::-1] + results


def _place_in_order(node: Node) -> int:
    return abs(node.order)  # it is negative at a Value that was turned into a constant


class ForwardStep(namedtuple("ForwardStep", "index node operands result")):
    """One operation of a forward pass: its operands' data and its result."""

    __slots__ = ()

    def __repr__(self) -> str:
        from autolm.walking.wording import printed_forward_step

        return printed_forward_step(self)


# The root of the pass that is being stepped through: `repr` of a step names nodes in its graph.
stepped_root: ContextVar[Any] = ContextVar("autolm_stepped_root", default=lambda: None)


def named(node: AnyNode, name: str) -> AnyNode:
    """Name a new node and return it; faster than `node.name = name`."""
    note = node.note or NO_NOTE
    node.note = Note(note.scope, name, note.location, note.entered)
    return node


def require_text(kind: str, name: Any) -> None:
    """Refuse a name that is not a str, such as the parents in a call of micrograd's constructor."""
    if not isinstance(name, str):
        raise TypeError(
            f"{kind}: name must be a str, not a {type(name).__name__} (parents cannot be passed: "
            "operations record them; define your own with autolm.engine.value.operation)"
        )


def describe(node: Node, root: Node | None = None) -> str:
    """Describe a node in a message: operation, name, scope and location, as far as known.

    A node without a name gets the name that the program uses for it in the graph of `root`.
    """
    from autolm.walking.program_names import name_of

    name = node.name or name_of(node, root)
    words = [node.op.name if node.op else "leaf", name and repr(str(name))]
    words += [node.scope and f"in {node.scope}", node.location and f"at {node.location}"]
    return " ".join(filter(None, words))
