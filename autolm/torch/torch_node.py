"""A tensor of a PyTorch program, at one moment, as a node of a graph of ours.

Its data is the tensor, detached and not copied; its rule calls PyTorch's own functions. A function
with several results is one step: a node that holds them all, whose gradient is one tensor, or none,
for each. What PyTorch did unseen has no data, only a shape: a tensor on the device `meta`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch.autograd.graph import GradientEdge

from autolm.engine.backprop import Step, latest_root, steps
from autolm.engine.graph import Node, describe, next_order, topological_order
from autolm.engine.recording import Note
from autolm.engine.watching import watching_pass
from autolm.torch import once
from autolm.torch.asking import asking, unseen
from autolm.torch.operation import TorchOperation, is_custom
from autolm.torch.rule import FREED, WRITTEN
from autolm.torch.several import Several
from autolm.torch.snapshot import Snapshot
from autolm.walking.array_adapter import adapter_of

Rule = Callable[..., tuple[Any, ...]]
_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})


class Unread(Protocol):
    """A call that was noted, and from which the rest of its node is worked out when it is read."""

    def read(self, node: TorchNode) -> None:
        """Give the node its operation, its parents and its rule."""


class TorchNode(Node):
    """One tensor, with the function that made it and PyTorch's way back from there.

    A program makes many nodes that nobody looks at. So of a recorded call only what would be gone
    later is noted at once, in `unread`; operation, parents and rule are worked out at first use.
    """

    __slots__ = (
        "_attributes",
        "_backward_rule",
        "_call",
        "_op",
        "_parents",
        "edge",
        "held",
        "hooks",
        "origin",
        "own_backward",
        "requires_grad",
        "unread",
    )
    computed = ("held", "backward_rule")
    goes_by_its_path = True  # what is in a module of PyTorch is called `weight`, everywhere
    edge: tuple[Any, int] | None  # where PyTorch's graph begins; None at leaves, and of several
    held: Any  # the snapshot of its tensor, or of several; what it was set to
    hooks: MutableMapping[int, Any] | None  # those on the tensor, where PyTorch keeps them
    origin: Callable[[], torch.Tensor | None]  # the program's tensor, while the program has it
    own_backward: Callable[[], None] | None  # as the program called it
    unread: Unread | None

    def __init__(
        self,
        data: Any,
        requires_grad: bool = True,
        *,
        op: TorchOperation | None = None,
        parents: tuple[Any, ...] = (),
        rule: Rule | None = None,
        edge: tuple[Any, int] | None = None,
        note: Note | None = None,
        origin: torch.Tensor | None = None,
        unread: Unread | None = None,
    ) -> None:
        self.held = _held(data)
        self.requires_grad, self.gradient, self.note = requires_grad, None, note
        self.unread, self.edge, self.own_backward = unread, edge, None
        if unread is None:
            self._op, self._parents, self._backward_rule = op, parents, rule
            self._attributes: Mapping[str, Any] = _NO_ATTRIBUTES
            self._call: Any = None
            self.order = next_order() if parents else 0
        else:
            self._call = None
            self.order = next_order()
        if origin is None:
            self.hooks, self.origin = None, _nowhere
        else:
            self.hooks, self.origin = origin._backward_hooks, weakref.ref(origin)

    @property
    def data(self) -> Any:
        """The numbers when it was made; only a shape where they were overwritten unseen."""
        held = self.held
        return held.data if isinstance(held, Snapshot) else Several(each.data for each in held)

    @data.setter
    def data(self, data: Any) -> None:
        self.held = _held(data)

    def watch(self) -> None:
        """Let the data outlast writes into the memory from now on."""
        for each in self.held if isinstance(self.held, Several) else (self.held,):
            each.watch()

    @property
    def device(self) -> torch.device:
        """Where the tensor is, also if it has no data."""
        return _device(self)

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it."""
        return self.unread is None and not self._parents

    @property
    def version(self) -> int:
        """How often the memory of the tensor had been written into."""
        return self.held.version if isinstance(self.held, Snapshot) else 0

    def read(self) -> None:
        """Work out the operation, the parents and the rule, if that was not done yet."""
        unread = self.unread
        if unread is not None:
            unread.read(self)
            self.unread = None

    @property
    def op(self) -> TorchOperation | None:  # type: ignore[override]
        """The record of the function that made it; None at a leaf."""
        self.read()
        return self._op

    @op.setter
    def op(self, op: TorchOperation | None) -> None:
        self._op = op

    @property
    def parents(self) -> tuple[Any, ...]:  # type: ignore[override]
        """Its operands, in order; what PyTorch sends a gradient to."""
        if self.unread is not None:
            self.read()
        return self._parents

    @parents.setter
    def parents(self, parents: tuple[Any, ...]) -> None:
        self._parents = parents

    @property
    def backward_rule(self) -> Rule | None:  # type: ignore[override]
        """PyTorch's own functions from this result to its operands."""
        self.read()
        return self._backward_rule

    @backward_rule.setter
    def backward_rule(self, rule: Rule | None) -> None:
        self._backward_rule = rule

    @property
    def attributes(self) -> Mapping[str, Any]:  # type: ignore[override]
        """What the function was told besides operands."""
        self.read()
        return self._attributes

    @attributes.setter
    def attributes(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    @property
    def call(self) -> Any:
        """How it was made, if that can be done again."""
        self.read()
        return self._call

    @call.setter
    def call(self, call: Any) -> None:
        self._call = call

    def __repr__(self) -> str:
        return f"<{describe(self)}>"

    # What the engine asks of a node

    def as_gradient(self, grad: Any) -> Any:
        """Return a gradient in the form of the data; None stands for a scalar's 1.

        It is not copied, as nothing here writes into a gradient: those of a large model are large.
        """
        with unseen():
            return self._as_gradient(grad) if isinstance(self.held, Snapshot) else Several(grad)

    def _as_gradient(self, grad: Any) -> torch.Tensor:
        device, like = self.device, self.held.tensor
        if grad is None:
            if like.numel() != 1:
                raise ValueError(
                    f"backward: {describe(self)} has shape {tuple(like.shape)}, and only a single "
                    "number has a gradient by itself; take .sum() or .mean() first, or give grad="
                )
            return torch.ones_like(like, device=device)
        given = torch.as_tensor(grad, device=device).detach()
        if given.shape != like.shape:
            raise ValueError(
                f"the gradient has shape {tuple(given.shape)}, and the data {tuple(like.shape)}"
            )
        return given.to(like.dtype)

    def contributions(self, upstream: Any) -> tuple[Any, ...]:
        """Let PyTorch's own functions send a gradient on, from this result to its operands."""
        assert self.backward_rule is not None
        try:
            with asking():
                sent = self.backward_rule(upstream)
        except RuntimeError as error:
            if WRITTEN in str(error):
                raise RuntimeError(
                    f"{describe(self)}: what its rule needs was written into afterwards (by add_, "
                    "+=, x[i] = …, inplace=True); write into a clone, or not in place"
                ) from None
            if FREED not in str(error):
                raise
            raise RuntimeError(
                f"{describe(self)}: PyTorch has freed what its rule needs, as backward() does; "
                "look before it, or call backward(retain_graph=True)"
            ) from None
        pairs = zip(sent, self.parents, strict=True)
        return tuple(_present(value, p) if p.requires_grad else None for value, p in pairs)

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Do PyTorch's own backward from this tensor, which keeps its graph.

        The leaves of the program get their `.grad`, and their nodes the same.
        """
        (watching_pass() or backward)(self, grad, retain_grads)

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Walk the pass one operation at a time; only the nodes get gradients, not the tensors."""
        return steps(self, grad, retain_grads)

    def begin_walk(self) -> None:
        """Let hooks and Functions of the user be called once in the walk that begins."""
        if not self.parents:
            raise ValueError(
                f"backward: {describe(self)}: no operation made it, so none is walked; begin at "
                "what is computed of it"
            )
        once.begin()

    def require_repeatable(self) -> None:
        """Refuse a Function of the user that keeps a state: run again, it makes something else."""
        if self.call is not None and is_custom(self.call.function):
            before, data = (self.held, self.backward_rule), self.data
            try:
                self.recompute()
                is_same = adapter_of(self.data).equals(data)
            finally:
                self.held, self.backward_rule = before
            if not is_same:
                raise ValueError(
                    f"{describe(self)} cannot be computed again: it makes something else of the "
                    "same operands each time, as it keeps a state of its own"
                )

    def recompute(self) -> None:
        """Call the function again on what its operands hold now, with the same random numbers."""
        from autolm.torch.memory import compute_again

        compute_again(self)

    def why_absent(self, name: str) -> str:
        """Say why a parameter of the program's model is not in this graph, if it is one."""
        from autolm.torch.modules import why_absent

        return why_absent(name)

    def decomposition(self) -> Any:
        """Run the definition of a fused function: the result, and the leaf for each operand."""
        from autolm.torch.opening import opened

        return opened(self)

    def in_numpy(self) -> Any:
        """Return the numbers, and the operation of autolm that computes the same."""
        from autolm.torch.in_numpy import in_numpy

        return in_numpy(self)

    def end_walk(self, grad: Any, finished: bool, edits: Sequence[Any] = ()) -> None:
        """Let PyTorch do the pass that was walked to its end, as the program called it.

        After an edit the walk's gradients stand, and so do the numbers that were set: what PyTorch
        remembers is the pass without it.
        """
        try:
            if finished and edits:
                _write(self, edits)
            elif finished:
                backward(self, grad)
        finally:
            once.end()


def backward(root: TorchNode, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Run PyTorch's own backward, and let the leaves' nodes have what it found."""
    if root.own_backward is not None:
        root.own_backward()
    else:
        if root.edge is None:
            raise ValueError(f"backward: {describe(root)} is a leaf: no operation made it")
        edge = GradientEdge(*root.edge)
        torch.autograd.backward(edge, root.as_gradient(grad), retain_graph=True)
    read_gradients(root)
    latest_root.set(weakref.ref(root))


def _write(root: TorchNode, edits: Sequence[Any]) -> None:
    """Let the program's tensors have their nodes' gradients, and the numbers that were set."""
    nodes: Any = topological_order(root)
    edited = {edit.node for edit in edits}
    written: list[tuple[torch.Tensor, str, torch.Tensor]] = []
    for node in nodes:
        origin = None if node.parents else node.origin()
        if origin is not None and node.requires_grad and node.gradient is not None:
            written.append((origin, "grad", node.gradient.to(origin.dtype).clone()))
        if origin is not None and node in edited:
            written.append((origin, "data", node.data))
    before = [(origin, slot, getattr(origin, slot)) for origin, slot, _ in written]
    try:
        for each in written:
            setattr(*each)
    except BaseException:
        for each in before:
            setattr(*each)
        raise


def read_gradients(root: TorchNode) -> None:
    """Let the nodes of leaves have the gradients that the program's tensors have."""
    nodes: Any = topological_order(root)
    for node in nodes:
        origin = None if node.parents else node.origin()
        if origin is not None and origin.is_leaf:  # and was not written into since
            node.gradient = None if origin.grad is None else origin.grad.detach()


def _present(value: torch.Tensor | None, parent: TorchNode) -> Any:
    """Give what PyTorch leaves out, which it takes for zeros, as zeros."""
    return torch.zeros_like(parent.held.tensor, device=parent.device) if value is None else value


def _device(node: TorchNode) -> torch.device:
    """Return where a tensor is, which one without data does not say itself."""
    if node.edge is not None:
        function, number = node.edge
        return function._input_metadata[number].device
    held = node.held if isinstance(node.held, Snapshot) else node.held[0]
    device: torch.device = held.tensor.device
    return device


def _held(data: Any) -> Any:
    """Return the snapshot of a tensor, or of each of several."""
    if isinstance(data, Several):
        return Several(_held(each) for each in data)
    return data if isinstance(data, Snapshot) else Snapshot(data)


def _nowhere() -> None:
    """Stand for a tensor that no program has."""
