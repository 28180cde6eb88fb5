"""Lay out DOT with the first available Graphviz: dot, pygraphviz or graphviz-pure.

Each runs in its own process, because a layout that takes too long can only be killed. The wheels of
pygraphviz bundle Graphviz without fonts; on Linux they use those of matplotlib. graphviz-pure, for
platforms without a wheel of pygraphviz, writes no PDF and has the metrics of few fonts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from autolm.outside.message import message

PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""
FONT = re.compile(r'(fontname|FACE)="([^"]*)(sans-serif|monospace)"')
MEASURED = {
    "sans-serif": "Helvetica",
    "monospace": "Courier",
}  # fonts whose metrics graphviz-pure has


class RendererMissing(RuntimeError):
    """No Graphviz is installed that writes this kind of file."""


class RenderTimeout(RuntimeError):
    """The layout took longer than its time limit."""


def renderers() -> dict[str, list[str]]:
    """Return the available commands, best first; each takes a format, and DOT from stdin."""
    commands = {}
    if dot := shutil.which("dot"):
        commands["dot"] = [dot, "-T"]
    if find_spec("pygraphviz"):
        commands["pygraphviz"] = [sys.executable, "-W", "ignore", "-c", PYGRAPHVIZ, ""]
    scripts = str(Path(sys.executable).parent)
    if pure := shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=scripts):
        commands["graphviz-pure"] = [pure, "-T"]
    return commands


def lay_out(source: str, kind: str, time_limit: float) -> bytes:
    """Lay out DOT; return a picture of the kind "svg", "png" or "pdf".

    Raises
    ------
    RendererMissing
        If no Graphviz that writes this kind is installed.
    RenderTimeout
        If the layout takes longer than `time_limit` seconds.
    """
    failures = []
    for name, (*command, last) in renderers().items():
        if (name, kind) == ("graphviz-pure", "pdf"):
            failures.append("graphviz-pure writes svg and png only")
            continue
        text, families = _measurable(source) if name == "graphviz-pure" else (source, {})
        try:
            done = subprocess.run(
                [*command, f"{last}{kind}"],
                input=text.encode(errors="backslashreplace"),
                capture_output=True,
                timeout=time_limit,
                check=False,
                env=_with_fonts() if name == "pygraphviz" else None,
            )
        except subprocess.TimeoutExpired:
            raise RenderTimeout(
                message(
                    "the layout takes longer than {time_limit:g} s; lower max_boxes, or depth",
                    time_limit=time_limit,
                )
            ) from None
        if done.returncode == 0 and done.stdout:
            return _in_families(done.stdout, families) if kind == "svg" else done.stdout
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        failures.append(f"{name}: {lines[-1]}")
    why = "; ".join(failures) or "no Graphviz was found"
    raise RendererMissing(
        message(
            "no picture of kind {kind}: {why}. This helps: apt-get install "
            "graphviz (brew, apk, winget: the same name). A .dot file needs none",
            kind=kind,
            why=why,
        )
    )


def _with_fonts() -> dict[str, str]:
    """Return an environment in which fontconfig also finds the fonts of matplotlib."""
    matplotlib = find_spec("matplotlib")
    if sys.platform != "linux" or matplotlib is None or "FONTCONFIG_FILE" in os.environ:
        return dict(os.environ)
    return {
        **os.environ,
        "FONTCONFIG_FILE": str(Path(__file__).with_name("fonts.conf")),
        "XDG_DATA_HOME": str(Path(str(matplotlib.origin)).with_name("mpl-data")),
    }


def _measurable(source: str) -> tuple[str, dict[str, str]]:
    """Replace fonts by ones with known metrics; return the DOT and the original names."""
    families = {}

    def replace(font: re.Match[str]) -> str:
        attribute, preferred, generic = font.groups()
        families[MEASURED[generic]] = preferred + generic
        return f'{attribute}="{MEASURED[generic]}"'

    return FONT.sub(replace, source), families


def _in_families(svg: bytes, families: dict[str, str]) -> bytes:
    """Restore the original font names in an SVG."""
    for measured, family in families.items():
        svg = re.sub(
            rb'font-family="%s[^"]*' % measured.encode(), b'font-family="%s' % family.encode(), svg
        )
    return svg
