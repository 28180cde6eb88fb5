"""`graph` and `node`: the entry points from a PyTorch tensor to its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from autolm.engine.graph import describe, topological_order
from autolm.engine.recording import note_here
from autolm.outside.message import message
from autolm.torch.hook_replay import replayed
from autolm.torch.module_paths import name_leaves
from autolm.torch.node_lookup import excluded_nodes, node_of
from autolm.torch.notices import MULTI_GRAD, notice
from autolm.torch.operation import TorchOperation
from autolm.torch.recording_pause import recording_paused
from autolm.torch.torch_node import TorchNode, read_gradients

HOOKS = TorchOperation(
    "hook",
    formula="a, its gradient as the hooks leave it",
    cases=(),
    pass_through=lambda node: node.parents[0].data,
)
LOSSES = TorchOperation("losses", "Σ", "Σ ⟨gradient, loss⟩")


class PassNotWalkable(Exception):
    """A backward pass that autolm cannot walk; the message gives the reason."""


def node(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor.

    Parameters
    ----------
    tensor : torch.Tensor
        A tensor of any shape. If it was computed under `record()`, its node has data, operation
        and location.

    Returns
    -------
    TorchNode
        The node, with `data`, `grad`, `parents` and a settable `name`.

    Raises
    ------
    TypeError
        If `tensor` is not a `torch.Tensor`.

    Examples
    --------
    >>> import torch
    >>> import autolm.torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> autolm.torch.node(w).name = "w"
    >>> with autolm.torch.record():
    ...     loss = (w * w).sum()
    >>> [parent.name for parent in autolm.torch.node(loss).parents[0].parents]
    ['w', 'w']
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"node: a tensor of PyTorch is needed, not a {type(tensor).__name__}")
    with recording_paused():
        return node_of(tensor)


def graph(loss: torch.Tensor) -> TorchNode:
    """Return the root of the graph under a tensor, for `debug`, `draw`, `explain` and other tools.

    Parameters are named by their paths in their modules. Operations that were not computed under
    `record()` have shapes without data, and the names of PyTorch's autograd functions.

    Parameters
    ----------
    loss : torch.Tensor
        The tensor that the pass starts from, of any shape.

    Returns
    -------
    TorchNode
        The node of `loss`, with the names and gradients of all leaves filled in.

    Raises
    ------
    TypeError
        If `loss` is not a `torch.Tensor`.
    ValueError
        If `loss` is a leaf or does not require a gradient.

    Examples
    --------
    >>> import torch
    >>> import autolm.torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> with autolm.torch.record():
    ...     loss = layer(torch.ones(3, 2)).sum()
    >>> [step.node.op.name for step in autolm.torch.graph(loss).steps()]
    ['sum', 'linear']
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
    return prepare_graph(root)


def node_with_graph(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor, and prepare the graph under it if there is one."""
    root = node(tensor)
    return prepare_graph(root) if root.parents else root


def prepare_graph(root: TorchNode) -> TorchNode:
    """Name the leaves of a graph, read their gradients, and insert steps for hooks."""
    order: list[Any] = topological_order(root)
    with recording_paused():
        name_leaves(order)
        root = _with_hooks(root, order)
    read_gradients(root)
    return root


def _with_hooks(root: TorchNode, order: Sequence[TorchNode]) -> TorchNode:
    """Insert a step between each hooked tensor and its users; return the root of the new graph."""
    steps = {node.parents[0]: node for node in order if node.op is HOOKS}
    steps |= {node: _hook_step(node) for node in order if node not in steps and _is_hooked(node)}
    for node in order if steps else ():
        if node.op is not HOOKS:
            node.parents = tuple(steps.get(parent, parent) for parent in node.parents)
    return steps.get(root, root)


def _is_hooked(node: TorchNode) -> bool:
    """Whether a node has a hook that can be called in a walk."""
    return bool(node.hooks) and not all(map(_is_multi_grad_hook, list((node.hooks or {}).values())))


def _is_multi_grad_hook(hook: Any) -> bool:
    """Whether a hook comes from `register_multi_grad_hook`, which works only inside PyTorch's pass.

    Such hooks cannot change a gradient.
    """
    code = getattr(hook, "__code__", None)
    is_multi_grad = code is not None and code.co_filename == torch.autograd.graph.__file__
    if is_multi_grad:
        notice(MULTI_GRAD)
    return is_multi_grad


def _hook_step(hooked: TorchNode) -> TorchNode:
    """Make a node for the hooks of a tensor, which receive its whole gradient and may change it."""
    hooks = hooked.hooks
    assert hooks is not None

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor]:
        for key, hook in list(hooks.items()):
            if _is_multi_grad_hook(getattr(hook, "original", hook)):
                continue
            replacement = replayed(hooks, key, hook)(upstream)
            upstream = upstream if replacement is None else replacement
        return (upstream,)

    step = TorchNode(hooked.data, op=HOOKS, parents=(hooked,), rule=rule, note=hooked.note)
    step.order = hooked.order + 0.5  # type: ignore[assignment] # between the tensor and its users
    step.edge, step.origin = hooked.edge, hooked.origin
    return step


def root_of_pass(
    losses: Any, grads: Any, program_backward: Callable[[], None]
) -> tuple[TorchNode, Any]:
    """Return the root and the seed gradient of a pass that the program starts.

    For several losses, the root is a step of its own, Σ ⟨gradient, loss⟩.

    Raises
    ------
    PassNotWalkable
        If the pass starts from graph edges, or goes through nested tensors.
    """
    tensors = [losses] if isinstance(losses, torch.Tensor) else list(losses)
    seeds = list(grads) if isinstance(grads, Sequence) else [grads] * len(tensors)
    if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise PassNotWalkable(
            message("it begins at edges of PyTorch's graph, and autolm walks from tensors")
        )
    nodes = [graph(tensor) for tensor in tensors]
    for node in nodes:
        _refuse_nested(node)
    if len(tensors) == 1:
        root = nodes[0]
        root.program_backward = program_backward
        return root, seeds[0]
    seeds = [node.as_gradient(seed) for node, seed in zip(nodes, seeds, strict=True)]

    def rule(upstream: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(upstream.to(seed.device) * seed for seed in seeds)

    with recording_paused():
        data = sum(((n.data * seed).sum() for n, seed in zip(nodes, seeds, strict=True)))
    root = TorchNode(data, op=LOSSES, parents=tuple(nodes), rule=rule, note=note_here())
    root.program_backward = program_backward
    return root, None


def _refuse_nested(root: TorchNode) -> None:
    nodes: list[Any] = topological_order(root)
    if any(snapshot.tensor.is_nested for node in nodes for snapshot in node.snapshots):
        raise PassNotWalkable(
            message("it goes through nested tensors, whose gradients autolm cannot add up")
        )


@contextmanager
def restricted_to_inputs(root: TorchNode, inputs: Any) -> Iterator[None]:
    """Restrict a pass to the paths that reach `inputs`, as `backward(inputs=…)` does.

    Raises
    ------
    PassNotWalkable
        If an input is not a leaf, or none is in the graph.
    """
    leaves = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    if not all(isinstance(tensor, torch.Tensor) and tensor.is_leaf for tensor in leaves):
        raise PassNotWalkable(message("its inputs= are results, and autolm walks to leaves"))
    order: list[Any] = topological_order(root)
    reaching = set[TorchNode]()
    for node in order:
        is_input = not node.parents and any(node.origin() is tensor for tensor in leaves)
        if is_input or not reaching.isdisjoint(node.parents):
            reaching.add(node)
    if root not in reaching:
        raise PassNotWalkable(message("none of its inputs= is a leaf of this graph"))
    excluded = [node for node in order if node.requires_grad and node not in reaching]
    try:
        excluded_nodes.update(excluded)
        for node in excluded:
            node.requires_grad = False
        yield
    finally:
        excluded_nodes.difference_update(excluded)
        for node in excluded:
            node.requires_grad = True
