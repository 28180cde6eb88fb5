"""What the nodes of one graph are called at the prompt, and which node a typed word means.

A node goes by its own name; without one by the variable of the program that holds it; without
either by the number of its step, `#12`. Leaves are numbered after the last step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from autolm.engine.graph import Node
from autolm.walking import wording as step


class Names:
    """The names of the nodes of a walk; called with a node, it gives the name to show.

    Parameters
    ----------
    operations
        The nodes that the pass visits, in its order.
    variables
        Names and what they hold, from the program around; nodes without a name are called so.
    """

    def __init__(self, operations: Sequence[Node], variables: Mapping[str, Any]) -> None:
        self.operations = operations
        self._variables = {
            value: name
            for name, value in variables.items()
            if isinstance(value, Node) and not name.startswith("_")
        }

    def __call__(self, node: Node) -> str:
        """Return the short name of a node: a parameter without the path that is its scope."""
        if node.name:
            return step.label(node)
        if node in self._variables:
            return self._variables[node]
        if not node.parents and not node.requires_grad:
            return step.label(node)
        return f"#{self.numbers[node] + 1}" if node in self.numbers else step.label(node)

    def in_full(self, node: Node) -> str:
        """Return the name of a node with the path of its scope."""
        return node.name or self(node)

    @cached_property
    def numbers(self) -> dict[Node, int]:
        """Number every node from 0: operations in the order of the pass, then leaves."""
        nodes = dict.fromkeys(self.operations)
        nodes.update(dict.fromkeys(p for node in self.operations for p in node.parents))
        return {node: number for number, node in enumerate(nodes)}

    @cached_property
    def by_name(self) -> dict[str, list[Node]]:
        """List the nodes of each name, long or short."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.numbers:
            names = {node.name, step.label(node)} if node.name else {self._variables.get(node, "")}
            for name in names - {""}:
                found[name].append(node)
        return dict(found)

    def find(self, text: str, near: Node | None = None) -> Node:
        """Return the node that a name or #number means; of several, one in the scope of `near`.

        Raises
        ------
        ValueError
            When there is none, or there are several.
        """
        if text.startswith("#") and text[1:].isdigit():
            nodes = list(self.numbers)
            if 1 <= int(text[1:]) <= len(nodes):
                return nodes[int(text[1:]) - 1]
            raise ValueError(f"no node {text}: they go from #1 to #{len(nodes)}")
        nodes = self.by_name.get(text, [])
        if len(nodes) > 1 and near is not None:
            nodes = [node for node in nodes if node.scope == near.scope] or nodes
        if len(nodes) == 1:
            return nodes[0]
        if not nodes:
            close = get_close_matches(text, self.by_name, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"no node is called {text}{hint}")
        several = ", ".join(self._distinctly(node) for node in nodes[:4])
        more = ", …" if len(nodes) > 4 else ""
        raise ValueError(f"{len(nodes)} nodes are called {text}: {several}{more}")

    def _distinctly(self, node: Node) -> str:
        if node.name and len(self.by_name[node.name]) == 1:
            return node.name
        return f"#{self.numbers[node] + 1}"

    def words(self) -> Iterator[str]:
        """Yield what can be completed: names, scopes, operations."""
        yield from self.by_name
        scopes = {node.scope for node in self.operations} - {""}
        yield from sorted(scopes)
        yield from sorted({node.op.name for node in self.operations if node.op})

    def variables(self) -> dict[str, Node]:
        """Return the nodes that Python can call by their name."""
        return {
            name: nodes[0]
            for name, nodes in self.by_name.items()
            if len(nodes) == 1 and name.isidentifier()
        }
