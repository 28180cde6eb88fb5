"""A picture as a text tree, for when Graphviz is not installed."""

from __future__ import annotations

from autolm.drawing.view import Box, View


def text_tree(view: View) -> str:
    """Write a picture as a tree: each result, with its operands indented below it.

    The operands of a node that is used twice are listed once.
    """
    boxes = {box.key: box for box in view.boxes}
    operands: dict[str, list[str]] = {}
    for arrow in view.arrows:
        if not arrow.is_gradient:
            operands.setdefault(arrow.head, []).append(arrow.tail)
    ends = [key for key in boxes if not any(key in tails for tails in operands.values())]
    lines, expanded = [], set[str]()
    stack = [(key, "", "") for key in reversed(ends)]
    while stack:
        key, first, rest = stack.pop()
        below = operands.get(key, [])
        made_by = boxes[below[0]] if below and boxes[below[0]].kind == "operation" else None
        if made_by is not None:
            below = operands.get(made_by.key, [])
        again = "  (above)" if key in expanded and below else ""
        lines.append(f"{first}{_line(boxes[key], made_by)}{again}")
        if not again:
            branches = [(f"{rest}├─ ", f"{rest}│  ")] * len(below)
            branches[-1:] = [(f"{rest}└─ ", f"{rest}   ")] if below else []
            stack += [(k, *b) for k, b in zip(below, branches, strict=True)][::-1]
        expanded.add(key)
    return "\n".join(lines + view.notes)


def _line(box: Box, made_by: Box | None) -> str:
    operation = made_by.title if made_by else ""
    heading = " = ".join(filter(None, (box.title, operation)))
    badges = [f"[{badge.text}]" for badge in box.badges]
    rows = [f"{label} {text}" for label, text in box.rows]
    return "  ".join(filter(None, (f"{heading} {box.subtitle}".strip(), *badges, *rows)))
