"""The collapsed picture: a box for each collapsed group, and frames around expanded scopes.

Leaves are badges in the boxes that use them: parameters with their shapes, constants with their
values or their count. The width of an arrow shows the number of edges. Every node is in exactly one
box, and boxes show how many nodes they contain.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from autolm.drawing.atoms import MAX_CONSTANTS, Atom
from autolm.drawing.collapse import Collapse
from autolm.drawing.gradients import backward_steps
from autolm.drawing.outline import Group
from autolm.drawing.view import Arrow, Badge, Box, Edges, View
from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of

MAX_BADGES = 6  # in one box; more are counted


def collapsed_view(
    collapse: Collapse, root: Node, blamed: Set[Node], edges: Edges = "forward"
) -> View:
    """Draw collapsed groups as boxes, and expanded scopes as frames around them.

    Boxes that compute, or use as a leaf, one of the `blamed` nodes are marked. Gradient arrows show
    the range of the contributions along them.
    """
    groups, atoms = collapse.groups, collapse.atoms
    leaves, owners = _leaves(groups, atoms)
    counts = collapse.edges(groups)
    boxes = []
    for number, group in enumerate(groups):
        outputs = _outputs(group, atoms)
        owned = [node for i in owners[number] for node in atoms[i].nodes]
        box = _box(group, f"g{number}", atoms, owned, outputs)
        nodes = operations_and_their_leaves(group, atoms)
        box.is_finite = blamed.isdisjoint(nodes) and all(map(wording.has_finite_gradient, nodes))
        box.badges = _badges(group, atoms, leaves[number])
        box.is_root = any(node is root for node in outputs)
        boxes.append(box)
    arrows = [
        Arrow(f"e{tail}to{head}", f"g{tail}", f"g{head}", count, hint=_edges_hint(count))
        for (tail, head), count in sorted(counts.items())
    ]
    _name_operands(arrows, groups, atoms, boxes)
    if edges != "forward":
        arrows += _gradients(boxes, root)
    closed = sum(box.kind == "module" for box in boxes)
    total = sum(len(box.nodes) for box in boxes)
    are_closed = f", {closed} of them closed" if closed else ""
    notes = [f"{wording.count(total)} nodes in {_boxes(len(boxes))}{are_closed}"]
    return View(boxes, arrows, notes, is_exact=False)


def _gradients(boxes: Sequence[Box], root: Node) -> list[Arrow]:
    """Return arrows for the gradients between boxes, and write the gradients into the boxes."""
    place = {node: i for i, box in enumerate(boxes) for node in box.nodes}
    contributions: dict[tuple[int, int], list[Any]] = {}
    gradients: dict[Node, Any] = {root: root.as_gradient(None)}
    for step in backward_steps(root):
        head = place[step.node]
        for contribution in step.contributions:
            parent = contribution.parent
            if parent.requires_grad:
                gradients[parent] = contribution.after
                if parent.parents and place[parent] != head:
                    key = (place[parent], head)
                    contributions.setdefault(key, []).append(contribution.value)
    for box in boxes:
        grads = [gradients[node] for node in box.results if node in gradients]
        box.rows[1:] = [("grad", wording.extent(grads))]
    return [
        Arrow(
            f"e{tail}from{head}",
            boxes[tail].key,
            boxes[head].key,
            is_gradient=True,
            label=wording.extent(values),
            hint=f"{wording.count(len(values))} contributions to gradients",
        )
        for (tail, head), values in sorted(contributions.items())
    ]


def _name_operands(
    arrows: Sequence[Arrow], groups: Sequence[Group], atoms: Sequence[Atom], boxes: Sequence[Box]
) -> None:
    """Label the arrows into an operation with the roles of its operands."""
    results = {box.key: box.results for box in boxes}
    into: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        into.setdefault(arrow.head, []).append(arrow)
    for box, group in zip(boxes, groups, strict=True):
        incoming = into.get(box.key, [])
        node = atoms[group.members[0]].nodes[0]
        if group.kind == "atom" and len(incoming) > 1 and wording.role(node, 0):
            for arrow in incoming:
                operands = set(results[arrow.tail])
                roles = [wording.role(node, i) for i, p in enumerate(node.parents) if p in operands]
                arrow.label = " ".join(roles)


def _boxes(n: int) -> str:
    return f"{n} box" if n == 1 else f"{n} boxes"


def _edges_hint(count: int) -> str:
    return f"{wording.count(count)} edge" + ("" if count == 1 else "s")


def _leaves(
    groups: Sequence[Group], atoms: Sequence[Atom]
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the leaf atoms that each group uses, and those that it uses first."""
    used: list[list[int]] = []
    owned: list[list[int]] = []
    owned_already: set[int] = set()
    for group in groups:
        operands = (operand for i in group.members for operand in atoms[i].operands)
        leaves = dict.fromkeys(operand for operand in operands if atoms[operand].is_leaf)
        used.append(list(leaves))
        owned.append([i for i in leaves if i not in owned_already])
        owned_already.update(leaves)
    return used, owned


def operations_and_their_leaves(group: Group, atoms: Sequence[Atom]) -> set[Node]:
    """Return the nodes that a group computes, and the leaves that it uses.

    The nodes of its box differ: leaves without a name are in the box of their first use.
    """
    computed = {node for i in group.members for node in atoms[i].nodes}
    return computed | {p for node in computed for p in node.parents if not p.parents}


def _outputs(group: Group, atoms: Sequence[Atom]) -> list[Node]:
    """Return the results of a group: the nodes that no operation in the group uses."""
    inside = {o for i in group.members for o in atoms[i].operands if o != i}
    ends = [i for i in group.members if i not in inside]
    return [node for i in ends for node in atoms[i].nodes]


def _box(
    group: Group, key: str, atoms: Sequence[Atom], owned: Sequence[Node], outputs: list[Node]
) -> Box:
    operations = [node for i in group.members for node in atoms[i].nodes]
    nodes, first = [*operations, *owned], operations[0]
    box = Box(key, "module", nodes, outputs, title=wording.short(group.title))
    if group.kind == "atom":
        many = f"×{wording.count(len(operations))}" if len(operations) > 1 else ""
        name = wording.short(wording.name(first)) if len(operations) == 1 else ""
        box.kind, box.frame, box.hint = "rolled", group.path, wording.hint(first)
        box.subtitle = " ".join(filter(None, (name, many, wording.shape(first.data))))
    else:
        scope = ".".join(group.path) or "no scope"
        box.frame = group.path[:-1] if group.kind == "scope" else group.path
        box.subtitle = f"{group.note}  +{wording.count(len(nodes))} nodes".strip()
        box.hint = f"{scope}: closed, {wording.count(len(operations))} operations"
        box.opens = group.key if group.children else ""
    box.rows = [("data", wording.extent([node.data for node in outputs]))]
    grads = [node.grad for node in outputs if node.has_grad]
    box.rows += [("grad", wording.extent(grads))] if grads else []
    return box


def _badges(group: Group, atoms: Sequence[Atom], leaves: Sequence[int]) -> list[Badge]:
    badges = []
    for leaf in leaves:
        first = atoms[leaf].nodes[0]
        if first.requires_grad or first.name:
            name = wording.short(wording.base_name(first))
            nodes = atoms[leaf].nodes if name else _used(group, atoms, atoms[leaf])
            badges.append(Badge(_many(name, nodes), is_constant=not first.requires_grad))
    badges += _constants(group, atoms, [leaf for leaf in leaves if _is_plain(atoms[leaf])])
    if len(badges) > MAX_BADGES:
        named = [leaf for leaf in leaves if atoms[leaf].nodes[0].requires_grad]
        numbers = sum(adapter_of(node.data).size for leaf in named for node in atoms[leaf].nodes)
        text = f"{len(named)} parameters: {wording.count(numbers)} numbers"
        return [Badge(text, is_constant=False)]
    return badges


def _many(name: str, nodes: Sequence[Node]) -> str:
    """Describe leaves that are elements of one array: `W_Q 64×64`, or `w[0 … 2]` for a vector."""
    if len(nodes) > 1 and name:
        places = [_index(wording.known_name(node)) for node in nodes]
        if sorted(places) == [(i,) for i in range(len(nodes))]:
            return f"{name}[0 … {len(nodes) - 1}]"
    return f"{name or 'leaf'} {_size(nodes)}".strip()


def _used(group: Group, atoms: Sequence[Atom], leaf: Atom) -> list[Node]:
    """Return the leaves of an atom that a group uses."""
    parents = (p for i in group.members for node in atoms[i].nodes for p in node.parents)
    used = set(parents)
    return [node for node in leaf.nodes if node in used]


def _constants(group: Group, atoms: Sequence[Atom], leaves: Sequence[int]) -> list[Badge]:
    """Return badges for unnamed constants: their values if they are few, else their count."""
    uses = sum(atoms[i].operands[leaf] for i in group.members for leaf in leaves)
    numbers = sorted({x for i in group.members for x in atoms[i].numbers})
    if not uses:
        return []
    if 0 < len(numbers) < MAX_CONSTANTS:
        return [Badge(wording.number(x), is_constant=True) for x in numbers]
    size = _size(atoms[leaves[0]].nodes) if uses == 1 else f"×{wording.count(uses)}"
    return [Badge(f"const {size}".strip(), is_constant=True)]


def _is_plain(leaf: Atom) -> bool:
    return not leaf.nodes[0].requires_grad and not leaf.nodes[0].name


def _size(nodes: Sequence[Node]) -> str:
    """Return the shape of the array whose elements the leaves are, or else their count."""
    if len(nodes) == 1:
        return wording.shape(nodes[0].data)
    indices = [_index(wording.known_name(node)) for node in nodes]
    if all(indices) and len({len(index) for index in indices}) == 1:
        extent = np.max(indices, axis=0) + 1
        if int(np.prod(extent)) == len(nodes):
            return "×".join(map(str, extent))
    return f"×{wording.count(len(nodes))}"


def _index(name: str) -> tuple[int, ...]:
    """Parse the index of a name such as W_Q[3,5]; an empty tuple if it has none."""
    digits = name[name.rfind("[") + 1 : -1].split(",") if name.endswith("]") else []
    return tuple(map(int, digits)) if all(digit.isdecimal() for digit in digits) else ()
