"""Clean up the SVG of Graphviz: tooltips become titles.

Graphviz uses the names of nodes as titles, and wraps nodes with a tooltip in links without a
target, which are removed.
"""

from __future__ import annotations

from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
LINK_TITLE = "{http://www.w3.org/1999/xlink}title"

ElementTree.register_namespace("", SVG)


def tidy(svg: bytes) -> str:
    """Return the SVG element, for a file of its own or for a page."""
    root = ElementTree.fromstring(svg)
    for group in list(root.iter(f"{{{SVG}}}g")):
        _unwrap(group)
    return ElementTree.tostring(root, encoding="unicode")


def _unwrap(group: ElementTree.Element) -> None:
    title = group.find(f"{{{SVG}}}title")
    hints = []
    for wrapper in [child for child in group if child.tag == f"{{{SVG}}}g"]:
        link = wrapper.find(f"{{{SVG}}}a")
        if link is not None and len(wrapper) == 1:
            hints.append(link.get(LINK_TITLE, "").strip())
            index = list(group).index(wrapper)
            group.remove(wrapper)
            for offset, child in enumerate(link):
                group.insert(index + offset, child)
    if title is not None:
        title.text = next(filter(None, hints), None)
        if not title.text:
            group.remove(title)
