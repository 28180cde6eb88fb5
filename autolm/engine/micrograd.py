"""Names of micrograd and its lecture, so that programs written with it run unchanged.

A label is a name, and `_prev` are the parents. The rest of autolm does not use these. One number
differs: a constant, such as the 2 of `2 * x`, has gradient 0, since constants get no gradient.
"""

from __future__ import annotations

from typing import Any

SIGNS = {"mul": "*", "sub": "-", "div": "/", "neg": "-", "relu": "ReLU"}  # else the op's symbol


class Micrograd:
    """Attributes of a Value under micrograd's names."""

    __slots__ = ()

    @property
    def label(self: Any) -> str:
        """The name."""
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
        """Add this node's contributions to its parents' gradients, once."""
        rule = self.backward_rule
        if rule is None:
            return
        for parent, contribution in zip(self.parents, rule(self.grad), strict=True):
            if parent.requires_grad:
                parent.grad += contribution

    def __format__(self: Any, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)
