"""Choose which groups of a large graph are expanded in a picture, within a budget.

The budget limits the number of boxes and the total length of the arrows, in rows that they cross.
Groups are expanded from the outside in, those that the user names first; `collapsed.py` draws the
result.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from autolm.drawing.atoms import Atom
from autolm.drawing.outline import Group, is_inside, leads_to, outline
from autolm.walking import wording

REQUEST_FACTOR = 4  # the budget of what a user asks for, relative to the usual budget


class Collapse:
    """An outline, or a part of one, with some groups expanded.

    Attributes
    ----------
    groups
        The collapsed groups, which are the boxes, in the order of the computation.
    """

    def __init__(
        self,
        atoms: Sequence[Atom],
        *,
        depth: int | None = None,
        expand: Sequence[str] = (),
        part: Group | None = None,
        max_boxes: int,
        max_span: int,
    ) -> None:
        self.atoms = atoms
        self.outline = part or outline(atoms, expand)
        is_requested = depth is not None or bool(expand)
        self.max_boxes, self.max_span = max_boxes, max_span
        self._shortened: dict[Group, list[Group]] = {}
        self.expanded = {self.outline}
        for group in self.outline.walk():
            is_named = bool(expand) and leads_to(group.path, expand)
            within_depth = depth is not None and len(group.path) <= depth
            if group.kind == "scope" and (is_named or within_depth):
                self.expanded.add(group)
        if self._fits(self.expanded):
            self._expand_within_budget(depth, expand)
        else:
            self._shorten(REQUEST_FACTOR if is_requested else 1)
        self._show_end()
        self.groups = sorted(self._visible(self.expanded), key=lambda group: group.members[0])

    def _expand_within_budget(self, depth: int | None, expand: Sequence[str]) -> None:
        """Expand group after group, but none that is deeper than one that does not fit."""
        deepest: float = math.inf
        for group in sorted(self.outline.walk(), key=self._importance):
            is_eligible = group.kind == "stage" or (group.kind == "scope" and depth is None)
            is_eligible = is_eligible and (not expand or is_inside(group.path, expand))
            is_visible = any(group is other for other in self._visible(self.expanded))
            if is_eligible and group.children and is_visible and _level(group) <= deepest:
                if self._fits(self.expanded | {group}):
                    self.expanded.add(group)
                else:
                    deepest = _level(group)

    def _importance(self, group: Group) -> tuple[int, int, int]:
        """Return the sort key of a group: outer groups first, then those that hide most."""
        hidden = sum(len(self.atoms[i].nodes) for i in group.members)
        return _level(group), -hidden, group.members[0]

    def _fits(self, expanded: set[Group], factor: int = 1) -> bool:
        """Whether the picture is within its budget, times a factor, with these groups expanded."""
        closed = len(expanded) - 1  # an expanded group is not a box
        if sum(len(self._children(group)) for group in expanded) - closed > self.max_boxes * factor:
            return False
        groups = list(self._visible(expanded))
        return _span(len(groups), self.edges(groups)) <= self.max_span * factor

    def _children(self, group: Group) -> list[Group]:
        return self._shortened.get(group, group.children)

    def _visible(self, expanded: set[Group]) -> Iterator[Group]:
        stack = [self.outline]
        while stack:
            group = stack.pop()
            if group in expanded and group.children:
                stack += reversed(self._children(group))
            else:
                yield group

    def _shorten(self, factor: int) -> None:
        """Collapse all but the end of the longest groups until the picture is within its budget."""
        while not self._fits(self.expanded, factor):
            longest = max(self.expanded, key=lambda group: len(self._children(group)))
            if len(self._children(longest)) <= 2:
                return
            self._show_last(longest, len(self._children(longest)) // 2)

    def _show_end(self) -> None:
        """If the part around the root is collapsed, because it is too large, show its end."""
        visible = list(self._visible(self.expanded))
        last = max(visible, key=lambda group: group.members[-1])
        count = min(len(last.children), self.max_boxes - len(visible)) - 1
        if last.kind != "stage" or len(visible) > self.max_boxes // 4:
            return
        self.expanded.add(last)
        while count > 0:
            self._show_last(last, count)
            if self._fits(self.expanded):
                return
            count //= 2
        self.expanded.discard(last)

    def _show_last(self, group: Group, count: int) -> None:
        """Collapse all children of a group but the last ones."""
        hidden = group.children[: len(group.children) - count]
        members = [i for child in hidden for i in child.members]
        key, title = f"{group.key}/start", f"{wording.count(len(hidden))} before"
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
    """Return the number of groups that enclose a group."""
    return len(group.path) + (group.kind == "stage")


def _span(boxes: int, edges: Iterable[tuple[int, int]]) -> int:
    """Return the number of rows that the arrows cross, with each box in the first possible row."""
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
                rows_above = [row[p] for p in parents.get(top, ()) if p in row]
                row[top] = max(rows_above, default=-1) + 1
                stack.pop()
    return sum(max(0, row[head] - row[tail] - 1) for tail, head in edges)
