"""Where a walk is, as a stack of calls: the operation, the modules around it, and `backward()`."""

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
        The operation and what it made; the scope; or the function that called `backward()`.
    place
        The line and columns: of the operation's source; of the call that entered the scope. None
        where lines were not recorded.
    scope
        The scope that it is in, or that it is.
    """

    name: str
    place: Frame | None
    scope: str


class Stack:
    """The frames around the step that is next.

    Parameters
    ----------
    walk
        The pass.
    call
        The calls of the program that led to its `backward()`, innermost first.
    names
        What the nodes are called; by default as they call themselves.
    """

    def __init__(self, walk: Walk, call: Sequence[Frame] = (), names: Names | None = None) -> None:
        self.walk, self.call = walk, call
        self.names = Names(walk.operations, {}) if names is None else names

    def frames(self) -> list[StackFrame]:
        """Return the frames, innermost first; at the end of the pass, where it was called."""
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
    """Return the scopes around a node, innermost first, each where it was entered."""
    if node.entered:
        return [
            StackFrame(entry.scope, entry.location.user, entry.scope)
            for entry in node.entered[::-1]
        ]
    return [StackFrame(scope, None, scope) for scope in scopes_around(node.scope)[:0:-1]]


def scopes_around(scope: str) -> list[str]:
    """List a scope and those around it, outermost first: "", "blocks", "blocks.0".

    >>> scopes_around("blocks.0")
    ['', 'blocks', 'blocks.0']
    """
    parts = scope.split(".") if scope else []
    return ["", *(".".join(parts[: n + 1]) for n in range(len(parts)))]
