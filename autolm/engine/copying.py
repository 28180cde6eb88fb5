"""Copies of nodes and of whole graphs, for `copy`; and why `pickle` takes leaves alone.

It stands under `graph.py`, whose Node is made of it. A backward rule is a function over the numbers
that were recorded. A copy keeps the rule, and so its gradients are those of the original, whatever
becomes of either; but a function inside another cannot be written down, as pickle would have to.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from types import MemberDescriptorType
from typing import Any, Self


class Copied:
    """What is copied node by node, without recursion, however deep the graph is."""

    __slots__ = ()
    parents: tuple[Any, ...]

    def __copy__(self) -> Self:
        """Return another node with the same data, parents and rule."""
        twin = object.__new__(type(self))
        for kind in type(self).__mro__:
            for member in vars(kind).values():
                if isinstance(member, MemberDescriptorType):
                    with suppress(AttributeError):  # a slot that was never filled
                        member.__set__(twin, member.__get__(self))
        if hasattr(self, "__dict__"):
            vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy of the graph under this node; what is shared in it is shared in the copy.

        Its leaves are other leaves, which collect gradients of their own.
        """
        twins, stack = list[Any](), [self]
        while stack:
            node = stack.pop()
            if id(node) not in memo:
                memo[id(node)] = twin = copy.copy(node)
                twins.append(twin)
                stack.extend(node.parents)
        for twin in twins:
            twin.parents = tuple([memo[id(parent)] for parent in twin.parents])
            twin.own(memo)
        return memo[id(self)]

    def own(self, memo: dict[int, Any]) -> None:
        """Take copies, in place of what a deep copy still shares with its original."""
        if hasattr(self, "__dict__"):
            vars(self).update(copy.deepcopy(vars(self), memo))

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.parents:
            raise TypeError(
                f"pickle: a {type(self).__name__} that is the result of an operation holds its "
                "rule, a function, which cannot be pickled; pickle its .data, or the leaves, and "
                "compute it again"
            )
        return super().__reduce_ex__(protocol)
