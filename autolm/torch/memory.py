"""Which node stands for which tensor: what was recorded, and what can be found in PyTorch's graph.

A result is known by its edge, the function that PyTorch keeps for its gradient and a number; a leaf
by itself and by how often it was written into. Nothing is kept alive here: a tensor keeps its node,
and a node those beneath it. What no recorded function made is adopted: a node for each of PyTorch's
own functions, with a shape and no data.
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
from autolm.torch.asking import unseen
from autolm.torch.call import Call, RawCall
from autolm.torch.operation import TorchOperation, called, operation
from autolm.torch.rule import Edge, Rule, hooks_of
from autolm.torch.several import Several
from autolm.torch.snapshot import Snapshot, version_of
from autolm.torch.torch_node import TorchNode

of_edge: Any = weakref.WeakValueDictionary()  # by the identity of a function, which its node keeps


class _Kept(weakref.ref[torch.Tensor]):
    """A tensor of the program, and the node that it keeps."""

    __slots__ = ("key", "node")
    key: int
    node: TorchNode


cut_off: set[TorchNode] = set()  # those to which the running pass sends no gradient
_kept: dict[int, _Kept] = {}  # by the identity of the tensor


def _forget(kept: _Kept) -> None:
    if _kept.get(kept.key) is kept:
        del _kept[kept.key]


def latest_node(tensor: torch.Tensor) -> TorchNode | None:
    """Return the latest node of a tensor, which may have been written into since."""
    kept = _kept.get(id(tensor))
    return kept.node if kept is not None and kept() is tensor else None


def known(tensor: torch.Tensor) -> TorchNode | None:
    """Return the node of a tensor as it is now, if it has one."""
    function, kept = tensor.grad_fn, _kept.get(id(tensor))
    node = kept.node if kept is not None and kept() is tensor else None
    if function is not None:
        number = tensor.output_nr
        edge = None if node is None else node.edge
        if edge is not None and edge[0] is function and edge[1] == number:
            return node
        return of_edge.get((id(function), number))
    if node is None or not node.is_leaf:
        return None
    if node.version != version_of(tensor):
        return None
    return node if node.requires_grad == tensor.requires_grad or node in cut_off else None


def node_of(tensor: torch.Tensor) -> TorchNode:
    """Return the node of a tensor; one that has none yet gets it."""
    node = known(tensor)
    if node is not None:
        return node
    if tensor.grad_fn is None:
        node = TorchNode(tensor.detach(), tensor.requires_grad, origin=tensor)
    else:
        node = adopted(tensor.grad_fn, tensor.output_nr)
        node.data, node.origin = tensor.detach(), weakref.ref(tensor)
        node.hooks = tensor._backward_hooks
    _keep(node, tensor)
    return node


def _keep(node: TorchNode, tensor: torch.Tensor) -> None:
    """Let a tensor keep its node, as long as the program has it."""
    kept = _Kept(tensor, _forget)
    kept.key, kept.node = id(tensor), node
    _kept[kept.key] = kept


def tensors(values: Any) -> list[torch.Tensor]:
    """List the tensors in anything that PyTorch's functions take or return."""
    if isinstance(values, torch.Tensor):
        return [values]
    if values is None or isinstance(values, int | float | str | torch.dtype):
        return []
    if type(values) in (tuple, list):
        return [each for value in values for each in tensors(value)]
    return [each for each in tree_leaves(values) if isinstance(each, torch.Tensor)]


class RecordedCall(RawCall):
    """A recorded call that nobody has looked at yet.

    Attributes
    ----------
    edges
        Where PyTorch's graph begins at its result, or at each of several.
    before
        Of a call that wrote into a view: the node of the tensor that it views, which takes the
        place of the call's first operand.
    """

    __slots__ = ("before", "edges")
    edges: Edge | list[Edge]
    before: TorchNode | None

    def read(self, node: TorchNode) -> None:
        """Give the node its operation, its parents and its rule."""
        with unseen():
            call = Call(self)
            if self.before is None:
                operands = call.operands
                node.call = call
            else:
                operands = [self.before, *call.operands[1:]]
            leaves = {each.origin(): each for each in operands if each.is_leaf}
            leaves.pop(None, None)

            def node_of_leaf(variable: torch.Tensor) -> TorchNode:
                leaf = leaves.get(variable)
                return node_of(variable) if leaf is None else leaf

            is_alone = isinstance(self.edges, tuple)
            edges = [self.edges] if isinstance(self.edges, tuple) else self.edges
            parents, rule = way(edges, operands, node_of_leaf, node.order)
        node.op = operation(call.name, call.function, len(parents), not call.attributes)
        node.parents, node.attributes = parents, call.attributes
        node.backward_rule = rule if is_alone else rule.together


def recorded_call(function: Any, args: Any, kwargs: Any, run: Any) -> RecordedCall:
    """Note a call, with the nodes of its operands as they are now."""
    return RecordedCall(function, args, kwargs, node_of, run)


def add(
    results: Sequence[torch.Tensor],
    call: RecordedCall,
    note: Note | None,
    before: TorchNode | None = None,
) -> None:
    """Make a node of what a call returned: of each result, and of several one more for all."""
    call.before = before
    if len(results) == 1:
        result = results[0]
        call.edges = edge = (result.grad_fn, result.output_nr)
        data = Snapshot(result.detach(), watched=result._is_view())
        node = TorchNode(data, edge=edge, note=note, unread=call)
        node.hooks = result._backward_hooks
        keep(node, result)
        if call.casts is not None:
            _read_with_casts(node)
        return
    call.edges = edges = [(each.grad_fn, each.output_nr) for each in results]
    several = Several(Snapshot(each.detach()) for each in results)
    whole = TorchNode(several, note=note, unread=call)
    if call.casts is not None:
        _read_with_casts(whole)
    name = called(call.function)
    for i, (result, edge) in enumerate(zip(results, edges, strict=True)):
        keep(_part(whole, name, i, len(results), several[i], edge, result), result)


def _read_with_casts(node: TorchNode) -> None:
    """Read a node at once, after autocast's copies of parameters, which are nodes made before."""
    node.order = sys.maxsize  # all that there is was made before it
    node.read()
    node.order = next_order()


def compute_again(node: TorchNode) -> None:
    """Let a node hold what its function makes of what its operands hold now, with the rule for it.

    Raises
    ------
    ValueError
        For what cannot be computed again, which is named.
    """
    if node.op is not None and node.op.follow is not None:
        node.data = node.op.follow(node)
        return
    call: Call | None = node.call
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
    given = []
    for operand in call.operands:
        stand_in = operand if operand in node.parents else _cast_of(operand, node.parents)
        data = stand_in.data.detach().clone()
        leaves[data.requires_grad_(stand_in.requires_grad)] = stand_in
        given.append(data)
    try:
        with unseen():
            results = [each for each in tensors(call.again(given)) if each.grad_fn is not None]
    except ValueError as error:
        raise ValueError(f"{describe(node)}: {error}") from None
    edges = [(each.grad_fn, each.output_nr) for each in results]
    parents, rule = way(edges, node.parents, leaves.get)
    if parents != node.parents:
        raise ValueError(f"{describe(node)} cannot be computed again: it depends on more")
    is_alone = node.edge is not None
    node.data = results[0].detach() if is_alone else Several(each.detach() for each in results)
    node.backward_rule = rule if is_alone else rule.together


def _cast_of(operand: TorchNode, parents: Sequence[TorchNode]) -> TorchNode:
    """Return autocast's copy of an operand, if it is that which a function used."""
    return next((each for each in parents if operand in each.parents), operand)


def keep(node: TorchNode, tensor: torch.Tensor) -> None:
    """Let a tensor keep the node of the operation that made it, which is found by its edge too."""
    assert node.edge is not None
    function, number = node.edge
    of_edge[id(function), number] = node
    _keep(node, tensor)


def _part(
    whole: TorchNode,
    name: str,
    i: int,
    count: int,
    data: Any,
    edge: Edge,
    origin: torch.Tensor | None,
) -> TorchNode:
    """Make the node of one of several results, which hands its gradient to that of all."""

    def to_whole(upstream: Any) -> tuple[Any, ...]:
        return (Several(upstream if i == j else None for j in range(count)),)

    op = TorchOperation(f"{name}[{i}]", follow=lambda part: part.parents[0].data[i], part=i)
    return TorchNode(
        data, op=op, parents=(whole,), rule=to_whole, edge=edge, note=whole.note, origin=origin
    )


def way(
    edges: Sequence[Edge],
    operands: Sequence[TorchNode],
    node_of_leaf: Callable[[torch.Tensor], TorchNode | None] = node_of,
    order: float = math.inf,
) -> tuple[tuple[Any, ...], Rule]:
    """Find PyTorch's functions between results and what is known, which become the parents.

    These come in the order of the operands; one that stands there twice is a parent twice, as far
    as the functions send to it as often. An operand that needs no gradient is a constant.
    Only nodes that were made before number `order` are parents: one of several results may be
    computed of another.
    """
    functions: list[Any] = []
    ends: list[tuple[Any, int, TorchNode]] = []
    stack = list(dict.fromkeys(function for function, _ in reversed(edges)))
    seen = set(stack)
    while stack:
        function = stack.pop()
        functions.append(function)
        for i, (below, number) in enumerate(function.next_functions):
            if below is None:
                continue
            node = _end(below, number, node_of_leaf)
            if node is not None and node.order < order:
                ends.append((function, i, node))
            elif below not in seen:
                seen.add(below)
                stack.append(below)
    functions.sort(key=lambda each: each._sequence_nr(), reverse=True)
    return _joined(edges, functions, ends, operands)


def _end(
    function: Any, number: int, node_of_leaf: Callable[[torch.Tensor], TorchNode | None] = node_of
) -> TorchNode | None:
    """Return the node at an edge, where the way from a result ends; None if it goes on."""
    variable = getattr(function, "variable", None)
    if variable is not None:
        return node_of_leaf(variable)
    node: TorchNode | None = of_edge.get((id(function), number))
    if node is None and is_shared_cast(function):
        return adopted(function, number)
    return node


def _joined(
    edges: Sequence[Edge],
    functions: Sequence[Any],
    ends: Sequence[tuple[Any, int, TorchNode]],
    operands: Sequence[TorchNode],
) -> tuple[tuple[Any, ...], Rule]:
    """Give each operand its slots, in order; what is sent to one more often than it stands, too."""
    arriving: dict[TorchNode, list[tuple[Any, int]]] = defaultdict(list)
    for function, i, node in ends:
        arriving[node].append((function, i))
    left = {node: operands.count(node) for node in operands}
    parents: list[TorchNode] = []
    slots: dict[tuple[Any, int], int] = {}
    for node in (*operands, *(n for n in arriving if n not in left)):
        sent = arriving.get(node, [])
        if not sent and node.requires_grad:
            continue  # nothing is sent to it, or no more than to the parent that it is already
        left[node] = left.get(node, 1) - 1
        last = left[node] == 0
        for each in sent if last else sent[:1]:
            slots[each] = len(parents)
        arriving[node] = [] if last else sent[1:]
        parents.append(node)
    return tuple(parents), Rule(edges, functions, slots, len(parents))


def is_shared_cast(function: Any) -> bool:
    """Whether this is autocast's copy of a parameter in another dtype, which all uses share."""
    is_cast = function.name() in ("ToCopyBackward0", "ToDtypeBackward0")
    return is_cast and hasattr(function.next_functions[0][0], "variable")


def adopted(function: Any, number: int) -> TorchNode:
    """Make nodes of PyTorch's own functions down to what is known, those beneath first."""
    wanted: dict[Any, set[int]] = defaultdict(set)
    stack = [(function, number)]
    while stack:
        each, nr = stack.pop()
        is_known = each is None or hasattr(each, "variable") or (id(each), nr) in of_edge
        if is_known or nr in wanted[each]:
            continue
        if not wanted[each]:
            stack += [edge for edge in each.next_functions]
        wanted[each].add(nr)
    kept: list[TorchNode] = []  # until those above hold them
    for each in sorted((f for f in wanted if wanted[f]), key=lambda f: f._sequence_nr()):
        kept += _adopted_alone(each, sorted(wanted[each]))
    node: TorchNode = of_edge[id(function), number]
    return node


def _adopted_alone(function: Any, numbers: Sequence[int]) -> list[TorchNode]:
    """Make the nodes of one of PyTorch's functions, which has so many results in use."""
    expected = function._input_metadata
    data = [torch.empty(expected[n].shape, dtype=expected[n].dtype, device="meta") for n in numbers]
    name = function.name().removesuffix("Backward0").removesuffix("Backward")
    ends = [
        (function, i, end)
        for i, (below, number) in enumerate(function.next_functions)
        if below is not None and (end := _end(below, number)) is not None
    ]
    edges = [(function, number) for number in numbers]
    parents, rule = _joined(edges, [function], ends, [node for _, _, node in ends])
    op, note = operation(name, None, len(parents), False), note_here()
    if is_shared_cast(function):
        op = TorchOperation("cast", follow=lambda node: node.parents[0].data.to(node.data.dtype))
        data = [function.next_functions[0][0].variable.detach().to(data[0].dtype)]
    if len(numbers) == 1:
        nodes = [TorchNode(data[0], op=op, parents=parents, rule=rule, edge=edges[0], note=note)]
    else:
        whole = TorchNode(Several(data), op=op, parents=parents, rule=rule.together, note=note)
        nodes = [
            _part(whole, name, i, len(numbers), data[i], edges[i], None)
            for i in range(len(numbers))
        ]
    for node, number in zip(nodes, numbers, strict=True):
        of_edge[id(function), number] = node
    return nodes
