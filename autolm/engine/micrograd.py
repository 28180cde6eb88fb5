"""The spellings of micrograd and of its lecture, for programs that were written with it.

They say the same things in other words: a label is a name, `_prev` are the parents. Nothing here is
needed by the rest of autolm.
"""

from __future__ import annotations

from typing import Any


class Micrograd:
    """What a Value is called in a program of micrograd's."""

    __slots__ = ()

    @property
    def label(self: Any) -> str:
        """Its name."""
        return str(self.name)

    @label.setter
    def label(self: Any, label: str) -> None:
        self.name = label

    @property
    def _prev(self: Any) -> set[Any]:
        return set(self.parents)

    @property
    def _op(self: Any) -> str:
        return str(self.op.symbol) if self.op else ""

    def _backward(self: Any) -> None:
        """Send this node's gradient on to its parents, by hand and once: as `backward()` does."""
        rule = self.backward_rule
        if rule is None:
            return
        for parent, contribution in zip(self.parents, rule(self.grad), strict=True):
            if parent.requires_grad:
                parent.grad += contribution

    def __format__(self: Any, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)
