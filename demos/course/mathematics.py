"""Formulas are HTML already when a page is read: no script, no network. KaTeX writes them, here."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError

HERE = Path(__file__).parent


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


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("prerendered", (_inline, None), (_displayed, None))
    app.config.html_math_renderer = "prerendered"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
