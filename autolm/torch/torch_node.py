"""A tensor of a PyTorch program, at one moment, as a node of a graph of ours.

Its data is the tensor, detached and not copied; its rule calls PyTorch's own functions. A function
with several results is one step: a node that holds them all, whose gradient is one tensor, or none,
for each. What PyTorch did unseen has no data, only a shape: a tensor on the device `meta`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch.autograd.graph import GradientEdge

from autolm.engine.backprop import Step, latest_root, steps, watching_pass
from autolm.engine.graph import Node, Note, describe, next_order, topological_order
from autolm.engine.hooks import higher
from autolm.torch import once
from autolm.torch.asking import asking, unseen
from autolm.torch.operation import TorchOperation, is_custom
from autolm.torch.rule import FREED, WRITTEN
from autolm.torch.several import Several
from autolm.walking.reading import reading

Rule = Callable[..., tuple[Any, ...]]


class TorchNode(Node):
    """One tensor, with the function that made it and PyTorch's way back from there."""

    __slots__ = (
        "attributes",
        "backward_rule",
        "call",
        "data",
        "edge",
        "hooks",
        "origin",
        "own_backward",
        "parents",
        "requires_grad",
        "version",
    )
    computed = ("data", "backward_rule")
    opened_by = "torch node opened"
    in_numpy_by = "torch node in NumPy"
    goes_by_its_path = True  # what is in a module of PyTorch is called `weight`, everywhere
    call: Any  # how it was made, if that can be done again
    edge: tuple[Any, int] | None  # where PyTorch's graph begins; None at leaves, and of several
    hooks: MutableMapping[int, Any] | None  # those on the tensor, where PyTorch keeps them
    origin: Callable[[], torch.Tensor | None]  # the program's tensor, while the program has it
    own_backward: Callable[[], None] | None  # as the program called it
    version: int  # how often the memory of the tensor had been written into

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
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.data, self.requires_grad, self.gradient = data, requires_grad, None
        self.op, self.parents, self.backward_rule, self.note = op, parents, rule, note
        self.order = next_order() if parents else 0
        self.attributes = {} if attributes is None else attributes
        self.edge, self.own_backward, self.call = edge, None, None
        self.hooks = None if origin is None else origin._backward_hooks
        self.origin = _nowhere if origin is None else weakref.ref(origin)
        self.version = 0 if origin is None else origin._version

    def __repr__(self) -> str:
        return f"<{describe(self)}>"

    # What the engine asks of a node

    def as_gradient(self, grad: Any) -> Any:
        """Return a gradient in the form of the data; None stands for a scalar's 1.

        It is not copied, as nothing here writes into a gradient: those of a large model are large.
        """
        with unseen():
            return Several(grad) if isinstance(self.data, Several) else self._as_gradient(grad)

    def _as_gradient(self, grad: Any) -> torch.Tensor:
        device = _device(self)
        if grad is None:
            if self.data.numel() != 1:
                shape = tuple(self.data.shape)
                raise ValueError(
                    f"backward: {describe(self)} has shape {shape}, and only a single number has "
                    "a gradient by itself; take .sum() or .mean() first, or give grad="
                )
            return torch.ones_like(self.data, device=device)
        given = torch.as_tensor(grad, device=device).detach()
        if given.shape != self.data.shape:
            raise ValueError(
                f"the gradient has shape {tuple(given.shape)}, and the data "
                f"{tuple(self.data.shape)}"
            )
        return given.to(self.data.dtype)

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
            before = self.data, self.backward_rule
            try:
                self.recompute()
                is_same = reading(self.data).equals(before[0])
            finally:
                self.data, self.backward_rule = before
            if not is_same:
                raise ValueError(
                    f"{describe(self)} cannot be computed again: it makes something else of the "
                    "same operands each time, as it keeps a state of its own"
                )

    def recompute(self) -> None:
        """Call the function again on what its operands hold now, with the same random numbers."""
        higher("torch node computed again")(self)

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
    return torch.zeros_like(parent.data, device=_device(parent)) if value is None else value


def _device(node: TorchNode) -> torch.device:
    """Return where a tensor is, which one without data does not say itself."""
    if node.edge is not None:
        function, number = node.edge
        return function._input_metadata[number].device
    return node.data.device


def _nowhere() -> None:
    """Stand for a tensor that no program has."""
