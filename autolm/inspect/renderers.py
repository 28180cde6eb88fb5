"""Turn DOT into a picture with whichever Graphviz there is, each in a process of its own.

A layout may take for ever and cannot be stopped from within; a process can. The system's `dot` is
the fastest; the wheels of pygraphviz bundle Graphviz; graphviz-pure is a command that needs nothing
else. All draw the same pictures.
"""

from __future__ import annotations

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
        If there is no Graphviz, or none that makes this kind; it says which commands help.
    RenderTimeout
        If it takes longer than `time_limit` seconds.
    """
    failures = []
    for name, (*command, last) in renderers().items():
        try:
            done = subprocess.run(
                [*command, f"{last}{kind}"],
                input=source.encode(),
                capture_output=True,
                timeout=time_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RenderTimeout(
                f"the layout takes longer than {time_limit:g} s; lower max_boxes, or depth"
            ) from None
        if done.returncode == 0 and done.stdout:
            return done.stdout
        message = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        failures.append(f"{name}: {message[-1]}")
    why = "; ".join(failures) or "no Graphviz was found"
    raise RendererMissing(
        f"no picture of kind {kind}: {why}. Either of these helps: pip install 'autolm[viz]'   or "
        "apt-get install graphviz (brew, winget: the same name). A .dot file needs none"
    )
