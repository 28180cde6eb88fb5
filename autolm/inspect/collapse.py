"""Collapse a graph into a picture that can be read: open what matters, close the rest, count it.

The outline of the graph is opened from the outside in, as long as the picture keeps within its
budget: so many boxes, and so long arrows, counted in the rows that they cross (it is the long ones
that a reader cannot follow, and that a layout takes its time for). Leaves are badges in the boxes
that use them. Every node is in exactly one box, and the boxes say how many they hold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autolm.graph import Node
from autolm.inspect import labels
from autolm.inspect.atoms import MANY, Atom
from autolm.inspect.gradients import backward_steps
from autolm.inspect.outline import Group, matches, outline, scope_parts
from autolm.inspect.view import Arrow, Badge, Box, Edges, View

BADGES = 6  # in one box; the others are counted
ASKED = 4  # times the budget: so much may be opened by asking for it


class Collapse:
    """What of an outline is open.

    Attributes
    ----------
    groups
        The boxes: the closed groups, in the order of the computation.
    """

    def __init__(
        self,
        atoms: Sequence[Atom],
        *,
        depth: int | None = None,
        expand: Sequence[str] = (),
        max_boxes: int,
        max_span: int,
    ) -> None:
        self.atoms = atoms
        self.outline = outline(atoms, expand)
        asks = depth is not None or bool(expand)
        self.max_boxes, self.max_span = max_boxes, max_span
        self._shortened: dict[Group, list[Group]] = {}
        self.opened = {self.outline}
        for group in self.outline.walk():
            asked_for = bool(expand) and matches(group.path, expand)
            within_depth = depth is not None and len(group.path) < depth
            if group.kind == "scope" and (asked_for or within_depth):
                self.opened.add(group)
        if self._fits(self.opened):
            self._open_what_fits(depth, expand)
        else:
            self._shorten(ASKED if asks else 1)
        self._show_the_end()
        self.groups = sorted(self._visible(self.opened), key=lambda group: group.members[0])

    def _open_what_fits(self, depth: int | None, expand: Sequence[str]) -> None:
        """Open one group after the other, and none that is deeper than one that does not fit."""
        deepest: float = math.inf
        for group in sorted(self.outline.walk(), key=self._importance):
            is_asked = group.kind == "stage" or (group.kind == "scope" and depth is None)
            is_asked = is_asked and (not expand or _is_inside(group, expand))
            is_visible = any(group is other for other in self._visible(self.opened))
            if is_asked and group.children and is_visible and _level(group) <= deepest:
                if self._fits(self.opened | {group}):
                    self.opened.add(group)
                else:
                    deepest = _level(group)

    def _importance(self, group: Group) -> tuple[int, int, int]:
        """Outer groups first, then those that hide most."""
        hidden = sum(len(self.atoms[i].nodes) for i in group.members)
        return _level(group), -hidden, group.members[0]

    def _fits(self, opened: set[Group], times: int = 1) -> bool:
        """Whether the picture keeps within (so many times) its budget with these groups open."""
        closed = len(opened) - 1  # an open group is no box itself
        if sum(len(self._children(group)) for group in opened) - closed > self.max_boxes * times:
            return False
        groups = list(self._visible(opened))
        return _span(len(groups), self.edges(groups)) <= self.max_span * times

    def _children(self, group: Group) -> list[Group]:
        return self._shortened.get(group, group.children)

    def _visible(self, opened: set[Group]) -> Iterator[Group]:
        stack = [self.outline]
        while stack:
            group = stack.pop()
            if group in opened and group.children:
                stack += reversed(self._children(group))
            else:
                yield group

    def _shorten(self, times: int) -> None:
        """Where too much was asked for, or there are no scopes to close, close all but the end."""
        while not self._fits(self.opened, times):
            longest = max(self.opened, key=lambda group: len(self._children(group)))
            if len(self._children(longest)) <= 2:
                return
            self._keep_the_end(longest, len(self._children(longest)) // 2)

    def _show_the_end(self) -> None:
        """If the part around the root is closed, for being too large, show its last operations."""
        visible = list(self._visible(self.opened))
        last = max(visible, key=lambda group: group.members[-1])
        kept = min(len(last.children), self.max_boxes - len(visible)) - 1
        if last.kind != "stage" or len(visible) > self.max_boxes // 4:
            return
        self.opened.add(last)
        while kept > 0:
            self._keep_the_end(last, kept)
            if self._fits(self.opened):
                return
            kept //= 2
        self.opened.discard(last)

    def _keep_the_end(self, group: Group, kept: int) -> None:
        hidden = group.children[: len(group.children) - kept]
        members = [i for child in hidden for i in child.members]
        key, title = f"{group.key}/start", f"{labels.count(len(hidden))} before"
        start = Group("stage", group.path, key, title, sorted(members))
        self._shortened[group] = [start, *group.children[len(hidden) :]]

    def edges(self, groups: Sequence[Group]) -> Counter[tuple[int, int]]:
        """Count the edges of the graph between groups, by their numbers: (from, to)."""
        place = {i: number for number, group in enumerate(groups) for i in group.members}
        counts: Counter[tuple[int, int]] = Counter()
        for i, number in place.items():
            for operand, multiplicity in self.atoms[i].operands.items():
                other = place.get(operand, number)
                if other != number:
                    counts[other, number] += multiplicity
        return counts


def _level(group: Group) -> int:
    """Return how many groups are around a group."""
    return len(group.path) + (group.kind == "stage")


def _is_inside(group: Group, patterns: Sequence[str]) -> bool:
    """Whether a group is in, or is a part of, a scope that was asked for by name."""
    return any(
        matches(group.path[: len(scope_parts(pattern))], [pattern])
        and len(group.path) >= len(scope_parts(pattern))
        for pattern in patterns
    )


def _span(boxes: int, edges: Iterable[tuple[int, int]]) -> int:
    """Add up how many rows the arrows cross without stopping, each box in the first row it can."""
    parents: dict[int, list[int]] = {}
    for tail, head in edges:
        parents.setdefault(head, []).append(tail)
    row: dict[int, int] = {}
    for box in range(boxes):
        stack = [box]
        while stack:
            top = stack[-1]
            waiting = [p for p in parents.get(top, ()) if p not in row and p not in stack]
            if waiting:
                stack += waiting
            else:
                known = [row[p] for p in parents.get(top, ()) if p in row]
                row[top] = max(known, default=-1) + 1
                stack.pop()
    return sum(max(0, row[head] - row[tail] - 1) for tail, head in edges)


def collapsed_view(collapse: Collapse, root: Node, edges: Edges = "forward") -> View:
    """Draw the closed groups as boxes, and what is open as frames around them.

    With gradient edges, arrows say how small and how large the contributions along them are.
    """
    groups, atoms = collapse.groups, collapse.atoms
    place = {i: number for number, group in enumerate(groups) for i in group.members}
    leaves, owners = _leaves(groups, atoms, place)
    counts = collapse.edges(groups)
    boxes = []
    for number, group in enumerate(groups):
        outputs = _outputs(group, atoms)
        owned = [node for i in owners[number] for node in atoms[i].nodes]
        boxes.append(
            _box(group, f"g{number}", atoms, leaves[number], owned, outputs, root, edges != "forward")
        )
    arrows = [
        Arrow(f"e{tail}to{head}", f"g{tail}", f"g{head}", count, hint=_edges_hint(count))
        for (tail, head), count in sorted(counts.items())
    ]
    if edges != "forward":
        arrows += _gradients(boxes, root)
    closed = sum(box.kind == "module" for box in boxes)
    total = sum(len(box.nodes) for box in boxes)
    notes = [f"{labels.count(total)} nodes in {_boxes(len(boxes))}, {closed} of them closed"]
    return View(boxes, arrows, notes, is_exact=False)


def _gradients(boxes: Sequence[Box], root: Node) -> list[Arrow]:
    """Draw what a backward pass sends between boxes, and let them show the gradients it found."""
    place = {node: i for i, box in enumerate(boxes) for node in box.nodes}
    sent: dict[tuple[int, int], list[Any]] = {}
    found: dict[Node, Any] = {root: root.as_gradient(None)}
    for step in backward_steps(root):
        head = place[step.node]
        for contribution in step.contributions:
            parent = contribution.parent
            if parent.requires_grad:
                found[parent] = contribution.after
                if parent.parents and place[parent] != head:
                    sent.setdefault((place[parent], head), []).append(contribution.value)
    for box in boxes:
        box.rows[-1] = ("grad", labels.extent([found[n] for n in box.results if n in found]))
    return [
        Arrow(
            f"e{tail}from{head}",
            boxes[tail].key,
            boxes[head].key,
            is_gradient=True,
            label=labels.extent(values),
            hint=f"{labels.count(len(values))} contributions to gradients",
        )
        for (tail, head), values in sorted(sent.items())
    ]


def _boxes(n: int) -> str:
    return f"{n} box" if n == 1 else f"{n} boxes"


def _edges_hint(count: int) -> str:
    return f"{labels.count(count)} edge" + ("" if count == 1 else "s")


def _leaves(
    groups: Sequence[Group], atoms: Sequence[Atom], place: Mapping[int, int]
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the leaf atoms that each group uses; and those that it is the first to use."""
    used: list[list[int]] = []
    owned: list[list[int]] = []
    taken: set[int] = set()
    for group in groups:
        mine = dict.fromkeys(o for i in group.members for o in atoms[i].operands if o not in place)
        used.append(list(mine))
        owned.append([i for i in mine if i not in taken])
        taken.update(mine)
    return used, owned


def _outputs(group: Group, atoms: Sequence[Atom]) -> list[Node]:
    """Return the results of a group: the nodes of its atoms that are not used inside."""
    inside = {o for i in group.members for o in atoms[i].operands if o != i}
    ends = [i for i in group.members if i not in inside]
    return [node for i in ends for node in atoms[i].nodes]


def _box(
    group: Group,
    key: str,
    atoms: Sequence[Atom],
    leaves: Sequence[int],
    owned: Sequence[Node],
    outputs: Sequence[Node],
    root: Node,
    shows_gradients: bool,
) -> Box:
    operations = [node for i in group.members for node in atoms[i].nodes]
    nodes = [*operations, *owned]
    is_rolled = group.kind == "atom"
    first = operations[0]
    box = Box(key, "rolled" if is_rolled else "module", nodes, title=labels.short(group.title))
    box.badges = _badges(group, atoms, leaves)
    if is_rolled:
        box.frame = group.path
        many = f"×{labels.count(len(operations))}" if len(operations) > 1 else ""
        name = labels.short(labels.name(first)) if len(operations) == 1 else ""
        box.subtitle = " ".join(filter(None, (name, many, labels.shape(first.data))))
        box.hint = labels.hint(first)
    else:
        box.frame = group.path[:-1] if group.kind == "scope" else group.path
        box.subtitle = f"{group.note}  +{labels.count(len(nodes))} nodes".strip()
        scope = ".".join(group.path)
        box.hint = f"{scope or 'no scope'}: closed, {labels.count(len(operations))} operations"
        box.opens = group.key if group.children else ""
    box.rows = [("data", labels.extent([node.data for node in outputs]))]
    grads = [node.grad for node in outputs if node.has_grad]
    if grads or shows_gradients:
        box.rows.append(("grad", labels.extent(grads)))
    box.results = list(outputs)
    box.is_root = any(node is root for node in outputs)
    box.is_finite = all(map(labels.is_finite, nodes))
    return box


def _badges(group: Group, atoms: Sequence[Atom], leaves: Sequence[int]) -> list[Badge]:
    badges = []
    for i in leaves:
        first = atoms[i].nodes[0]
        if first.requires_grad or first.name:
            text = f"{labels.short(labels.base_name(first)) or 'leaf'} {_size(atoms[i].nodes)}"
            badges.append(Badge(text.strip(), is_constant=not first.requires_grad))
    uses = sum(atoms[i].operands[leaf] for i in group.members for leaf in leaves if _is_plain(leaf, atoms))
    numbers = sorted({x for i in group.members for x in atoms[i].numbers})
    if uses and len(numbers) < MANY and numbers:
        badges += [Badge(labels.number(x), is_constant=True) for x in numbers]
    elif uses:
        sizes = [_size(atoms[leaf].nodes) for leaf in leaves if _is_plain(leaf, atoms)]
        many = sizes[0] if uses == 1 else f"×{labels.count(uses)}"
        badges.append(Badge(f"const {many}".strip(), is_constant=True))
    if len(badges) > BADGES:
        named = [leaf for leaf in leaves if atoms[leaf].nodes[0].requires_grad]
        many = sum(np.size(node.data) for leaf in named for node in atoms[leaf].nodes)
        return [Badge(f"{len(named)} parameters: {labels.count(many)} numbers", is_constant=False)]
    return badges


def _is_plain(leaf: int, atoms: Sequence[Atom]) -> bool:
    """Whether a leaf is a constant without a name."""
    first = atoms[leaf].nodes[0]
    return not first.requires_grad and not first.name


def _size(nodes: Sequence[Node]) -> str:
    """Write the shape of the array that leaves are elements of, or how many they are."""
    if len(nodes) == 1:
        return labels.shape(nodes[0].data)
    indices = [_index(node.name) for node in nodes]
    if all(indices) and len({len(index) for index in indices}) == 1:
        extent = np.max(indices, axis=0) + 1
        if int(np.prod(extent)) == len(nodes):
            return "×".join(map(str, extent))
    return f"×{labels.count(len(nodes))}"


def _index(name: str) -> tuple[int, ...]:
    """Read the index in a name such as W_Q[3,5]; empty if there is none."""
    digits = name[name.rfind("[") + 1 : -1].split(",") if name.endswith("]") else []
    return tuple(map(int, digits)) if all(digit.isdecimal() for digit in digits) else ()
