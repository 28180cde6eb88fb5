"""Find where a computation first went wrong: the first number that is not finite.

A nan or an infinity propagates, so a loss of nan does not show where it began. `blame_nonfinite`
searches the data first and then the gradients for the operation whose inputs were still finite. If
an infinity turned into nan later, as in 0 · inf or inf − inf, the report names both operations.

An infinity without consequences is not blamed: a causal mask puts −inf before a softmax, which
turns it into 0. `blamed_nodes` makes this distinction; the drawings use it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from autolm.engine.backprop import Backprop
from autolm.engine.graph import Node, topological_order
from autolm.outside.message import Message, joined, message
from autolm.tensor.nodes import read_node
from autolm.tensor.quiet import quiet, quietly
from autolm.walking.array_adapter import adapter_of
from autolm.walking.program_names import NodeNames, names_of, use_names, variables_of_caller
from autolm.walking.wording import are_finite, expression, known_name, show


@dataclass(frozen=True, repr=False)
class Blame:
    """The first non-finite number of a computation, and the operation that produced it.

    Attributes
    ----------
    node
        The node whose data or gradient is not finite.
    where
        "data" or "gradient".
    index
        The index of the number in the array; () for a Value.
    value
        The number: inf, -inf or nan.
    made_by
        The node of the operation that produced the number: for data the node itself, for a
        gradient the consumer whose rule sent it. None if a leaf has the number.
    inputs
        The operands' numbers at this index; for a gradient, the upstream number comes first. None
        for an operand whose elements do not correspond to those of the result, as in matmul.
    slope
        For a gradient that is nan, the rule's contribution for an upstream gradient of 1; None if
        the indices do not correspond.
    first_nan
        The first nan, if `value` is an infinity that led to nan; else None.
    names
        The program's names for nodes without a name.
    """

    node: Node
    where: str
    index: tuple[int, ...]
    value: float
    made_by: Node | None
    inputs: tuple[float | None, ...]
    slope: float | None = None
    first_nan: Blame | None = None
    names: NodeNames = field(default_factory=dict, repr=False, compare=False)

    @property
    def cause(self) -> str:
        """The indeterminate form that gave this nan: "0 · inf", "inf − inf", …; else empty."""
        if not math.isnan(self.value) or self.made_by is None or self.made_by.op is None:
            return ""
        if self.where == "gradient":
            met = self.inputs[:1] == (0.0,) and self.slope is not None and math.isinf(self.slope)
            return "0 · inf" if met else ""
        name, infinite = (
            self.made_by.op.name,
            [n is not None and math.isinf(n) for n in self.inputs],
        )
        if name == "mul" and any(infinite) and 0.0 in self.inputs:
            return "0 · inf"
        if name in ("add", "sub") and all(infinite):
            return "inf − inf"
        if name == "div":
            return "inf / inf" if all(infinite) else "0 / 0" if set(self.inputs) == {0.0} else ""
        return ""

    def __repr__(self) -> str:
        return str(self.text())

    def text(self) -> Message:
        """Describe the location, the operation with its inputs, and the nan that followed."""
        with use_names(self.names):
            return joined("", self._lines())

    def _lines(self) -> list[str]:
        place = message(" at {index}", index=list(self.index)) if self.index else ""
        if self.made_by is None or self.made_by.op is None:
            name = self.node.name or known_name(self.node) or message("a leaf")
            lines: list[str] = [
                message(
                    "{name} received {value}{place}", name=name, value=show(self.value), place=place
                )
            ]
        else:
            operation = self.made_by.op.name
            words = [
                message("backward of {name}", name=operation)
                if self.where == "gradient"
                else operation
            ]
            words += filter(None, [known_name(self.made_by)])
            words += [str(self.made_by.location)] if self.made_by.location else []
            words += (
                [message("scope {scope}", scope=self.made_by.scope)] if self.made_by.scope else []
            )
            inputs = joined("", [self._input_text(), place])
            lines = [joined("   ", words), joined("", ["\n  ", inputs, f"  →  {show(self.value)}"])]
        if self.cause:
            lines[-1] = joined("", [lines[-1], f"   ({self.cause})"])
        if self.first_nan:
            lines.append(message(";   then {operation}", operation=self.first_nan._in_short()))
        return lines

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Show it in a notebook as a table."""
        from autolm.drawing.table import table

        with use_names(self.names):
            rows = [[line.strip("; \n")] for line in self._lines()]
        caption = (
            message("The first gradient that is not finite")
            if self.where == "gradient"
            else message("The first data that is not finite")
        )
        return table(caption, rows, repr(self))

    def _input_text(self) -> str:
        """Describe the operation's inputs: "upstream 0, input 4"."""
        upstream = self.inputs[:1] if self.where == "gradient" else ()
        values = [show(number) for number in self.inputs[len(upstream) :] if number is not None]
        words = [
            message("upstream {number}", number=show(number))
            for number in upstream
            if number is not None
        ]
        if self.slope is not None:
            words.append(message("slope {slope}", slope=show(self.slope)))
        if values:
            numbers = ", ".join(values)
            words.append(
                message("inputs {numbers}", numbers=numbers)
                if len(values) > 1
                else message("input {number}", number=numbers)
            )
        return joined(", ", words) if words else message("result")

    def _in_short(self) -> str:
        """Describe it in one line: ×   0 · −inf = nan   (blocks.1.attention, attention.py:42)."""
        op: Any = self.node.op
        numbers = {p: n for p, n in zip(self.node.parents, self.inputs, strict=True)}
        has_inputs = None not in self.inputs
        result = (
            expression(self.node, lambda p: show(numbers[p]))
            if has_inputs
            else message("the result")
        )
        where = ", ".join(filter(None, (self.node.scope, str(self.node.location or ""))))
        return f"{op.symbol or op.name}   {result} = nan" + (f"   ({where})" if where else "")


def blame_nonfinite(root: Node) -> Blame | None:
    """Find the first non-finite number in the graph of `root`.

    The data is searched first. If no data is to blame, a backward pass runs until an operation
    sends a contribution that is not finite. No `.grad` changes.

    Parameters
    ----------
    root
        The node to search from, usually the loss.

    Returns
    -------
    Blame or None
        The number and the operation that produced it; None if all numbers are finite, or if the
        infinities have no consequences.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(0.0, name="x")
    >>> print(blame_nonfinite(x.log() * 0))
    log
      input 0  →  −inf;   then ×   −inf · 0 = nan
    """
    root = read_node("blame_nonfinite", "root", root)
    blame = _blamed(root)
    return replace(blame, names=names_of(root, variables_of_caller())) if blame else None


def _blamed(root: Node) -> Blame | None:
    order = topological_order(root)
    blamed = blamed_nodes(order)
    if not blamed:
        with quiet():  # NumPy would warn about the numbers that the search is for
            return _first_in_gradients(root) if root.requires_grad else None
    first = _first_of(blamed, order)
    undefined = {node for node in blamed if _has_nan(node)}
    if not undefined or (first_undefined := _first_of(undefined, order)) is first:
        return _in_data(first)
    return replace(_in_data(first), first_nan=_in_data(first_undefined, nan=True))


def blamed_nodes(order: Sequence[Node]) -> set[Node]:
    """Return the nodes whose non-finite data has consequences; `order` ends with the root.

    A nan is blamed if its node requires a gradient or if it reaches the root. An infinity is blamed
    if it makes the root infinite, or if an operation turned it into nan.
    """
    not_finite = {node for node in order if not are_finite(node.data)}
    undefined = {node for node in not_finite if _has_nan(node)}
    stack = [node for node in undefined if node.requires_grad]
    stack += [order[-1]] if order[-1] in not_finite else []
    blamed = set(stack)
    while stack:
        parents = set(stack.pop().parents) & not_finite
        new = (
            parents & undefined or parents
        ) - blamed  # a nan operand explains a nan before an infinity does
        blamed |= new
        stack += new
    return blamed


def _has_nan(node: Node) -> bool:
    return adapter_of(node.data).index_of_nonfinite(nan=True) is not None


def _first_of(nodes: Set[Node], order: Sequence[Node]) -> Node:
    """Return the first computed node that has no parent among these nodes."""
    return next(node for node in order if node in nodes and nodes.isdisjoint(node.parents))


def _in_data(node: Node, *, nan: bool = False) -> Blame:
    index = adapter_of(node.data).index_of_nonfinite(nan=nan)
    operands = [parent.data for parent in node.parents]
    inputs = _corresponding(node, operands, node.data, index)
    made_by = node if node.parents else None
    return Blame(node, "data", index, _at(node.data, index), made_by, inputs)


def _first_in_gradients(root: Node) -> Blame | None:
    for step in quietly(iter(Backprop(root).advance, None)):
        for operand, contribution in enumerate(step.contributions):
            # A finite contribution can make the sum infinite.
            index = (
                adapter_of(contribution.after).index_of_nonfinite()
                if contribution.parent.requires_grad
                else None
            )
            if index is not None:
                arrays = (step.upstream, *(parent.data for parent in step.node.parents))
                inputs = _corresponding(step.node, arrays, contribution.value, index)
                slope = None
                if math.isnan(_at(contribution.value, index)) and inputs[0] is not None:
                    ones = adapter_of(step.upstream).ones() if contribution.local is None else 1.0
                    slope = _at(step.node.contributions(ones)[operand], index)
                value = _at(contribution.after, index)
                return Blame(
                    contribution.parent, "gradient", index, value, step.node, inputs, slope
                )
    return None


def _at(data: Any, index: tuple[int, ...]) -> float:
    return float(adapter_of(data).at(index, adapter_of(data).shape))


def _corresponding(
    operation: Node, operands: Iterable[Any], result: Any, index: tuple[int, ...]
) -> tuple[float | None, ...]:
    """Return each operand's number that broadcasts to an index of the result, or None."""
    elementwise = not getattr(operation.op, "cases", ())

    def number(operand: Any) -> float | None:
        try:
            return adapter_of(operand).at(index, adapter_of(result).shape) if elementwise else None
        except (RuntimeError, ValueError):
            return None

    return tuple(map(number, operands))
