"""Group similar nodes of a graph into atoms, which form a smaller graph without cycles.

Nodes are similar if they have the same scope, the same operation and similar operands; leaves, if
their names differ only in the index. All elements of a matrix product of Values are one atom, and
so is a sum that was built term by term.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of

MAX_CONSTANTS = 3  # as many constants or more are not listed one by one


class Atom:
    """A group of similar nodes, with the number of edges from each operand atom."""

    __slots__ = ("is_leaf", "nodes", "numbers", "operands", "scope")

    def __init__(self, node: Node) -> None:
        self.nodes = [node]
        self.operands: Counter[int] = Counter()
        self.numbers: set[float] = set()  # some of the constant operands
        self.scope = node.scope
        self.is_leaf = not node.parents

    @property
    def op(self) -> Any:
        """The record of the operation; None at leaves."""
        return self.nodes[0].op


def roll(order: Sequence[Node]) -> tuple[list[Atom], dict[Node, int]]:
    """Return the atoms of a graph, operands first, and the index of each node's atom."""
    atoms: list[Atom] = []
    atom_of: dict[Node, int] = {}
    index_of: dict[Any, int] = {}
    constants: set[int] = set()
    edges: list[list[list[int]]] = []  # for each node of each atom, the atoms of its operands
    get_atom = atom_of.__getitem__
    for node in order:
        parents = node.parents
        key: Any
        if parents:
            operands = list(map(get_atom, parents))
            key = (node.op.name, node.scope, *dict.fromkeys(operands))
            i = index_of.get(key)
            if i is None and len(operands) == 2 and key[0] in wording.COMMUTATIVE:
                i = _extended_sum(atoms, edges, operands, node)
        else:
            operands = []
            key = (None, node.scope, wording.base_name(node), node.requires_grad)
            i = index_of.get(key)
        if i is None:
            i = index_of[key] = len(atoms)
            atoms.append(Atom(node))
            edges.append([operands])
            if not parents and not node.requires_grad:
                constants.add(i)
        else:
            atoms[i].nodes.append(node)
            edges[i].append(operands)
        atom_of[node] = i
        if len(atoms[i].numbers) < MAX_CONSTANTS and not constants.isdisjoint(operands):
            _note_constants(atoms[i], node)
    for atom, lists in zip(atoms, edges, strict=True):
        atom.operands.update(chain.from_iterable(lists))
    return atoms, atom_of


def _extended_sum(
    atoms: list[Atom], edges: list[list[list[int]]], operands: list[int], node: Node
) -> int | None:
    """Return the atom of the sum that this node extends: ((a + b) + c) + …, with similar terms."""
    first, second = operands
    partial_sum = atoms[first]
    is_extended = (
        partial_sum.op is not None
        and partial_sum.op.name == node.op.name
        and partial_sum.scope == node.scope
        and second in edges[first][0]
    )
    return first if is_extended else None


def _note_constants(atom: Atom, node: Node) -> None:
    for parent in node.parents:
        if not parent.parents and not parent.requires_grad and not adapter_of(parent.data).shape:
            atom.numbers.add(float(parent.data))
