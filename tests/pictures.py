"""Parse pictures in tests: DOT with Graphviz, and SVG as XML."""

import html
import json
from typing import NamedTuple
from xml.etree import ElementTree

from autolm.drawing.renderers import lay_out
from tests.needs import need_renderer

SVG = "{http://www.w3.org/2000/svg}"


class Node(NamedTuple):
    key: str
    kind: str
    texts: list[str]  # from top to bottom
    hint: str
    attributes: dict[str, str]

    @property
    def rows(self):
        """The text after each label, such as {"data": "2", "grad": "–"}."""
        following = zip(self.texts, self.texts[1:], strict=False)
        return {label: text for label, text in following if label in ("data", "grad")}


class Edge(NamedTuple):
    key: str
    tail: str
    head: str
    label: str
    attributes: dict[str, str]

    @property
    def is_gradient(self):
        return self.attributes.get("class") == "gradient"


class Parsed(NamedTuple):
    nodes: dict[str, Node]
    edges: list[Edge]
    frames: list[list[str]]  # the texts of each
    legend: list[str]

    def called(self, name):
        """Return the data box with this title."""
        (node,) = [n for n in self.nodes.values() if n.texts[:1] == [name] and n.rows]
        return node

    def operation(self, symbol):
        (node,) = [n for n in self.nodes.values() if (n.kind, n.texts) == ("operation", [symbol])]
        return node

    def ends(self, *, gradient=False):
        """List (tail, head) of the edges, each by the key of its node."""
        return [(edge.tail, edge.head) for edge in self.edges if edge.is_gradient == gradient]


def parse(dot):
    """Parse DOT with Graphviz."""
    need_renderer()
    graph = json.loads(lay_out(dot.source, "json0", 60))
    objects = {o["_gvid"]: o for o in graph["objects"]}
    nodes = {o["name"]: _node(o) for o in objects.values() if "cluster" not in o["name"]}
    edges = [
        Edge(
            edge["id"],
            objects[edge["tail"]]["name"],
            objects[edge["head"]]["name"],
            "".join(_texts(edge.get("label", ""))),
            edge,
        )
        for edge in graph.get("edges", [])
    ]
    frames = [_texts(o["label"]) for o in objects.values() if "cluster" in o["name"]]
    return Parsed(nodes, edges, frames, _texts(graph.get("label", "")))


def _node(graphviz_object):
    hint = html.unescape(graphviz_object.get("tooltip", "")).strip().replace("\\" * 4, "\\")
    return Node(
        graphviz_object["name"],
        graphviz_object["class"],
        _texts(graphviz_object["label"]),
        hint,
        graphviz_object,
    )


def _texts(label):
    root = ElementTree.fromstring(f"<label>{label}</label>")
    written = "\n".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ").replace("\\" * 2, "\\")
    return [text.strip() for text in written.split("\n") if text.strip()]


def svg_texts(svg):
    """Return the texts of each box of an SVG, by its id."""
    root = ElementTree.fromstring(svg)
    boxes = [g for g in root.iter(f"{SVG}g") if "node" in g.get("class", "").split()]
    return {
        box.get("id"): [
            (text.text or "").replace("\N{NO-BREAK SPACE}", " ").strip()
            for text in box.iter(f"{SVG}text")
        ]
        for box in boxes
    }


def svg_edges(svg):
    """Return the texts of each edge of an SVG, by its id."""
    root = ElementTree.fromstring(svg)
    edges = [g for g in root.iter(f"{SVG}g") if "edge" in g.get("class", "").split()]
    return {g.get("id"): [text.text for text in g.iter(f"{SVG}text")] for g in edges}


def svg_hints(svg):
    return [title.text for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]
