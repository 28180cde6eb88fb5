"""Find the node of a tensor, and the parents and rule of a node in PyTorch's graph.

A result is identified by its graph edge (`grad_fn`, output index), a leaf by its identity and
version. A tensor owns its node, and a node its parents; the tables here own nothing. Operations
that were not recorded get a node for each of PyTorch's autograd functions, with a shape but no
data.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from autolm.engine.graph import describe, next_order
from autolm.engine.recording import Note, note_here
from autolm.torch.operation import TorchOperation, function_name, operation
from autolm.torch.recording_pause import recording_paused
from autolm.torch.rule import Edge, TorchRule, hooks_of
from autolm.torch.snapshot import Snapshot, version_of
from autolm.torch.torch_call import RawCall, TorchCall
from autolm.torch.torch_node import TorchNode
from autolm.torch.tuple_output import TupleOutput

node_of_edge: Any = (
    weakref.WeakValueDictionary()
)  # (id of a grad_fn that its node owns, output index)


class _NodeReference(weakref.ref[torch.Tensor]):
    """A weak reference to a tensor that owns the tensor's node."""

    __slots__ = ("key", "node")
    key: int
    node: TorchNode


excluded_nodes: set[TorchNode] = set()  # nodes that receive no gradient in the current pass
_references: dict[int, _NodeReference] = {}  # by id of the tensor


def _remove_reference(reference: _NodeReference) -> None:
    if _references.get(reference.key) is reference:
        del _references[reference.key]


def latest_node(tensor: torch.Tensor) -> TorchNode | None:
    """Return the latest node of a tensor, even if the tensor was written into since."""
    reference = _references.get(id(tensor))
    return reference.node if reference is not None and reference() is tensor else None


def find_node(tensor: torch.Tensor) -> TorchNode | None:
    """Return the node of the current version of a tensor; None if it has none yet."""
    function, node = tensor.grad_fn, latest_node(tensor)
    if function is not None:
        number = tensor.output_nr
        edge = None if node is None else node.edge
        if edge is not None and edge[0] is function and edge[1] == number:
            return node
        return node_of_edge.get((id(function), number))
    if node is None or not node.is_leaf:
        return None
    if node.version != version_of(tensor):
        return None
    return node if node.requires_grad == tensor.requires_grad or node in excluded_nodes else None


def node_of(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor; create it if needed."""
    node = find_node(tensor)
    if node is not None:
        return node
    if tensor.grad_fn is None:
        node = TorchNode(tensor.detach(), tensor.requires_grad, origin=tensor)
    else:
        node = wrap_unrecorded(tensor.grad_fn, tensor.output_nr)
        node.data, node.origin = tensor.detach(), weakref.ref(tensor)
        node.hooks = tensor._backward_hooks
    _attach_node(node, tensor)
    return node


def _attach_node(node: TorchNode, tensor: torch.Tensor) -> None:
    """Make a tensor the owner of its node."""
    reference = _NodeReference(tensor, _remove_reference)
    reference.key, reference.node = id(tensor), node
    _references[reference.key] = reference


def tensors_in(values: Any) -> list[torch.Tensor]:
    """List the tensors in the arguments or results of a PyTorch function."""
    if isinstance(values, torch.Tensor):
        return [values]
    if values is None or isinstance(values, int | float | str | torch.dtype):
        return []
    if type(values) in (tuple, list):
        return [tensor for value in values for tensor in tensors_in(value)]
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class DeferredCall(RawCall):
    """A recorded call whose node is not resolved yet.

    Attributes
    ----------
    edges
        The graph edge of its result, or a list with one for each of several results.
    before
        For a call that writes into a view: the node of the base tensor before the write, which
        replaces the first operand. Otherwise None.
    """

    __slots__ = ("before", "edges")
    edges: Edge | list[Edge]
    before: TorchNode | None

    def resolve(self, node: TorchNode) -> None:
        """Compute the operation, parents and rule of the node of this call."""
        with recording_paused():
            call = TorchCall(self)
            if self.before is None:
                operands = call.operands
                node.call = call
            else:
                operands = [self.before, *call.operands[1:]]
            leaves = {operand.origin(): operand for operand in operands if operand.is_leaf}
            leaves.pop(None, None)

            def node_of_leaf(variable: torch.Tensor) -> TorchNode:
                leaf = leaves.get(variable)
                return node_of(variable) if leaf is None else leaf

            has_one_result = isinstance(self.edges, tuple)
            edges = [self.edges] if isinstance(self.edges, tuple) else self.edges
            parents, rule = find_parents(edges, operands, node_of_leaf, node.order)
        node.op = operation(call.name, call.function, len(parents), not call.attributes)
        node.parents, node.attributes = parents, call.attributes
        node.backward_rule = rule if has_one_result else rule.from_tuple


def note_call(function: Any, args: Any, kwargs: Any, run: Any) -> DeferredCall:
    """Note a call with the current nodes of its operands."""
    return DeferredCall(function, args, kwargs, node_of, run)


def add_nodes(
    results: Sequence[torch.Tensor],
    call: DeferredCall,
    note: Note | None,
    before: TorchNode | None = None,
) -> None:
    """Create the node of each result of a call; several results also get a node for their tuple."""
    call.before = before
    if len(results) == 1:
        result = results[0]
        call.edges = edge = (result.grad_fn, result.output_nr)
        data = Snapshot(result.detach(), watched=result._is_view())
        node = TorchNode(data, edge=edge, note=note, pending_call=call)
        node.hooks = result._backward_hooks
        register_node(node, result)
        if call.casts is not None:
            _resolve_with_autocast(node)
        return
    call.edges = edges = [(result.grad_fn, result.output_nr) for result in results]
    snapshots = TupleOutput(Snapshot(result.detach()) for result in results)
    whole = TorchNode(snapshots, note=note, pending_call=call)
    if call.casts is not None:
        _resolve_with_autocast(whole)
    name = function_name(call.function)
    for i, (result, edge) in enumerate(zip(results, edges, strict=True)):
        register_node(
            _output_node(whole, name, i, len(results), snapshots[i], edge, result), result
        )


def _resolve_with_autocast(node: TorchNode) -> None:
    """Resolve a node at once, so that autocast's copies of parameters become nodes before it."""
    node.order = sys.maxsize  # larger than the order of any existing node
    node.resolve()
    node.order = next_order()


def recompute_node(node: TorchNode) -> None:
    """Recompute the data and the rule of a node from the current data of its operands.

    Raises
    ------
    ValueError
        If the node cannot be recomputed; the message gives the reason.
    """
    if node.op is not None and node.op.pass_through is not None:
        node.data = node.op.pass_through(node)
        return
    call: TorchCall | None = node.call
    if call is None:
        raise ValueError(
            f"{describe(node)} cannot be computed again: PyTorch did it where autolm did not see "
            "its operands"
        )
    rule_before: Any = getattr(node.backward_rule, "__self__", node.backward_rule)
    if any(
        hook for function in rule_before.functions for hooks in hooks_of(function) for hook in hooks
    ):
        raise ValueError(f"{describe(node)} cannot be computed again: it has hooks on its grad_fn")
    leaves: dict[Any, TorchNode] = {}
    inputs = []
    for operand in call.operands:
        stand_in = operand if operand in node.parents else _cast_of(operand, node.parents)
        data = stand_in.data.detach().clone()
        leaves[data.requires_grad_(stand_in.requires_grad)] = stand_in
        inputs.append(data)
    try:
        with recording_paused():
            outputs = tensors_in(call.repeat(inputs))
    except ValueError as error:
        raise ValueError(f"{describe(node)}: {error}") from None
    results = [output for output in outputs if output.grad_fn is not None]
    edges = [(result.grad_fn, result.output_nr) for result in results]
    parents, rule = find_parents(edges, node.parents, leaves.get)
    if parents != node.parents:
        raise ValueError(f"{describe(node)} cannot be computed again: it depends on more")
    if node.edge is not None:
        node.data, node.backward_rule = results[0].detach(), rule
    else:
        node.data = TupleOutput(result.detach() for result in results)
        node.backward_rule = rule.from_tuple


def _cast_of(operand: TorchNode, parents: Sequence[TorchNode]) -> TorchNode:
    """Return autocast's copy of an operand if a function used that, else the operand."""
    return next((parent for parent in parents if operand in parent.parents), operand)


def register_node(node: TorchNode, tensor: torch.Tensor) -> None:
    """Make a tensor the owner of its node, and register the node by its edge."""
    assert node.edge is not None
    function, number = node.edge
    node_of_edge[id(function), number] = node
    _attach_node(node, tensor)


def _output_node(
    whole: TorchNode,
    name: str,
    i: int,
    count: int,
    data: Any,
    edge: Edge,
    origin: torch.Tensor | None,
) -> TorchNode:
    """Create the node of one output, whose parent is the node of the tuple of outputs."""

    def to_whole(upstream: Any) -> tuple[Any, ...]:
        return (TupleOutput(upstream if i == j else None for j in range(count)),)

    op = TorchOperation(
        f"{name}[{i}]", pass_through=lambda node: node.parents[0].data[i], output_index=i
    )
    return TorchNode(
        data, op=op, parents=(whole,), rule=to_whole, edge=edge, note=whole.note, origin=origin
    )


def find_parents(
    edges: Sequence[Edge],
    operands: Sequence[TorchNode],
    node_of_leaf: Callable[[torch.Tensor], TorchNode | None] = node_of,
    order: float = math.inf,
) -> tuple[tuple[Any, ...], TorchRule]:
    """Find the parents of a node, and the rule through PyTorch's functions between them.

    Follow PyTorch's graph from the results down to nodes that exist. Parents come in the order of
    the operands; a repeated operand is a repeated parent if it receives as many contributions. An
    operand that requires no gradient is a constant parent. Only nodes older than `order` become
    parents, because one output of a call may be computed from another.
    """
    functions: list[Any] = []
    ends: list[tuple[Any, int, TorchNode]] = []
    stack = list(dict.fromkeys(function for function, _ in reversed(edges)))
    visited = set(stack)
    while stack:
        function = stack.pop()
        functions.append(function)
        for i, (below, number) in enumerate(function.next_functions):
            if below is None:
                continue
            node = _boundary_node(below, number, node_of_leaf)
            if node is not None and node.order < order:
                ends.append((function, i, node))
            elif below not in visited:
                visited.add(below)
                stack.append(below)
    functions.sort(key=lambda function: function._sequence_nr(), reverse=True)
    return _assign_slots(edges, functions, ends, operands)


def _boundary_node(
    function: Any, number: int, node_of_leaf: Callable[[torch.Tensor], TorchNode | None] = node_of
) -> TorchNode | None:
    """Return the node at an edge; None if the search must continue below it."""
    variable = getattr(function, "variable", None)
    if variable is not None:
        return node_of_leaf(variable)
    node: TorchNode | None = node_of_edge.get((id(function), number))
    if node is None and is_shared_cast(function):
        return wrap_unrecorded(function, number)
    return node


def _assign_slots(
    edges: Sequence[Edge],
    functions: Sequence[Any],
    ends: Sequence[tuple[Any, int, TorchNode]],
    operands: Sequence[TorchNode],
) -> tuple[tuple[Any, ...], TorchRule]:
    """Assign contributions to operands in order; extra ones go to the last occurrence."""
    ends_of: dict[TorchNode, list[tuple[Any, int]]] = defaultdict(list)
    for function, i, node in ends:
        ends_of[node].append((function, i))
    remaining = {node: operands.count(node) for node in operands}
    parents: list[TorchNode] = []
    slots: dict[tuple[Any, int], int] = {}
    for node in (*operands, *(n for n in ends_of if n not in remaining)):
        node_ends = ends_of.get(node, [])
        if not node_ends and node.requires_grad:
            continue  # it receives nothing, or nothing more than an earlier occurrence
        remaining[node] = remaining.get(node, 1) - 1
        is_last = remaining[node] == 0
        for end in node_ends if is_last else node_ends[:1]:
            slots[end] = len(parents)
        ends_of[node] = [] if is_last else node_ends[1:]
        parents.append(node)
    return tuple(parents), TorchRule(edges, functions, slots, len(parents))


def is_shared_cast(function: Any) -> bool:
    """Whether this is autocast's copy of a parameter in another dtype, shared by all its uses."""
    is_cast = function.name() in ("ToCopyBackward0", "ToDtypeBackward0")
    return is_cast and hasattr(function.next_functions[0][0], "variable")


def wrap_unrecorded(function: Any, number: int) -> TorchNode:
    """Create nodes for unrecorded autograd functions, bottom up; return the one at this edge."""
    outputs: dict[Any, set[int]] = defaultdict(set)  # output indices in use, by function
    stack = [(function, number)]
    while stack:
        below, index = stack.pop()
        has_node = below is None or hasattr(below, "variable") or (id(below), index) in node_of_edge
        if has_node or index in outputs[below]:
            continue
        if not outputs[below]:
            stack += [edge for edge in below.next_functions]
        outputs[below].add(index)
    alive: list[TorchNode] = []  # own the new nodes until their users do
    for below in sorted((f for f in outputs if outputs[f]), key=lambda f: f._sequence_nr()):
        alive += _wrap_function(below, sorted(outputs[below]))
    node: TorchNode = node_of_edge[id(function), number]
    return node


def _wrap_function(function: Any, numbers: Sequence[int]) -> list[TorchNode]:
    """Create the nodes of one autograd function, for the outputs that are in use."""
    expected = function._input_metadata
    data = [torch.empty(expected[n].shape, dtype=expected[n].dtype, device="meta") for n in numbers]
    name = function.name().removesuffix("Backward0").removesuffix("Backward")
    ends = [
        (function, i, end)
        for i, (below, number) in enumerate(function.next_functions)
        if below is not None and (end := _boundary_node(below, number)) is not None
    ]
    edges = [(function, number) for number in numbers]
    parents, rule = _assign_slots(edges, [function], ends, [node for _, _, node in ends])
    op, note = operation(name, None, len(parents), False), note_here()
    if is_shared_cast(function):
        op = TorchOperation(
            "cast", pass_through=lambda node: node.parents[0].data.to(node.data.dtype)
        )
        data = [function.next_functions[0][0].variable.detach().to(data[0].dtype)]
    if len(numbers) == 1:
        nodes = [TorchNode(data[0], op=op, parents=parents, rule=rule, edge=edges[0], note=note)]
    else:
        whole = TorchNode(
            TupleOutput(data), op=op, parents=parents, rule=rule.from_tuple, note=note
        )
        nodes = [
            _output_node(whole, name, i, len(numbers), data[i], edges[i], None)
            for i in range(len(numbers))
        ]
    for node, number in zip(nodes, numbers, strict=True):
        node_of_edge[id(function), number] = node
    return nodes
