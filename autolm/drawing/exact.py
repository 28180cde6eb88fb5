"""The exact picture: one box per node and per operation, and every edge, as in micrograd.

At the border of a neighbourhood, boxes count the operands and uses that are not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from autolm.drawing.gradients import walk
from autolm.drawing.outline import scope_parts
from autolm.drawing.view import Arrow, Box, Edges, View
from autolm.engine.backprop import Step
from autolm.engine.graph import Node
from autolm.walking import wording
from autolm.walking.array_adapter import adapter_of
from autolm.walking.blame import blamed_nodes


def exact_view(
    order: Sequence[Node],
    visible: Collection[Node],
    edges: Edges = "forward",
) -> View:
    """Draw the nodes that are `visible`, out of all in `order`, the root last.

    With gradient edges, boxes show the gradients of the same backward pass.
    """
    root = order[-1]
    backward_pass = walk(root, visible) if edges != "forward" else None
    gradients = backward_pass.gradients if backward_pass else None
    blamed = blamed_nodes(order)
    keys = {node: f"n{i}" for i, node in enumerate(order) if node in visible}
    boxes, arrows = [], []
    for node, key in keys.items():
        boxes.append(_data_box(node, key, root, gradients, node in blamed))
        visible_parents = [p for p in node.parents if p in keys]
        if node.parents and (visible_parents or len(visible) == len(order)):
            boxes.append(_operation_box(node, f"{key}op"))
            arrows += _operands(node, keys)
            arrows.append(Arrow(f"{key}out", f"{key}op", key))
    _count_hidden_neighbours(order, keys, boxes, arrows)
    for step in backward_pass.steps if backward_pass else ():
        arrows += _gradient_arrows(step, keys, with_arithmetic=edges == "chain rule")
    return View(boxes, arrows, [], is_exact=True)


def neighbourhood(order: Sequence[Node], focus: Node, radius: int, most: int) -> dict[Node, int]:
    """Return the nodes within `radius` edges of `focus`, nearest first, with their distances.

    At most `most` nodes are returned, the nearest ones.
    """
    distances = {focus: 0}
    rim = [focus]
    for distance in range(1, radius + 1):
        reached = [parent for node in rim for parent in node.parents]
        around = set(rim)
        reached += [node for node in order if not around.isdisjoint(node.parents)]
        rim = [node for node in dict.fromkeys(reached) if node not in distances]
        rim = rim[: most - len(distances)]
        if not rim:  # no further node is reachable
            break
        distances |= dict.fromkeys(rim, distance)
    return distances


def _data_box(
    node: Node, key: str, root: Node, gradients: dict[Node, Any] | None, is_blamed: bool
) -> Box:
    kind = "data" if node.parents else "leaf" if node.requires_grad else "constant"
    rows = [("data", wording.peek(node.data))]
    if node.requires_grad:
        grad = wording.gradient(node)
        if gradients is not None:
            is_computed = node in gradients
            grad = wording.peek(gradients[node]) if is_computed else wording.NOT_COMPUTED
        rows.append(("grad", grad))
    return Box(
        key,
        kind,  # type: ignore[arg-type]
        [node],
        title=wording.short(wording.known_name(node)),
        subtitle=wording.shape(node.data),
        rows=rows,
        hint=wording.hint(node),
        frame=scope_parts(node.scope),
        is_root=node is root,
        is_finite=not is_blamed and wording.has_finite_gradient(node),
    )


def _operation_box(node: Node, key: str) -> Box:
    frame = scope_parts(node.scope)
    return Box(
        key, "operation", [], title=wording.symbol(node), hint=wording.hint(node), frame=frame
    )


def _operands(node: Node, keys: dict[Node, str]) -> list[Arrow]:
    arrows = []
    for i, parent in enumerate(node.parents):
        if parent in keys:
            key = keys[node]
            hint = f"operand {i + 1} of {len(node.parents)}"
            arrow = Arrow(f"{key}in{i}", keys[parent], f"{key}op", hint=hint)
            arrow.label = "  ".join(filter(None, [wording.role(node, i), _broadcast(parent, node)]))
            arrows.append(arrow)
    return arrows


def _broadcast(parent: Node, node: Node) -> str:
    """Return the shapes of an operand that an elementwise operation broadcasts, else ''."""
    is_elementwise = getattr(node.op, "cases", None) == ()
    if not is_elementwise or adapter_of(parent.data).shape == adapter_of(node.data).shape:
        return ""
    return f"{wording.shape(parent.data) or '1'} → {wording.shape(node.data)}"


def _gradient_arrows(step: Step, keys: dict[Node, str], with_arithmetic: bool) -> list[Arrow]:
    """Return an arrow for the contribution of a step to each of its operands."""
    key, arrows = keys.get(step.node), []
    if key is None:
        return []
    for i, (parent, value) in enumerate((c.parent, c.value) for c in step.contributions):
        if parent in keys and parent.requires_grad:
            label = arithmetic(step, i) if with_arithmetic else wording.peek(value)
            hint = f"gradient sent to operand {i + 1}: {wording.rule(step.node, i)}"
            arrow = Arrow(f"{key}grad{i}", keys[parent], f"{key}op", hint=hint)
            arrow.is_gradient, arrow.label = True, label
            arrows.append(arrow)
    return arrows


def arithmetic(step: Step, operand: int) -> str:
    """Write a contribution as upstream × local = value; for arrays, its rule and its value."""
    contribution = step.contributions[operand]
    value, local = contribution.value, contribution.local
    if local is None:
        rule = wording.rule(step.node, operand)
        return f"{rule} = {wording.peek(value)}" if rule else wording.peek(value)
    return product(*map(wording.number, (step.upstream, local, value)))


def product(upstream: str, local: str, value: str) -> str:
    """Write a contribution as a product."""
    return f"{upstream} × {local} = {value}"


def _count_hidden_neighbours(
    order: Sequence[Node], keys: dict[Node, str], boxes: list[Box], arrows: list[Arrow]
) -> None:
    """Add boxes that count the operands and the uses that are not in the picture."""
    if len(keys) == len(order):
        return
    uses: dict[Node, int] = dict.fromkeys(keys, 0)
    for node in order:
        if node not in keys:
            for parent in dict.fromkeys(node.parents):
                if parent in uses:
                    uses[parent] += 1
    drawn = {box.key for box in boxes}
    for node, key in keys.items():
        hidden = len({parent for parent in node.parents if parent not in keys})
        if hidden:
            operation = f"{key}op" if f"{key}op" in drawn else key
            boxes.append(_hidden_box(f"{key}below", hidden, "operand", node))
            arrows.append(Arrow(f"{key}belowedge", f"{key}below", operation, hidden))
        if uses[node]:
            boxes.append(_hidden_box(f"{key}above", uses[node], "use", node))
            arrows.append(Arrow(f"{key}aboveedge", key, f"{key}above", uses[node]))


def _hidden_box(key: str, hidden: int, kind: str, node: Node) -> Box:
    title = f"+{wording.count(hidden)} {kind}{'' if hidden == 1 else 's'}"
    hint = "not in this picture; a larger radius shows more"
    return Box(key, "more", [], title=title, hint=hint, frame=scope_parts(node.scope))
