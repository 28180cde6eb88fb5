"""The graph under a tensor: where every tool of autolm begins to look at a PyTorch program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from autolm.engine.graph import describe, topological_order
from autolm.engine.recording import note_here
from autolm.torch.asking import unseen
from autolm.torch.memory import cut_off, node_of
from autolm.torch.modules import name_leaves
from autolm.torch.notices import MULTI_GRAD, notice
from autolm.torch.once import once
from autolm.torch.operation import TorchOperation
from autolm.torch.several import Several
from autolm.torch.torch_node import TorchNode, read_gradients

HOOKS = TorchOperation(
    "hook",
    formula="a, its gradient as the hooks leave it",
    cases=(),
    follow=lambda node: node.parents[0].data,
)
LOSSES = TorchOperation("losses", "Σ", "Σ ⟨gradient, loss⟩")


class NotWalked(Exception):
    """A backward pass that autolm cannot show as PyTorch does it; the message says why."""


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
    steps |= {each: _hook_step(each) for each in order if each not in steps and _is_hooked(each)}
    for each in order if steps else ():
        if each.op is not HOOKS:
            each.parents = tuple(steps.get(parent, parent) for parent in each.parents)
    return steps.get(root, root)


def _is_hooked(node: TorchNode) -> bool:
    """Whether a node has hooks that can be called in a walk."""
    return bool(node.hooks) and not all(map(_needs_a_pass, list((node.hooks or {}).values())))


def _needs_a_pass(hook: Any) -> bool:
    """Whether a hook is one of several tensors', which ask PyTorch which pass is running.

    They cannot change a gradient.
    """
    code = getattr(hook, "__code__", None)
    is_multi_grad = code is not None and code.co_filename == torch.autograd.graph.__file__
    if is_multi_grad:
        notice(MULTI_GRAD)
    return is_multi_grad


def _hook_step(hooked: TorchNode) -> TorchNode:
    """Make a node of the hooks of a tensor, which see its whole gradient and may change it."""
    hooks = hooked.hooks
    assert hooks is not None

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor]:
        for key, hook in list(hooks.items()):
            if _needs_a_pass(getattr(hook, "original", hook)):
                continue
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

    Raises
    ------
    NotWalked
        For a pass that is none from tensors to leaves.
    """
    given = [losses] if isinstance(losses, torch.Tensor) else list(losses)
    seeds = list(grads) if isinstance(grads, Sequence) else [grads] * len(given)
    if not all(isinstance(each, torch.Tensor) for each in given):
        raise NotWalked("it begins at edges of PyTorch's graph, and autolm walks from tensors")
    nodes = [graph(each) for each in given]
    for each in nodes:
        _refuse_nested(each)
    if len(given) == 1:
        root = nodes[0]
        root.own_backward = own_backward
        return root, seeds[0]
    seeds = [each.as_gradient(seed) for each, seed in zip(nodes, seeds, strict=True)]

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(upstream.to(seed.device) * seed for seed in seeds)

    with unseen():
        data = sum(((n.data * seed).sum() for n, seed in zip(nodes, seeds, strict=True)))
    root = TorchNode(data, op=LOSSES, parents=tuple(nodes), rule=rule, note=note_here())
    root.own_backward = own_backward
    return root, None


def _refuse_nested(root: TorchNode) -> None:
    nodes: list[Any] = topological_order(root)
    held = [node.held if isinstance(node.held, Several) else (node.held,) for node in nodes]
    if any(each.tensor.is_nested for several in held for each in several):
        raise NotWalked("it goes through nested tensors, whose gradients autolm cannot add up")


@contextmanager
def only_to(root: TorchNode, inputs: Any) -> Iterator[None]:
    """Let a pass send gradients only towards some leaves, as `backward(inputs=…)` does.

    Raises
    ------
    NotWalked
        For inputs that are no leaves of the graph.
    """
    wanted = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    if not all(isinstance(each, torch.Tensor) and each.is_leaf for each in wanted):
        raise NotWalked("its inputs= are results, and autolm walks to leaves")
    order: list[Any] = topological_order(root)
    reaching = set[TorchNode]()
    for each in order:
        is_input = not each.parents and any(each.origin() is tensor for tensor in wanted)
        if is_input or not reaching.isdisjoint(each.parents):
            reaching.add(each)
    if root not in reaching:
        raise NotWalked("none of its inputs= is a leaf of this graph")
    others = [each for each in order if each.requires_grad and each not in reaching]
    try:
        cut_off.update(others)
        for each in others:
            each.requires_grad = False
        yield
    finally:
        cut_off.difference_update(others)
        for each in others:
            each.requires_grad = True
