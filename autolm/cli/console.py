"""Where commands print tables and bars: rich's console, which no text of others can turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from autolm.outside.terminal import naming_output, printable


class SafeConsole(Console):
    """A console that styles what it shows, and shows control characters as escapes."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Render to pieces of text; what is in them has no say over the terminal."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, as rich does; what cannot be written is named."""
        with naming_output():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Let the command know; rich's own would end it as failed."""
        raise
