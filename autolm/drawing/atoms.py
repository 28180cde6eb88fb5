"""Roll a graph up: nodes that were made alike become one atom, whatever their number.

Nodes are alike if they are in the same scope, made by the same operation, of operands that are
alike in turn; leaves, if they have the same name but for the index. So the scalar graph of a model
rolls up into its layers: all elements of a matrix product are one atom, at every position in time.
A sum that was built one term at a time is one atom too. An atom is never among its own operands'
ancestors: the atoms are a graph without cycles, smaller than the one they stand for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of

MANY = 3  # constants: so many are not told one by one


class Atom:
    """Nodes that are alike, and how many edges come to them from each other atom."""

    __slots__ = ("is_leaf", "nodes", "numbers", "operands", "scope")

    def __init__(self, node: Node) -> None:
        self.nodes = [node]
        self.operands: Counter[int] = Counter()
        self.numbers: set[float] = set()  # constants among the operands, the first few
        self.scope = node.scope
        self.is_leaf = not node.parents

    @property
    def op(self) -> Any:
        """The record of the operation; None at leaves."""
        return self.nodes[0].op


def roll(order: Sequence[Node]) -> tuple[list[Atom], dict[Node, int]]:
    """Return the atoms of a graph, operands first, and the number of each node's atom."""
    atoms: list[Atom] = []
    place: dict[Node, int] = {}
    known: dict[Any, int] = {}
    constants: set[int] = set()
    edges: list[list[list[int]]] = []  # of each atom: for each of its nodes, the operands' atoms
    find = place.__getitem__
    for node in order:
        parents = node.parents
        key: Any
        if parents:
            operands = list(map(find, parents))
            key = (node.op.name, node.scope, *dict.fromkeys(operands))
            i = known.get(key)
            if i is None and len(operands) == 2 and key[0] in wording.COMMUTATIVE:
                i = _running(atoms, edges, operands, node)
        else:
            operands = []
            key = (None, node.scope, wording.base_name(node), node.requires_grad)
            i = known.get(key)
        if i is None:
            i = known[key] = len(atoms)
            atoms.append(Atom(node))
            edges.append([operands])
            if not parents and not node.requires_grad:
                constants.add(i)
        else:
            atoms[i].nodes.append(node)
            edges[i].append(operands)
        place[node] = i
        if len(atoms[i].numbers) < MANY and not constants.isdisjoint(operands):
            _note_constants(atoms[i], node)
    for atom, lists in zip(atoms, edges, strict=True):
        atom.operands.update(chain.from_iterable(lists))
    return atoms, place


def _running(
    atoms: list[Atom], edges: list[list[list[int]]], operands: list[int], node: Node
) -> int | None:
    """Return the atom of a sum that this node goes on with: ((a + b) + c) + …, all terms alike."""
    left, right = operands
    running = atoms[left]
    goes_on = (
        running.op is not None
        and running.op.name == node.op.name
        and running.scope == node.scope
        and right in edges[left][0]
    )
    return left if goes_on else None


def _note_constants(atom: Atom, node: Node) -> None:
    for parent in node.parents:
        if not parent.parents and not parent.requires_grad and not adapter_of(parent.data).shape:
            atom.numbers.add(float(parent.data))
