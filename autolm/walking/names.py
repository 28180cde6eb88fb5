"""The names of the nodes of one graph, and the node that a typed name means.

A node without a name is shown as the number of its step, `#12`. Leaves are numbered after the last
step.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any, cast

from autolm.engine.graph import Node
from autolm.outside.message import message
from autolm.walking.program_names import SourceText, names_of, names_of_nodes, use_names
from autolm.walking.source import parsed_expression
from autolm.walking.wording import known_name, label, name, short

MAX_NAME = 100  # characters of a name


class Names:
    """The names of the nodes of a walk; called with a node, it gives the name to show.

    Parameters
    ----------
    operations
        The nodes that the pass visits, in its order.
    variables
        The variables of the program; nodes without a name are named after them.
    """

    def __init__(self, operations: Sequence[Node], variables: Mapping[str, Any]) -> None:
        self.operations = operations
        # A constant may be computed from constants, which are not operands of these operations.
        leaves = list(self.numbers)[len(operations) :]
        is_all = not any(node.parents for node in leaves)
        self.program_names = (
            names_of_nodes(self.numbers, variables)
            if is_all
            else names_of(operations[0], variables)
        )

    def __call__(self, node: Node) -> str:
        """Return the shortest name of a node that is unambiguous in every step."""
        is_whole = node.goes_by_its_path and node.name
        return short(node.name, MAX_NAME) if is_whole else self.short(node)

    def short(self, node: Node) -> str:
        """Return the name of a node without its scope, as `W_Q` for `blocks.0.W_Q`."""
        with use_names(self.program_names):
            is_known = known_name(node) or not (node.parents or node.requires_grad)
            if is_known or node not in self.numbers:
                return short(label(node), MAX_NAME)
        return f"#{self.numbers[node] + 1}"

    def full(self, node: Node) -> str:
        """Return the name of a node with its scope."""
        return short(node.name, MAX_NAME) or self(node)

    @cached_property
    def numbers(self) -> dict[Node, int]:
        """Number every node from 0: operations in the order of the pass, then leaves."""
        numbers = {node: number for number, node in enumerate(self.operations)}
        for node in self.operations:
            for parent in node.parents:
                numbers.setdefault(parent, len(numbers))
        return numbers

    @cached_property
    def by_name(self) -> dict[str, list[Node]]:
        """Map each name, with and without its scope, to the nodes that have it."""
        nodes: dict[str, list[Node]] = defaultdict(list)
        for node in self.numbers:
            if node.name:
                for text in {node.name, name(node)}:
                    nodes[text].append(node)
            elif node in self.program_names:
                nodes[self.program_names[node]].append(node)
        return dict(nodes)

    @cached_property
    def by_syntax(self) -> dict[str, list[Node]]:
        """Map the syntax tree of each name that is an expression to its nodes."""
        nodes_by_syntax: dict[str, list[Node]] = {}
        for text, nodes in self.by_name.items():
            tree = parsed_expression(text)
            if tree is not None:
                nodes_by_syntax.setdefault(ast.dump(tree), []).extend(nodes)
        return nodes_by_syntax

    @cached_property
    def by_placeholder(self) -> dict[str, Node]:
        """Map a placeholder variable to each result whose name is its source text."""
        sources = [
            node for node, name in self.program_names.items() if isinstance(name, SourceText)
        ]
        return {f"_node_{self.numbers[node] + 1}": node for node in sources}

    def nodes_named(self, text: str) -> list[Node]:
        """Return the nodes that have this name; spaces in an expression do not matter."""
        tree = None if text in self.by_name else parsed_expression(text)
        return self.by_syntax.get(ast.dump(tree), []) if tree else self.by_name.get(text, [])

    def parse(self, expression: str) -> ast.Expression:
        """Parse an expression, in which the source text of a node refers to the existing node."""
        placeholders = {node: name for name, node in self.by_placeholder.items()}
        by_form = self.by_syntax

        class ReplaceNodes(ast.NodeTransformer):
            def visit(self, tree: ast.AST) -> ast.AST:
                nodes = by_form.get(ast.dump(tree), []) if isinstance(tree, ast.expr) else []
                if len(nodes) == 1 and nodes[0] in placeholders:
                    name = ast.Name(placeholders[nodes[0]], ast.Load())
                    return ast.copy_location(name, tree)
                return self.generic_visit(tree)

        tree = ast.parse(expression.strip(), "<prompt>", mode="eval")
        return cast(ast.Expression, ReplaceNodes().visit(tree)) if placeholders else tree

    def find(self, text: str, near: Node | None = None) -> Node:
        """Return the node with a name or #number; prefer a node in the scope of `near`.

        Raises
        ------
        ValueError
            If no node or several nodes have this name.
        """
        if text.startswith("#") and text[1:].isdigit():
            nodes = list(self.numbers)
            if 1 <= int(text[1:]) <= len(nodes):
                return nodes[int(text[1:]) - 1]
            raise ValueError(
                message(
                    "node {text} does not exist; the nodes are #1 to #{count}",
                    text=text,
                    count=len(nodes),
                )
            )
        nodes = self.nodes_named(text)
        if len(nodes) > 1 and near is not None:
            nodes = [node for node in nodes if node.scope == near.scope] or nodes
        if len(nodes) == 1:
            return nodes[0]
        if not nodes:
            why = self._why_absent(text)
            if why:
                raise ValueError(why)
            close = get_close_matches(text, self.by_name, n=1)
            hint = message("; did you mean {name}?", name=close[0]) if close else ""
            raise ValueError(message("no node has the name {text}{hint}", text=text, hint=hint))
        several = ", ".join(self._distinctly(node) for node in nodes[:4])
        more = ", …" if len(nodes) > 4 else ""
        raise ValueError(
            message(
                "{count} nodes have the name {text}: {nodes}{more}",
                count=len(nodes),
                text=text,
                nodes=several,
                more=more,
            )
        )

    def _why_absent(self, text: str) -> str:
        """Say why a parameter of the program's model is not in this graph, if it is one."""
        return self.operations[0].why_absent(text) if self.operations else ""

    def _distinctly(self, node: Node) -> str:
        if node.name and len(self.by_name[node.name]) == 1:
            return node.name
        return f"#{self.numbers[node] + 1}"

    def words(self) -> Iterator[str]:
        """Yield the words for completion: names, scopes and operations."""
        yield from filter(str.isprintable, self.by_name)
        scopes = {node.scope for node in self.operations} - {""}
        yield from filter(str.isprintable, sorted(scopes))
        yield from sorted({node.op.name for node in self.operations if node.op})

    def variables(self) -> dict[str, Node]:
        """Return the nodes whose name is unique and a Python identifier."""
        return {
            name: nodes[0]
            for name, nodes in self.by_name.items()
            if len(nodes) == 1 and name.isidentifier()
        }
