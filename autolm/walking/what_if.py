"""Edit the data of one node, and recompute every node that depends on it.

The graph does not change. Each dependent operation runs again, in order, and so does its backward
rule. Editing an interior result is like adding a constant to it, so its own rule does not change.
A later edit of a node upstream of an edited result recomputes that result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from autolm.engine.backprop import Backprop
from autolm.engine.graph import Node, topological_order
from autolm.outside.arguments import read_function, read_items
from autolm.outside.columns import padded, width
from autolm.outside.message import joined, message
from autolm.tensor.nodes import read_node
from autolm.tensor.quiet import quiet
from autolm.walking.array_adapter import adapter_of
from autolm.walking.program_names import names_of, use_names, variables_of_caller
from autolm.walking.wording import grad_of, label, total

SHOWN = 12  # how many gradients a report lists


class Change(NamedTuple):
    """A number or an array, before and after an edit."""

    before: Any
    after: Any


class Edit:
    """The effects of setting one node; `undo()` reverts them.

    Attributes
    ----------
    node
        The node that was set.
    data
        The change of its data and of all data that depends on it, by node.
    gradients
        The changes of the gradients of a full backward pass, by node; equal ones are left out.
    overwritten
        Results that an earlier edit had set, and that were recomputed.
    """

    def __init__(
        self,
        node: Node,
        data: Mapping[Node, Change],
        gradients: Mapping[Node, Change],
        overwritten: Collection[Node],
        states: Mapping[Node, tuple[Any, ...]],
    ) -> None:
        self.node, self.data, self.gradients = node, data, gradients
        self.overwritten = overwritten
        self._states = states

    def undo(self) -> None:
        """Restore the data and the backward rule of every changed node."""
        for node, state in self._states.items():
            _restore(node, state)

    def __repr__(self) -> str:
        *_, root = self.data
        with use_names(names_of(root, variables_of_caller())):
            return self.text()

    def text(self, label: Callable[[Node], str] = label) -> str:
        """Return a report; it lists the leaves whose gradient changed most.

        Parameters
        ----------
        label
            Returns the name of a node.
        """
        read_function("edit", "label", label, "a function of a node")
        *_, root = self.data
        rows = [(label(node), self.data[node]) for node in dict.fromkeys((self.node, root))]
        leaves = [node for node in self.gradients if not node.parents]
        leaves.sort(key=lambda leaf: -_distance(self.gradients[leaf]))
        rows += [(grad_of(label(leaf)), self.gradients[leaf]) for leaf in leaves[:SHOWN]]
        most = max(width(name) for name, _ in rows)
        lines: list[str] = [
            f"{padded(name, most)}  {total(m.before)} → {total(m.after)}" for name, m in rows
        ]
        lines += [message("… and {count} more gradients", count=len(leaves) - SHOWN)] * (
            len(leaves) > SHOWN
        )
        lines += [
            message(
                "results computed again: {count}",
                count=sum(node is not self.node for node in self.data),
            )
        ]
        for node in self.overwritten:
            before, after = map(total, self.data[node])
            lines += [
                message(
                    "  {node} too, which was set to {before}: now it is {after}",
                    node=label(node),
                    before=before,
                    after=after,
                )
            ]
        return joined("\n", lines)


def edit(
    root: Node, node: Node, data: Any, *, grad: Any = None, set_before: Collection[Node] = ()
) -> Edit:
    """Set the data of a node in the graph of `root`, and recompute all nodes that depend on it.

    No `.grad` changes. The result reports how the gradients of a backward pass would change.

    Parameters
    ----------
    root
        The node from which backward passes start, usually the loss.
    node
        A leaf or an interior result.
    data
        The new numbers, in the shape of the node.
    grad
        The seed ∂L/∂root, as for `backward()`.
    set_before
        Results that earlier edits have set. The report lists those that were recomputed.

    Returns
    -------
    Edit
        The changes, which `undo()` reverts.

    Raises
    ------
    ValueError
        If the node is not in the graph of `root`, or the data has another shape or is not numeric.

    Examples
    --------
    >>> from autolm import Value
    >>> w, x = Value(2.0, name="w"), Value(3.0, name="x")
    >>> loss = w * x
    >>> print(edit(loss, w, 5.0))
    w       2 → 5
    loss    6 → 15
    x.grad  2 → 5
    results computed again: 1
    """
    root = read_node("edit", "root", root)
    grad = read_seed("edit", root, grad)
    before = read_items("edit", "set_before", set_before, "a list of nodes")
    set_before = {read_node("edit", "set_before", item) for item in before}
    order = topological_order(root)
    node = read_node("edit", "node", node)
    if all(node is not item for item in order):
        with use_names(names_of(node, variables_of_caller())):
            raise ValueError(
                message("edit: {node} is not part of the graph of this root", node=label(node))
            )
    try:
        data = adapter_of(node.data).read_replacement(data)
    except ValueError as error:
        raise ValueError(message("edit: data: {error}", error=error)) from None
    affected = {node}
    for item in order:
        if not affected.isdisjoint(item.parents):
            affected.add(item)
    dependents = [item for item in order if item in affected]
    states = {item: _state(item) for item in dependents}
    data_before = {item: item.data for item in dependents}
    for item in dependents[1:]:
        if item not in set_before:
            item.require_repeatable()
    gradients_before = _gradients(root, grad)
    try:
        node.data = data
        for item in dependents[1:]:
            item.recompute()
        gradients_after = _gradients(root, grad)
    except BaseException:
        for item, state in states.items():
            _restore(item, state)
        raise
    return Edit(
        node,
        {item: Change(before, item.data) for item, before in data_before.items()},
        {
            item: Change(gradients_before[item], after)
            for item, after in gradients_after.items()
            if not adapter_of(gradients_before[item]).equals(after)
        },
        [item for item in dependents[1:] if item in set_before],
        states,
    )


def read_seed(name: str, root: Node, grad: Any) -> Any:
    """Read the seed of a backward pass; None means the default of the root."""
    if grad is None:
        return None
    try:
        return adapter_of(root.data).read_replacement(grad)
    except ValueError as error:
        raise ValueError(message("{name}: grad: {error}", name=name, error=error)) from None


def _gradients(root: Node, grad: Any) -> dict[Node, Any]:
    backprop = Backprop(root, grad, retain_grads=True)
    with quiet():
        backprop.run()
    return backprop.gradients


def _distance(change: Change) -> float:
    with quiet():
        return float(adapter_of(change.before).distance(change.after))


def _state(node: Node) -> tuple[Any, ...]:
    return tuple(getattr(node, slot) for slot in node.computed)


def _restore(node: Node, state: tuple[Any, ...]) -> None:
    for slot, value in zip(node.computed, state, strict=True):
        setattr(node, slot, value)
