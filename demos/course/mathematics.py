"""Render formulas to HTML at build time with KaTeX, so pages need no script for them.

Lines do not break between a parenthesis and a formula, or before a Korean particle.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError

HERE = Path(__file__).parent
JOINER = "\N{WORD JOINER}"
SHORT = 24  # characters of TeX


@cache
def _katex() -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["node", str(HERE / "katex.mjs")],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


@cache
def formula(tex: str, displayed: bool) -> str:
    """Return a formula as HTML."""
    process = _katex()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([tex, displayed]) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "error" in answer:
        raise ExtensionError(f"{tex}: {answer['error']}")
    return str(answer["html"])


def pieces_of(tex: str) -> list[str]:
    r"""Split a formula at `\qquad` outside of groups, where a narrow page may break the line."""
    pieces, depth = [""], 0
    for token in re.findall(
        r"\\(?:begin|end|left|right|qquad)(?![a-z])|\\.|[{}]|[^\\{}]+", tex, re.DOTALL
    ):
        depth += token in (r"\begin", r"\left", "{")
        depth -= token in (r"\end", r"\right", "}")
        if token == r"\qquad" and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += token
    return pieces


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(formula(node.astext(), False))
    raise nodes.SkipNode


def _displayed(translator: Any, node: Any) -> None:
    pieces = "".join(formula(piece, True) for piece in pieces_of(node.astext()))
    translator.body.append(f'<div class="formula" tabindex="0">{pieces}</div>')
    raise nodes.SkipNode


def _join(app: Any, tree: Any, page: str) -> None:
    """Prevent line breaks between `)` and a particle, and around a short formula."""
    for text in list(tree.findall(nodes.Text)):
        if not isinstance(
            text.parent, nodes.FixedTextElement | nodes.literal | nodes.math | nodes.raw
        ):
            joined = re.sub(r"\)(?=[가-힣])", f"){JOINER}", text)
            text.parent.replace(text, nodes.Text(joined))
    for formula in list(tree.findall(nodes.math)):
        if len(formula.astext()) > SHORT:
            continue  # a long formula may be broken
        parent, place = formula.parent, formula.parent.index(formula)
        before, after = parent[place - 1] if place else "", (*parent[place + 1 :], "")[0]
        opened = re.search(r"\(?$", before if isinstance(before, nodes.Text) else "")[0]
        word = re.match(r"[가-힣)]?\S*", after if isinstance(after, nodes.Text) else "")[0]
        word = word if re.match("[가-힣)]", word) else ""
        if opened:
            parent.replace(before, nodes.Text(before[:-1]))
        if word:
            parent.replace(after, nodes.Text(after[len(word) :]))
        if opened or word:
            whole = nodes.inline("", "", classes=["joined"])
            parent.replace(formula, whole)
            whole += [nodes.Text(opened), formula, nodes.Text(word)]


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer and the transform."""
    app.add_html_math_renderer("prerendered", (_inline, None), (_displayed, None))
    app.config.html_math_renderer = "prerendered"
    app.connect("doctree-resolved", _join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
