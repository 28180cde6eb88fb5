"""`TorchNode`: a tensor of a PyTorch program as a node of an autolm graph.

Its data is the detached tensor, not a copy; its rule calls PyTorch's autograd functions. A function
with several results is one node, whose data and gradient are a `TupleOutput`. An operation that was
not recorded has no data, only a shape: a tensor on the device `meta`.
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
from autolm.outside.message import message
from autolm.torch import hook_replay
from autolm.torch.operation import TorchOperation, is_custom
from autolm.torch.recording_pause import isolated, recording_paused
from autolm.torch.rule import FREED, WRITTEN
from autolm.torch.snapshot import Snapshot
from autolm.torch.tuple_output import TupleOutput
from autolm.walking.array_adapter import adapter_of

BackwardRule = Callable[..., tuple[Any, ...]]
_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})


class PendingCall(Protocol):
    """A recorded call from which a node is completed at first use."""

    def resolve(self, node: TorchNode) -> None:
        """Compute the operation, parents and rule of the node."""


class TorchNode(Node):
    """One version of a tensor, with the function that computed it and its backward rule.

    Most nodes of a program are never inspected. So a recorded call is noted in `pending_call`, and
    operation, parents and rule are computed at first use.
    """

    __slots__ = (
        "_attributes",
        "_backward_rule",
        "_call",
        "_op",
        "_parents",
        "edge",
        "hooks",
        "origin",
        "pending_call",
        "program_backward",
        "requires_grad",
        "snapshot",
    )
    computed = ("snapshot", "backward_rule")
    goes_by_its_path = True  # parameters of PyTorch modules share names such as `weight`
    edge: tuple[Any, int] | None  # the graph edge; None for leaves and tuples
    snapshot: Any  # a Snapshot, or a TupleOutput of them
    hooks: MutableMapping[int, Any] | None  # PyTorch's dictionary of hooks on the tensor
    origin: Callable[[], torch.Tensor | None]  # a weak reference to the tensor of the program
    program_backward: Callable[[], None] | None  # the call of backward() in the program
    pending_call: PendingCall | None

    def __init__(
        self,
        data: Any,
        requires_grad: bool = True,
        *,
        op: TorchOperation | None = None,
        parents: tuple[Any, ...] = (),
        rule: BackwardRule | None = None,
        edge: tuple[Any, int] | None = None,
        note: Note | None = None,
        origin: torch.Tensor | None = None,
        pending_call: PendingCall | None = None,
    ) -> None:
        self.snapshot = _snapshot(data)
        self.requires_grad, self.gradient, self.note = requires_grad, None, note
        self.pending_call, self.edge, self.program_backward = pending_call, edge, None
        if pending_call is None:
            self._op, self._parents, self._backward_rule = op, parents, rule
            self._attributes: Mapping[str, Any] = _NO_ATTRIBUTES
            self._call: Any = None
            self.order = next_order() if parents else 0
        else:
            self._call = None
            self.order = next_order()
        if origin is None:
            self.hooks, self.origin = None, _no_origin
        else:
            self.hooks, self.origin = origin._backward_hooks, weakref.ref(origin)

    @property
    def data(self) -> Any:
        """The data when it was computed; on the device `meta` if they were overwritten since."""
        snapshot = self.snapshot
        if isinstance(snapshot, Snapshot):
            return snapshot.data
        return TupleOutput(output.data for output in snapshot)

    @data.setter
    def data(self, data: Any) -> None:
        self.snapshot = _snapshot(data)

    def watch(self) -> None:
        """Preserve the data when the memory is written into from now on."""
        for snapshot in self.snapshots:
            snapshot.watch()

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshot of its tensor, or of each output."""
        return self.snapshot if isinstance(self.snapshot, TupleOutput) else (self.snapshot,)

    @property
    def device(self) -> torch.device:
        """The device of the tensor, also if it has no data."""
        return _device(self)

    @property
    def is_leaf(self) -> bool:
        """Whether it is a leaf of the graph."""
        return self.pending_call is None and not self._parents

    @property
    def version(self) -> int:
        """The version of the tensor: the number of writes into its memory."""
        return self.snapshot.version if isinstance(self.snapshot, Snapshot) else 0

    def resolve(self) -> None:
        """Compute the operation, the parents and the rule, if that was not done yet."""
        pending_call = self.pending_call
        if pending_call is not None:
            pending_call.resolve(self)
            self.pending_call = None

    @property
    def op(self) -> TorchOperation | None:  # type: ignore[override]
        """The record of the function that computed it; None for a leaf."""
        self.resolve()
        return self._op

    @op.setter
    def op(self, op: TorchOperation | None) -> None:
        self._op = op

    @property
    def parents(self) -> tuple[Any, ...]:  # type: ignore[override]
        """Its operands, in order."""
        if self.pending_call is not None:
            self.resolve()
        return self._parents

    @parents.setter
    def parents(self, parents: tuple[Any, ...]) -> None:
        self._parents = parents

    @property
    def backward_rule(self) -> BackwardRule | None:  # type: ignore[override]
        """PyTorch's autograd functions from this result to its operands."""
        self.resolve()
        return self._backward_rule

    @backward_rule.setter
    def backward_rule(self, rule: BackwardRule | None) -> None:
        self._backward_rule = rule

    @property
    def attributes(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The arguments of the function that are not operands."""
        self.resolve()
        return self._attributes

    @attributes.setter
    def attributes(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    @property
    def call(self) -> Any:
        """The call that computed it, if it can be repeated."""
        self.resolve()
        return self._call

    @call.setter
    def call(self, call: Any) -> None:
        self._call = call

    def __repr__(self) -> str:
        return f"<{describe(self)}>"

    # The interface that the engine needs of a node

    def as_gradient(self, grad: Any) -> Any:
        """Convert a gradient to the shape, dtype and device of the data; None is 1 for a scalar.

        The gradient is not copied, because nothing here writes into it.
        """
        with recording_paused():
            return (
                self._as_gradient(grad)
                if isinstance(self.snapshot, Snapshot)
                else TupleOutput(grad)
            )

    def _as_gradient(self, grad: Any) -> torch.Tensor:
        device, like = self.device, self.snapshot.tensor
        if grad is None:
            if like.numel() != 1:
                raise ValueError(
                    f"backward: {describe(self)} has shape {tuple(like.shape)}, and only a single "
                    "number has a gradient by itself; take .sum() or .mean() first, or give grad="
                )
            return torch.ones_like(like, device=device)
        gradient = torch.as_tensor(grad, device=device).detach()
        if gradient.shape != like.shape:
            raise ValueError(
                message(
                    "the gradient has shape {shape}, and the data {shape2}",
                    shape=tuple(gradient.shape),
                    shape2=tuple(like.shape),
                )
            )
        return gradient.to(like.dtype)

    def contributions(self, upstream: Any) -> tuple[Any, ...]:
        """Return the contributions to the operands, from PyTorch's autograd functions."""
        assert self.backward_rule is not None
        try:
            with isolated():
                gradients = self.backward_rule(upstream)
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
        pairs = zip(gradients, self.parents, strict=True)
        return tuple(_or_zeros(value, p) if p.requires_grad else None for value, p in pairs)

    def backward(self, grad: Any = None, *, retain_grads: bool | None = None) -> None:
        """Run PyTorch's backward from this tensor, and keep its graph.

        The leaves of the program and their nodes accumulate gradients.
        """
        (watching_pass() or backward)(self, grad, retain_grads)

    def steps(self, grad: Any = None, *, retain_grads: bool | None = None) -> Iterator[Step]:
        """Walk the pass one operation at a time; sets gradients of nodes, not of tensors."""
        return steps(self, grad, retain_grads)

    def begin_walk(self) -> None:
        """Begin a walk: hooks and user-defined Functions are called once until `end_walk`."""
        if not self.parents:
            raise ValueError(
                f"backward: {describe(self)}: no operation made it, so none is walked; begin at "
                "what is computed of it"
            )
        hook_replay.begin_replay()

    def require_repeatable(self) -> None:
        """Raise ValueError for a user-defined Function with state: it cannot be recomputed."""
        if self.call is not None and is_custom(self.call.function):
            before, data = (self.snapshot, self.backward_rule), self.data
            try:
                self.recompute()
                is_same = adapter_of(self.data).equals(data)
            finally:
                self.snapshot, self.backward_rule = before
            if not is_same:
                raise ValueError(
                    f"{describe(self)} cannot be computed again: it makes something else of the "
                    "same operands each time, as it keeps a state of its own"
                )

    def recompute(self) -> None:
        """Recompute the data from its operands, with the same random numbers."""
        from autolm.torch.node_lookup import recompute_node

        recompute_node(self)

    def why_absent(self, name: str) -> str:
        """Explain why a parameter of the program's model is not in this graph."""
        from autolm.torch.module_paths import why_absent

        return why_absent(name)

    def decomposition(self) -> Any:
        """Decompose a fused function: return the new root, and the leaf for each operand."""
        from autolm.torch.fused_functions import decompose

        return decompose(self)

    def in_numpy(self) -> Any:
        """Return the data as NumPy, and the autolm operation that computes the same."""
        from autolm.torch.numpy_equivalent import in_numpy

        return in_numpy(self)

    def end_walk(self, grad: Any, finished: bool, edits: Sequence[Any] = ()) -> None:
        """End a walk: run PyTorch's pass, as the program called it, if the walk is finished.

        After an edit, write the edited data and the gradients of the walk to the program's tensors
        instead, because PyTorch would compute the pass without the edit.
        """
        try:
            if finished and edits:
                _write_back(self, edits)
            elif finished:
                backward(self, grad)
        finally:
            hook_replay.end_replay()


def backward(root: TorchNode, grad: Any = None, retain_grads: bool | None = None) -> None:
    """Run PyTorch's backward, and copy the gradients of leaves to their nodes."""
    if root.program_backward is not None:
        root.program_backward()
    else:
        if root.edge is None:
            raise ValueError(f"backward: {describe(root)} is a leaf: no operation made it")
        edge = GradientEdge(*root.edge)
        torch.autograd.backward(edge, root.as_gradient(grad), retain_graph=True)
    read_gradients(root)
    latest_root.set(weakref.ref(root))


def _write_back(root: TorchNode, edits: Sequence[Any]) -> None:
    """Copy the gradients of nodes, and edited data, to the program's tensors."""
    nodes: Any = topological_order(root)
    edited = {edit.node for edit in edits}
    writes: list[tuple[torch.Tensor, str, torch.Tensor]] = []
    for node in nodes:
        origin = None if node.parents else node.origin()
        if origin is not None and node.requires_grad and node.gradient is not None:
            writes.append((origin, "grad", node.gradient.to(origin.dtype).clone()))
        if origin is not None and node in edited:
            writes.append((origin, "data", node.data))
    before = [(origin, slot, getattr(origin, slot)) for origin, slot, _ in writes]
    try:
        for write in writes:
            setattr(*write)
    except BaseException:
        for write in before:
            setattr(*write)
        raise


def read_gradients(root: TorchNode) -> None:
    """Copy the gradients of the program's tensors to the nodes of leaves."""
    nodes: Any = topological_order(root)
    for node in nodes:
        origin = None if node.parents else node.origin()
        if origin is not None and origin.is_leaf:  # and was not written into since
            node.gradient = None if origin.grad is None else origin.grad.detach()


def _or_zeros(value: torch.Tensor | None, parent: TorchNode) -> Any:
    """Return a contribution; PyTorch's None means zeros."""
    return (
        torch.zeros_like(parent.snapshot.tensor, device=parent.device) if value is None else value
    )


def _device(node: TorchNode) -> torch.device:
    """Return the device of a node's tensor, from its edge if the tensor has no data."""
    if node.edge is not None:
        function, number = node.edge
        return function._input_metadata[number].device
    return node.snapshots[0].tensor.device


def _snapshot(data: Any) -> Any:
    """Return a snapshot of a tensor, or of each output."""
    if isinstance(data, TupleOutput):
        return TupleOutput(_snapshot(output) for output in data)
    return data if isinstance(data, Snapshot) else Snapshot(data)


def _no_origin() -> None:
    """Return None: the origin of a node without a tensor in the program."""
