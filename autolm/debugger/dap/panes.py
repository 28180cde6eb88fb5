"""What an editor shows of a pass at rest: the calls, the scopes and the variables in them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autolm.debugger.dap.client import Client
from autolm.debugger.dap.messages import Message, Refused, told
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

MOST = 1000  # children that are sent at once to an editor that asks for no page


@dataclass
class Opened:
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
        self.stack, self.describing, self.variables = stack, describing, variables
        self._opened: dict[int, Opened] = {}
        self._frames: list[StackFrame] = []
        self._first_frame = self._last_branch = 1

    def forget(self) -> None:
        """Begin anew, at another stop."""
        self._opened.clear()
        self._first_frame += len(self._frames)
        self._frames = self.stack.frames()

    # The calls

    def frames(self, start: int, levels: int) -> Message:
        """Return the stack, innermost first, or of it the `levels` calls from `start`."""
        shown = [
            {
                "id": self._first_frame + i,
                "name": _line(called.name),
                "canRestart": True,
                **self.client.place(called.place),
            }
            for i, called in enumerate(self._frames)
        ]
        end = start + levels if levels else None
        return {"stackFrames": shown[start:end], "totalFrames": len(shown)}

    def frame(self, number: int) -> StackFrame:
        """Return the call of a number."""
        index = number - self._first_frame
        if not 0 <= index < len(self._frames):
            raise Refused(message("frame {number} does not exist at this stop", number=number))
        return self._frames[index]

    # What is in them

    def scopes(self) -> list[Message]:
        """Return what can be opened: Step, Operands, Leaves, Program."""
        describing = self.describing
        shown = (
            describing.step(),
            describing.operands(),
            describing.leaves(),
            describing.program(self.variables),
        )
        return [
            {
                "name": each.name,
                "variablesReference": self._number(each),
                "expensive": False,
            }
            for each in shown
        ]

    def variables_of(self, arguments: Message) -> list[Message]:
        """Return what is inside a branch, or a page of it."""
        opened = self._branch(told(arguments, "variablesReference", int))
        kind, branch = told(arguments, "filter", str, ""), opened.branch
        if kind and (kind == "indexed") != bool(branch.size):
            return []
        start, count = told(arguments, "start", int, 0), told(arguments, "count", int, 0)
        children = branch.children(max(0, start), count if count > 0 else MOST + 1)
        if count <= 0 and len(children) > MOST:
            left = f", of {branch.size}" if branch.size else ""
            children[MOST:] = [
                VariableItem(
                    "…", message("only the first {count} are shown{rest}", count=MOST, rest=left)
                )
            ]
        opened.seen.update((_line(child.name), child) for child in children)
        return [self.variable(child) for child in children]

    def variable(self, shown: VariableItem) -> Message:
        """Return a line of the tree as the editor reads it."""
        found: Message = {
            "name": _line(shown.name),
            "value": _line(shown.text),
            "type": shown.kind,
            "variablesReference": 0 if shown.is_leaf else self._number(shown),
        }
        if shown.expression:
            found["evaluateName"] = shown.expression
        if shown.size and self.client.pages:
            found["indexedVariables"] = shown.size
        if shown.node is None:
            found["presentationHint"] = {"attributes": ["readOnly"]}
        return found

    def value(self, text: str) -> Message:
        """Return what an expression evaluates to."""
        text = text.strip()
        if text in self.namespace.not_arrived(text):
            shown = VariableItem(text, f"{NOT_COMPUTED}   nothing has arrived yet")
        else:
            shown = self.describing.value(text, self.namespace.evaluate(text), text)
        found = self._result(shown)
        return {"result": found.pop("value"), **found}

    def copied(self, text: str) -> str:
        """Return what an expression evaluates to as Python that can be pasted."""
        if text.strip() in self.namespace.not_arrived(text):
            return NOT_COMPUTED
        value = self.namespace.evaluate(text)
        return repr(value.data if isinstance(value, Node) else value)

    def _result(self, shown: VariableItem) -> Message:
        """Return a value as the body of a response, which has no name."""
        found = self.variable(shown)
        return {key: found[key] for key in found.keys() - {"name", "evaluateName"}}

    def _number(self, branch: VariableItem) -> int:
        self._last_branch += 1
        self._opened[self._last_branch] = Opened(branch)
        return self._last_branch

    def _branch(self, number: int) -> Opened:
        if number not in self._opened:
            raise Refused(message("this variable belongs to an earlier stop and no longer exists"))
        return self._opened[number]

    # What if

    def child(self, number: int, name: str) -> VariableItem:
        """Return the line of a name in a branch."""
        opened = self._branch(number)
        if name not in opened.seen:
            opened.seen.update((_line(each.name), each) for each in opened.branch.children())
        if name not in opened.seen:
            raise Refused(message("no variable {name} here", name=name))
        return opened.seen[name]

    def node_of(self, number: int, name: str) -> Node:
        """Return the node that a line is about, if it is its data or its gradient."""
        child, branch = self.child(number, name), self._branch(number).branch
        node = branch.node if name in ("data", "grad") else child.node
        if node is None:
            raise Refused(message("{name} is not a number of the graph", name=name))
        return node

    def named(self, text: str) -> tuple[Node, tuple[Any, ...]]:
        """Read an expression that names a node's data, or a part of it: `w`, `W.data[0, 1]`."""
        tree = parsed_expression(text.strip())
        known = self.namespace.names.known(text.strip())
        if len(known) == 1:
            return known[0], ()
        if isinstance(tree, ast.Attribute) and tree.attr == "data":
            return self.named(ast.unparse(tree.value))
        if isinstance(tree, ast.Subscript):
            owner = ast.unparse(tree.value)
            if owner.endswith(".data") or isinstance(self.namespace.evaluate(owner), Node):
                node, outer = self.named(owner)
                index = self.namespace.evaluate(ast.unparse(tree.slice))
                return node, (*outer, *(index if isinstance(index, tuple) else (index,)))
        value = self.namespace.evaluate(text)
        if isinstance(value, Node):
            return value, ()
        raise Refused(message("{text} is not a number of the graph and cannot be set", text=text))

    def set(self, node: Node, place: tuple[Any, ...], text: str) -> Message:
        """Let a node's data, or a part of it, be what a text evaluates to; compute all anew.

        The text may be the one that was shown, with another number in it: `−3   grad –`.
        """
        data = self.namespace.evaluate(text.partition("   grad ")[0].replace("−", "-"))
        if place:
            data = adapter_of(node.data).changed(place, data)
        self.walk.set(node, data)
        held = node.data[place] if place else node.data
        return {**self._result(self.describing.value("", held)), "value": show(held)}


def _line(text: str) -> str:
    """Write what a program named or holds as a line of a pane."""
    return printable(text, LONGEST)
