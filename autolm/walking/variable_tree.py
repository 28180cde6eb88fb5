"""A lazy tree of a pass, its nodes and the program's variables, for variables panes.

The children of an item are computed when it is opened, and only the requested range of an array.
So the cost depends on what is on the screen, not on the size of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from autolm.engine.graph import Node
from autolm.tensor.nodes import known_node
from autolm.walking.array_adapter import adapter_of, is_array
from autolm.walking.names import Names
from autolm.walking.source import is_atom
from autolm.walking.tokens import Tokens
from autolm.walking.walk import Walk
from autolm.walking.wording import NOT_COMPUTED, assignment, peek, rule, show, total

MAX_TEXT = 200  # characters of a value


@dataclass(frozen=True)
class VariableItem:
    """One line of the tree.

    Attributes
    ----------
    name, text, kind
        Its name, its value as text, and its type.
    expression
        An expression that evaluates to it; empty if there is no short one.
    node
        The node that this item is, or whose data it shows, so that it can be set; else None.
    index
        The index within the node's data, if this is a part of it.
    size
        The number of indexed children, rows or elements; 0 if the children have names.
    inside
        Computes the children in a range; None for a leaf of the tree.
    """

    name: str
    text: str
    kind: str = ""
    expression: str = ""
    node: Node | None = None
    index: tuple[int, ...] = ()
    size: int = 0
    inside: Callable[[int, int | None], Iterable[VariableItem]] | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether it has no children."""
        return self.inside is None

    def children(self, start: int = 0, count: int | None = None) -> list[VariableItem]:
        """Return `count` children from `start` on; by default all."""
        if self.inside is None:
            return []
        return list(self.inside(start, None if count is None else start + count))


class VariableTree:
    """Build the items that a front end shows at the position of a walk.

    Parameters
    ----------
    walk, names
        The pass, and the names of its nodes.
    tokens
        The tokens that label rows, if they are known.
    """

    def __init__(self, walk: Walk, names: Names, tokens: Tokens | None = None) -> None:
        self.walk, self.names = walk, names
        self.tokens = Tokens((), {}) if tokens is None else tokens

    def step(self) -> VariableItem:
        """Describe the next step."""
        return _branch("Step", self._of_step)

    def operands(self) -> VariableItem:
        """Describe the operands of the next step."""
        node = self.walk.next_node
        return _branch("Operands", lambda: self.nodes(() if node is None else node.parents))

    def leaves(self) -> VariableItem:
        """Describe the leaves that require gradients."""
        leaves = [n for n in self.names.numbers if not n.parents and n.requires_grad]
        return _branch("Leaves", lambda: self.nodes(leaves))

    def program(self, variables: Mapping[str, Any]) -> VariableItem:
        """Describe the variables of the program, without modules, classes and functions."""
        hidden = ModuleType | type | FunctionType
        variables_shown = {
            name: value
            for name, value in variables.items()
            if not name.startswith("__") and not isinstance(value, hidden)
        }
        return _branch("Program", lambda: [self.value(n, v, n) for n, v in variables_shown.items()])

    def nodes(self, nodes: Iterable[Node]) -> list[VariableItem]:
        """Describe several nodes, each once."""
        return [self.node(node) for node in dict.fromkeys(nodes)]

    def node(self, node: Node, name: str = "", expression: str = "") -> VariableItem:
        """Describe a node: its data, its gradient with the contributions, and its operation."""
        name = name or self.names(node)
        nodes = self.names.nodes_named(name)
        expression = expression or (name if len(nodes) == 1 and nodes[0] is node else "")
        text = f"{show(node.data)}   grad {self._gradient(node)}"
        return VariableItem(
            name,
            text,
            type(node).__name__,
            expression,
            node,
            inside=_lines(partial(self._of_node, node, expression)),
        )

    def _gradient(self, node: Node) -> str:
        try:
            self.walk.restore_grad(node)
        except RuntimeError as error:  # a rule that is not deterministic
            return f"? {error}"
        return show(node.grad if node.has_grad else None)

    def value(self, name: str, value: Any, expression: str = "") -> VariableItem:
        """Describe anything: a node, an array, a list, a dictionary, an object."""
        node = value if isinstance(value, Node) else known_node(value)
        if node is not None:
            return self.node(node, name, expression)
        if is_array(value):
            return self._array(name, value, expression)
        kind, text = type(value).__name__, _repr_of(value)
        if isinstance(value, dict):
            pairs = [(f"[{key!r}]", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            return VariableItem(
                name,
                text,
                kind,
                expression,
                size=len(value),
                inside=lambda start, end: [
                    self.value(f"[{i}]", item, expression and f"{expression}[{i}]")
                    for i, item in enumerate(value[start:end], start)
                ],
            )
        else:
            plain = type(value).__module__ in ("builtins", "numpy") or callable(value)
            attributes = {} if plain else getattr(value, "__dict__", {})
            pairs = [(f".{key}", item) for key, item in attributes.items()]
        if not pairs:
            return VariableItem(name, text, kind, expression)
        inside = _lines(
            lambda: [
                self.value(key.lstrip("."), item, expression and f"{expression}{key}")
                for key, item in pairs
            ]
        )
        return VariableItem(name, text, kind, expression, inside=inside)

    def _array(
        self,
        name: str,
        array: Any,
        expression: str,
        node: Node | None = None,
        index: tuple[int, ...] = (),
    ) -> VariableItem:
        """Describe an array by its rows, each labelled by its token, and a row by its elements."""

        def rows(start: int, end: int | None) -> Iterable[VariableItem]:
            data = array if node is None else node.data[index]  # read again: it may have been set
            for i in range(len(data))[start:end]:
                place = (*index, i)
                part = f"{expression}[{', '.join(map(str, place))}]" if expression else ""
                title = f"[{i}]"
                if node is not None and self.tokens.axes.get(node) == len(index):
                    title = f"[{i}] ‘{self.tokens.texts[i]}’"
                if array.ndim > 1:
                    yield self._array(title, data[i], expression, node, place)
                else:
                    yield VariableItem(title, peek(data[i]), str(data.dtype), part, node, place)

        part = f"{expression}[{', '.join(map(str, index))}]" if expression and index else expression
        return VariableItem(
            name, show(array), f"{array.dtype} array", part, node, index, len(array), rows
        )

    def _data(self, node: Node, expression: str) -> VariableItem:
        if adapter_of(node.data).shape:
            return self._array("data", node.data, expression, node)
        return VariableItem("data", repr(node.data), type(node.data).__name__, expression, node)

    def _of_node(self, node: Node, expression: str) -> list[VariableItem]:
        owner = expression and (expression if is_atom(expression) else f"({expression})")
        rows = [self._data(node, owner and f"{owner}.data")]
        if node.has_grad:
            rows.append(self.value("grad", node.grad, owner and f"{owner}.grad"))
        else:
            rows.append(VariableItem("grad", f"{NOT_COMPUTED}   nothing has arrived yet"))
        for use in self.walk.uses(node):
            rows.append(
                VariableItem(f"from {self.names(use.consumer)}", f"{show(use.value)}   {use.rule}")
            )
        if node.op is not None:
            rows.append(VariableItem("made by", assignment(node, self.names.short)))
            rows += [VariableItem("formula", node.op.formula)] if node.op.formula else []
        rows += [VariableItem("scope", node.scope)] if node.scope else []
        return rows + ([VariableItem("location", str(node.location))] if node.location else [])

    def _of_step(self) -> list[VariableItem]:
        step, steps = self.walk.preview(), len(self.walk.operations)
        if step is None:
            return [VariableItem("the pass", f"has ended: {steps} steps are done")]
        node, op = step.node, step.node.op
        formula = f": {op.formula}" if op.formula else ""
        rows = [
            VariableItem("step", f"{step.index + 1} of {steps}"),
            self.node(node, "node", "node"),
            VariableItem("operation", f"{op.name}{formula}"),
            self.value("ḡ", step.upstream, "up"),
        ]
        sent_count = 0
        for operand, contribution in enumerate(step.contributions):
            name = f"→ {self.names(contribution.parent)}"
            if not contribution.parent.requires_grad:
                rows.append(VariableItem(name, "a constant"))
                continue
            product = (
                ""
                if contribution.local is None
                else f"{show(step.upstream)} × {show(contribution.local)} = "
            )
            words = f"{rule(node, operand)}: " if rule(node, operand) else ""
            change = f"grad {total(contribution.before)} → {total(contribution.after)}"
            sent_note = "   (sent)" if sent_count < self.walk.edge else ""
            sent_count += 1
            rows.append(
                VariableItem(
                    name, f"{words}{product}{show(contribution.value)}   {change}{sent_note}"
                )
            )
        return rows


def _branch(name: str, inside: Callable[[], Sequence[VariableItem]]) -> VariableItem:
    return VariableItem(name, "", inside=_lines(inside))


def _lines(
    inside: Callable[[], Sequence[VariableItem]],
) -> Callable[[int, int | None], Sequence[VariableItem]]:
    return lambda start, end: inside()[start:end]


def _repr_of(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # the repr of any class may raise
        text = f"<{type(value).__name__}: its repr raises {type(error).__name__}>"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
