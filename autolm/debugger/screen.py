"""The text that the debugger prints: the current step, its neighbors, and its place in the model.

Everything here returns text. `>` marks the current step, which has not run: the screen shows what
it will do. Columns keep their positions from step to step.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from autolm.engine.backprop import Contribution, Step
from autolm.engine.graph import Node
from autolm.engine.location import Frame
from autolm.outside.columns import folded, padded, width
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import BOLD, DIM, RED, styled
from autolm.tensor.quiet import quiet
from autolm.walking.names import MAX_NAME, Names
from autolm.walking.runner import is_within
from autolm.walking.source import is_atom
from autolm.walking.stack import StackFrame
from autolm.walking.walk import Walk
from autolm.walking.wording import (
    assignment,
    count,
    expression,
    rule,
    short,
    show,
    slope,
    symbol,
    total,
)

MAX_OPERANDS = 8  # how many operands of one step are shown
UPSTREAM_WIDTH, SLOPE_WIDTH, EXPRESSION_WIDTH = 13, 26, 45  # columns
MAX_TEXT_WIDTH = 100  # of a paragraph
MIN_TEXT_WIDTH = 24  # what a narrow line leaves for the text before a location
MIN_RULE_WIDTH = 12  # what a narrow line leaves for a rule
HOW_TO_RECORD_LINES = message(
    "to record them, set AUTOLM_LOCATIONS=1, or call set_trace() before the computation"
)


class Screen:
    """Formats a walk as text; `names` names its nodes, `call` is the stack at `backward()`."""

    def __init__(self, walk: Walk, names: Names, call: Sequence[Frame] = ()) -> None:
        self.walk, self.names, self.call = walk, names, call
        self.margin = 2 * len(str(len(walk.operations))) + 5  # "> 12/40  "
        one_of_each = {id(node.op): node for node in walk.operations}.values()
        self.operation = max([5, *(len(symbol(node)) for node in one_of_each)]) + 2

    def heading(self) -> str:
        """Return the title: the root, the number of steps and leaves, and the location."""
        root, leaves = self.walk.root, len(self.walk.leaves)
        steps = f"{_steps(len(self.walk.operations))}, {_leaves(leaves)}"
        name = self.names(root)
        what = message("backward of {name} = {value}", name=name, value=show(root.data))
        place = _line_of_frame(self.call[0]) if self.call else _location(root)
        return self._at_right(f"{padded(say(what), 30)}  {steps}", place)

    def next_step_line(self, note: str = "") -> str:
        """Return the line of the current step."""
        node, count = self.walk.next_node, len(self.walk.operations)
        if node is None:
            end = message("end of the pass: {steps} done", steps=_steps(count))
            hint = message("(rs goes back, c continues, q quits)")
            return f"{bold(f'> {say(end)}')} {say(hint)}"
        opening = self._opening(">", self.walk.position, node)
        room = terminal_width() - len(opening) - 2
        notes = [
            f"{note}  {_scope_and_line(node)}".rstrip(),
            f"{note}  {_location(node)}".rstrip(),
            note,
        ]
        fitting = (text for text in notes if len(text) <= room)
        return bold(self._at_right(opening, next(fitting, note) if note else _scope_and_line(node)))

    def arithmetic(self) -> list[str]:
        """Return a line for the contribution to each operand, and mark those already sent."""
        step = self.walk.preview()
        if step is None:
            return []
        contributions, done = step.contributions, self._done(step)
        first = max(0, min(len(done) - MAX_OPERANDS // 2, len(contributions) - MAX_OPERANDS))
        operands = range(first, min(first + MAX_OPERANDS, len(contributions)))
        scalar = any(contribution.local is not None for contribution in contributions)
        lines = self._of_values(step, operands) if scalar else self._of_arrays(step, operands)
        offset = len(lines) - len(operands)  # arrays have a line for ḡ
        for operand in operands:
            if operand in done:
                lines[operand - first + offset] += f"   {say(message('sent'))}"
        more = len(contributions) - len(operands)
        if more:
            rest = say(message("… and {count} more operands", count=count(more)))
            lines.append(f"{'':{self.margin}}{rest}")
        return lines

    def _done(self, step: Step) -> list[int]:
        """List the operands whose contributions have been sent already."""
        takes = [i for i, parent in enumerate(step.node.parents) if parent.requires_grad]
        return takes[: self.walk.edge]

    def _opening(self, mark: str, index: int, node: Node) -> str:
        number = f"{index + 1}/{len(self.walk.operations)}"
        text = assignment(node, self.names.short)
        if node in self.walk.overridden:
            text += say(message(", but set to {value}", value=total(node.data)))
        return f"{mark} {number:>{self.margin - 4}}  {symbol(node):{self.operation}}{text}"

    def _of_values(self, step: Step, operands: Sequence[int]) -> list[str]:
        width = terminal_width() - self.margin
        rows = self._rows_of_values(step, operands)
        lines = aligned(rows, (UPSTREAM_WIDTH, SLOPE_WIDTH, 0), "")
        if max(map(len, lines)) > width:
            lines = aligned(rows, (0, 0, 0), "")
        if max(map(len, lines)) > width:
            lines = aligned(
                _shorten_rows(self._rows_of_values(step, operands, in_words=False)), (0, 0, 0), ""
            )
        return [f"{'':{self.margin}}{line}" for line in lines]

    def _rows_of_values(
        self, step: Step, operands: Sequence[int], *, in_words: bool = True
    ) -> list[list[str]]:
        rows = []
        for i in operands:
            contribution = step.contributions[i]
            upstream = "" if i > operands[0] else f"ḡ = {show(step.upstream)}"
            name = self.names(contribution.parent)
            if not contribution.parent.requires_grad:
                rows.append([upstream, say(message("{name} is a constant", name=name)), ""])
                continue
            of = self.names(step.node) if len(step.contributions) == 1 else ""
            words = slope(step.node, i, self._as_computed(step.node)) if in_words else ""
            terms = dict.fromkeys(
                filter(None, (_derivative(of, name), words, show(contribution.local)))
            )
            rows.append([upstream, " = ".join(terms), self._grad_change(contribution)])
        return rows

    def _as_computed(self, node: Node) -> Callable[[Node], str]:
        """Name nodes for a local gradient; a result that was set is named by its expression."""
        if node not in self.walk.overridden:
            return self.names
        computed = expression(node, self.names)
        return lambda other: computed if other is node else self.names(other)

    def _of_arrays(self, step: Step, operands: Sequence[int]) -> list[str]:
        rows = [["ḡ", "", *_array_columns(step.upstream), ""]]
        for i in operands:
            contribution = step.contributions[i]
            name = self.names(contribution.parent)
            if contribution.parent.requires_grad:
                rule_text = rule(step.node, i)
                rows.append(
                    [
                        f"→ {name}",
                        rule_text,
                        *_array_columns(contribution.value),
                        self._grad_change(contribution),
                    ]
                )
            else:
                rows.append([f"→ {name}", say(message("a constant")), "", "", "", ""])
        width = terminal_width() - self.margin
        return [f"{'':{self.margin}}{line}" for line in _fit_array_rows(rows, width)]

    def _grad_change(self, contribution: Contribution) -> str:
        """Format the change of the parent's `.grad`, including the sum of earlier passes."""
        before, after = contribution.before, contribution.after
        earlier = self.walk.grad_before_pass(contribution.parent)
        if earlier is not None:
            with quiet():
                before = earlier if before is None else earlier + before
                after = earlier + after
        name = self.names.short(contribution.parent)
        grad = f"{name}.grad" if is_atom(name) else "grad"
        change = f"{grad}: {total(before)} → {total(after)}"
        if before is None or contribution.local is None:
            return change
        return f"{change}   (+ {show(contribution.value)})".replace("+ −", "− ")

    def list(self, indices: Iterable[int]) -> str:
        """List steps, one per line; steps that have not run are dim."""
        lines = []
        for index in indices:
            node = self.walk.operations[index]
            mark = ">" if index == self.walk.position else " "
            line = self._at_right(self._opening(mark, index, node), _scope_and_line(node))
            done = index < self.walk.position
            lines.append(bold(line) if mark == ">" else line if done else dim(line))
        return "\n".join(lines)

    def where(self, scopes: Sequence[str], selected: int, frames: Sequence[StackFrame]) -> str:
        """List the calls of the program, and the scopes around a step with their steps."""
        entered = {
            frame_entered.name: frame_entered.place
            for frame_entered in frames[1:]
            if frame_entered.name == frame_entered.scope
        }
        rows = []
        for frame in self.call[::-1]:
            rows.append((f"  {frame.function}", "", _line_of_frame(frame)))
        for depth, scope in enumerate(scopes):
            mark = ">" if depth == selected else " "
            name = short(scope, MAX_NAME) or say(message("the whole graph"))
            operations = enumerate(self.walk.operations, 1)
            inside = [number for number, node in operations if is_within(node.scope, scope)]
            span = f"{_steps(len(inside))}, {inside[0]} … {inside[-1]}" if inside else ""
            rows.append((f"{mark} {'  ' * depth}{name}", span, _line_of_frame(entered.get(scope))))
        return "\n".join(aligned(rows))

    def _at_right(self, text: str, right: str) -> str:
        """Put a location in its column; in a narrow terminal, move it left and cut the text."""
        room = max(MIN_TEXT_WIDTH, terminal_width() - (len(right) + 2 if right else 0))
        if len(text) > room:
            text = f"{text[: room - 1]}…"
        column = min(self.margin + self.operation + EXPRESSION_WIDTH, room)
        return f"{padded(text, column)}  {right}" if right else text


def aligned(
    rows: Sequence[Sequence[str]], least: Sequence[int] | None = None, between: str = "   "
) -> list[str]:
    """Pad cells to columns; `least` has the minimum width of each."""
    columns = zip(least or repeat(0), zip(*rows, strict=True), strict=False)
    space = 0 if between else 2
    widths = [max(least, *(width(cell) + space for cell in column)) for least, column in columns]
    filled = ([padded(c, w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return [between.join(cells).rstrip() for cells in filled]


def _fit_array_rows(rows: list[list[str]], width: int) -> list[str]:
    """Align rows of arrays; if they are too wide, omit numbers, cut rules, then omit names."""
    if max(map(len, aligned(rows))) > width:
        rows = [[*row[:4], *row[5:]] for row in rows]
    excess = max(map(len, aligned(rows))) - width
    room = max(MIN_RULE_WIDTH, max(len(row[1]) for row in rows) - max(0, excess))
    for row in rows:
        row[1] = row[1] if len(row[1]) <= room else f"{row[1][: room - 1]}…"
    return aligned(rows if max(map(len, aligned(rows))) <= width else _shorten_rows(rows))


def _shorten_rows(rows: list[list[str]]) -> list[list[str]]:
    """Omit from each gradient change what the row shows already: the node and the contribution."""
    changes = (row[-1].rpartition("grad: ")[2].partition("   (")[0] for row in rows)
    return [[*row[:-1], sums and f"grad: {sums}"] for row, sums in zip(rows, changes, strict=True)]


def _derivative(y: str, x: str) -> str:
    """Write ∂y/∂x, with parentheses around an expression that is not a name."""
    y, x = (name if not name or is_atom(name) else f"({name})" for name in (y, x))
    return f"∂{y}/∂{x}"


def definition_list(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Format terms with their meanings, folded to the width of the terminal."""
    column = max(len(term) for term, _ in rows) + 5
    room = max(MIN_TEXT_WIDTH, min(terminal_width(), MAX_TEXT_WIDTH) - column)
    lines = []
    for term, meaning in rows:
        first, *rest = folded(meaning, room)
        lines += [f"  {term:{column - 2}}{first}", *(f"{'':{column}}{line}" for line in rest)]
    return lines


def _array_columns(array: Any) -> tuple[str, str, str]:
    """Split the text of an array into shape, norm and peek, for columns."""
    if array.shape == ():
        return "", show(array), ""
    shape, length, peek = show(array).split(" ", 2)
    return shape, length, peek


def terminal_width() -> int:
    """Return the width of the terminal in characters; without a terminal, 200."""
    return shutil.get_terminal_size((200, 24)).columns


def _location(node: Node) -> str:
    return _line_of_frame(node.location.user if node.location else None)


def _line_of_frame(frame: Frame | None) -> str:
    return f"{Path(frame.path).name}:{frame.line}" if frame else ""


def _scope_and_line(node: Node) -> str:
    return "  ".join(filter(None, (short(node.scope, MAX_NAME), _location(node))))


def _steps(n: int) -> str:
    return say(message("1 step") if n == 1 else message("{count} steps", count=count(n)))


def _leaves(n: int) -> str:
    return say(message("1 leaf") if n == 1 else message("{count} leaves", count=count(n)))


def bold(text: str) -> str:
    """Make text bold, on a terminal."""
    return _on_terminal(text, BOLD)


def dim(text: str) -> str:
    """Make text dim, on a terminal."""
    return _on_terminal(text, DIM)


def red(text: str) -> str:
    """Make text red, on a terminal."""
    return _on_terminal(text, RED)


def _on_terminal(text: str, style: int) -> str:
    """Style text on a terminal, unless NO_COLOR (no-color.org) or TERM forbids it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return styled(text, style)
