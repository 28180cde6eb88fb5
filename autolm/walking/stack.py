"""The position of a walk as a call stack: the operation, its scopes, and `backward()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from autolm.engine.graph import Node
from autolm.engine.location import Frame
from autolm.walking.names import Names
from autolm.walking.walk import Walk
from autolm.walking.wording import assignment, symbol


class StackFrame(NamedTuple):
    """One frame of the stack.

    Attributes
    ----------
    name
        The operation and its result; the scope; or the function that called `backward()`.
    place
        The line and columns of the operation, or of the call that entered the scope. None if lines
        were not recorded.
    scope
        The scope of the frame.
    """

    name: str
    place: Frame | None
    scope: str


class Stack:
    """The frames of the next step.

    Parameters
    ----------
    walk
        The pass.
    call
        The calls of the program that led to its `backward()`, innermost first.
    names
        The names of the nodes; by default without those of the program's variables.
    """

    def __init__(self, walk: Walk, call: Sequence[Frame] = (), names: Names | None = None) -> None:
        self.walk, self.call = walk, call
        self.names = Names(walk.operations, {}) if names is None else names

    def frames(self) -> list[StackFrame]:
        """Return the frames, innermost first; at the end of the pass, those of its call."""
        node = self.walk.next_node
        calls = [StackFrame(frame.function, frame, frame.scope) for frame in self.call]
        if node is None:
            root = self.walk.root
            place = self.call[0] if self.call else root.location.user if root.location else None
            return [StackFrame(f"the end of the backward of {self.names(root)}", place, ""), *calls]
        step = f"{symbol(node)}   {assignment(node, self.names)}"
        place = node.location.user if node.location else None
        return [StackFrame(step, place, node.scope), *_scopes(node), *calls]


def _scopes(node: Node) -> list[StackFrame]:
    """Return a frame for each scope of a node, innermost first, with the line that entered it."""
    if node.entered:
        return [
            StackFrame(entry.scope, entry.location.user, entry.scope)
            for entry in node.entered[::-1]
        ]
    return [StackFrame(scope, None, scope) for scope in scopes_around(node.scope)[:0:-1]]


def scopes_around(scope: str) -> list[str]:
    """List a scope and its enclosing scopes, outermost first: "", "blocks", "blocks.0".

    >>> scopes_around("blocks.0")
    ['', 'blocks', 'blocks.0']
    """
    parts = scope.split(".") if scope else []
    return ["", *(".".join(parts[: n + 1]) for n in range(len(parts)))]
