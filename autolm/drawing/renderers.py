"""Turn DOT into a picture with whichever Graphviz there is, each in a process of its own.

A layout may take for ever and cannot be stopped from within; a process can. The system's `dot` is
the fastest. The wheels of pygraphviz bundle Graphviz, but no fonts: on Linux it gets those that
matplotlib has. graphviz-pure, a command that needs nothing else, stands in where pygraphviz has no
wheel; it writes no PDF, and knows the widths of few fonts. All draw the same boxes and edges.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""
FONT = re.compile(r'(fontname|FACE)="([^"]*)(sans-serif|monospace)"')
MEASURED = {"sans-serif": "Helvetica", "monospace": "Courier"}  # what graphviz-pure has widths of


class RendererMissing(RuntimeError):
    """No Graphviz is installed that writes this kind of file."""


class RenderTimeout(RuntimeError):
    """The layout took longer than it may."""


def renderers() -> dict[str, list[str]]:
    """Return the commands that are there, best first; each takes a format, and DOT from stdin."""
    found = {}
    if dot := shutil.which("dot"):
        found["dot"] = [dot, "-T"]
    if find_spec("pygraphviz"):
        found["pygraphviz"] = [sys.executable, "-W", "ignore", "-c", PYGRAPHVIZ, ""]
    beside_python = str(Path(sys.executable).parent)
    if pure := shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=beside_python):
        found["graphviz-pure"] = [pure, "-T"]
    return found


def lay_out(source: str, kind: str, time_limit: float) -> bytes:
    """Return a picture of DOT, of the kind "svg", "png" or "pdf".

    Raises
    ------
    RendererMissing
        If there is no Graphviz, or none that makes this kind; it says which command helps.
    RenderTimeout
        If it takes longer than `time_limit` seconds.
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
                f"the layout takes longer than {time_limit:g} s; lower max_boxes, or depth"
            ) from None
        if done.returncode == 0 and done.stdout:
            return _in_families(done.stdout, families) if kind == "svg" else done.stdout
        message = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        failures.append(f"{name}: {message[-1]}")
    why = "; ".join(failures) or "no Graphviz was found"
    raise RendererMissing(
        f"no picture of kind {kind}: {why}. This helps: apt-get install graphviz "
        "(brew, apk, winget: the same name). A .dot file needs none"
    )


def _with_fonts() -> dict[str, str]:
    """Return an environment in which fontconfig finds matplotlib's fonts too, if it is asked."""
    matplotlib = find_spec("matplotlib")
    if sys.platform != "linux" or matplotlib is None or "FONTCONFIG_FILE" in os.environ:
        return dict(os.environ)
    return {
        **os.environ,
        "FONTCONFIG_FILE": str(Path(__file__).with_name("fonts.conf")),
        "XDG_DATA_HOME": str(Path(str(matplotlib.origin)).with_name("mpl-data")),
    }


def _measurable(source: str) -> tuple[str, dict[str, str]]:
    """Name the fonts that have known widths instead; return also what each was named before."""
    families = {}

    def replace(font: re.Match[str]) -> str:
        attribute, preferred, generic = font.groups()
        families[MEASURED[generic]] = preferred + generic
        return f'{attribute}="{MEASURED[generic]}"'

    return FONT.sub(replace, source), families


def _in_families(svg: bytes, families: dict[str, str]) -> bytes:
    """Name the fonts of an SVG as they were: who shows it has his own."""
    for measured, family in families.items():
        svg = re.sub(
            rb'font-family="%s[^"]*' % measured.encode(), b'font-family="%s' % family.encode(), svg
        )
    return svg
