"""The console for tables and progress bars: rich's, with control characters escaped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from autolm.outside.terminal import naming_output, printable


class SafeConsole(Console):
    """A rich console that shows control characters in printed texts as escapes."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Render to segments of text without control characters."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; a failure to write names standard output."""
        with naming_output():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError for `main` to handle; rich would exit with code 1."""
        raise
