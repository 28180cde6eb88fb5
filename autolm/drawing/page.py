"""A picture as a self-contained HTML page."""

from __future__ import annotations

from autolm.drawing.markup import markup
from autolm.drawing.palette import DARK, LIGHT

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html {{ background: {paper}; color-scheme: {scheme}; }}
body {{ margin: 0; padding: 1rem; overflow: auto; }}
svg {{ display: block; margin: auto; max-width: none; height: auto; }}
</style>
{svg}
</html>
"""


def picture_page(svg: str, *, title: str, dark: bool) -> str:
    """Return an HTML page that contains a picture."""
    paper, scheme = (DARK.paper, "dark") if dark else (LIGHT.paper, "light")
    return PAGE.format(title=markup(title), paper=paper, scheme=scheme, svg=svg)
