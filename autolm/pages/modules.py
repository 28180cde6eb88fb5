"""The moments of a large graph: one step per module, which can be expanded.

The contributions of one backward pass are summarised by atom: their count, minimum and maximum.
Each picture combines the summaries of the atoms in its boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from autolm.drawing.atoms import Atom
from autolm.drawing.collapsed import operations_and_their_leaves
from autolm.drawing.gradients import backward_steps
from autolm.drawing.outline import Group
from autolm.drawing.view import Box, View
from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.pages.matrices import Matrices
from autolm.pages.playback import (
    MAX_OPERANDS,
    Moment,
    Words,
    arrows_between,
    backward_lines,
    forward_lines,
)
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of


@dataclass
class Extent:
    """A summary of numbers or arrays: count, minimum and maximum."""

    count: int = 0
    low: float = np.inf
    high: float = -np.inf
    first: Any = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Extent:
        """Summarise floats or arrays; empty arrays do not count."""
        values = [value for value in values if isinstance(value, float) or adapter_of(value).size]
        if not values:
            return cls()
        if all(isinstance(value, float) for value in values):
            array: Any = np.array(values)
        else:
            array = np.array([adapter_of(value).extent() for value in values])
        return cls(len(values), float(array.min()), float(array.max()), values[0])

    def merge(self, other: Extent) -> None:
        """Add the values of another summary."""
        if not self.count:
            self.first = other.first
        self.count += other.count
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)

    def is_finite(self) -> bool:
        """Whether all numbers are finite."""
        return bool(np.isfinite([self.low, self.high]).all())

    def __str__(self) -> str:
        if not self.count:
            return wording.NOT_COMPUTED
        if self.count == 1:
            return wording.peek(self.first)
        if self.low == self.high:
            return wording.number(self.low)
        return f"{wording.number(self.low)} … {wording.number(self.high)}"


@dataclass
class AtomPass:
    """A backward pass by atom.

    Attributes
    ----------
    contributions, gradients
        The contributions from atom to atom, and the gradients of each atom.
    first, last
        The first step of each atom, and the index of its last step.
    """

    contributions: dict[tuple[int, int], Extent]
    gradients: list[Extent]
    first: dict[int, Step]
    last: dict[int, int]


def walk_atoms(root: Node, atoms: Sequence[Atom], place: Mapping[Node, int]) -> AtomPass:
    """Do a backward pass, and summarise it by atom."""
    contributions: dict[tuple[int, int], list[Any]] = {}
    gradients: list[list[Any]] = [[] for _ in atoms]
    first: dict[int, Step] = {}
    last: dict[int, int] = {}
    leaves: dict[Node, Any] = {}
    for step in backward_steps(root):
        head = place[step.node]
        first.setdefault(head, step)
        last[head] = step.index
        gradients[head].append(step.upstream)
        for parent, _, value, _, after in step.contributions:
            if after is not None:
                contributions.setdefault((place[parent], head), []).append(value)
                if not parent.parents:
                    leaves[parent] = after
    for leaf, gradient in leaves.items():
        gradients[place[leaf]].append(gradient)
    return AtomPass(
        {key: Extent.of(values) for key, values in contributions.items()},
        [Extent.of(values) if values else Extent() for values in gradients],
        first,
        last,
    )


def module_moments(
    view: View,
    groups: Sequence[Group],
    atoms: Sequence[Atom],
    done: AtomPass,
    root: Node,
    blamed: Set[Node],
    words: Words,
    matrices: Matrices | None,
) -> list[Moment]:
    """Return the moments of a collapsed picture: one per box and direction."""
    boxes = view.boxes[: len(groups)]
    played = [Moment("start", "The leaves are given.", ["Press → for the first part."])]
    played += [
        _forward(box, group, atoms, view, words, blamed)
        for box, group in zip(boxes, groups, strict=True)
    ]
    backward = [
        _backward(number, groups, view, atoms, done, words)
        for number in reversed(range(len(groups)))
    ]
    begins_here = any(box.is_root for box in boxes)
    name = wording.label(root)
    seed = wording.peek(root.as_gradient(None))
    title = f"The pass begins at the result: {wording.grad_of(name)} = {seed}"
    arriving = "What uses this part sends it the gradient of its result."
    start = Moment("backward", title if begins_here else arriving)
    start.box = next((box.key for box in boxes if box.is_root), boxes[-1].key)
    played += [start, *(moment for moment in backward if moment)]
    _write_gradients(played, boxes, groups, done, atoms)
    _note_what_is_done(played, boxes, groups, atoms, done, matrices)
    return played


def _note_what_is_done(
    played: Sequence[Moment],
    boxes: Sequence[Box],
    groups: Sequence[Group],
    atoms: Sequence[Atom],
    done: AtomPass,
    matrices: Matrices | None,
) -> None:
    """Note at each moment the matrices in view, and how far the engine's pass has come by then."""
    members = {box.key: group.members for box, group in zip(boxes, groups, strict=True)}
    steps = 0
    if matrices:
        everything = (node for group in groups for i in group.members for node in atoms[i].nodes)
        played[0].matrices = matrices.leaves_of(everything)
    for moment in played[1:]:
        inside = members.get(moment.box, [])
        if matrices:
            moment.matrices = matrices.of(node for i in inside for node in atoms[i].nodes)
        if moment.phase == "backward":
            if moment.lines:
                steps = max([steps, *(done.last[i] + 1 for i in inside if i in done.last)])
            moment.steps = steps


def _forward(
    box: Box,
    group: Group,
    atoms: Sequence[Atom],
    view: View,
    words: Words,
    blamed: Set[Node],
) -> Moment:
    operations = sum(len(atoms[i].nodes) for i in group.members)
    moment = Moment("forward", _title(box, group), box=box.key)
    result = wording.extent([node.data for node in box.results])
    moment.lines = [f"{wording.count(operations)} operations → {result}"]
    if group.kind == "atom":
        written_out = forward_lines(atoms[group.members[0]].nodes[0], words)
        one_of_many = [f"one of the {wording.count(operations)}:", *(f"  {x}" for x in written_out)]
        moment.lines = written_out if operations == 1 else [*moment.lines, *one_of_many]
    moment.arrows = arrows_between(view.arrows, box.key, into=True)
    moment.writes = {box.key: {"data": result}}
    moment.alarms = (
        [] if blamed.isdisjoint(operations_and_their_leaves(group, atoms)) else [box.key]
    )
    return moment


def _backward(
    number: int,
    groups: Sequence[Group],
    view: View,
    atoms: Sequence[Atom],
    done: AtomPass,
    words: Words,
) -> Moment | None:
    """Tell what a part sends, to other parts and to its leaves; None where no gradient arrives."""
    group, box = groups[number], view.boxes[number]
    inside = set(group.members)
    place = {i: other for other, part in enumerate(groups) for i in part.members}
    to_parts: dict[int, Extent] = {}
    to_outside, lines = Extent(), list[str]()
    for i in group.members:
        for operand in atoms[i].operands:
            extent = done.contributions.get((operand, i))
            if extent is None or operand in inside:
                continue
            if atoms[operand].is_leaf:
                first = atoms[operand].nodes[0]
                name = wording.short(wording.base_name(first)) or "leaves"
                lines.append(f"→ {wording.grad_of(name)}: {done.gradients[operand]}")
            elif operand in place:
                to_parts.setdefault(place[operand], Extent()).merge(extent)
            else:
                to_outside.merge(extent)
    arrived = _merged(done.gradients[i] for i in _results(group, atoms))
    if not arrived.count:
        return None
    moment = Moment("backward", _title(box, group), [f"ḡ arrives: {arrived}"], box.key)
    moment.arrows = arrows_between(view.arrows, box.key, into=True)
    step = done.first.get(group.members[0])
    if step is not None and len(box.results) == len(group.members) == 1:
        moment.lines = backward_lines(step, words)
        return moment
    moment.lines += _sample(group, atoms, done, words)
    for other, extent in to_parts.items():
        moment.lines.append(f"→ {view.boxes[other].title}: {_contributions(extent)}")
    if to_outside.count:
        moment.lines.append(f"→ before this part: {_contributions(to_outside)}")
    moment.lines += list(dict.fromkeys(lines))[: MAX_OPERANDS + 4]
    return moment


def _write_gradients(
    played: Sequence[Moment],
    boxes: Sequence[Box],
    groups: Sequence[Group],
    done: AtomPass,
    atoms: Sequence[Atom],
) -> None:
    """Write the gradient of a box where the last part that adds to it is done."""
    backward = [moment for moment in played if moment.phase == "backward"]
    position = {moment.box: number for number, moment in enumerate(backward)}
    keys = {i: box.key for box, group in zip(boxes, groups, strict=True) for i in group.members}
    for box, group in zip(boxes, groups, strict=True):
        results = _results(group, atoms)
        arrived = _merged(done.gradients[i] for i in results)
        users = [head for tail, head in done.contributions if tail in results and head in keys]
        last = max((position.get(keys[head], 0) for head in users), default=0)
        if arrived.count:
            backward[last].writes.setdefault(box.key, {})["grad"] = str(arrived)
            backward[last].alarms += [] if arrived.is_finite() else [box.key]


def _sample(group: Group, atoms: Sequence[Atom], done: AtomPass, words: Words) -> list[str]:
    """Write out the arithmetic of the first done, of many operations that are alike."""
    step = done.first.get(group.members[0])
    if group.kind != "atom" or step is None:
        return []
    many = wording.count(len(atoms[group.members[0]].nodes))
    return [f"one of the {many}:", *(f"  {line}" for line in backward_lines(step, words, most=2))]


def _results(group: Group, atoms: Sequence[Atom]) -> set[int]:
    inside = {o for i in group.members for o in atoms[i].operands if o != i}
    return {i for i in group.members if i not in inside}


def _merged(extents: Iterable[Extent]) -> Extent:
    merged = Extent()
    for extent in extents:
        merged.merge(extent)
    return merged


def _contributions(extent: Extent) -> str:
    many = "1 contribution" if extent.count == 1 else f"{wording.count(extent.count)} contributions"
    return f"{many}, {extent}"


def _title(box: Box, group: Group) -> str:
    scope = ".".join(group.path)
    if group.kind == "scope":
        return scope
    subtitle = box.subtitle if group.kind == "atom" else ""
    return "  ".join(filter(None, (scope, f"{box.title} {subtitle}".strip())))
