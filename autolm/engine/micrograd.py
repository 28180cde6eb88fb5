"""The spellings of micrograd and of its lecture, for programs that were written with it.

They say the same things in other words: a label is a name, `_prev` are the parents. Nothing here is
needed by the rest of autolm. One number differs: a constant, such as the 2 of `2 * x`, has gradient
0, since no gradient is sent to what is not trained.
"""

from __future__ import annotations

from typing import Any

SIGNS = {"mul": "*", "sub": "-", "div": "/", "neg": "-", "relu": "ReLU"}  # others as in the record


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
        """The operation as micrograd writes it: `*`, `ReLU`, `**3`; empty at a leaf."""
        op = self.op
        if op is None:
            return ""
        if op.name == "pow" and not self.parents[1].requires_grad:
            return f"**{self.parents[1].data:g}"
        return SIGNS.get(op.name) or ("**" if op.name == "pow" else str(op.symbol))

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
