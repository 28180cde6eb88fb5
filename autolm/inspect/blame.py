"""Find where a computation first went wrong: the first number that is not finite.

NaN and infinity travel: a loss of nan says nothing of where it began. `blame_nonfinite` follows it
back, through the data first and then through the gradients, to the operation whose inputs were
still finite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autolm.graph import Node, topological_order


@dataclass(frozen=True)
class Blame:
    """The first non-finite number, and how it came to be.

    Attributes
    ----------
    node
        Where it is.
    where
        "data" or "gradient".
    index
        Its place in the array; empty for a Value.
    value
        The number: inf, -inf or nan.
    made_by
        The operation that made it: for data the node itself, for a gradient the node whose rule
        sent it; None where a leaf was given so.
    inputs
        What that operation had at this place: each operand's number, and for a gradient the
        upstream's; None where places do not correspond, as in a product of matrices.
    """

    node: Node
    where: str
    index: tuple[int, ...]
    value: float
    made_by: Node | None
    inputs: tuple[float | None, ...]

    def __str__(self) -> str:
        place = f" at {list(self.index)}" if self.index else ""
        if self.made_by is None or self.made_by.op is None:
            return f"{self.node.name or 'a leaf'} was given {_number(self.value)}{place}"
        what = self.made_by.op.name
        words = [f"backward of {what}" if self.where == "gradient" else what]
        words += [self.made_by.name] if self.made_by.name else []
        words += [self.made_by.site] if self.made_by.site else []
        words += [f"scope {self.made_by.scope}"] if self.made_by.scope else []
        known = [_number(number) for number in self.inputs if number is not None]
        label = "input" if len(known) == 1 else "inputs"
        given = f"{label} {', '.join(known)}{place}" if known else f"result{place}"
        return "   ".join(words) + f"\n  {given}  →  {_number(self.value)}"


def blame_nonfinite(root: Node) -> Blame | None:
    """Return where the first non-finite number under `root` is; None if all are finite.

    Data comes first: of the nodes that are not finite and whose parents all are, the first that was
    computed. If all data is finite, the backward pass is walked (and no gradient is changed) until
    an operation sends something that is not finite.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(0.0, name="x")
    >>> print(blame_nonfinite(x.log() * 0))
    log
      input 0  →  −inf
    """
    guilty = _first_in_data(root)
    if guilty is not None:
        index = _first_nonfinite(guilty.data)
        operands = [parent.data for parent in guilty.parents]
        inputs = _corresponding(guilty, operands, guilty.data, index)
        made_by = guilty if guilty.parents else None
        return Blame(guilty, "data", index, _at(guilty.data, index), made_by, inputs)
    with np.errstate(all="ignore"):  # what is looked for is no news
        return _first_in_gradients(root) if root.requires_grad else None


def _first_in_data(root: Node) -> Node | None:
    """Follow what is not finite from the root back to where its inputs still were."""
    if _finite(root.data):
        return None
    spoilt, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent not in spoilt and not _finite(parent.data):
                spoilt.add(parent)
                stack.append(parent)
    order = topological_order(root)
    return next(n for n in order if n in spoilt and not spoilt.intersection(n.parents))


def _first_in_gradients(root: Node) -> Blame | None:
    before = [(node, node.grad if node.has_grad else None) for node in topological_order(root)]
    try:
        for step in root.steps():
            for sent in step.contributions:
                # What is sent may be finite, and only its sum with what was there is not.
                if sent.parent.requires_grad and not _finite(sent.after):
                    index = _first_nonfinite(sent.after)
                    arrays = (step.upstream, *(parent.data for parent in step.node.parents))
                    inputs = _corresponding(step.node, arrays, sent.value, index)
                    value = _at(sent.after, index)
                    return Blame(sent.parent, "gradient", index, value, step.node, inputs)
        return None
    finally:
        for node, grad in before:
            node.grad = grad


def _finite(data: Any) -> bool:
    return bool(np.all(np.isfinite(data)))


def _first_nonfinite(data: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(~np.isfinite(data))[0])


def _at(data: Any, index: tuple[int, ...]) -> float:
    return float(np.asarray(data)[index])


def _corresponding(
    operation: Node, operands: Iterable[Any], result: Any, index: tuple[int, ...]
) -> tuple[float | None, ...]:
    """Return of each operand the number that broadcasts to a place in the result."""
    elementwise = not getattr(operation.op, "cases", ())

    def number(operand: Any) -> float | None:
        try:
            return _at(np.broadcast_to(operand, np.shape(result)), index) if elementwise else None
        except ValueError:
            return None

    return tuple(map(number, operands))


def _number(number: float) -> str:
    return f"{number:.6g}".replace("-", "−")
