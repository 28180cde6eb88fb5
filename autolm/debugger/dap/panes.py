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

MAX_CHILDREN = 1000  # children that are sent at once to an editor that asks for no page


@dataclass
class OpenBranch:
    """A branch that the editor may open, and the lines of it that it has seen."""

    branch: VariableItem
    seen: dict[str, VariableItem] = field(default_factory=dict)


class Panes:
    """Everything to be seen; what was numbered at one stop is forgotten at the next.

    Parameters
    ----------
    client, walk, namespace
        The editor, the pass, and what is evaluated in.
    stack, describing, variables
        What is shown: the calls, the nodes, and the variables of the program.
    """

    def __init__(
        self,
        client: Client,
        walk: Walk,
        namespace: Namespace,
        stack: Stack,
        describing: VariableTree,
        variables: Mapping[str, Any],
    ) -> None:
        self.client, self.walk, self.namespace = client, walk, namespace
        self.stack, self.tree, self.variables = stack, describing, variables
        self._opened: dict[int, OpenBranch] = {}
        self._frames: list[StackFrame] = []
        self._first_frame = self._last_branch = 1

    def reset(self) -> None:
        """Begin anew, at another stop."""
        self._opened.clear()
        self._first_frame += len(self._frames)
        self._frames = self.stack.frames()

    # The calls

    def frames(self, start: int, levels: int) -> JsonObject:
        """Return the stack, innermost first, or of it the `levels` calls from `start`."""
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
        """Return the call of a number."""
        index = number - self._first_frame
        if not 0 <= index < len(self._frames):
            raise RequestError(message("frame {number} does not exist at this stop", number=number))
        return self._frames[index]

    # What is in them

    def scopes(self) -> list[JsonObject]:
        """Return what can be opened: Step, Operands, Leaves, Program."""
        describing = self.tree
        branches = (
            describing.step(),
            describing.operands(),
            describing.leaves(),
            describing.program(self.variables),
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
        """Return what is inside a branch, or a page of it."""
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
        opened.seen.update((_line(child.name), child) for child in children)
        return [self.variable(child) for child in children]

    def variable(self, item: VariableItem) -> JsonObject:
        """Return a line of the tree as the editor reads it."""
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
        """Return what an expression evaluates to."""
        text = text.strip()
        if text in self.namespace.missing_gradients(text):
            item = VariableItem(text, f"{NOT_COMPUTED}   nothing has arrived yet")
        else:
            item = self.tree.value(text, self.namespace.evaluate(text), text)
        body = self._result(item)
        return {"result": body.pop("value"), **body}

    def clipboard_text(self, text: str) -> str:
        """Return what an expression evaluates to as Python that can be pasted."""
        if text.strip() in self.namespace.missing_gradients(text):
            return NOT_COMPUTED
        value = self.namespace.evaluate(text)
        return repr(value.data if isinstance(value, Node) else value)

    def _result(self, item: VariableItem) -> JsonObject:
        """Return a value as the body of a response, which has no name."""
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

    # What if

    def child(self, number: int, name: str) -> VariableItem:
        """Return the line of a name in a branch."""
        opened = self._branch(number)
        if name not in opened.seen:
            opened.seen.update((_line(item.name), item) for item in opened.branch.children())
        if name not in opened.seen:
            raise RequestError(message("no variable {name} here", name=name))
        return opened.seen[name]

    def node_of(self, number: int, name: str) -> Node:
        """Return the node that a line is about, if it is its data or its gradient."""
        child, branch = self.child(number, name), self._branch(number).branch
        node = branch.node if name in ("data", "grad") else child.node
        if node is None:
            raise RequestError(message("{name} is not a number of the graph", name=name))
        return node

    def find_settable(self, text: str) -> tuple[Node, tuple[Any, ...]]:
        """Read an expression that names a node's data, or a part of it: `w`, `W.data[0, 1]`."""
        tree = parsed_expression(text.strip())
        nodes = self.namespace.names.nodes_named(text.strip())
        if len(nodes) == 1:
            return nodes[0], ()
        if isinstance(tree, ast.Attribute) and tree.attr == "data":
            return self.find_settable(ast.unparse(tree.value))
        if isinstance(tree, ast.Subscript):
            owner = ast.unparse(tree.value)
            if owner.endswith(".data") or isinstance(self.namespace.evaluate(owner), Node):
                node, outer = self.find_settable(owner)
                index = self.namespace.evaluate(ast.unparse(tree.slice))
                return node, (*outer, *(index if isinstance(index, tuple) else (index,)))
        value = self.namespace.evaluate(text)
        if isinstance(value, Node):
            return value, ()
        raise RequestError(
            message("{text} is not a number of the graph and cannot be set", text=text)
        )

    def set(self, node: Node, place: tuple[Any, ...], text: str) -> JsonObject:
        """Let a node's data, or a part of it, be what a text evaluates to; compute all anew.

        The text may be the one that was shown, with another number in it: `−3   grad –`.
        """
        data = self.namespace.evaluate(text.partition("   grad ")[0].replace("−", "-"))
        if place:
            data = adapter_of(node.data).with_entry(place, data)
        self.walk.set(node, data)
        value = node.data[place] if place else node.data
        return {**self._result(self.tree.value("", value)), "value": show(value)}


def _line(text: str) -> str:
    """Write what a program named or holds as a line of a pane."""
    return printable(text, LONGEST)
