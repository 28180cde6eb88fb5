"""Formulas are HTML already when a page is read: no script, no network. KaTeX writes them, here.

A line never breaks between a parenthesis and a formula, or before a Korean particle.
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


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(formula(node.astext(), False))
    raise nodes.SkipNode


def _displayed(translator: Any, node: Any) -> None:
    translator.body.append(
        f'<div class="formula" tabindex="0">{formula(node.astext(), True)}</div>'
    )
    raise nodes.SkipNode


def _join(app: Any, tree: Any, page: str) -> None:
    """Join what a browser would part: `(` and a formula, a formula or `)` and its particle."""
    for text in list(tree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.FixedTextElement | nodes.literal | nodes.math | nodes.raw):
            continue
        place = text.parent.index(text)
        before, after = text.parent[:place], text.parent[place + 1 :]
        joined = re.sub(r"\)(?=[가-힣])", f"){JOINER}", text)
        if before and isinstance(before[-1], nodes.math):
            joined = re.sub(r"^(?=[가-힣)])", JOINER, joined)
        if after and isinstance(after[0], nodes.math):
            joined = re.sub(r"\($", f"({JOINER}", joined)
        if joined != text:
            text.parent.replace(text, nodes.Text(joined))


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("prerendered", (_inline, None), (_displayed, None))
    app.config.html_math_renderer = "prerendered"
    app.connect("doctree-resolved", _join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
