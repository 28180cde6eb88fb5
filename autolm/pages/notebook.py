"""The player in a notebook: a widget that is synchronised with a walk, or a page in a frame.

The widget (anywidget, from the extra `notebook`) embeds the page and exchanges messages with it.
Without anywidget the page is shown in a plain frame. When a cell moves the walk, the page follows
at the end of the cell.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autolm.drawing.markup import markup
from autolm.outside.arguments import read_path
from autolm.outside.whole_file import write_whole
from autolm.walking.walk import Walk

HEIGHT = 680  # pixels


class Player:
    """A player that notebooks display.

    Attributes
    ----------
    html
        The page.
    walk
        The walk that the page moves, or None.
    """

    def __init__(self, html: str, title: str, done: Sequence[int], walk: Walk | None) -> None:
        self.html, self.title, self.walk = html, title, walk
        self._done = done  # steps of the pass that are done at each moment

    def __repr__(self) -> str:
        linked = f", at step {self.walk.position} of its walk" if self.walk else ""
        return f"<{self.title}: {len(self._done)} moments{linked}>"

    def save(self, path: str | Path) -> Path:
        """Write the page to a file."""
        path = read_path("save", "path", path)
        write_whole(path, self.html.encode())
        return path

    def move_walk(self, moment: int) -> None:
        """Move the walk to a moment of the page."""
        if self.walk is None or moment == self.moment:
            return  # the page has followed the walk
        if self._done[moment] != self.walk.position:
            self.walk.goto(self._done[moment])

    def follow(self, *_: object) -> None:
        """Move the page to the position of the walk, unless it shows that position."""
        if self.walk is not None and self._done[self.widget.step] != self.walk.position:
            self.widget.step = self.moment

    @property
    def moment(self) -> int:
        """The moment of the page at the position of the walk."""
        if self.walk is None or not self.walk.position:
            return 0
        done = self._done[bisect_right(self._done, self.walk.position) - 1]
        return self._done.index(done)  # the first such moment, before the update

    @cached_property
    def widget(self) -> Any:
        """The widget, whose `step` is the moment of the page; needs the extra `notebook`."""
        import anywidget
        import traitlets

        front = (files("autolm.pages") / "assets" / "widget.js").read_text(encoding="utf-8")

        fields = {
            "_esm": front,
            "html": traitlets.Unicode(self.html).tag(sync=True),
            "step": traitlets.Int(self.moment).tag(sync=True),
        }
        widget = type("PlayerWidget", (anywidget.AnyWidget,), fields)()
        widget.observe(lambda change: self.move_walk(change["new"]), "step")
        shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and self.walk is not None:
            shell.events.register("post_run_cell", self.follow)
        return widget

    @property
    def frame(self) -> str:
        """HTML of the page in a frame."""
        return (
            f'<iframe title="{markup(self.title)}" srcdoc="{escape(self.html)}" '
            f'sandbox="allow-scripts" style="border:0;width:100%;height:{HEIGHT}px"></iframe>'
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if find_spec("anywidget") is None:
            return {"text/html": self.frame, "text/plain": repr(self)}
        self.follow()
        return self.widget._repr_mimebundle_(**options)
