"""Workload: a picture of a graph of 100 000 nodes, collapsed by scope until it can be read."""

from autolm import Value, scope
from autolm.drawing import draw
from autolm.engine.graph import Node, topological_order
from benchmarks.race import Contestant, Race

BLOCKS, INNER_SCOPES = 10, ("attention", "feed_forward")


def build(nodes: int) -> Race:
    """Prepare the race; it has one contestant, since a picture of every node cannot be read."""
    root = scoped_graph(nodes)
    count = len(topological_order(root))
    title = f"drawing {count:,} nodes".replace(",", " ")
    return Race(title, [Contestant("autolm.draw, to DOT", lambda: float(len(draw(root).source)))])


def scoped_graph(nodes: int) -> Node:
    """Record a residual stream of numbers through blocks of two parts each."""
    stream = [Value(float(i)) for i in range(32)]
    rounds = nodes // (BLOCKS * len(INNER_SCOPES) * len(stream) * 3)  # a product with a leaf, a sum
    for block in range(BLOCKS):
        for inner in INNER_SCOPES:
            with scope(f"blocks.{block}.{inner}"):
                for _ in range(max(1, rounds)):
                    mixed = [x * Value(0.5) for x in stream]
                    stream = [x + y for x, y in zip(mixed, stream[1:] + stream[:1], strict=True)]
    return Value.sum(stream)
