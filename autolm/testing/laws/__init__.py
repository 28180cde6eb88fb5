"""The laws that a correct operation keeps, in the order in which a report shows them."""

from autolm.testing.laws.conduct import hygiene, linear, state
from autolm.testing.laws.definitions import opens, relations, scalar
from autolm.testing.laws.edges import extremes, kinks
from autolm.testing.laws.law import LackingError, Law, LawBroken, Tally
from autolm.testing.laws.values import aliases, broadcasting, graphs, rule

# A broken law of value says that numbers are wrong, and the diagnosis is to say how.
LAWS_OF_VALUE: tuple[Law, ...] = (rule, broadcasting, aliases, graphs)
# Graphs last: the first law that breaks is reported, and a single call reads easier than a graph.
LAWS: tuple[Law, ...] = (
    *(rule, broadcasting, aliases, hygiene, state, kinks, extremes, linear, scalar, opens),
    relations,
    graphs,
)

__all__ = [
    "LAWS",
    "LAWS_OF_VALUE",
    "LackingError",
    "Law",
    "LawBroken",
    "Tally",
    "extremes",
    "graphs",
    "kinks",
    "linear",
    "relations",
]
