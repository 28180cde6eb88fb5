"""Explain a gradient: list the contributions that add up to it.

Each use of a node contributes one term to its gradient, computed by the consumer's rule. `explain`
lists these terms, whose sum is exactly the gradient. It can also list the paths from the root to
the node, because the gradient is the sum over these paths as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from autolm.engine.backprop import Backprop, latest_root
from autolm.engine.graph import Node
from autolm.outside.arguments import read_function, read_int
from autolm.outside.columns import padded, width
from autolm.outside.message import joined, message
from autolm.tensor.nodes import read_node
from autolm.tensor.quiet import quiet
from autolm.walking.program_names import NodeNames, names_of, use_names, variables_of_caller
from autolm.walking.what_if import read_seed
from autolm.walking.wording import assignment, count, grad_of, label, norm, rule, show

Label = Callable[[Node], str]


class PassState(Protocol):
    """The state of a backward pass; the engine's `Backprop` and `Walk` both provide it."""

    @property
    def root(self) -> Node: ...  # noqa: D102
    @property
    def operations(self) -> Sequence[Node]: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def gradients(self) -> Mapping[Node, Any]: ...  # noqa: D102


BEAM = 16  # the smallest number of partial paths that are followed at each Tensor


@dataclass(frozen=True)
class Use:
    """One use of a node, and its contribution to the gradient.

    Attributes
    ----------
    consumer
        The result of the operation that used the node.
    operand
        The index of the node among the consumer's operands.
    upstream
        The gradient of the consumer.
    local
        The local gradient, if it is one number; else None.
    value
        The contribution.
    """

    consumer: Node
    operand: int
    upstream: Any
    local: float | None
    value: Any

    @property
    def rule(self) -> str:
        """The text of the consumer's rule for this operand."""
        return rule(self.consumer, self.operand)


@dataclass(frozen=True)
class GradientPath:
    """A path from the root to a node, and its share of the gradient.

    Attributes
    ----------
    nodes
        The nodes of the path, from the root to the node.
    value
        The gradient that arrives along this path alone. For Values it is the seed times the local
        gradients on the path.
    """

    nodes: tuple[Node, ...]
    value: Any

    @property
    def weight(self) -> float:
        """The absolute value or norm of the share; infinite for nan."""
        return _weight(self.value)


@dataclass(frozen=True, repr=False)
class Explanation:
    """The gradient of a node as a sum of contributions.

    Attributes
    ----------
    node
        The node.
    gradient
        Its gradient in this pass, without earlier passes; None if no contribution has arrived.
    uses
        The uses of the node in the order of the pass. Their contributions, added in this order,
        are exactly the gradient. Empty for the root, whose gradient is the seed.
    paths
        The requested number of heaviest paths, heaviest first.
    names
        The program's names for nodes without a name.
    """

    node: Node
    gradient: Any
    uses: tuple[Use, ...]
    paths: tuple[GradientPath, ...] = ()
    names: NodeNames = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        with use_names(self.names):
            return self.text()

    def text(self, label: Label = label, most: int | None = None) -> str:
        """Return the explanation as text: a line for each use and each path.

        Parameters
        ----------
        label
            Returns the name of a node.
        most
            The largest number of uses to list; the others are only counted.
        """
        read_function("explain", "label", label, "a function of a node")
        if most is not None:
            most = read_int("explain", "most", most, low=0)
        lines = [self._summary(label)]
        rows = self._rows(label)
        more = 0 if most is None else max(0, len(rows) - most)
        rows = rows[: len(rows) - more]
        widths = [max((width(row[i]) for row in rows), default=0) for i in range(3)]
        for *cells, where in rows:
            filled = [padded(cell, most) for cell, most in zip(cells, widths, strict=True)]
            texts = [f"  {filled[0]}", *filled[1:], where]
            lines.append(joined("   ", texts) if where else "   ".join(texts).rstrip())
        if more:
            lines.append(message("  … and {count} more uses", count=count(more)))
        if self.paths:
            lines.append(
                message("the {count} heaviest paths", count=len(self.paths))
                if len(self.paths) > 1
                else message("the heaviest path")
            )
        for path in self.paths:
            way = " ← ".join(label(node) for node in path.nodes)
            lines.append(f"  {show(path.value):{widths[0]}}   {way}")
        return joined("\n", lines)

    def _summary(self, label: Label) -> str:
        """Write the gradient, or why there is none."""
        name = label(self.node)
        if not self.node.requires_grad:
            return message("{name}: requires_grad is False, so it has no gradient", name=name)
        grad = grad_of(name)
        if self.gradient is None:
            return message("{grad}: no contribution has arrived yet", grad=grad)
        note = "" if self.uses else "\n  given, for this is the root"
        return f"{grad} = {show(self.gradient)}{note}"

    def _rows(self, label: Label) -> list[tuple[str, str, str, str]]:
        """Write a row for each use: contribution, consumer, arithmetic and location."""
        return [
            (show(use.value), _source(use, label), _arithmetic(use), _where(use.consumer))
            for use in self.uses
        ]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Show a table in a notebook, with a bar for the size of each contribution."""
        from autolm.drawing.table import table

        with use_names(self.names):
            shares = [u.value if isinstance(u.value, float) else norm(u.value) for u in self.uses]
            return table(self._summary(label), self._rows(label), self.text(), shares)


def explain(
    node: Node, root: Node | None = None, grad: Any = None, *, paths: int = 0
) -> Explanation:
    """Explain the gradient of a node as the sum of the contributions of its uses.

    A separate backward pass computes the contributions. No `.grad` changes.

    Parameters
    ----------
    node
        A node in the graph of the root.
    root
        The node to differentiate; by default the root of the latest `backward()`.
    grad
        The seed ∂L/∂root, as for `backward()`.
    paths
        How many of the heaviest paths from the root to list. The weight of a path is the absolute
        value, or for Tensors the norm, of the gradient that arrives along it. The result is exact
        for Values. For Tensors it is a beam search that follows at least 16 paths at each node.

    Returns
    -------
    Explanation
        The gradient and its contributions; `print` shows them as text.

    Raises
    ------
    ValueError
        If the node has no gradient of the root, or if `root` is left out and no `backward()` was
        called.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(3.0, name="x")
    >>> y = x * x + x
    >>> y.backward()
    >>> print(explain(x))
    x.grad = 7
      1   from y = mul + x   (1 × 1)
      3   from x · x         (3 × 1)
      3   from x · x         (3 × 1)
    """
    node = read_node("explain", "node", node)
    paths = read_int("explain", "paths", paths, low=0)
    root = latest_root.get()() if root is None else read_node("explain", "root", root)
    if root is None:
        raise ValueError(
            message("explain: backward() was not called; pass the root: explain(node, loss)")
        )
    backprop = Backprop(root, read_seed("explain", root, grad), retain_grads=True)
    with quiet():
        backprop.run()
    names = names_of(root, variables_of_caller())
    if node not in backprop.gradients:
        with use_names(names):
            raise ValueError(
                message(
                    "explain: {node} has no gradient of {root}; for another root: "
                    "explain(node, loss)",
                    node=label(node),
                    root=label(root),
                )
            )
    uses = tuple(
        compute_use(consumer, operand, backprop.gradients[consumer])
        for consumer in backprop.operations
        for operand, parent in enumerate(consumer.parents)
        if parent is node
    )
    return replace(explain_pass(backprop, node, uses, paths=paths), names=names)


def explain_pass(
    walk: PassState, node: Node, uses: tuple[Use, ...], *, paths: int = 0
) -> Explanation:
    """Explain the gradient of a node so far, in a pass that keeps all gradients."""
    heaviest = tuple(_heaviest_paths(walk, node, paths)) if paths > 0 else ()
    return Explanation(node, walk.gradients.get(node), uses, heaviest)


def compute_use(consumer: Node, operand: int, upstream: Any) -> Use:
    """Compute the contribution of a consumer to one of its operands."""
    with quiet():
        value = consumer.contributions(upstream)[operand]
        local = consumer.contributions(1.0)[operand] if type(upstream) is float else None
    return Use(consumer, operand, upstream, local, value)


def _heaviest_paths(walk: PassState, node: Node, k: int) -> list[GradientPath]:
    """Follow the paths from the root to a node, and keep only the heaviest ones at each node.

    For Values this is exact: the weight of a path is a product, so every beginning of a heaviest
    path is itself among the heaviest.
    """
    done = walk.operations[: walk.position]
    leads = {node}
    for consumer in reversed(done):
        if not leads.isdisjoint(consumer.parents):
            leads.add(consumer)
    scalar = type(walk.gradients[walk.root]) is float
    limit = k if scalar else max(k, BEAM)
    # A path is its value and a linked list of its nodes, last first, so that beginnings are shared.
    arrived: dict[Node, list[tuple[Any, Any]]] = {walk.root: [(walk.gradients[walk.root], None)]}
    for consumer in done:
        if consumer not in leads or consumer is node:
            continue
        for value, way in _heaviest(arrived.pop(consumer, []), limit):
            contributions = consumer.contributions(value)
            for parent, contribution in zip(consumer.parents, contributions, strict=True):
                if parent in leads and parent.requires_grad:
                    arrived.setdefault(parent, []).append((contribution, (consumer, way)))
    return [
        GradientPath((*_unrolled(way), node), value)
        for value, way in _heaviest(arrived.get(node, []), k)
    ]


def _heaviest(paths: list[tuple[Any, Any]], k: int) -> list[tuple[Any, Any]]:
    return sorted(paths, key=lambda path: -_weight(path[0]))[:k]


def _unrolled(way: Any) -> list[Node]:
    nodes = []
    while way is not None:
        node, way = way
        nodes.append(node)
    return nodes[::-1]


def _weight(value: Any) -> float:
    weight = abs(value) if isinstance(value, float) else norm(value)
    return math.inf if math.isnan(weight) else weight


def _source(use: Use, label: Label) -> str:
    return message("from {expression}", expression=assignment(use.consumer, label))


def _arithmetic(use: Use) -> str:
    return f"({show(use.local)} × {show(use.upstream)})" if use.local is not None else use.rule


def _where(node: Node) -> str:
    location = Path(str(node.location)).name if node.location else ""
    return "   ".join(filter(None, (node.scope, location)))
