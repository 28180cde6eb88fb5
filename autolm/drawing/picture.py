"""A picture that is displayed in notebooks, and written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graphviz

from autolm.drawing.renderers import RendererMissing, RenderTimeout, lay_out
from autolm.drawing.svg import tidy
from autolm.drawing.tree import text_tree
from autolm.drawing.view import View
from autolm.outside.whole_file import write_whole

SVG = "image/svg+xml"
TIME_LIMIT = 20.0  # seconds for a layout


class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """DOT that a notebook displays as a picture, or as text if Graphviz is not installed.

    Examples
    --------
    >>> from autolm import Value, draw
    >>> draw(Value(2.0) * 3).save("product.svg")  # doctest: +SKIP
    PosixPath('product.svg')
    """

    view: View

    def save(self, filename: Any = None, *args: Any, **options: Any) -> Any:
        """Write the picture to a file: .svg, .png, .pdf or .dot; other names get DOT.

        Returns
        -------
        Path
            The file; for other names a string, as from graphviz.
        """
        if (path := _picture_path(filename)) is None or args or options:
            return super().save(filename, *args, **options)
        self._write(path)
        return path

    def render(self, filename: Any = None, *args: Any, **options: Any) -> Any:
        """Write the picture to a file, like `save`; without a suffix, like graphviz."""
        if (path := _picture_path(filename)) is None or args or options:
            return super().render(filename, *args, **options)
        self._write(path)
        return path

    def _write(self, path: Path) -> None:
        kind, picture = path.suffix[1:], self
        if kind == "dot":
            write_whole(path, self.source.encode(errors="backslashreplace"))
            return
        if kind == "png":
            picture = self.copy()
            picture.attr(dpi="144")
        content = lay_out(picture.source, kind, TIME_LIMIT)
        write_whole(
            path, tidy(content).encode(errors="backslashreplace") if kind == "svg" else content
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        tree = text_tree(self.view)
        try:
            svg = tidy(lay_out(self.source, "svg", TIME_LIMIT))
        except (RendererMissing, RenderTimeout) as error:
            return {"text/plain": f"{tree}\n({error})"}
        responsive = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
        return {SVG: responsive, "text/plain": tree}


def _picture_path(filename: Any) -> Path | None:
    """Return the path if its suffix is that of a picture, otherwise None."""
    path = Path(filename) if isinstance(filename, str | Path) else None
    if path and path.suffix == ".html":
        raise ValueError(f"{path}: autolm.render(loss, {str(path)!r}) writes a page")
    return path if path and path.suffix in (".svg", ".png", ".pdf", ".dot") else None
