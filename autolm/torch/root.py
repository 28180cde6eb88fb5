"""The graph under a tensor: where every tool of autolm begins to look at a PyTorch program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from autolm.engine.graph import describe, note_here, topological_order
from autolm.torch.asking import unseen
from autolm.torch.memory import node_of
from autolm.torch.modules import name_leaves
from autolm.torch.once import once
from autolm.torch.operation import TorchOperation
from autolm.torch.torch_node import TorchNode, read_gradients

HOOKS = TorchOperation(
    "hook",
    formula="a, its gradient as the hooks leave it",
    cases=(),
    follow=lambda node: node.parents[0].data,
)
LOSSES = TorchOperation("losses", "Σ", "Σ ⟨gradient, loss⟩")


def node(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor: with its data and its name, if `record()` saw it made.

    Raises
    ------
    TypeError
        For what is no tensor.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"node: a tensor of PyTorch is needed, not a {type(tensor).__name__}")
    with unseen():
        return node_of(tensor)


def graph(loss: torch.Tensor) -> TorchNode:
    """Return the root of the graph under a tensor, for `debug`, `draw`, `explain` and the others.

    Parameters call themselves as in their modules. A graph that `record()` did not see has shapes
    in place of data, and PyTorch's names of its functions.

    Raises
    ------
    TypeError
        For what is no tensor.
    ValueError
        For a tensor that no operation made, or from which no gradient goes back.
    """
    root = node(loss)
    if not root.requires_grad:
        raise ValueError(
            f"graph: {describe(root)} requires no gradient: it was made under torch.no_grad(), by "
            "detach() or of tensors that require none; compute it outside, of parameters"
        )
    if not root.parents:
        raise ValueError(
            f"graph: {describe(root)}: no operation made it; begin at what is computed of it"
        )
    return prepared(root)


def node_under(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor with its graph prepared, for a tool that was given the tensor."""
    found = node(tensor)
    return prepared(found) if found.parents else found


def prepared(root: TorchNode) -> TorchNode:
    """Name the leaves of a graph, read their gradients, and make steps of the hooks in it."""
    order: list[Any] = topological_order(root)
    with unseen():
        name_leaves(order)
        root = _with_hooks(root, order)
    read_gradients(root)
    return root


def _with_hooks(root: TorchNode, order: Sequence[TorchNode]) -> TorchNode:
    """Put a step for the hooks of a tensor between it and what uses it; return the root then."""
    steps = {each.parents[0]: each for each in order if each.op is HOOKS}
    steps |= {each: _hook_step(each) for each in order if each.hooks and each not in steps}
    for each in order if steps else ():
        if each.op is not HOOKS:
            each.parents = tuple(steps.get(parent, parent) for parent in each.parents)
    return steps.get(root, root)


def _hook_step(hooked: TorchNode) -> TorchNode:
    """Make a node of the hooks of a tensor, which see its whole gradient and may change it."""
    hooks = hooked.hooks
    assert hooks is not None

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor]:
        for key, hook in list(hooks.items()):
            told = once(hooks, key, hook)(upstream)
            upstream = upstream if told is None else told
        return (upstream,)

    step = TorchNode(hooked.data, op=HOOKS, parents=(hooked,), rule=rule, note=hooked.note)
    step.order = hooked.order + 0.5  # type: ignore[assignment] # between it and what uses it
    step.edge, step.origin = hooked.edge, hooked.origin
    return step


def graph_of_pass(
    losses: Any, grads: Any, own_backward: Callable[[], None]
) -> tuple[TorchNode, Any]:
    """Return the root of a pass that a program begins, and its gradient; of several losses, one.

    What PyTorch differentiates of several is Σ ⟨gradient, loss⟩: that is a step of its own.
    """
    given = [losses] if isinstance(losses, torch.Tensor) else list(losses)
    seeds = list(grads) if isinstance(grads, Sequence) else [grads] * len(given)
    if not all(isinstance(each, torch.Tensor) for each in given):
        raise TypeError("backward: autolm walks from tensors, and this begins at edges of a graph")
    if len(given) == 1:
        root = graph(given[0])
        root.own_backward = own_backward
        return root, seeds[0]
    nodes = [graph(each) for each in given]
    seeds = [each.as_gradient(seed) for each, seed in zip(nodes, seeds, strict=True)]

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(upstream.to(seed.device) * seed for seed in seeds)

    with unseen():
        data = sum(((n.data * seed).sum() for n, seed in zip(nodes, seeds, strict=True)))
    root = TorchNode(data, op=LOSSES, parents=tuple(nodes), rule=rule, note=note_here())
    root.own_backward = own_backward
    return root, None
