"""The stack, scopes and variables that an editor shows while a pass is stopped."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autolm.debugger.dap.client import Client
from autolm.debugger.dap.messages import JsonObject, RequestError, read_argument
from autolm.engine.graph import Node
from autolm.outside.message import message
from autolm.outside.terminal import LONGEST, printable
from autolm.walking.array_adapter import adapter_of
from autolm.walking.namespace import Namespace
from autolm.walking.source import parsed_expression
from autolm.walking.stack import Stack, StackFrame
from autolm.walking.variable_tree import VariableItem, VariableTree
from autolm.walking.walk import Walk
from autolm.walking.wording import NOT_COMPUTED, show

MAX_CHILDREN = 1000  # how many are sent to an editor that does not ask for pages


@dataclass
class OpenBranch:
    """A branch that the editor may open, and its children that were sent, by name."""

    branch: VariableItem
    children: dict[str, VariableItem] = field(default_factory=dict)


class Panes:
    """The stack and the variables at a stop; their reference numbers are valid until the next stop.

    Parameters
    ----------
    client, walk, namespace
        The conventions of the editor, the pass, and the namespace of expressions.
    stack, tree, variables
        The calls, the tree of the nodes, and the variables of the program.
    """

    def __init__(
        self,
        client: Client,
        walk: Walk,
        namespace: Namespace,
        stack: Stack,
        tree: VariableTree,
        variables: Mapping[str, Any],
    ) -> None:
        self.client, self.walk, self.namespace = client, walk, namespace
        self.stack, self.tree, self.variables = stack, tree, variables
        self._opened: dict[int, OpenBranch] = {}
        self._frames: list[StackFrame] = []
        self._first_frame = self._last_branch = 1

    def reset(self) -> None:
        """Start a new stop: read the stack, and forget the branches of the last stop."""
        self._opened.clear()
        self._first_frame += len(self._frames)
        self._frames = self.stack.frames()

    # Stack

    def frames(self, start: int, levels: int) -> JsonObject:
        """Return `levels` frames of the stack from `start`, innermost first; 0 for all of them."""
        frames_shown = [
            {
                "id": self._first_frame + i,
                "name": _line(called.name),
                "canRestart": True,
                **self.client.place(called.place),
            }
            for i, called in enumerate(self._frames)
        ]
        end = start + levels if levels else None
        return {"stackFrames": frames_shown[start:end], "totalFrames": len(frames_shown)}

    def frame(self, number: int) -> StackFrame:
        """Return the frame with this number."""
        index = number - self._first_frame
        if not 0 <= index < len(self._frames):
            raise RequestError(message("frame {number} does not exist at this stop", number=number))
        return self._frames[index]

    # Variables

    def scopes(self) -> list[JsonObject]:
        """Return the scopes of a frame: Step, Operands, Leaves, Program."""
        tree = self.tree
        branches = (
            tree.step(),
            tree.operands(),
            tree.leaves(),
            tree.program(self.variables),
        )
        return [
            {
                "name": branch.name,
                "variablesReference": self._number(branch),
                "expensive": False,
            }
            for branch in branches
        ]

    def variables_of(self, arguments: JsonObject) -> list[JsonObject]:
        """Return the children of a branch, or a page of them."""
        opened = self._branch(read_argument(arguments, "variablesReference", int))
        kind, branch = read_argument(arguments, "filter", str, ""), opened.branch
        if kind and (kind == "indexed") != bool(branch.size):
            return []
        start, count = (
            read_argument(arguments, "start", int, 0),
            read_argument(arguments, "count", int, 0),
        )
        children = branch.children(max(0, start), count if count > 0 else MAX_CHILDREN + 1)
        if count <= 0 and len(children) > MAX_CHILDREN:
            rest = f", of {branch.size}" if branch.size else ""
            children[MAX_CHILDREN:] = [
                VariableItem(
                    "…",
                    message(
                        "only the first {count} are shown{rest}", count=MAX_CHILDREN, rest=rest
                    ),
                )
            ]
        opened.children.update((_line(child.name), child) for child in children)
        return [self.variable(child) for child in children]

    def variable(self, item: VariableItem) -> JsonObject:
        """Return an item of the tree as a `Variable` of the protocol."""
        body: JsonObject = {
            "name": _line(item.name),
            "value": _line(item.text),
            "type": item.kind,
            "variablesReference": 0 if item.is_leaf else self._number(item),
        }
        if item.expression:
            body["evaluateName"] = item.expression
        if item.size and self.client.pages:
            body["indexedVariables"] = item.size
        if item.node is None:
            body["presentationHint"] = {"attributes": ["readOnly"]}
        return body

    def value(self, text: str) -> JsonObject:
        """Return the value of an expression, as the body of a response."""
        text = text.strip()
        if text in self.namespace.missing_gradients(text):
            item = VariableItem(text, f"{NOT_COMPUTED}   nothing has arrived yet")
        else:
            item = self.tree.value(text, self.namespace.evaluate(text), text)
        body = self._result(item)
        return {"result": body.pop("value"), **body}

    def clipboard_text(self, text: str) -> str:
        """Return the value of an expression as Python that can be pasted."""
        if text.strip() in self.namespace.missing_gradients(text):
            return NOT_COMPUTED
        value = self.namespace.evaluate(text)
        return repr(value.data if isinstance(value, Node) else value)

    def _result(self, item: VariableItem) -> JsonObject:
        """Return an item as the body of a response, without its name."""
        body = self.variable(item)
        return {key: body[key] for key in body.keys() - {"name", "evaluateName"}}

    def _number(self, branch: VariableItem) -> int:
        self._last_branch += 1
        self._opened[self._last_branch] = OpenBranch(branch)
        return self._last_branch

    def _branch(self, number: int) -> OpenBranch:
        if number not in self._opened:
            raise RequestError(
                message("this variable belongs to an earlier stop and no longer exists")
            )
        return self._opened[number]

    # Edits

    def child(self, number: int, name: str) -> VariableItem:
        """Return the child of a branch with this name."""
        opened = self._branch(number)
        if name not in opened.children:
            opened.children.update((_line(item.name), item) for item in opened.branch.children())
        if name not in opened.children:
            raise RequestError(message("no variable {name} here", name=name))
        return opened.children[name]

    def node_of(self, number: int, name: str) -> Node:
        """Return the node of a child; `data` and `grad` are children of the node itself."""
        child, branch = self.child(number, name), self._branch(number).branch
        node = branch.node if name in ("data", "grad") else child.node
        if node is None:
            raise RequestError(message("{name} is not a number of the graph", name=name))
        return node

    def find_settable(self, text: str) -> tuple[Node, tuple[Any, ...]]:
        """Return the node and the index that an expression names: `w`, `W.data[0, 1]`."""
        syntax = parsed_expression(text.strip())
        nodes = self.namespace.names.nodes_named(text.strip())
        if len(nodes) == 1:
            return nodes[0], ()
        if isinstance(syntax, ast.Attribute) and syntax.attr == "data":
            return self.find_settable(ast.unparse(syntax.value))
        if isinstance(syntax, ast.Subscript):
            owner = ast.unparse(syntax.value)
            if owner.endswith(".data") or isinstance(self.namespace.evaluate(owner), Node):
                node, outer = self.find_settable(owner)
                index = self.namespace.evaluate(ast.unparse(syntax.slice))
                return node, (*outer, *(index if isinstance(index, tuple) else (index,)))
        value = self.namespace.evaluate(text)
        if isinstance(value, Node):
            return value, ()
        raise RequestError(
            message("{text} is not a number of the graph and cannot be set", text=text)
        )

    def set(self, node: Node, place: tuple[Any, ...], text: str) -> JsonObject:
        """Set a node's data, or a part of it, to the value of an expression, and recompute.

        The text may be the displayed one with its number changed: `−3   grad –`.
        """
        data = self.namespace.evaluate(text.partition("   grad ")[0].replace("−", "-"))
        if place:
            data = adapter_of(node.data).with_entry(place, data)
        self.walk.set(node, data)
        value = node.data[place] if place else node.data
        return {**self._result(self.tree.value("", value)), "value": show(value)}


def _line(text: str) -> str:
    """Return a name or a value of the program as one printable line."""
    return printable(text, LONGEST)
