"""Collapse a graph into a picture that can be read: open what matters, close the rest, count it.

The outline of the graph is opened from the outside in, as long as the picture keeps within its
budget: so many boxes, and so long arrows, counted in the rows that they cross (it is the long ones
that a reader cannot follow, and that a layout takes its time for). What was asked for by name or by
depth is opened first; `collapsed.py` draws the result.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from autolm.drawing.atoms import Atom
from autolm.drawing.outline import Group, is_inside, leads_to, outline
from autolm.walking import wording

ASKED = 4  # times the budget: so much may be opened by asking for it


class Collapse:
    """What of an outline, or of a part of one, is open.

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
        part: Group | None = None,
        max_boxes: int,
        max_span: int,
    ) -> None:
        self.atoms = atoms
        self.outline = part or outline(atoms, expand)
        asks = depth is not None or bool(expand)
        self.max_boxes, self.max_span = max_boxes, max_span
        self._shortened: dict[Group, list[Group]] = {}
        self.opened = {self.outline}
        for group in self.outline.walk():
            asked_for = bool(expand) and leads_to(group.path, expand)
            within_depth = depth is not None and len(group.path) <= depth
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
            is_asked = is_asked and (not expand or is_inside(group.path, expand))
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
    """Return how many groups are around a group."""
    return len(group.path) + (group.kind == "stage")


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
